package vulkan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/disk"
)

// choices are which kernel won for which product, in a file of the user's cache for each
// device, version of its driver and set of shaders. It is never needed: what cannot be read
// is found out again, and what cannot be written is not kept.
type choices struct {
	file string            // empty: nothing is kept
	won  map[string]string // the names of kernels, by product
}

// product names what kernels are tried out for.
func product(g bench.GEMM) string {
	return fmt.Sprintf("%d %d %d %s %t %t", g.M, g.N, g.K, g.In, g.TransA, g.TransB)
}

// readChoices reads what is kept in a folder.
func readChoices(folder, device, driver string) *choices {
	c := &choices{won: map[string]string{}}
	if folder == "" {
		return c
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", device, driver)
	_ = fs.WalkDir(shaders, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := shaders.ReadFile(path)
		h.Write(text)
		return err
	})
	c.file = filepath.Join(folder, fmt.Sprintf("vulkan-%x.json", h.Sum(nil)[:16]))
	if text, err := os.ReadFile(c.file); err == nil && json.Unmarshal(text, &c.won) != nil {
		c.won = map[string]string{}
	}
	return c
}

// keep remembers a kernel.
func (c *choices) keep(g bench.GEMM, k kernel) {
	c.won[product(g)] = k.name
	if text, err := json.Marshal(c.won); err == nil && c.file != "" {
		_ = disk.Replace(c.file, text) // the disk may be full: nothing is kept then
	}
}
