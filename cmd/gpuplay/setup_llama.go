package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/setup"
)

// planLlama plans llama.cpp: from source where that was asked for, else ready-made.
func planLlama(m setup.Machine, f setupFlags) (*setup.Plan, error) {
	if f.source {
		return setup.NewBuild(m, f.Options, exec.LookPath)
	}
	p, err := setup.New(setup.LlamaCpp, m, f.Options)
	var e *fault.Error
	if errors.As(err, &e) {
		e.Remedies = fault.Advice("gpuplay setup llama.cpp --from-source builds it; or winget install llama.cpp on Windows")
	}
	return p, err
}

// brewLlama has Homebrew install llama.cpp, as it is got on a Mac.
func (a *app) brewLlama(ctx context.Context, b *setup.Builder, dryRun bool) error {
	brew, err := exec.LookPath("brew")
	if err != nil {
		return &fault.Error{Code: fault.Unavailable, Message: "llama.cpp comes from Homebrew on a Mac, and brew is not found", Remedies: fault.Advice("get it from https://brew.sh, or gpuplay setup llama.cpp --from-source")}
	}
	command := []string{brew, "install", "llama.cpp"}
	if dryRun {
		fmt.Fprintf(a.stdout, "llama.cpp by Homebrew\n  $ %s\n", strings.Join(command, " "))
		return nil
	}
	fmt.Fprintf(a.stderr, "llama.cpp by Homebrew\n  $ %s\n", strings.Join(command, " "))
	if err := b.Exec(ctx, setup.Command{Args: command, Env: b.Env, Stdout: a.stderr, Stderr: a.stderr}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("brew install llama.cpp: %v", err), Remedies: fault.Advice("brew says above what is wrong; gpuplay setup llama.cpp --from-source does without it")}
	}
	found, err := llamacpp.Search{LookPath: exec.LookPath, Places: llamacpp.Places(a.env.folder)}.Find(ctx)
	if err != nil {
		return err
	}
	facts, err := tryLlama(ctx, found, b.Env)
	if err != nil {
		return err
	}
	a.showFacts(facts)
	return nil
}

// tryLimit is enough to load a model of 115 kB from a cold disk and to compile a
// GPU's programs.
const tryLimit = 5 * time.Minute

// llamaTrial returns how a llama.cpp that was set up is tried.
func llamaTrial(env []string) func(context.Context, string) ([]string, error) {
	return func(ctx context.Context, folder string) ([]string, error) {
		found, err := llamacpp.Search{Dir: folder}.Find(ctx)
		if err != nil {
			return nil, err
		}
		return tryLlama(ctx, found, env)
	}
}

// tryLlama has a llama.cpp compute some tokens, on the CPU, and returns what it
// says of itself and its devices. That a program says its version proves little:
// one that was built for another CPU ends at its first product.
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
		return nil, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("llama.cpp %s does not compute on this %s: %v", found.Version, rt.CPU, err), Remedies: fault.Advice("it may have been built for another CPU: gpuplay setup llama.cpp --from-source builds one for this")}
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
func computes(ctx context.Context, rt *llamacpp.Runtime, path string) error {
	s, err := rt.Load(ctx, path, llm.Lane{Context: 256})
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

func (a *app) showFacts(facts []string) {
	separator := " · "
	if !a.env.unicode {
		separator = " | "
	}
	fmt.Fprintln(a.stdout, strings.Join(facts, separator))
}

// A buildLog shows what a build says as one line that changes, on a terminal, and
// elsewhere every tenth of it; all of it is in the log file.
type buildLog struct {
	out   io.Writer
	live  bool
	style report.Style
	rest  []byte
	shown int  // the last tenth
	drawn bool // a line is on the terminal
}

func newBuildLog(out io.Writer, style report.Style) *buildLog {
	l := &buildLog{out: out, style: style, shown: -1}
	_, l.live = terminal(out)
	return l
}

// step is how Ninja and make number their steps: "[12/345] …", "[ 36%] …".
var step = regexp.MustCompile(`^\[\s*(\d+)(?:/(\d+)|%)\]`)

func (l *buildLog) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.line(strings.TrimRight(string(l.rest[:i]), "\r"))
		l.rest = l.rest[i+1:]
	}
}

func (l *buildLog) line(line string) {
	share := -1.0
	if m := step.FindStringSubmatch(line); m != nil {
		done, _ := strconv.ParseFloat(m[1], 64)
		of := 100.0
		if m[2] != "" {
			of, _ = strconv.ParseFloat(m[2], 64)
		}
		share = done / max(of, 1)
	}
	switch {
	case l.live:
		l.drawn = true
		fmt.Fprint(l.out, "\r"+ansi.EraseLineRight+ansi.Truncate("  "+ansi.Strip(line), l.style.Width-1, ""))
	case strings.HasPrefix(line, "gpuplay: "):
		fmt.Fprintln(l.out, "  "+strings.TrimPrefix(line, "gpuplay: "))
	case share >= 0 && int(share*10) > l.shown:
		l.shown = int(share * 10)
		fmt.Fprintf(l.out, "  built %d %%\n", l.shown*10)
	}
}

// close leaves nothing on a terminal.
func (l *buildLog) close() {
	if l.drawn {
		fmt.Fprint(l.out, "\r"+ansi.EraseLineRight)
	}
}
