package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// patience is how long a process waits for another one that writes.
const patience = 10 * time.Second

// connect opens the database in a file. SQLite's rollback journal, its default, is kept:
// a write-ahead log needs memory that all processes share, which network file systems,
// where home folders of clusters are, do not have (https://sqlite.org/wal.html), and it
// gains nothing for a transaction per run.
func connect(path string) (*sql.DB, error) {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	at := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "synchronous(FULL)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", at.String())
	if err == nil {
		db.SetMaxOpenConns(1) // SQLite's locks are between connections
	}
	return db, err
}

// application marks the file as this program's in its header: "gpuplay" does not fit.
const application = 0x67707579 // "gpuy"

// migrations lead from each version of the file to the next; the version is their number.
// One that was published never changes.
var migrations = []string{`
CREATE TABLE run (
	key     INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
	id      TEXT NOT NULL UNIQUE,              -- a UUID
	name    TEXT NOT NULL UNIQUE,              -- the short id
	tag     TEXT NOT NULL,
	kind    TEXT NOT NULL,
	created INTEGER NOT NULL,                  -- seconds since 1970 by the clock of the machine that measured
	origin  TEXT NOT NULL,                     -- what it was imported from; empty: measured with this store
	task    TEXT NOT NULL,
	figure  TEXT NOT NULL
);
CREATE INDEX run_tag ON run (tag, key) WHERE tag <> '';
CREATE INDEX run_kind ON run (kind, key);
CREATE INDEX run_own ON run (key) WHERE origin = '';
CREATE TABLE record (
	key  INTEGER PRIMARY KEY,
	text BLOB NOT NULL -- as package record writes it
);
PRAGMA application_id = 0x67707579;
`}

var (
	// errForeign says that a file is a database of another program.
	errForeign = errors.New("it is the database of another program")
	// errDamaged says that SQLite found damage where it looked for it.
	errDamaged = errors.New("it is damaged")
)

// migrate brings the file to this version.
func (s *Store) migrate() error {
	version, err := s.version()
	if err != nil || version == len(migrations) {
		return err
	}
	if version > len(migrations) {
		return fault.Errorf(fault.Unsupported, "%s was written by a newer gpuplay: it has version %d, and this one reads up to %d", s.path(), version, len(migrations)).
			With(fault.Advice("install that gpuplay again, or keep this one's results elsewhere with GPUPLAY_DATA")...)
	}
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := tx.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < len(migrations); version++ { // none, if another process was faster
		if _, err := tx.Exec(migrations[version]); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// version returns the version of the file, 0 for a new one.
func (s *Store) version() (version int, err error) {
	var owner, tables int
	err = s.db.QueryRow("SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version, pragma_application_id").
		Scan(&version, &owner, &tables)
	if err == nil && owner != application && (version > 0 || owner > 0 || tables > 0) {
		err = errForeign
	}
	return version, err
}

// damaged reports whether an error says that the file is not what it was.
func damaged(err error) bool {
	code := resultCode(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB || errors.Is(err, errForeign) || errors.Is(err, errDamaged)
}

// resultCode returns the primary result code of SQLite's error, 0 for any other:
// https://sqlite.org/rescode.html.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// elsewhere is the way out where a folder cannot be used.
const elsewhere = "make it writable, or name another folder with GPUPLAY_DATA"

// explain returns a database's error in the words of this program; nil stays.
func explain(path string, err error) error {
	var ours *fault.Error
	var at *fs.PathError
	reason, remedy := "", elsewhere
	switch {
	case err == nil || errors.As(err, &ours):
		return err
	case damaged(err):
		reason := "it is damaged"
		if errors.Is(err, errForeign) {
			reason = err.Error()
		}
		return fault.Errorf(fault.Unavailable, "%s: %s", path, reason).
			With(fault.Remedy{Text: "{} keeps that file aside and begins a new one", Command: []string{"gpuplay", "results", "list"}, Param: "force"})
	case errors.As(err, &at):
		reason = at.Err.Error()
	}
	switch resultCode(err) {
	case sqlite3.SQLITE_FULL:
		reason, remedy = "the disk is full", "make room, or name a folder on another disk with GPUPLAY_DATA"
	case sqlite3.SQLITE_READONLY:
		reason = "it may not be written to"
	case sqlite3.SQLITE_CANTOPEN:
		reason = "it cannot be opened"
	case sqlite3.SQLITE_BUSY:
		reason, remedy = fmt.Sprintf("another process has been writing to it for %s", patience), "try again when that process has ended"
	}
	if reason == "" {
		reason = err.Error()
	}
	return fault.Errorf(fault.Unavailable, "%s: %s", path, reason).With(fault.Advice(remedy)...)
}

// SetAside renames a damaged store, so that Open begins a new one, and returns its new
// name. One that is sound stays where it is: aside is empty.
func SetAside(dir string, now time.Time) (aside string, err error) {
	path := filepath.Join(dir, File)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	all := everyJournal(dir) // of two processes that find the damage, one renames
	if err := os.MkdirAll(filepath.Join(dir, running), 0o755); err != nil {
		return "", explain(path, err)
	}
	if err := all.Lock(); err != nil {
		return "", explain(path, err)
	}
	defer all.Close()
	if err := check(dir); !damaged(err) {
		return "", explain(path, err)
	}
	aside = path + now.UTC().Format(".damaged-20060102-150405")
	err = os.Rename(path, aside)
	if rest := path + "-journal"; err == nil { // of a transaction that was not finished: it belongs to that file
		if err = os.Rename(rest, aside+"-journal"); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return aside, explain(path, err)
}

// check reads all of the database.
func check(dir string) error {
	path := filepath.Join(dir, File)
	db, err := connect(path)
	if err != nil {
		return err
	}
	s := &Store{db, dir}
	defer s.Close()
	if _, err := s.version(); err != nil {
		return err
	}
	var found string
	if err := db.QueryRow("PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return errDamaged
	}
	return nil
}
