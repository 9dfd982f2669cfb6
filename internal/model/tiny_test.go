package model

import (
	"path/filepath"
	"testing"
)

func TestTiny(t *testing.T) {
	m, err := Open(write(t, filepath.Join(t.TempDir(), "tiny.gguf"), Tiny()))
	if err != nil || m.Architecture != "llama" || m.Parameters != 26912 || m.Layers != 2 || m.Context != 1024 {
		t.Errorf("%+v, %v", m, err)
	}
}
