//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that somebody reads gets the result and stays a pipe; one that nobody reads is
// refused before anything is measured.
func TestDestinationIsAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newDestination("output", pipe); err == nil || !strings.Contains(err.Error(), "is a pipe that nobody reads") {
		t.Errorf("a pipe without a reader: %v", err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	d, err := newDestination("output", pipe)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.write(text("result", nil)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); err != nil || string(got) != "result" {
		t.Errorf("read %q, %v", got, err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("it is no pipe any more: %v", err)
	}
}

// Devices are written to as they are.
func TestDestinationIsADevice(t *testing.T) {
	if err := deliverTo(t, "/dev/null", "result", nil); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("/dev/null is gone: %v", err)
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		if err := deliverTo(t, "/dev/full", "result", nil); err == nil || err.Error() != "--output /dev/full: no space left on device" {
			t.Errorf("a full device: %v", err)
		}
	}
}
