package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A Journal is the file that the events of a run go to while it is measured, one line
// each, so that a process that is killed loses no more than the sample in flight. The
// record is its last line and goes into the database; then the journal is removed. What
// the journal of a dead process holds is put into the database by the next Open.
//
// A kill loses nothing that was written; if the machine itself stops, the system may not
// have written the last lines to the disk.
type Journal struct {
	path   string
	file   *os.File
	lock   *flock.Flock // is held as long as the process lives
	each   func(event.Event)
	failed func() error
}

// running is the folder of journals within the store's.
const running = "running"

// everyJournal is the lock of all journals of a store. Who takes them in, or puts the store
// aside, holds it alone, and who begins one shares it: nobody sees a journal whose own lock
// is not held yet.
func everyJournal(dir string) *flock.Flock { return flock.New(filepath.Join(dir, running, "lock")) }

// head is the first line of a journal: what the events do not say.
type head struct {
	Tag string `json:"tag"`
}

// Begin begins the journal of the run with that id in the store of a folder. The
// database is not opened.
func Begin(dir, id, tag string) (*Journal, error) {
	all := everyJournal(dir)
	dir = filepath.Join(dir, running)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, explain(dir, err)
	}
	if err := all.RLock(); err != nil {
		return nil, explain(dir, err)
	}
	defer all.Close()
	j := &Journal{path: filepath.Join(dir, id+".jsonl"), lock: flock.New(filepath.Join(dir, id+".lock"))}
	ok, err := j.lock.TryLock()
	if err == nil && !ok {
		err = errors.New("another process has locked it")
	}
	if err != nil {
		j.lock.Close()
		return nil, fmt.Errorf("%s: %w", j.lock.Path(), err)
	}
	if j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
		err = json.NewEncoder(j.file).Encode(head{tag})
	}
	if err != nil {
		j.Remove()
		return nil, explain(dir, err)
	}
	j.each, j.failed = encode.Events(j.file)
	return j, nil
}

// Observe writes an event if a run is put together from such. It is a subscriber of the
// run's stream. After an error it writes no more; Whole tells of it.
func (j *Journal) Observe(e event.Event) {
	switch e.Type {
	case event.TypeBegin, event.TypePhase, event.TypeProgress, event.TypeTelemetry, event.TypeNote, event.TypeSize, event.TypeTuning, event.TypePrompt, event.TypeToken, event.TypeDropped:
	default:
		j.each(e)
	}
}

// Whole returns the path of the journal if all events were written.
func (j *Journal) Whole() (path string, ok bool) { return j.path, j.failed() == nil }

// Close lets go of the journal, which stays for the next Open to take in.
func (j *Journal) Close() {
	if j.file != nil {
		j.file.Close()
	}
	j.lock.Close()
	os.Remove(j.lock.Path())
}

// Remove removes the journal, whose run is in the database or has come to nothing.
func (j *Journal) Remove() {
	if j.file != nil {
		j.file.Close()
		os.Remove(j.path)
	}
	j.Close()
}

// recoverAll takes in the runs whose processes are dead. What cannot be taken in now, as
// on a full disk, stays for the next time.
func (s *Store) recoverAll() {
	dir := filepath.Join(s.dir, running)
	files, err := os.ReadDir(dir) // by name, which is by time
	if err != nil || !slices.ContainsFunc(files, isJournal) {
		return
	}
	all := everyJournal(s.dir)
	if ok, err := all.TryLock(); err != nil || !ok { // another process begins, or does this
		return
	}
	defer all.Close()
	for _, f := range files {
		if !isJournal(f) {
			continue
		}
		path := filepath.Join(dir, f.Name())
		lock := flock.New(strings.TrimSuffix(path, ".jsonl") + ".lock")
		ok, err := lock.TryLock()
		if ok && err == nil {
			err = s.takeIn(path)
		}
		lock.Close()
		if ok && err == nil {
			os.Remove(lock.Path())
		}
	}
}

func isJournal(f fs.DirEntry) bool { return filepath.Ext(f.Name()) == ".jsonl" }

// takeIn keeps the run of a journal, if it came to anything, and removes the journal.
func (s *Store) takeIn(path string) error {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) { // another process has done it
			return nil
		}
		return explain(path, err)
	}
	r, tag := assemble(file)
	file.Close()
	if r != nil {
		_, _, err := s.Keep(r, tag, "")
		if err != nil && !errors.Is(err, fault.Invalid) { // invalid: its process has kept it before it was killed
			return err
		}
	}
	return os.Remove(path)
}

// assemble puts a run together from a journal, up to the line that was being written
// when the process ended; nil where nothing was measured.
func assemble(file *os.File) (*record.Run, string) {
	in := bufio.NewReader(file)
	var h head
	a := assembly{}
	for first := true; ; first = false {
		line, err := in.ReadBytes('\n')
		if err != nil { // cut off
			break
		}
		line = bytes.TrimSpace(line)
		if first {
			if json.Unmarshal(line, &h) != nil {
				break
			}
			continue
		}
		if a.add(line) != nil {
			break
		}
	}
	return a.end(), h.Tag
}
