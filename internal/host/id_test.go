package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write writes a file below a root folder.
func write(t *testing.T, root, path, text string) {
	t.Helper()
	path = filepath.Join(root, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLinuxID(t *testing.T) {
	const id, other = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"systemd's":             {map[string]string{"etc/machine-id": id + "\n", "var/lib/dbus/machine-id": other + "\n"}, id},
		"D-Bus's":               {map[string]string{"var/lib/dbus/machine-id": other + "\n"}, other},
		"an empty file":         {map[string]string{"etc/machine-id": ""}, ""},
		"not chosen yet":        {map[string]string{"etc/machine-id": "uninitialized\n", "var/lib/dbus/machine-id": id}, id},
		"too short":             {map[string]string{"etc/machine-id": "0123"}, ""},
		"none":                  {nil, ""},
		"only that of the boot": {map[string]string{"proc/sys/kernel/random/boot_id": "01234567-89ab-cdef-0123-456789abcdef\n"}, ""},
	} {
		root := t.TempDir()
		for path, text := range tt.files {
			write(t, root, path, text)
		}
		if got := linuxID(root); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A machine's id never changes, so neither may this: records of years are joined by it.
func TestHashed(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	if got, want := hashed(id), "13cc81bdede8c940"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if hashed("") != "" {
		t.Error("an id that is not known has a hash")
	}
	if hashed(strings.Replace(id, "0", "1", 1)) == hashed(id) || strings.Contains(hashed(id), id[:8]) {
		t.Error("the hash says nothing of the id, or too much")
	}
}
