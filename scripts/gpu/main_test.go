package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The tables are those of the runs that are kept.
func TestUpToDate(t *testing.T) {
	for _, document := range documents {
		want, err := write("../..", document)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../..", document))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what its runs say: go run ./scripts/gpu", document)
		}
		if !table.Match(got) {
			t.Errorf("%s has no table", document)
		}
	}
}
