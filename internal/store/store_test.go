package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// opened returns the store of a folder.
func opened(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// race returns a run with an id of its own.
func race(change ...func(*record.Run)) *record.Run {
	r := recordtest.Races()["gpu"]
	r.ID = record.NewID()
	for _, c := range change {
		c(r)
	}
	return r
}

// keep keeps a run and returns its entry.
func keep(t testing.TB, s *Store, r *record.Run, tag, origin string) Entry {
	t.Helper()
	e, added, err := s.Keep(r, tag, origin)
	if err != nil || !added {
		t.Fatalf("added %v, %v", added, err)
	}
	return e
}

// A run of any kind comes back as it was, also from another process's point of view.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space & 100%?#", "gpuplay")
	s := opened(t, dir)
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(5) {
			r := recordtest.Random(kind, seed)
			r.ID = record.NewID()
			e := keep(t, s, r, "", "")
			got, err := opened(t, dir).Run(e)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r, got); d != "" {
				t.Fatalf("%s %d (-kept +read):\n%s", kind, seed, d)
			}
		}
	}
}

// names returns the ids' names that a list has.
func names(list []Entry) (names []string) {
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

// Runs are in the order of their arrival, whatever the clock of the machine says that
// measured them.
func TestOrder(t *testing.T) {
	s := opened(t, t.TempDir())
	future := func(r *record.Run) { r.Created = r.Created.AddDate(30, 0, 0) }
	a := keep(t, s, race(future), "before", "")
	b := keep(t, s, race(), "", "")
	c := keep(t, s, race(future), "before", "laptop.json")
	d := keep(t, s, race(func(r *record.Run) { r.Kind = record.Sweep }), "", "")
	list, total, err := s.List(Filter{Limit: 3})
	if got := names(list); err != nil || total != 4 || !cmp.Equal(got, []string{d.Name, c.Name, b.Name}) {
		t.Errorf("%v of %d, %v", got, total, err)
	}
	list, total, err = s.List(Filter{Kind: record.Race, Tag: "before"})
	if got := names(list); err != nil || total != 2 || !cmp.Equal(got, []string{c.Name, a.Name}) {
		t.Errorf("%v of %d, %v", got, total, err)
	}
	tags, err := s.Tags()
	if err != nil || !cmp.Equal(tags, []string{"before"}) {
		t.Errorf("tags %v, %v", tags, err)
	}
	for word, want := range map[string]Entry{
		"last": d, "last~0": d, "last~1": b, "last~2": a, // what was imported was not measured here
		"before": c, "before~1": a,
		a.Name: a, a.ID: a, strings.ToUpper(b.Name): b, b.ID[:len(b.ID)-2]: b, b.ID[24:]: b, b.ID[24:28]: b,
	} {
		if e, err := s.Find(word); err != nil || e.ID != want.ID {
			t.Errorf("%s is %s, %v, want %s", word, e.ID, err, want.ID)
		}
	}
	for _, word := range []string{"", "last~3", "last~999999999999", "before~2", "after", "ffff", "%", "____", "'; DROP TABLE run; --", a.ID[:3], a.Name + "~1"} {
		if e, err := s.Find(word); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q is %s, %v", word, e.ID, err)
		}
	}
}

// Short names are unique, and stay what they are when longer ones are needed.
func TestNames(t *testing.T) {
	s := opened(t, t.TempDir())
	id := func(tail string) func(*record.Run) {
		return func(r *record.Run) { r.ID = "01900000-0000-7000-8000-" + tail }
	}
	a := keep(t, s, race(id("abcdef000000")), "", "")
	b := keep(t, s, race(id("abcdef000001")), "", "")
	c := keep(t, s, race(id("abcdef100000")), "", "")
	if a.Name != "abcdef" || b.Name != "abcdef0" || c.Name != "abcdef1" {
		t.Errorf("names %s, %s, %s", a.Name, b.Name, c.Name)
	}
	if e, err := s.Find("abcdef"); err != nil || e.ID != a.ID {
		t.Errorf("abcdef is %s, %v", e.ID, err)
	}
	if _, err := s.Find("abcd"); err == nil || !strings.Contains(err.Error(), "several runs are named abcd: ") {
		t.Errorf("abcd: %v", err)
	}
	if err := s.Delete(a); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Find(b.Name); err != nil || e.ID != b.ID {
		t.Errorf("%s is %s, %v", b.Name, e.ID, err)
	}
}

// A run is kept once. Another one with its id is refused, which a hostile file may have.
func TestTwice(t *testing.T) {
	s := opened(t, t.TempDir())
	r := race()
	first := keep(t, s, r, "before", "")
	e, added, err := s.Keep(r, "after", "r.json")
	if err != nil || added || e.ID != first.ID || e.Tag != "before" {
		t.Errorf("again: %+v, %v, %v", e, added, err)
	}
	other := *r
	other.Threads++
	if _, added, err := s.Keep(&other, "", "evil.json"); added || !errors.Is(err, fault.Invalid) {
		t.Errorf("another: %v, %v", added, err)
	}
	old := race(func(r *record.Run) { r.ID = "" })
	x := keep(t, s, old, "", "old.json")
	if again, added, err := s.Keep(old, "", "old.json"); added || err != nil || again.ID != x.ID {
		t.Errorf("an old file again: %v, %v", added, err)
	}
	if e := keep(t, s, race(func(r *record.Run) { r.ID = "../../etc/passwd" }), "", "evil.json"); strings.Contains(e.ID+e.Name, "/") {
		t.Errorf("id %s, name %s", e.ID, e.Name)
	}
}

// Deleting takes all that are named, or none.
func TestDelete(t *testing.T) {
	s := opened(t, t.TempDir())
	a, b, c := keep(t, s, race(), "", ""), keep(t, s, race(), "", ""), keep(t, s, race(), "", "")
	if err := s.Delete(a, c); err != nil {
		t.Fatal(err)
	}
	list, total, err := s.List(Filter{})
	if err != nil || total != 1 || list[0].ID != b.ID {
		t.Errorf("%v, %v", list, err)
	}
	if d := keep(t, s, race(), "", ""); d.key <= c.key {
		t.Errorf("the order of arrival begins again at %d", d.key)
	}
}

func TestCheckTag(t *testing.T) {
	for _, tag := range []string{"before", "v1.2", "580.95", "ennen-päivitystä", "a", strings.Repeat("ä", 64)} {
		if err := CheckTag(tag); err != nil {
			t.Error(err)
		}
	}
	for _, tag := range []string{"", "last", "last~1", "a b", "-x", "../x", "a/b", "race.json", "\x1b[2J", "<b>", strings.Repeat("a", 65)} {
		if CheckTag(tag) == nil {
			t.Errorf("%q is a tag", tag)
		}
	}
}

// Several processes open a new store and keep runs at once.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	const writers, runs = 4, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range runs {
				s, err := Open(dir)
				if err != nil {
					t.Error(err)
					return
				}
				if _, added, err := s.Keep(race(), "", ""); err != nil || !added {
					t.Errorf("added %v, %v", added, err)
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	if _, total, err := opened(t, dir).List(Filter{}); err != nil || total != writers*runs {
		t.Errorf("%d of %d runs, %v", total, writers*runs, err)
	}
}

// A store of a newer version is left alone, and so is what is no store; a damaged one is
// set aside on request only.
func TestDamage(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, path string)
		code   fault.Code
		want   string
		aside  bool
	}{
		{"newer", func(t *testing.T, path string) { pragma(t, path, "PRAGMA user_version = 99") }, fault.Unsupported, "was written by a newer gpuplay: it has version 99, and this one reads up to 1", false},
		{"foreign", func(t *testing.T, path string) { pragma(t, path, "PRAGMA application_id = 1") }, fault.Unavailable, "it is the database of another program", true},
		{"text", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, fault.Unavailable, "it is damaged", true},
		{"cut off", func(t *testing.T, path string) {
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		}, fault.Unavailable, "it is damaged", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := opened(t, dir)
			keep(t, s, race(), "", "")
			s.Close()
			path := filepath.Join(dir, File)
			tt.damage(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if s, err = Open(dir); err == nil { // the part that opening reads may be sound
				_, _, err = s.Keep(race(), "", "")
				s.Close()
			}
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(e.Message, tt.want) || len(e.Remedies) == 0 {
				t.Errorf("%+v, want %s", err, tt.want)
			}
			aside, err := SetAside(dir, now)
			if (aside != "") != tt.aside {
				t.Fatalf("set aside as %q, %v", aside, err)
			}
			if !tt.aside {
				aside = path
			} else {
				keep(t, opened(t, dir), race(), "", "")
			}
			if after, err := os.ReadFile(aside); err != nil || string(after) != string(before) {
				t.Errorf("%s changed, %v", aside, err)
			}
		})
	}
	dir := t.TempDir()
	if aside, err := SetAside(dir, now); aside != "" || err != nil {
		t.Errorf("nothing became %q, %v", aside, err)
	}
	keep(t, opened(t, dir), race(), "", "")
	if aside, err := SetAside(dir, now); aside != "" || err != nil {
		t.Errorf("a sound store became %q, %v", aside, err)
	}
}

// Of several processes that put a damaged store aside, one does it: the others find the new
// one, which is sound.
func TestSetAsideTogether(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	const processes = 8
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			_, err := SetAside(dir, time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC))
			if err != nil {
				t.Error(err)
				return
			}
			s, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, _, err := s.Keep(race(), "", ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	aside, _ := filepath.Glob(path + ".damaged-*")
	if _, total, err := opened(t, dir).List(Filter{}); total != processes || err != nil || len(aside) != 1 {
		t.Errorf("%d runs of %d, %v, set aside: %v", total, processes, err, aside)
	}
}

// A record that is damaged while its database is sound says how to be rid of it.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	e := keep(t, opened(t, dir), race(), "", "")
	pragma(t, filepath.Join(dir, File), "UPDATE record SET text = replace(text, ':', ';')")
	s := opened(t, dir)
	_, err := s.Run(e)
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Unavailable || len(f.Remedies) != 1 || !strings.Contains(f.Message, e.Name) {
		t.Fatalf("%v", err)
	}
	if err := s.Delete(e); err != nil {
		t.Error(err)
	}
	if _, total, err := s.List(Filter{}); total != 0 || err != nil {
		t.Errorf("%d runs, %v", total, err)
	}
}

// pragma runs a statement on a database.
func pragma(t *testing.T, path, statement string) {
	t.Helper()
	db, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// A folder that cannot be used is named, and nothing is half written.
func TestNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "gpuplay")); !errors.Is(err, fault.Unavailable) || !strings.Contains(fmt.Sprint(err), file) {
		t.Errorf("%v", err)
	}
	if _, err := Begin(filepath.Join(file, "gpuplay"), record.NewID(), ""); !errors.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}
