// Package golden compares what a test made with a file in testdata, which -update
// rewrites.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files and what scripts expect")

// Updating reports whether -update was given.
func Updating() bool { return *update }

// Compare fails the test if got differs from the file testdata/name. With -update, it
// writes the file instead.
func Compare[T string | []byte](t *testing.T, name string, got T) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; rewrite it with -update):\n%s", file, diff)
	}
}
