package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/catalog"
)

// runSetup runs the command in a folder and returns what run would.
func runSetup(t *testing.T, folder string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := &app{stdout: &out, stderr: &errs, env: environment{engines: catalog.Environment{Folder: folder, Own: filepath.Join(folder, "own"), Children: os.Environ()}, unicode: true}, working: make(chan struct{}, 1)}
	c := newSetup(a)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	code = exitCode(c.ExecuteContext(t.Context()), t.Context(), &errs)
	return code, out.String(), errs.String()
}

func TestSetupDryRun(t *testing.T) {
	folder := t.TempDir()
	for _, tt := range []struct {
		args []string
		says []string
	}{
		{nil, []string{"torch into " + filepath.Join(folder, "own", "torch"), "from PyPI: about", "torch numpy\n"}},
		{[]string{"jax", "--cpu", "--dir", "."}, []string{"jax into " + filepath.Join(folder, ".venv-jax")}},
		{[]string{"torch", "--full", "--dir", folder}, []string{"torch numpy torchvision torchaudio"}},
		{[]string{"all"}, []string{"torch into", "tensorflow into"}},
	} {
		code, stdout, stderr := runSetup(t, folder, append(tt.args, "--dry-run")...)
		if code != 0 {
			t.Skipf("nothing can be set up here: %s", stderr)
		}
		for _, want := range tt.says {
			if !strings.Contains(stdout, want) {
				t.Errorf("setup %s says %q, want %q", tt.args, stdout, want)
			}
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) > 0 {
		t.Errorf("--dry-run left %s", entries[0].Name())
	}
}

func TestSetupMistakes(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"file", ".venv-torch"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"pytorch", exitUsage, "gpuplay: unknown framework \"pytorch\"\n  did you mean torch?"},
		{"abacus", exitUsage, "there are: torch, tensorflow, mlx, jax, llama.cpp, cublas, all"},
		{"torch jax", exitUsage, "one framework at a time: torch jax"},
		{"torch --from-source", exitUsage, "--from-source: only llama.cpp is built from source"},
		{"--cpu --gpu", exitUsage, "--cpu and --gpu: only one of them"},
		{"--dir file", exitUsage, "gpuplay: --dir file: is a file\n"},
		{"--dir .", exitFailed, filepath.Join(folder, ".venv-torch") + " is a file, not an environment's folder\n  remove it"},
		{"--python no-such-python", exitFailed, "gpuplay: the Python no-such-python that was asked for is no program\n  --python names a python3"},
	} {
		code, stdout, stderr := runSetup(t, folder, strings.Fields(tt.args)...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("setup %s: exit code %d, stdout %q, stderr %q; want %d and %q", tt.args, code, stdout, stderr, tt.code, tt.says)
		}
	}
}

func TestBuildLog(t *testing.T) {
	var b strings.Builder
	l := &buildLog{out: &b, shown: -1}
	for _, text := range []string{"gpuplay: https://pypi.org/x.tar.gz\n-- Conf", "iguring done\n[1/20] Building a\n", "[ 10%] Building b\n[2/20] Linking c\r\n[20/20] Linking d\n"} {
		l.Write([]byte(text))
	}
	if got, want := b.String(), "  https://pypi.org/x.tar.gz\n  built 0 %\n  built 10 %\n  built 100 %\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
