package cuda

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

// A store keeps which kernel was the fastest, in a folder of the user's cache. It is never
// needed: what cannot be read is found out again, and what cannot be written is not kept.
type store struct {
	folder string // empty: nothing is kept
}

// choiceOf names the choice among kernels for a product, on a card with a driver.
func choiceOf(card string, p ptx.Problem, kernels []ptx.Kernel) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%+v\n", card, p)
	for _, k := range kernels {
		fmt.Fprintf(h, "%s\n%s\n", k.Name, k.Text)
	}
	return fmt.Sprintf("%x.choice", h.Sum(nil))
}

// get returns the name of the kernel that was chosen, empty if that is not known.
func (s store) get(choice string) string {
	if s.folder == "" {
		return ""
	}
	name, err := os.ReadFile(filepath.Join(s.folder, choice))
	if err != nil {
		return ""
	}
	return string(name)
}

// keep keeps a choice.
func (s store) keep(choice, kernel string) {
	if s.folder != "" {
		_ = disk.Replace(filepath.Join(s.folder, choice), []byte(kernel)) // the disk may be full: nothing is kept then
	}
}
