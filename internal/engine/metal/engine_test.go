//go:build !linux || !(amd64 || arm64)

package metal

import (
	"runtime"
	"testing"
)

// engine returns the one for this Mac's GPU.
func engine(t *testing.T) *Engine {
	t.Helper()
	if runtime.GOOS != "darwin" {
		t.Skip("Metal is macOS' own, and the stand-in for it is built on Linux")
	}
	return New()
}

// inUse leaves it to the suite what is in use.
var inUse func() uint64

// The messages are those of this Mac's frameworks.
func TestVerify(t *testing.T) {
	if runtime.GOOS != "darwin" {
		t.Skip("Metal is macOS' own")
	}
	agree, problems, err := Verify()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	t.Logf("%d messages agree", agree)
}
