// Package reference keeps records of cards that most people do not have: races that
// gpuplay ran on them, each cut down to its fastest GPU lane. They are shown beside a
// race on a machine without a GPU, and are never part of its record.
//
// The records are the files in the folder records, which scripts/reference writes.
package reference

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// The folder is embedded whole, so that a build needs no record in it.
//
//go:embed records
var embedded embed.FS

// Records returns the records that this program was built with, in the order of their
// files' names; never nil.
func Records() []*record.Run {
	list, _ := Read(embedded, "records") // TestRecords sees to it that all of them can be read
	return append([]*record.Run{}, list...)
}

// Read returns the records in the JSON files of a folder, and the errors of those that
// cannot be read or are no references.
func Read(files fs.FS, folder string) (list []*record.Run, err error) {
	names, err := fs.Glob(files, folder+"/*.json")
	for _, name := range names {
		r, bad := readFile(files, name)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, bad))
			continue
		}
		list = append(list, r)
	}
	return list, err
}

func readFile(files fs.FS, name string) (*record.Run, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	r, err := record.Parse(text)
	if err != nil {
		return nil, err
	}
	return r, Check(r)
}

// Keep returns the reference in the record of a race: its fastest verified GPU lane,
// with the machine and the versions, and with nothing else. What could say whose
// machine it was (its id, the command, the card's UUID and address) is not copied.
func Keep(r *record.Run) (*record.Run, error) {
	best := judge.Best(r.Results, hardware.GPU)
	if best == nil {
		return nil, errors.New("it has no verified GPU lane")
	}
	d, m := best.Device, r.Machine
	lane := *best
	lane.Device = hardware.Device{
		ID: d.API, Name: d.Name, Kind: d.Kind, API: d.API, Library: d.Library, Version: d.Version, Detail: d.Detail,
		Versions: maps.Clone(d.Versions), Memory: d.Memory,
	}
	lane.Lane = lane.Engine + "/" + lane.Device.ID
	kept := &record.Run{
		Schema: r.Schema, ID: r.ID, Kind: r.Kind, Created: r.Created, Elapsed: r.Elapsed, Program: r.Program, Repeat: r.Repeat, Interrupted: r.Interrupted, Error: r.Error,
		Machine: host.Machine{OS: m.OS, Arch: m.Arch, System: m.System, CPU: m.CPU, Cores: m.Cores, Fast: m.Fast, CPUs: m.CPUs, Memory: m.Memory, Virtual: m.Virtual},
		Results: []*bench.Result{&lane},
	}
	return kept, Check(kept)
}

// Check returns why a record is no reference: that is a whole race with a single lane, of a GPU,
// that is verified, with an interval, and known by date, driver and versions. Nothing in it says
// whose machine it was.
func Check(r *record.Run) error {
	switch {
	case r.Kind != record.Race:
		return fmt.Errorf("it is a record of %q, not of a race", r.Kind)
	case r.Interrupted || r.Error != nil:
		return errors.New("the race did not come to its end")
	case len(r.Results) != 1:
		return fmt.Errorf("it has %d lanes, not one", len(r.Results))
	case r.Created.IsZero():
		return errors.New("it has no date")
	case r.Program.Version == "":
		return errors.New("it does not say which gpuplay measured")
	}
	x := r.Results[0]
	speed, _ := x.Speed()
	switch g := x.GEMM; {
	case x.Device.Kind != hardware.GPU:
		return fmt.Errorf("its lane is no GPU: %q", x.Device.Kind)
	case judge.Best(r.Results, hardware.GPU) == nil:
		return errors.New("its lane is not verified")
	case !speed.Firm():
		return fmt.Errorf("%d samples are too few for an interval", len(x.Samples))
	case g.M != g.N || g.N != g.K || x.Protocol != bench.Steady:
		return errors.New("its product is not that of a race")
	case x.Device.Name == "" || x.Device.Version == "" || x.Device.Versions["driver"] == "":
		return fmt.Errorf("the card, the library's version or the driver's is missing: %q, %q, %q", x.Device.Name, x.Device.Version, x.Device.Versions["driver"])
	}
	return impersonal(r)
}

// telling are texts that lead to a machine or to a person: paths, UUIDs of cards and their
// addresses on the bus.
var telling = regexp.MustCompile(`(^|[^\w])(/[\w.-]+){2,}|[A-Za-z]:\\|~/|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-|[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-9a-fA-F]`)

// impersonal returns an error if a record says whose machine it was.
func impersonal(r *record.Run) error {
	if r.Machine.ID != "" || r.Machine.Kernel != "" || len(r.Command) > 0 || len(r.Cards) > 0 || len(r.Missing) > 0 {
		return errors.New("it holds the machine's id, its kernel, its cards, the command or what was missing")
	}
	plain := *r
	plain.ID = "" // a UUID itself, made of the time and of chance
	text, err := json.Marshal(&plain)
	if err != nil {
		return err
	}
	if found := telling.Find(text); found != nil {
		return fmt.Errorf("it tells of a machine: %q", found)
	}
	return nil
}

// FileName returns the name of a reference's file: "nvidia-h200-float32-4096.json". A
// newer record of the same card and product replaces the older one.
func FileName(r *record.Run) string {
	x := r.Results[0]
	words := strings.FieldsFunc(strings.ToLower(x.Device.Name), func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	return strings.Join(append(words, string(judge.DType(x.GEMM)), strconv.Itoa(x.GEMM.N)), "-") + ".json"
}
