package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/gofrs/flock"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
)

// made is what Incomplete is renamed to when the environment is complete: it says
// what was asked for.
const made = "gpuplay.json"

// A record is the content of both files.
type record struct {
	PID      int      `json:"pid"` // of the gpuplay that makes it, for people: it may be another's later
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
	if held(folder) {
		return unfinished, beingMade(folder)
	}
	if disk.Exists(filepath.Join(folder, python.Incomplete)) {
		return unfinished, nil
	}
	entries, err := os.ReadDir(folder)
	switch {
	case err != nil:
		return absent, err
	case len(entries) == 0, len(entries) == 1 && entries[0].Name() == lockName:
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

// lockName is the file that is locked while an environment is being made. The system
// takes the lock from a process that dies, whatever becomes of its number. uv has a lock
// of its own in the folder, .lock.
const lockName = ".gpuplay.lock"

// held reports whether a living process has the lock of a folder.
func held(folder string) bool {
	path := filepath.Join(folder, lockName)
	if !disk.Exists(path) {
		return false
	}
	l := flock.New(path)
	defer l.Close()
	free, err := l.TryLock()
	return err == nil && !free
}

func beingMade(folder string) error {
	who := ""
	if r, err := read(filepath.Join(folder, python.Incomplete)); err == nil && r.PID != 0 {
		who = fmt.Sprintf(" (process %d)", r.PID)
	}
	return fail(fault.Advice("wait for it"), "%s is being made by another gpuplay%s", folder, who)
}

// claim locks a folder, removes what is in it if that is wanted, and marks it as
// unfinished. Of two that try only one succeeds. give ends the claim.
func claim(folder string, clear bool, r record) (give func(), err error) {
	l, err := lock(folder)
	if err != nil {
		return nil, err
	}
	give = func() {
		os.Remove(l.Path()) // before unlocking it: afterwards it may be the next one's
		l.Close()
		if runtime.GOOS == "windows" { // where a file that is open cannot be removed, by anybody
			os.Remove(l.Path())
		}
		os.Remove(folder) // unless there is something in it
	}
	if clear {
		err = remove(folder)
	}
	entries, unread := os.ReadDir(folder)
	if err = errors.Join(err, unread); err == nil && len(entries) > 1 {
		err = fail(fault.Advice("run it again"), "%s was made by another gpuplay meanwhile", folder)
	}
	if err == nil {
		err = mark(folder, r)
	}
	if err != nil {
		give()
		return nil, err
	}
	return give, nil
}

// lock makes a folder and locks it, or says who has locked it.
func lock(folder string) (*flock.Flock, error) {
	for {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fmt.Errorf("making %s: %w", folder, err)
		}
		l := flock.New(filepath.Join(folder, lockName))
		locked, err := l.TryLock()
		if err == nil && !locked {
			l.Close()
			return nil, beingMade(folder)
		}
		if err == nil && isAt(l) {
			return l, nil
		}
		// Otherwise its owner removed the folder or the file after we had opened it.
		if l.Close(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("locking %s: %w", folder, err)
		}
	}
}

// isAt reports whether the file that is locked still has its name.
func isAt(l *flock.Flock) bool {
	locked, err := l.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(l.Path())
	return err == nil && os.SameFile(locked, there)
}

// mark marks a folder as unfinished.
func mark(folder string, r record) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, python.Incomplete), append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", folder, err)
	}
	return nil
}

// remove removes what is in a folder that is claimed, the mark last: cut off, it leaves
// one that is known to be incomplete.
func remove(folder string) error {
	if err := mark(folder, record{PID: os.Getpid()}); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == python.Incomplete || e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
			return fmt.Errorf("removing the environment: %w", err)
		}
	}
	return os.Remove(filepath.Join(folder, python.Incomplete))
}
