package lora

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// An adapter's folder is claimed once; what is in it is continued only when it is
// understood.
func TestClaimAndResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "adapters")
	if err := Claim(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	refuses := func(says string, err error) {
		t.Helper()
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, says) || len(e.Remedies) == 0 {
			t.Errorf("error %#v, want %s", err, says)
		}
	}
	_, err := Resume(dir)
	refuses("has no adapter to continue: no gpuplay.json", err)
	if err := os.WriteFile(filepath.Join(dir, "adapters.safetensors"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses("holds an adapter already", Claim(dir))
	for _, text := range []string{"{}", `{"schema": "gpuplay/adapter/v9", "iterations": 3, "rank": 8, "layers": 1}`} {
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = Resume(dir)
		refuses("is not understood by this gpuplay", err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(dir); err == nil || !strings.Contains(err.Error(), stateFile) {
		t.Errorf("error %v of a cut file", err)
	}
}
