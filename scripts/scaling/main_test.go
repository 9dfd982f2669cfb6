package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The tables and the picture are those of the runs that are kept.
func TestUpToDate(t *testing.T) {
	text, svg, err := write("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{document: text, picture: svg} {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what its runs say: go run ./scripts/scaling", name)
		}
	}
	if n := len(table.FindAll(text, -1)); n < 3 {
		t.Errorf("%d tables", n)
	}
}
