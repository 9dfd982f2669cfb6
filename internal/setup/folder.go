package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
)

// made is what Incomplete is renamed to when the environment is complete: it says
// what was asked for.
const made = "gpuplay.json"

// A record is the content of both files.
type record struct {
	PID      int      `json:"pid"` // of the gpuplay that makes it
	Packages []string `json:"packages"`
	Source   string   `json:"source"`
}

func (p *Plan) record() record {
	r := record{PID: os.Getpid(), Packages: p.Packages, Source: p.Sources[0].Name}
	if p.Build != nil {
		r.Packages = slices.Concat(p.Packages, p.Build.Flags)
	}
	return r
}

// state is what there is where an environment is to be.
type state int

const (
	absent state = iota
	unfinished
	present
)

// elsewhere are the remedies for a place that is taken.
var elsewhere = fault.Remedies{{Text: "remove it"}, fault.Change("dir", "{} names another place")}

// inspect looks at a folder without changing it.
func inspect(folder string) (state, error) {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent, nil
	case err != nil:
		return absent, err
	case !info.IsDir():
		return absent, fail(elsewhere, "%s is a file, not an environment's folder", folder)
	}
	if r, err := read(filepath.Join(folder, python.Incomplete)); err == nil {
		if alive, _ := process.PidExists(int32(r.PID)); alive && r.PID != os.Getpid() {
			return unfinished, fail(fault.Advice("wait for it"), "%s is being made by another gpuplay (process %d)", folder, r.PID)
		}
		return unfinished, nil
	}
	entries, err := os.ReadDir(folder)
	switch {
	case err != nil:
		return absent, err
	case len(entries) == 0:
		return absent, nil
	case !disk.Exists(filepath.Join(folder, "pyvenv.cfg")) && !disk.Exists(filepath.Join(folder, made)):
		return absent, fail(elsewhere, "%s is a folder with files in it, but no virtual environment", folder)
	}
	return present, nil
}

// read reads a record. One that was cut off while it was written counts as
// there, by nobody.
func read(path string) (record, error) {
	var r record
	text, err := os.ReadFile(path)
	if err == nil {
		json.Unmarshal(text, &r)
	}
	return r, err
}

// same reports whether an environment is what the plan asks for. One that was
// made by hand is.
func (p *Plan) same(folder string) bool {
	r, err := read(filepath.Join(folder, made))
	w := p.record()
	return err != nil || slices.Equal(r.Packages, w.Packages) && r.Source == w.Source
}

// claim marks a folder as unfinished. Of two that try only one succeeds.
func claim(folder string, r record) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(folder, python.Incomplete), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(r), f.Close())
}

// remove removes an environment, the mark last: cut off, it leaves one that is
// known to be incomplete.
func remove(folder string) error {
	mark := filepath.Join(folder, python.Incomplete)
	if !disk.Exists(mark) {
		if err := claim(folder, record{PID: os.Getpid()}); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == python.Incomplete {
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
			return fmt.Errorf("removing the environment: %w", err)
		}
	}
	return errors.Join(os.Remove(mark), os.Remove(folder))
}
