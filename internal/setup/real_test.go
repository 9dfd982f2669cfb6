package setup

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/python"
)

// real returns a builder with this machine's programs, with uv or without.
func real(t *testing.T, uv bool) *Builder {
	t.Helper()
	m := Detect(t.Context(), Run, os.Environ(), nil)
	if uv && m.UV == "" {
		enginetest.Require(t, "uv", "uv is not on PATH")
	}
	if !uv {
		m.UV = ""
	}
	return &Builder{Machine: m, Exec: Run, LookPath: exec.LookPath, Free: disk.Free, Env: os.Environ(), Log: t.Output()}
}

// online skips the test when packages cannot be had, or are not to be downloaded.
func online(t *testing.T) {
	t.Helper()
	if testing.Short() || !enginetest.Required("network") {
		t.Skip("nothing is downloaded but where GPUPLAY_REQUIRE names network")
	}
	c, err := net.DialTimeout("tcp", "pypi.org:443", 5*time.Second)
	if err != nil {
		enginetest.Require(t, "network", "PyPI cannot be reached: "+err.Error())
	}
	c.Close()
}

func TestRealMLX(t *testing.T) {
	for name, uv := range map[string]bool{"uv": true, "venv and pip": false} {
		t.Run(name, func(t *testing.T) {
			online(t)
			b := real(t, uv)
			if _, err := New("mlx", b.Machine, Options{CPU: true}); err != nil {
				t.Skip(err)
			}
			folder := filepath.Join(t.TempDir(), "with space", "mlx")
			first, err := build(t.Context(), b, "mlx", folder, false)
			if err != nil {
				t.Fatal(err)
			}
			if len(first) != 2 || !strings.HasPrefix(first[0], "mlx: 0.") || !strings.HasPrefix(first[1], "default device: Device(") {
				t.Errorf("mlx says %q", first)
			}
			nothing(t, folder, "mlx")
			start := time.Now()
			if again, err := build(t.Context(), b, "mlx", folder, false); err != nil || strings.Join(again, "") != strings.Join(first, "") {
				t.Errorf("a repeat says %q, %v", again, err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("a repeat took %s", took)
			}

			base := filepath.Join(folder, "gone") // as when the Python that made it was removed
			if err := errors.Join(os.Remove(python.In(folder)), os.Symlink(base, python.In(folder))); err != nil {
				t.Fatal(err)
			}
			if _, err := build(t.Context(), b, "mlx", folder, false); err == nil || !strings.Contains(err.Error(), "its Python does not work") {
				t.Errorf("error %v of a dangling interpreter", err)
			}
		})
	}
}

// A package that is nowhere fails with the installer's own words.
func TestRealInstallerFails(t *testing.T) {
	online(t)
	for name, uv := range map[string]bool{"uv": true, "venv and pip": false} {
		t.Run(name, func(t *testing.T) {
			b := real(t, uv)
			folder := filepath.Join(t.TempDir(), "mlx")
			p := &Plan{Framework: "mlx", Packages: []string{"mlx==0.0.0.1"}, Oldest: 10, Newest: 14, Sources: []Source{{Name: "PyPI"}}}
			j, err := b.Prepare(t.Context(), p, folder, "", false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = b.Make(t.Context(), j); err == nil || !strings.Contains(err.Error(), "mlx==0.0.0.1") {
				t.Errorf("error %v", err)
			}
			nothing(t, folder, "mlx.log")
		})
	}
}

// program writes a program for /bin/sh and returns its path.
func program(t *testing.T, name, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a program for /bin/sh")
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Ctrl-C ends the installer and what it has started, and nothing is left.
func TestRealInterrupt(t *testing.T) {
	_, b := newDesk(t)
	started := filepath.Join(t.TempDir(), "started")
	b.Machine.UV = program(t, "uv", `case $1 in
venv) for last; do :; done; touch "$last/pyvenv.cfg" ;;
pip) sleep 300 >/dev/null 2>&1 & echo $! > `+started+`.new; mv `+started+`.new `+started+`; wait ;;
esac`)
	python := b.Exec
	b.Exec = func(ctx context.Context, c Command) error {
		if c.Args[0] == b.Machine.UV {
			return Run(ctx, c)
		}
		return python(ctx, c)
	}
	folder := filepath.Join(t.TempDir(), "mlx")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for !disk.Exists(started) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := build(ctx, b, "mlx", folder, false); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
	nothing(t, folder)
	text, _ := os.ReadFile(started)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // whoever inherits it takes a moment to bury it
		if alive, _ := process.PidExists(int32(pid)); !alive {
			return
		}
		if p, err := process.NewProcess(int32(pid)); err == nil {
			if s, _ := p.Status(); len(s) > 0 && s[0] == process.Zombie {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("what the installer had started is still there")
}

// Interpreters that answer, among them Debian's without python3-venv, and
// programs that do not.
func TestRealProbe(t *testing.T) {
	b := real(t, false)
	path, err := exec.LookPath("python3")
	if err != nil {
		enginetest.Require(t, "python", "python3 is not on PATH")
	}
	i, err := b.examine(t.Context(), path)
	if err != nil || i.Minor < 6 || !filepath.IsAbs(i.Path) || i.Arch == "" {
		t.Errorf("examine = %+v, %v", i, err)
	}
	stub := program(t, "python3", `echo hello; echo '{"path": "/usr/bin/python3", "minor": 11, "arch": "`+b.Machine.Arch+`", "seeded": false}'`)
	p := &Plan{Framework: "mlx", Oldest: 10, Newest: 14}
	if _, err := b.interpreter(t.Context(), p, stub); err == nil || !strings.Contains(err.Error(), "/usr/bin/python3: has no venv and ensurepip") {
		t.Errorf("error %v", err)
	}
	for text, says := range map[string]string{"echo Python 2.7": "does not answer as Python 3 does", "echo Unknown option: -I >&2; exit 2": "Unknown option: -I"} {
		if _, err := b.interpreter(t.Context(), p, program(t, "python3", text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %s", err, says)
		}
	}
}

// What a framework prints while it is imported is no answer.
func TestRealCheck(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		enginetest.Require(t, "python", "python3 is not on PATH")
	}
	folder := filepath.Join(t.TempDir(), "env")
	if out, err := exec.Command(python, "-m", "venv", "--without-pip", folder).CombinedOutput(); err != nil {
		t.Skipf("python3 -m venv: %v: %s", err, out)
	}
	b := real(t, false)
	if _, err := b.Check(t.Context(), folder, "jax"); err == nil || !strings.Contains(err.Error(), "jax cannot be imported in env: exit status 1: “") || !strings.Contains(err.Error(), "No module named 'jax'") {
		t.Errorf("error %v of an environment without the framework", err)
	}
	site, err := filepath.Glob(filepath.Join(folder, "[Ll]ib", "python*", "site-packages"))
	if err != nil || len(site) == 0 {
		t.Skip("no site-packages: not Unix")
	}
	write(t, filepath.Join(site[0], "jax.py"), "import os\nprint('greetings')\nos.write(1, b'from native code\\n')\n__version__ = '0.12'\ndevices = lambda: ['CpuDevice(id=0)']\n")
	facts, err := b.Check(t.Context(), folder, "jax")
	if err != nil || strings.Join(facts, " · ") != "jax: 0.12 · devices: ['CpuDevice(id=0)']" {
		t.Errorf("Check = %q, %v", facts, err)
	}
}
