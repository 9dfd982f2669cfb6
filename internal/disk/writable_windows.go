package disk

import (
	"errors"
	"os"
)

// Writable returns nil if files can be created in the folder, and the reason if not.
// Windows says so only of a file that is created.
func Writable(folder string) error {
	f, err := os.CreateTemp(folder, ".gpuplay-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
