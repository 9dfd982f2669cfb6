package store

import (
	"fmt"
	"os"
	"testing"

	"github.com/gpuplay/gpuplay/internal/record"
)

// BenchmarkLarge is what commands wait for in a store of many runs: those of races of
// four lanes. Its limits are 50 ms to open, 200 ms to list, 300 ms to find and read two
// runs, 10 ms to keep one.
//
//	go test ./internal/store -run '^$' -bench Large -benchtime 20x
func BenchmarkLarge(b *testing.B) {
	const runs = 100_000
	dir := b.TempDir()
	s := opened(b, dir)
	tx, err := s.db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	r := race()
	for i := range runs {
		r.ID = record.NewID()
		tag := ""
		if i%1000 == 0 {
			tag = fmt.Sprintf("tag-%d", i/10_000)
		}
		if _, _, err := s.keep(tx, r, tag, ""); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	if info, err := os.Stat(s.path()); err == nil {
		b.Logf("%d runs in %d MB", runs, info.Size()/1e6)
	}
	fail := func(b *testing.B, err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	read := func(b *testing.B, s *Store, word string) {
		e, err := s.Find(word)
		fail(b, err)
		_, err = s.Run(e)
		fail(b, err)
	}
	for _, step := range []struct {
		name string
		do   func(b *testing.B, s *Store)
	}{
		{"open", func(*testing.B, *Store) {}},
		{"open+list", func(b *testing.B, s *Store) {
			_, total, err := s.List(Filter{Limit: 20})
			fail(b, err)
			if total < runs {
				b.Errorf("%d runs", total)
			}
		}},
		{"open+list=tag", func(b *testing.B, s *Store) { _, _, err := s.List(Filter{Tag: "tag-3", Limit: 20}); fail(b, err) }},
		{"open+list=all", func(b *testing.B, s *Store) { _, _, err := s.List(Filter{}); fail(b, err) }},
		{"open+two", func(b *testing.B, s *Store) { read(b, s, "tag-3~5"); read(b, s, "last~1000") }},
		{"open+prefix", func(b *testing.B, s *Store) { _, err := s.Find(r.ID[24:33]); fail(b, err) }},
		{"open+keep", func(b *testing.B, s *Store) { _, _, err := s.Keep(race(), "", ""); fail(b, err) }},
	} {
		b.Run(step.name, func(b *testing.B) {
			for b.Loop() {
				s, err := Open(dir)
				fail(b, err)
				step.do(b, s)
				fail(b, s.Close())
			}
		})
	}
}
