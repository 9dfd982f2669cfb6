package setup

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
)

// Where there is no wheel, the way to build it is named.
func TestNoPrebuilt(t *testing.T) {
	_, err := NewPrebuilt(officePC, Options{})
	var e *fault.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Message, "llama.cpp has no build for windows/amd64") {
		t.Fatalf("error %v", err)
	}
	if got, want := e.Remedies.String(), "gpuplay setup llama.cpp from-source builds it; on Windows: winget install llama.cpp"; got != want {
		t.Errorf("remedies %q, want %q", got, want)
	}
	if p, err := NewPrebuilt(linux, Options{}); err != nil || p.Build != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestHomebrew(t *testing.T) {
	d, b := newDesk(t)
	_, err := b.Homebrew()
	var e *fault.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "brew is not found") || !strings.Contains(e.Remedies.String(), "https://brew.sh") {
		t.Errorf("without it: %v (%+v)", err, e)
	}
	b.LookPath = func(name string) (string, error) {
		if name == "brew" {
			return "/opt/homebrew/bin/brew", nil
		}
		return "", exec.ErrNotFound
	}
	command, err := b.Homebrew()
	if got := strings.Join(command, " "); err != nil || got != "/opt/homebrew/bin/brew install llama.cpp" {
		t.Errorf("%q, %v", got, err)
	}
	d.fails = map[string]string{"brew install": "Error: no bottle"}
	if _, err := b.Brew(t.Context(), command, t.TempDir()); !errors.As(err, &e) || e.Message != "brew install llama.cpp: exit status 1" || !strings.Contains(e.Remedies.String(), "does without it") {
		t.Errorf("a failure of its own: %v (%+v)", err, e)
	}
	d.fails = nil
	if _, err := b.Brew(t.Context(), command, t.TempDir()); err == nil || !strings.Contains(err.Error(), "llama-server") {
		t.Errorf("nothing was installed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d.before = func(string) { cancel() }
	if _, err := b.Brew(ctx, command, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
}

// A llama.cpp that is there computes.
func TestRealTrial(t *testing.T) {
	folder := llmtest.LlamaCPP()
	if folder == "" {
		enginetest.Require(t, "llama.cpp", "no llama-server was found")
	}
	b := &Builder{Env: os.Environ()}
	facts, err := b.Check(t.Context(), folder, LlamaCpp)
	if err != nil || len(facts) != 3 || !strings.HasPrefix(facts[0], "llama.cpp: ") || !strings.HasPrefix(facts[1], "devices: CPU, ") {
		t.Errorf("%q, %v", facts, err)
	}
}
