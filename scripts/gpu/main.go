// Gpu fills in the tables of docs/GPU.md and docs/GPU-GEMM.md from the runs in docs/gpu, and
// from kernels.csv there. With arguments it keeps runs there first, without the readings of sensors, and without what
// tells one machine from another:
//
//	go run ./scripts/gpu [NAME=FILE.json...]
package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const folder = "docs/gpu"

var documents = []string{"docs/GPU.md", "docs/GPU-GEMM.md"}

func main() {
	log.SetFlags(0)
	for _, arg := range os.Args[1:] {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			log.Fatalf("%s is not NAME=FILE.json", arg)
		}
		if err := keep(name, file); err != nil {
			log.Fatal(err)
		}
	}
	for _, document := range documents {
		text, err := write(".", document)
		if err == nil {
			err = os.WriteFile(document, text, 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// keep copies a run, on one line, because most of it is samples. Lanes that are
// named by the UUID of a card are named by its number.
func keep(name, file string) error {
	r, err := read(file)
	if err != nil {
		return err
	}
	r.Telemetry, r.Cards, r.Machine.ID, r.Machine.Kernel = nil, nil, "", ""
	if i := slices.Index(r.Command, "--output"); i >= 0 && i+1 < len(r.Command) {
		r.Command = slices.Delete(r.Command, i, i+2)
	}
	var names []string
	anonymous := func(d *hardware.Device) {
		if d.UUID != "" && d.Index != nil {
			names = append(names, d.UUID, strconv.Itoa(*d.Index))
		}
		d.UUID, d.PCI = "", ""
	}
	for i := range r.Results {
		anonymous(&r.Results[i].Device)
	}
	for i := range r.LeftOut {
		anonymous(&r.LeftOut[i].Device)
	}
	var long, b bytes.Buffer
	if err := record.Write(&long, r); err != nil {
		return err
	}
	if err := json.Compact(&b, long.Bytes()); err != nil {
		return err
	}
	b.WriteByte('\n')
	text := strings.NewReplacer(names...).Replace(b.String())
	return os.WriteFile(filepath.Join(folder, name+".json"), []byte(text), 0o644)
}

func read(file string) (*record.Run, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := record.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// table is where the table of a run is in a document.
var table = regexp.MustCompile(`(?s)<!-- ([\w-]+) -->\n.*?<!-- end -->`)

// write returns a document below root with its tables.
func write(root, document string) ([]byte, error) {
	old, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		return nil, err
	}
	return table.ReplaceAllFunc(old, func(match []byte) []byte {
		name := string(table.FindSubmatch(match)[1])
		var b bytes.Buffer
		fmt.Fprintf(&b, "<!-- %s -->\n", name)
		if name == "kernels" {
			err = errors.Join(err, kernels(&b, filepath.Join(root, folder, "kernels.csv")))
		} else {
			err = errors.Join(err, run(&b, filepath.Join(root, folder, name+".json")))
		}
		return append(bytes.TrimRight(b.Bytes(), "\n"), "\n<!-- end -->"...)
	}), err
}

// run writes what a run has measured.
func run(b *bytes.Buffer, file string) error {
	r, err := read(file)
	switch {
	case err != nil:
		return err
	case r.Ladder != nil:
		ladder(b, r)
		return nil
	default:
		return encode.Write(b, r, "md", nil)
	}
}

// ladder writes the rungs of a ladder.
func ladder(b *bytes.Buffer, r *record.Run) {
	fmt.Fprintf(b, "%d³, %s, %s; medians of samples taken in turns with cuBLASLt.\n\n", r.Ladder.Size, r.Ladder.GPU, r.Created.Format("2006-01-02"))
	b.WriteString("| rung | type | TFLOP/s | ÷ the rung before | of cuBLASLt |\n|-|-|-:|-:|-:|\n")
	speeds, gains := judge.RungSpeeds(r.Ladder), judge.RungGains(r)
	for i, rung := range r.Ladder.Rungs {
		gain := ""
		if gains[i] != 0 {
			gain = unit.Times(gains[i])
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", rung.Name, rung.DType, unit.Tera(speeds[i]), gain, unit.Percent(judge.RungShare(rung)))
	}
}

// kernels writes the table of a file with a line for each product: card, type, layout, m×n×k,
// the fastest algorithm of cuBLASLt and its µs, our fastest kernel and its µs, and the median
// of the ratios of samples that were taken in turns.
func kernels(b *bytes.Buffer, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c := csv.NewReader(bytes.NewReader(text))
	c.FieldsPerRecord = 9
	lines, err := c.ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	b.WriteString("| card | type | layout | m×n×k | cuBLASLt, µs | our fastest kernel | µs | speed ÷ cuBLASLt's |\n|-|-|-|-|-:|-|-:|-:|\n")
	for _, l := range lines[min(1, len(lines)):] { // after the names of the columns
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", l[0], l[1], l[2], l[3], l[5], l[6], l[7], l[8])
	}
	return nil
}
