// Package disk says what is on this machine's disks and how much space is left, and replaces
// files as a whole.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shirou/gopsutil/v4/disk"
)

// Exists reports whether there is a file or a folder at a path; a link into nowhere
// is none.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Match returns the paths in a folder that match a pattern of package path's, which may
// lead into folders below it. Unlike filepath.Glob it takes the folder's own name as it
// is, with whatever stars and brackets.
func Match(folder, pattern string) []string {
	names, _ := fs.Glob(os.DirFS(folder), pattern) // what cannot be read holds nothing
	for i, name := range names {
		names[i] = filepath.Join(folder, filepath.FromSlash(name))
	}
	return names
}

// Nearest returns the folder itself, or the first of its parents that exists.
func Nearest(folder string) string {
	for !Exists(folder) && filepath.Dir(folder) != folder {
		folder = filepath.Dir(folder)
	}
	return folder
}

// Free returns the bytes that are free on the folder's disk.
func Free(folder string) (uint64, error) {
	u, err := disk.Usage(folder)
	if err != nil {
		return 0, err
	}
	return u.Free, nil
}

// Replace writes a file that only this user can read, with its folder. Readers, and other
// processes that write it at the same time, see all of one content or all of another. If it
// fails, what was there stays.
func Replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the reason is err
	}
	return err
}
