package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/store"
)

// keeping puts a run into the store: its events while they happen, its record in the
// end.
type keeping struct {
	dir     string // of the store
	tag     string
	journal *store.Journal // nil where it could not be begun: the record is kept all the same
	off     bool
	out     kept
}

// kept is what became of a run.
type kept struct {
	entry store.Entry
	first bool   // nothing was kept before
	err   error  // why it is not in the store
	waits string // then: the file that holds its record; empty: there is none
	path  string // likewise, for people to take: it is not taken in by itself
}

// keeping begins to keep the run of a stream, unless the flags say otherwise.
func (a *app) keeping(f outputFlags, s *event.Stream) *keeping {
	k := &keeping{dir: a.env.data, tag: f.tag, off: !f.keep || f.noStore}
	if k.off || k.dir == "" {
		return k
	}
	if journal, err := store.Begin(k.dir, s.Run(), f.tag); err == nil { // else the end says why
		k.journal = journal
		s.Subscribe(journal.Observe)
	}
	return k
}

// forget ends keeping a run that came to nothing.
func (k *keeping) forget() {
	if k.journal != nil {
		k.journal.Remove()
	}
}

// put keeps the record of a run, nil of one that came to nothing.
func (k *keeping) put(r *record.Run) {
	k.off = k.off || r == nil || r.Interrupted && !r.Measured()
	if k.off {
		return
	}
	if k.dir == "" {
		k.out.err = noFolder()
		return
	}
	s, err := store.Open(k.dir)
	if err == nil {
		k.out.entry, _, err = s.Keep(r, k.tag, "")
		err = errors.Join(err, s.Close())
	}
	k.out.err, k.out.first = err, k.out.entry.First()
}

// end returns what became of a run once its stream is closed: then its journal has all
// that there will be.
func (k *keeping) end(r *record.Run) kept {
	switch {
	case k.off || k.out.err == nil:
		k.forget()
	case k.journal != nil:
		path, whole := k.journal.Whole()
		if whole { // its last line is the record
			k.journal.Close()
			k.out.waits = path
			break
		}
		k.forget()
		fallthrough
	default:
		k.out.path = offer(r)
	}
	return k.out
}

// noFolder is the error of a user without a folder for data.
func noFolder() error {
	return fault.Errorf(fault.Unavailable, "no folder for data is known: neither HOME nor GPUPLAY_DATA is set").
		With(fault.Advice("name a folder with GPUPLAY_DATA")...)
}

// offer writes the JSON of a run that cannot be kept where there may be room for it, and
// returns the path; empty if there is none.
func offer(r *record.Run) (path string) {
	f, err := os.CreateTemp("", "gpuplay-*.json")
	if err != nil {
		return ""
	}
	if err := errors.Join(encode.JSON(f, r, nil), f.Close()); err != nil {
		os.Remove(f.Name())
		return ""
	}
	return f.Name()
}

// sayKept says what became of the run that was measured: under which name it is kept, or
// why it is not and where its record is. The result has been shown; the exit code
// follows from that alone.
func (a *app) sayKept(quiet bool) {
	k := a.kept
	switch {
	case k.err != nil:
		complain(a.stderr, k.err)
		switch {
		case k.waits != "":
			say(a.stderr, "  This run is kept as soon as that works; until then its record is in %s.\n", plain.Line(k.waits))
		case k.path != "":
			say(a.stderr, "  This run is not kept. Its record is in %s: gpuplay results import %s\n", plain.Line(k.path), quote(k.path))
		default:
			say(a.stderr, "  This run is not kept, and there is no room for its record: measure it again with --output and a file on another disk.\n")
		}
	case k.entry.ID == "" || quiet:
	case k.first:
		say(a.stderr, "Kept as %s. gpuplay results lists what is kept on this machine; --no-store keeps nothing.\n", k.entry.Name)
	case k.entry.Tag != "":
		say(a.stderr, "Kept as %s, %s.\n", k.entry.Name, k.entry.Tag)
	default:
		say(a.stderr, "Kept as %s.\n", k.entry.Name)
	}
}

// openStore opens the store of this user. force: one that is damaged is kept aside, and
// a new one begun.
func (a *app) openStore(force bool) (*store.Store, error) {
	if a.env.data == "" {
		return nil, noFolder()
	}
	if force {
		aside, err := store.SetAside(a.env.data, time.Now())
		if err != nil {
			return nil, err
		}
		if aside != "" {
			say(a.stderr, "The damaged store is kept as %s.\n", aside)
		}
	}
	return store.Open(a.env.data)
}

// loadRun returns the run that a word names: in the store, as store.Find describes, or
// else in a file. A word that has a separator of folders, as ./last has, or ends in .json
// is a file's.
func (a *app) loadRun(ref string) (*record.Run, error) {
	if ref != "" && filepath.Base(ref) != ref || strings.HasSuffix(ref, ".json") {
		return readRun(ref)
	}
	r, err := a.storedRun(ref)
	if err != nil {
		if _, there := os.Stat(ref); there == nil {
			return readRun(ref)
		}
	}
	return r, err
}

// storedRun returns the run of the store that a word names.
func (a *app) storedRun(ref string) (*record.Run, error) {
	s, err := a.openStore(a.force)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	e, err := s.Find(ref)
	if err != nil {
		return nil, err
	}
	return s.Run(e)
}
