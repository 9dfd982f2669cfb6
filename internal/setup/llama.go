package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/model"
)

// fromSource is the remedy of building llama.cpp here.
func fromSource(text string) fault.Remedy {
	return fault.Remedy{Text: text, Command: []string{"gpuplay", "setup", LlamaCpp}, Param: "from-source"}
}

// NewPrebuilt plans llama.cpp from a wheel.
func NewPrebuilt(m Machine, o Options) (*Plan, error) {
	p, err := New(LlamaCpp, m, o)
	var e *fault.Error
	if errors.As(err, &e) {
		return nil, fault.Errorf(e.Code, "%s", e.Message).With(fromSource("{} builds it"), fault.Run("on Windows", "winget", "install", LlamaCpp))
	}
	return p, err
}

// Homebrew returns the command that installs llama.cpp on a Mac, where it comes from
// Homebrew.
func (b *Builder) Homebrew() ([]string, error) {
	brew, err := b.LookPath("brew")
	if err != nil {
		return nil, fail(fault.Remedies{{Text: "get it from https://brew.sh"}, fromSource("{} does without it")}, "llama.cpp comes from Homebrew on a Mac, and brew is not found")
	}
	return []string{brew, "install", LlamaCpp}, nil
}

// Brew runs Homebrew's command and returns what llama.cpp says of itself, as Check
// does. folder is the working folder, beside which it may be too.
func (b *Builder) Brew(ctx context.Context, command []string, folder string) ([]string, error) {
	if err := b.Exec(ctx, Command{Args: command, Env: b.Env, Stdout: b.Log, Stderr: b.Log}); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fail(fault.Remedies{{Text: "brew says above what is wrong"}, fromSource("{} does without it")}, "brew install llama.cpp: %v", err)
	}
	env, _ := llamacpp.Environment(b.Env)
	found, err := llamacpp.Search{LookPath: b.LookPath, Places: llamacpp.Places(folder), Env: env}.Find(ctx)
	if err != nil {
		return nil, err
	}
	return tryLlama(ctx, found, env)
}

// try has the llama.cpp in a folder compute something.
func (b *Builder) try(ctx context.Context, folder string) ([]string, error) {
	if b.Try != nil {
		return b.Try(ctx, folder)
	}
	env, _ := llamacpp.Environment(b.Env)
	found, err := llamacpp.Search{Dir: folder, Env: env}.Find(ctx)
	if err != nil {
		return nil, err
	}
	return tryLlama(ctx, found, env)
}

// tryLimit is enough to load a model of 115 kB from a cold disk and to compile a
// GPU's programs.
const tryLimit = 5 * time.Minute

// tryLlama has a llama.cpp compute some tokens, on the CPU, and returns what it says
// of itself and its devices. That a program says its version proves little: one that
// was built for another CPU ends at its first product.
func tryLlama(ctx context.Context, found llamacpp.Installation, env []string) (facts []string, err error) {
	gpus, err := found.GPUs(ctx, env)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "gpuplay-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "tiny.gguf")
	if err := os.WriteFile(path, model.Tiny(), 0o644); err != nil {
		return nil, err
	}
	trial, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	rt := &llamacpp.Runtime{Installation: found, CPU: host.CPU(), Env: env}
	if err := computes(trial, rt, path); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fail(fault.Remedies{fromSource("it may have been built for another CPU: {} builds one for this")}, "llama.cpp %s does not compute on this %s: %v", found.Version, rt.CPU, err)
	}
	devices := "no GPU"
	for i, g := range gpus {
		if i == 0 {
			devices = ""
		} else {
			devices += ", "
		}
		devices += g.Name + " (" + g.Device.Name + ")"
	}
	return []string{"llama.cpp: " + found.Version, "devices: CPU, " + devices, found.Server}, nil
}

// computes wants some tokens of a model.
func computes(ctx context.Context, rt llm.Runtime, path string) error {
	s, err := rt.Load(ctx, path, llm.Settings{Context: 256})
	if err != nil {
		return err
	}
	defer s.Close()
	g, err := s.Generate(ctx, llm.Request{Prompt: "Hello", Tokens: 4, IgnoreEnd: true}, func(llm.Piece) {})
	if err == nil && g.Tokens < 1 {
		err = errors.New("it generates nothing")
	}
	return err
}
