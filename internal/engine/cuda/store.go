package cuda

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gpuplay/gpuplay/internal/ptx"
)

// A store keeps code that the driver compiled, and which kernel was the fastest, in a folder
// of the user's cache. It is never needed: what cannot be read is made again, and what cannot
// be written is not kept.
type store struct {
	folder string // empty: nothing is kept
}

// codeOf names the code of a module for a card and a driver.
func codeOf(card, text string) string {
	return fmt.Sprintf("%x.cubin", sha256.Sum256([]byte(card+"\n"+text)))
}

// choiceOf names the choice among kernels for a product.
func choiceOf(card string, p ptx.Problem, kernels []ptx.Kernel) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%+v\n", card, p)
	for _, k := range kernels {
		fmt.Fprintf(h, "%s\n%s\n", k.Name, k.Text)
	}
	return fmt.Sprintf("%x.choice", h.Sum(nil))
}

func (s store) has(name string) bool {
	if s.folder == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(s.folder, name))
	return err == nil
}

// code returns the code of that name, nil if it is not kept.
func (s store) code(name string) []byte { return s.read(name) }

// choice returns the name of the kernel that was the fastest, empty if that is not known.
func (s store) choice(name string) string { return string(s.read(name)) }

func (s store) keepCode(name string, cubin []byte) { s.write(name, cubin) }

func (s store) keepChoice(name, kernel string) { s.write(name, []byte(kernel)) }

func (s store) read(name string) []byte {
	if s.folder == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.folder, name))
	if err != nil || len(text) == 0 {
		return nil
	}
	return text
}

// write keeps a file as a whole or not at all: another process may write it at the same time.
func (s store) write(name string, text []byte) {
	if s.folder == "" || os.MkdirAll(s.folder, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(s.folder, "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil && closed == nil {
		err = os.Rename(f.Name(), filepath.Join(s.folder, name))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the disk may be full: nothing is kept then
	}
}
