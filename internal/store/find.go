package store

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// Last is what names the latest run that was measured with this store.
const Last = "last"

// leastPrefix is how many characters of an id name a run at least.
const leastPrefix = 4

var (
	back   = regexp.MustCompile(`^(.+)~([0-9]{1,9})$`)
	digits = regexp.MustCompile(`^[0-9a-f-]+$`)
	// The length is checked separately: {0,63} would take 4 ms to compile at every start.
	tagged = regexp.MustCompile(`^[\pL\pN][\pL\pN._+-]*$`)
)

// longestTag is how many characters a tag has at most.
const longestTag = 64

// CheckTag refuses a tag that could not name a run: it has up to 64 letters, digits and
// the signs . _ + -, begins with a letter or a digit, is not "last" and does not end in
// ".json", as the names of files do.
func CheckTag(tag string) error {
	if !tagged.MatchString(tag) || utf8.RuneCountInString(tag) > longestTag || tag == Last || strings.HasSuffix(tag, ".json") {
		return fault.Errorf(fault.Invalid, "tag %q: up to %d letters, digits and . _ + - are needed, neither %s nor the name of a .json file", tag, longestTag, Last).
			With(fault.Set("tag", "before", "for example"))
	}
	return nil
}

// Find returns the run that a word names:
//
//   - last is the latest run that was measured with this store, last~1 the one before;
//   - a tag is the latest run that has it, tag~1 the one before;
//   - otherwise it is the short id that lists show, or another unique beginning of at
//     least 4 characters of the id or of its last part.
//
// A tag goes before an id. The error is fault.Invalid where there is no such run or
// where several ids begin so.
func (s *Store) Find(word string) (Entry, error) {
	name, n := word, 0
	if m := back.FindStringSubmatch(word); m != nil {
		name = m[1]
		n, _ = strconv.Atoi(m[2]) // of at most nine digits
	}
	row := func(where string, args ...any) (Entry, error) {
		return scan(s.db.QueryRow("SELECT "+columns+" FROM run WHERE "+where, args...))
	}
	var e Entry
	var err error
	if name == Last {
		e, err = row("origin = '' ORDER BY key DESC LIMIT 1 OFFSET ?", n)
	} else {
		e, err = row("tag = ? AND tag <> '' ORDER BY key DESC LIMIT 1 OFFSET ?", name, n)
	}
	if errors.Is(err, sql.ErrNoRows) && name == word && name != Last {
		if e, err = row("name = ? OR id = ?", strings.ToLower(word), strings.ToLower(word)); errors.Is(err, sql.ErrNoRows) {
			return s.begins(word)
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return e, none(word)
	}
	return e, explain(s.path(), err)
}

// none is the error for a word that names no run.
func none(word string) error {
	return fault.Errorf(fault.Invalid, "no run is named %q", word).With(fault.Run("{} lists them", "gpuplay", "results", "list"))
}

// begins returns the one run whose id, or the last part of it, begins with a word.
func (s *Store) begins(word string) (Entry, error) {
	start := strings.ToLower(word)
	if len(start) < leastPrefix || !digits.MatchString(start) {
		return Entry{}, none(word)
	}
	rows, err := s.db.Query("SELECT "+columns+" FROM run WHERE id LIKE ?1 || '%' OR id LIKE '%-' || ?1 || '%' AND instr(substr(id, -12), ?1) = 1 LIMIT 5", start)
	if err != nil {
		return Entry{}, explain(s.path(), err)
	}
	defer rows.Close()
	var found []Entry
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return Entry{}, explain(s.path(), err)
		}
		found = append(found, e)
	}
	switch err := rows.Err(); {
	case err != nil:
		return Entry{}, explain(s.path(), err)
	case len(found) == 0:
		return Entry{}, none(word)
	case len(found) > 1:
		var names []string
		for _, e := range found {
			names = append(names, fmt.Sprintf("%s (%s)", e.Name, e.ID))
		}
		return Entry{}, fault.Errorf(fault.Invalid, "several runs are named %s: %s", word, strings.Join(names, ", ")).
			With(fault.Advice("use one of these names")...)
	}
	return found[0], nil
}
