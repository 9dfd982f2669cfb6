//go:build unix

package worker

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// A pipe as a parent makes it blocks; only a polled one knows deadlines.
func TestPollable(t *testing.T) {
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(p[0]), "r"), os.NewFile(uintptr(p[1]), "w")
	defer r.Close()
	defer w.Close()
	if r.SetReadDeadline(time.Now()) == nil {
		t.Fatal("the pipe is polled to begin with: this tests nothing")
	}
	in := pollable(r)
	defer in.Close()
	if err := in.SetReadDeadline(time.Time{}); err != nil {
		t.Error("the pipe is not polled:", err)
	}
	if _, err := w.WriteString("line"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if n, err := in.Read(b); err != nil || string(b[:n]) != "line" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if pollable(null) != null {
		t.Error("a file that is no pipe is another one")
	}
}
