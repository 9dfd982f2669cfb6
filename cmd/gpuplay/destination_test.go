package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// text returns what writes a text and then fails with err, if that is not nil.
func text(t string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		io.WriteString(w, t)
		return err
	}
}

// deliverTo writes a text to what a name stands for.
func deliverTo(t *testing.T, name, words string, err error) error {
	t.Helper()
	d, failed := newDestination("output", name)
	if failed != nil {
		t.Fatal(failed)
	}
	return d.write(text(words, err))
}

// holds wants a file with a text and a mode, and nothing else in its folder but the
// names of others.
func holds(t *testing.T, file, want string, mode os.FileMode, others ...string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode() != mode {
		t.Errorf("%s has mode %v, want %v", file, info.Mode(), mode)
	}
	entries, _ := os.ReadDir(filepath.Dir(file))
	if len(entries) != 1+len(others) {
		t.Errorf("beside %s there is %v, want %v", file, entries, others)
	}
}

func TestDestinationIsWrittenWholeOrNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	if err := deliverTo(t, file, "first", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := deliverTo(t, file, "half of the sec", full); !errors.Is(err, full) || !strings.HasPrefix(err.Error(), "--output "+file+": ") {
		t.Errorf("error %v, want one of --output with: disk full", err)
	}
	holds(t, file, "first", 0o640)
	if err := deliverTo(t, file, "second", nil); err != nil {
		t.Fatal(err)
	}
	holds(t, file, "second", 0o640)
}

// Events leave stderr open at their end, for what is still to be said there.
func TestEventsLeaveStderrOpen(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "e.jsonl"), "/dev/stderr"} {
		d, err := newDestination("output", name)
		if err != nil {
			t.Fatal(err)
		}
		_, end, err := (&app{}).events(d)
		if err := errors.Join(err, end()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.open.Stat(); (err == nil) != (d.open == os.Stderr) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A link stays a link, and what it leads to is written, also where that is not there yet.
func TestDestinationFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "in[side] 'it' $HOME\n")
	if err := os.MkdirAll(filepath.Join(inside, "deep"), 0o755); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(inside, "deep", "r.json")
	first, second, folder := filepath.Join(dir, "first"), filepath.Join(dir, "second"), filepath.Join(dir, "folder")
	for link, to := range map[string]string{first: "second", second: "folder/../deep/r.json", folder: filepath.Join(inside, "deep")} {
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err)
		}
	}
	for _, words := range []string{"new", "old"} {
		if err := deliverTo(t, first, words, nil); err != nil {
			t.Fatal(err)
		}
		holds(t, file, words, 0o666&^umask(t))
	}
	for _, link := range []string{first, second, folder} {
		if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v", link, err)
		}
	}
}

// umask returns what new files do not get.
func umask(t *testing.T) os.FileMode {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "new"), os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return 0o666 &^ info.Mode()
}

func TestDestinationIsRefused(t *testing.T) {
	dir := t.TempDir()
	for link, to := range map[string]string{"loop": "pool", "pool": "loop"} {
		if err := os.Symlink(filepath.Join(dir, to), filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for name, want := range map[string]string{
		dir: "is a folder", filepath.Join(dir, "no", "r"): "no such file or directory", filepath.Join(dir, "loop"): "too many links",
		"/dev/fd/999": "bad file descriptor",
	} {
		_, err := newDestination("output", name)
		var usage *usageError
		if !errors.As(err, &usage) || err.Error() != "--output "+name+": "+want || usage.hint == "" {
			t.Errorf("%s: %v, want: %s", name, err, want)
		}
	}
}

// Names of stdout are it, also behind a link.
func TestDestinationIsStdout(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/stdout", link); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", link} {
		if d, err := newDestination("output", name); d != nil || err != nil {
			t.Errorf("%s is %v, %v, want stdout", name, d, err)
		}
	}
}
