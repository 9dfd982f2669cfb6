// Package store keeps the runs of a user: each as its record, which never changes, in
// one SQLite file, with what lists and names need beside it. Several processes may use
// it at once, and any of them may be killed at any moment.
//
// The order of runs is that in which they arrived: the clocks of two machines may
// disagree. A run is named by a short id, a tag, or its place in that order; see Find.
package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// File is the name of the database within the store's folder.
const File = "results.db"

// A Store is open until Close is called.
type Store struct {
	db  *sql.DB
	dir string
}

// An Entry is what is known of a run without reading its record.
type Entry struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`          // the short id, unique in this store
	Tag     string      `json:"tag,omitempty"` // several runs may have the same
	Kind    record.Kind `json:"kind"`
	Created time.Time   `json:"created"`          // by the clock of the machine that measured
	Origin  string      `json:"origin,omitempty"` // what it was imported from; empty: it was measured with this store
	Task    string      `json:"task"`             // judge.Summary's, on the day when it was kept
	Figure  string      `json:"figure,omitempty"` // likewise

	key int64 // the order of arrival
}

// Open opens the store in a folder and creates what is not there. It takes in the runs
// whose process was killed before they ended, see Journal; where that fails, as on a full
// disk, they wait for the next Open, and the store can still be read.
//
// It is fault.Unavailable where the folder cannot be used or the file is damaged, and
// fault.Unsupported for the file of a newer version; the errors name the way out.
func Open(dir string) (*Store, error) {
	s, err := open(dir)
	if err != nil {
		return nil, err
	}
	s.recoverAll()
	return s, nil
}

// open opens the database alone.
func open(dir string) (*Store, error) {
	path := filepath.Join(dir, File)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, explain(path, err)
	}
	db, err := connect(path)
	if err != nil {
		return nil, explain(path, err)
	}
	s := &Store{db, dir}
	if err := s.migrate(); err != nil {
		s.Close()
		return nil, explain(path, err)
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// path is that of the database.
func (s *Store) path() string { return filepath.Join(s.dir, File) }

// columns are those of an Entry, in the order in which scan reads them.
const columns = "key, id, name, tag, kind, created, origin, task, figure"

func scan(row interface{ Scan(...any) error }) (e Entry, err error) {
	var created int64
	err = row.Scan(&e.key, &e.ID, &e.Name, &e.Tag, &e.Kind, &created, &e.Origin, &e.Task, &e.Figure)
	e.Created = time.Unix(created, 0).UTC()
	return e, err
}

// Keep keeps a run, on the disk when it returns. tag may be empty; origin names what it
// was imported from, empty for one that was measured here. A run whose id is in the
// store is not kept again: added is false then, and the entry is the one that there is;
// if that one holds anything else, the error is fault.Invalid. A run whose id is no UUID,
// as in files of before 0.2, is kept under one that follows from what it holds.
func (s *Store) Keep(r *record.Run, tag, origin string) (e Entry, added bool, err error) {
	tx, err := s.db.Begin() // IMMEDIATE: nobody else writes until it ends
	if err != nil {
		return e, false, explain(s.path(), err)
	}
	defer tx.Rollback()
	e, added, err = s.keep(tx, r, tag, origin)
	if err == nil && added {
		err = tx.Commit()
	}
	return e, added && err == nil, explain(s.path(), err)
}

// keep is Keep within a transaction.
func (s *Store) keep(tx *sql.Tx, r *record.Run, tag, origin string) (e Entry, added bool, err error) {
	var text bytes.Buffer
	if err := record.Write(&text, r); err != nil {
		return e, false, err
	}
	id := uuid.NewSHA1(uuid.Nil, text.Bytes())
	if own, err := uuid.Parse(r.ID); err == nil {
		id = own
	}
	find := func() (Entry, error) {
		return scan(tx.QueryRow("SELECT "+columns+" FROM run WHERE id = ?", id.String()))
	}
	if e, err = find(); !errors.Is(err, sql.ErrNoRows) {
		if err == nil {
			err = s.same(tx, e, text.Bytes())
		}
		return e, false, err
	}
	name, err := shortName(tx, id.String())
	if err != nil {
		return e, false, err
	}
	task, figure := judge.Summary(r)
	if _, err = tx.Exec("INSERT INTO run (id, name, tag, kind, created, origin, task, figure) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		id.String(), name, tag, r.Kind, r.Created.Unix(), origin, task, figure); err != nil {
		return e, false, err
	}
	if _, err = tx.Exec("INSERT INTO record (key, text) VALUES (last_insert_rowid(), ?)", text.Bytes()); err != nil {
		return e, false, err
	}
	e, err = find()
	return e, true, err
}

// nameLength is how many characters a short name has unless another run has it.
const nameLength = 6

// tail is what an id is shortened from: its last characters first are random, where
// the first ones of a UUID of version 7 are the time, which neighbours share.
func tail(id string) string { return id[strings.LastIndexByte(id, '-')+1:] }

// same returns an error if the record of an entry is not that text.
func (s *Store) same(tx *sql.Tx, e Entry, text []byte) error {
	there, err := s.read(tx, e)
	if err != nil {
		return err
	}
	var b bytes.Buffer // what an earlier version wrote may lack a field
	if err := record.Write(&b, there); err != nil {
		return err
	}
	if !bytes.Equal(b.Bytes(), text) {
		return fault.Errorf(fault.Invalid, "another run with the id %s is in the store, as %s", e.ID, e.Name).
			With(fault.Run("{} deletes that one", "gpuplay", "results", "delete", e.Name))
	}
	return nil
}

// shortName returns the shortest beginning of an id's tail that is no run's name.
func shortName(tx *sql.Tx, id string) (string, error) {
	t := tail(id)
	for n := nameLength; n < len(t); n++ {
		var taken bool
		if err := tx.QueryRow("SELECT EXISTS (SELECT 1 FROM run WHERE name = ?)", t[:n]).Scan(&taken); err != nil {
			return "", err
		}
		if !taken {
			return t[:n], nil
		}
	}
	return id, nil
}

// A Filter chooses runs of a list.
type Filter struct {
	Kind  record.Kind // empty: all
	Tag   string      // empty: all
	Limit int         // the latest that many; 0: all
}

// List returns runs, the latest first, and how many there are without the limit.
func (s *Store) List(f Filter) (list []Entry, total int, err error) {
	from, args := " FROM run", []any{}
	switch { // each has an index
	case f.Kind != "" && f.Tag != "":
		from, args = from+" WHERE tag = ? AND tag <> '' AND kind = ?", []any{f.Tag, f.Kind}
	case f.Tag != "":
		from, args = from+" WHERE tag = ? AND tag <> ''", []any{f.Tag}
	case f.Kind != "":
		from, args = from+" WHERE kind = ?", []any{f.Kind}
	}
	if err := s.db.QueryRow("SELECT count(*)"+from, args...).Scan(&total); err != nil {
		return nil, 0, explain(s.path(), err)
	}
	limit := f.Limit
	if limit == 0 {
		limit = -1
	}
	rows, err := s.db.Query("SELECT "+columns+from+" ORDER BY key DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, 0, explain(s.path(), err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return nil, 0, explain(s.path(), err)
		}
		list = append(list, e)
	}
	return list, total, explain(s.path(), rows.Err())
}

// Run returns the record of an entry.
func (s *Store) Run(e Entry) (*record.Run, error) { return s.read(s.db, e) }

// read reads a record within a transaction or outside one.
func (s *Store) read(from interface {
	QueryRow(query string, args ...any) *sql.Row
}, e Entry) (*record.Run, error) {
	var text []byte
	if err := from.QueryRow("SELECT text FROM record WHERE key = ?", e.key).Scan(&text); err != nil {
		return nil, explain(s.path(), err)
	}
	r, err := record.Parse(text)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, fault.Errorf(fault.Unavailable, "the record of run %s is damaged: %v", e.Name, err).
			With(fault.Run("{} deletes that run", "gpuplay", "results", "delete", e.Name))
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", e.Name, err)
	}
	return r, nil
}

// Delete takes runs out of the store, all or none.
func (s *Store) Delete(list ...Entry) error {
	tx, err := s.db.Begin()
	if err != nil {
		return explain(s.path(), err)
	}
	defer tx.Rollback()
	for _, e := range list {
		for _, table := range []string{"record", "run"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE key = ?", e.key); err != nil {
				return explain(s.path(), err)
			}
		}
	}
	return explain(s.path(), tx.Commit())
}

// Tags returns the tags of the store, the latest used first.
func (s *Store) Tags() (tags []string, err error) {
	rows, err := s.db.Query("SELECT tag FROM run WHERE tag <> '' GROUP BY tag ORDER BY max(key) DESC")
	if err != nil {
		return nil, explain(s.path(), err)
	}
	defer rows.Close()
	for rows.Next() {
		var tag string
		if err := rows.Scan(&tag); err != nil {
			return nil, explain(s.path(), err)
		}
		tags = append(tags, tag)
	}
	return tags, explain(s.path(), rows.Err())
}

// First reports whether a run is the first that this store ever kept.
func (e Entry) First() bool { return e.key == 1 }
