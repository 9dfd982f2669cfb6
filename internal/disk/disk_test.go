package disk

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestExists(t *testing.T) {
	dir := t.TempDir()
	nowhere := filepath.Join(dir, "nowhere")
	for path, want := range map[string]bool{dir: true, nowhere: false, "": false} {
		if got := Exists(path); got != want {
			t.Errorf("Exists(%q) = %t", path, got)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(nowhere, link); err == nil && Exists(link) {
		t.Error("a link into nowhere exists")
	}
}

func TestNearest(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{dir: dir, filepath.Join(dir, "a", "b"): dir, "no/such/folder": "."} {
		if got := Nearest(path); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	if err := Writable(dir); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("%s is left", entries[0].Name())
	}
	if Writable(filepath.Join(dir, "nowhere")) == nil {
		t.Error("a folder that is not there can be written to")
	}
	if runtime.GOOS != "windows" && os.Getuid() != 0 {
		closed := filepath.Join(dir, "closed")
		if err := os.Mkdir(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		if Writable(closed) == nil {
			t.Error("a folder that is closed can be written to")
		}
	}
}

func TestFree(t *testing.T) {
	if n, err := Free(t.TempDir()); err != nil || n == 0 {
		t.Errorf("%d bytes are free, %v", n, err)
	}
	if _, err := Free(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a folder that is not there has space")
	}
}

// A folder's name is no pattern, whatever it holds.
func TestMatch(t *testing.T) {
	for _, name := range []string{"plain", "a[b]*?", `back\slash`, "it's \"$HOME\"", "new\nline", "{a,b}"} {
		folder := filepath.Join(t.TempDir(), name)
		file := filepath.Join(folder, "lib", "python3", "x.so")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Logf("%q: %v", name, err) // Windows has no such names
			continue
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := Match(folder, "lib/python*/*.so"); len(got) != 1 || got[0] != file {
			t.Errorf("in %q: %q, want %q", folder, got, file)
		}
		if got := Match(folder, "*.so"); len(got) > 0 {
			t.Errorf("in %q: %q", folder, got)
		}
	}
	if got := Match("", "*"); len(got) > 0 {
		t.Errorf("in no folder: %q", got)
	}
}

// A file is replaced as a whole, and nothing is left behind where that fails.
func TestReplace(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	file := filepath.Join(folder, "file")
	for _, content := range []string{"long content", "short"} {
		if err := Replace(file, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
	}
	for name, path := range map[string]string{"a folder": folder, "below a file": filepath.Join(file, "x")} {
		if err := Replace(path, []byte("x")); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	for folder, want := range map[string]int{folder: 1, filepath.Dir(folder): 1} {
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != want {
			t.Errorf("%s holds %v, %v", folder, entries, err)
		}
	}
}
