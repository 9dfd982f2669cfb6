package python

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/worker"
)

// venv makes an environment as python3 -m venv does, which takes seconds, and returns the
// folder that its packages are in.
func venv(t *testing.T, folder string) (site string) {
	t.Helper()
	out, err := exec.Command(python3(t), "-I", "-c", "import sys; print(sys._base_executable, *sys.version_info[:2])").Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(out))
	site = filepath.Join(folder, "lib", "python"+words[1]+"."+words[2], "site-packages")
	put(t, folder, map[string]string{"pyvenv.cfg": "home = " + filepath.Dir(words[0]) + "\ninclude-system-site-packages = false\n"})
	for _, path := range []string{filepath.Dir(In(folder)), site} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(words[0], In(folder)); err != nil {
		t.Skip(err)
	}
	return site
}

// put writes files below a folder.
func put(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const stale = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp27-cp27mu-manylinux1_x86_64\nTag: cp39-cp39-manylinux_2_17_x86_64\n"

// A module that has neither a file nor a folder, as a program's own importer may say, is
// not known to be broken.
func TestModuleWithoutPlace(t *testing.T) {
	e := Environment{Modules: map[string]Module{"torch": {}}}
	if there, broken := e.Has("torch"); !there || broken != nil {
		t.Errorf("there %v, %v", there, broken)
	}
}

// A broken environment is passed over with its reason, and the next one is used.
func TestBrokenEnvironments(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("environments have other folders on Windows")
	}
	python3(t)
	good := map[string]string{"torch/__init__.py": "", "jax/__init__.py": "", "jaxlib/__init__.py": "", "mlx/core.py": ""}
	for _, tt := range []struct {
		name, framework string
		files           map[string]string // of the environment that comes first
		change          func(t *testing.T, folder string)
		reason          string // empty: it is used
	}{
		{"a good one", "torch", good, nil, ""},
		{"a greeting and a farewell", "torch", map[string]string{"torch/__init__.py": "", "sitecustomize.py": "import atexit\nprint('welcome')\natexit.register(print, 'bye')\n"}, nil, ""},
		{"without the framework", "torch", map[string]string{"torch.txt": ""}, nil, "-"},
		{"a folder that is no package", "torch", map[string]string{"torch/lib/libtorch.so": ""}, nil, "is a folder without a package in it"},
		{"JAX without its native half", "jax", map[string]string{"jax/__init__.py": ""}, nil, "jax without jaxlib"},
		{"MLX without its core", "mlx", map[string]string{"mlx/nn/__init__.py": ""}, nil, "mlx without mlx.core"},
		{"MLX without its library", "mlx", map[string]string{"mlx/core.py": "", "mlx-0.32.4.dist-info/RECORD": "mlx/core.py,,\n"}, nil, "mlx without its library, libmlx"},
		{"MLX with its library", "mlx", map[string]string{"mlx/core.py": "", "mlx/lib/libmlx.so": "", "mlx-0.32.4.dist-info/RECORD": "mlx/core.py,,\n"}, nil, ""},
		{"for another Python", "torch", map[string]string{"torch/__init__.py": "", "torch-2.1.0.dist-info/RECORD": "torch/__init__.py,,\n", "torch-2.1.0.dist-info/WHEEL": stale}, nil, "torch-2.1.0 is built for Python 3.9, this is 3."},
		{"a native library that is gone", "torch", map[string]string{"torch/__init__.py": "", "torch-2.1.0.dist-info/RECORD": "torch/__init__.py,,\ntorch/lib/libtorch_cpu.so,sha256=x,3\n"}, nil, "torch/lib/libtorch_cpu.so is gone, which torch-2.1.0 brought"},
		{"another package's metadata", "torch", map[string]string{"torch/__init__.py": "", "torch_geometric-2.0.dist-info/RECORD": "torch_geometric/a.so,,\n", "torch_geometric-2.0.dist-info/WHEEL": stale}, nil, ""},
		{"an interpreter that was removed", "torch", good, func(t *testing.T, folder string) {
			link := In(folder)
			os.Remove(link)
			if err := os.Symlink("python3", link); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/opt/gone/python3.9", filepath.Join(filepath.Dir(link), "python3")); err != nil {
				t.Fatal(err)
			}
		}, "its interpreter was /opt/gone/python3.9, which is not there"},
		{"a link to itself", "torch", good, func(t *testing.T, folder string) {
			os.Remove(In(folder))
			if err := os.Symlink("python", In(folder)); err != nil {
				t.Fatal(err)
			}
		}, "is a link that leads back to itself"},
		{"no interpreter", "torch", good, func(t *testing.T, folder string) { os.RemoveAll(filepath.Dir(In(folder))) }, "it has no interpreter"},
		{"an interpreter that fails", "torch", map[string]string{"torch/__init__.py": "", "sitecustomize.py": "import os, sys\nprint('license expired', file=sys.stderr)\nsys.stderr.flush()\nos._exit(3)\n"}, nil, "exit status 3: license expired"},
		{"no Python", "torch", good, func(t *testing.T, folder string) {
			os.Remove(In(folder))
			if err := os.WriteFile(In(folder), []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "it does not answer as a Python does"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "a [b] 'c'")
			first, second := filepath.Join(folder, ".venv-"+tt.framework), filepath.Join(folder, ".venv")
			put(t, venv(t, first), tt.files)
			put(t, venv(t, second), good)
			if tt.change != nil {
				tt.change(t, first)
			}
			s := Search{Folder: folder, LookPath: exec.LookPath}
			found, err := s.Find(limit(t), tt.framework)
			if err != nil {
				t.Fatal(err)
			}
			want, passed := first, ""
			if tt.reason != "" {
				want = second
			}
			if len(found.Passed) > 0 {
				passed = found.Passed[0].String()
			}
			if found.Path != In(want) || !found.Has || found.Mode != Isolated {
				t.Errorf("found %+v, want %s", found, In(want))
			}
			if broken := tt.reason != "" && tt.reason != "-"; broken != (passed != "") || broken && (!strings.HasPrefix(passed, ".venv-"+tt.framework+": ") || !strings.Contains(passed, tt.reason)) {
				t.Errorf("passed over %q, want %q", passed, tt.reason)
			}
			if tt.reason == "" || tt.reason == "-" {
				return
			}
			// Without another, it is still named.
			if err := os.RemoveAll(second); err != nil {
				t.Fatal(err)
			}
			nowhere := func(string) (string, error) { return "", exec.ErrNotFound }
			alone, err := Search{Folder: folder, LookPath: nowhere}.Find(limit(t), tt.framework)
			said := alone.Broken + strings.Join(alone.Notes(), "; ")
			switch {
			case err != nil:
				said = err.Error()
			case said == "": // what its worker finds too
				if e := Ask(limit(t), alone.Path, Isolated); e.Err != nil {
					said = e.Err.Error()
				}
			}
			if alone.Has || !strings.Contains(said, tt.reason) {
				t.Errorf("alone it is %+v, which says %q, want %q", alone, said, tt.reason)
			}
		})
	}
}

// A Python that hangs has a limit, and what it has started ends with it.
func TestHangingPython(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sleep on Windows")
	}
	folder := t.TempDir()
	started := filepath.Join(folder, "started")
	put(t, venv(t, filepath.Join(folder, ".venv")), map[string]string{"sitecustomize.py": `import os, subprocess
child = subprocess.Popen(["sleep", "1000"])
with open(` + "'" + started + ".new'" + `, "w") as f:
    f.write(str(child.pid))
os.rename(` + "'" + started + ".new', '" + started + `')
child.wait()
`})
	ctx, cancel := context.WithCancel(limit(t))
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel() // it hangs now: no need to wait for the limit
			}
			runtime.Gosched()
		}
	}()
	e := Ask(ctx, In(filepath.Join(folder, ".venv")), Isolated)
	if e.Err == nil || !strings.Contains(e.Err.Error(), "no answer within") {
		t.Errorf("it answers: %+v", e)
	}
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	pid := int32(0)
	for _, c := range string(text) {
		pid = 10*pid + c - '0'
	}
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		p, err := process.NewProcess(pid)
		if err != nil {
			break
		}
		if status, err := p.Status(); err != nil || len(status) > 0 && status[0] == process.Zombie {
			break
		}
		if time.Now().After(end) {
			p.Kill()
			t.Fatal("what it has started lives on")
		}
	}
}

// What surrounds an interpreter changes nothing that is measured: not a file in the
// working folder, not PYTHONPATH or PYTHONHOME, not a user's own packages.
func TestIsolated(t *testing.T) {
	const installed, other = "__version__ = '1.0.1'", "__version__ = '1.9.9'"
	folder, elsewhere, home := t.TempDir(), t.TempDir(), t.TempDir()
	put(t, venv(t, filepath.Join(folder, ".venv")), map[string]string{"torch.py": installed})
	put(t, elsewhere, map[string]string{"torch.py": other, "json.py": "raise SystemExit('another Python')"})
	t.Setenv("HOME", home)
	site, err := exec.Command(python3(t), "-c", "import site; print(site.getusersitepackages())").Output()
	if err != nil {
		t.Fatal(err)
	}
	put(t, strings.TrimSpace(string(site)), map[string]string{"torch.py": other})
	t.Setenv("PYTHONPATH", elsewhere)
	t.Setenv("PYTHONHOME", elsewhere)
	t.Setenv("PYTHONSTARTUP", filepath.Join(elsewhere, "json.py"))
	t.Chdir(elsewhere)
	found, err := Search{Folder: folder, LookPath: exec.LookPath}.Find(limit(t), "torch")
	if err != nil || found.Mode != Isolated || !found.Has || found.Why != ".venv" {
		t.Fatalf("found %+v, %v", found, err)
	}
	says(t, found, "PyTorch 1.0.1 is too old")
}

// says fails the test unless the framework of an interpreter says something of itself.
func says(t *testing.T, i Interpreter, want string) {
	t.Helper()
	args, source, err := Worker(i.Path, i.Mode, "torch")
	if err != nil {
		t.Fatal(err)
	}
	c := &worker.Client{Engine: "torch", Path: i.Path, Args: args, Source: source, Env: os.Environ()}
	defer c.Close()
	if _, err := c.Devices(limit(t)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the worker says %v, want %s", err, want)
	}
}

// A framework that a user has in no other way is found, and the way is named.
func TestNotIsolated(t *testing.T) {
	out, err := exec.Command(python3(t), "-c", "import sys; print(sys._base_executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSpace(string(out)) // an environment has no user site
	folder, home := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PYTHONPATH", folder)
	only := func(name string) (string, error) {
		if name == "python3" {
			return base, nil
		}
		return "", exec.ErrNotFound
	}
	search := Search{Folder: t.TempDir(), LookPath: only}
	if found, err := search.Find(limit(t), "torch"); err != nil || found.Has {
		t.Skipf("this Python has PyTorch itself: %+v, %v", found, err)
	}
	put(t, folder, map[string]string{"torch.py": "__version__ = '1.0.2'"})
	found, err := search.Find(limit(t), "torch")
	if err != nil || found.Mode != Inherited || !strings.Contains(strings.Join(found.Notes(), "; "), "taken from PYTHONPATH") {
		t.Errorf("PYTHONPATH: %+v, %v", found, err)
	}
	says(t, found, "PyTorch 1.0.2 is too old")
	site, err := exec.Command(base, "-c", "import site; print(site.getusersitepackages())").Output()
	if err != nil {
		t.Fatal(err)
	}
	put(t, strings.TrimSpace(string(site)), map[string]string{"torch.py": "__version__ = '1.0.3'"})
	found, err = search.Find(limit(t), "torch")
	if err != nil || found.Mode != UserSite || !strings.Contains(strings.Join(found.Notes(), "; "), "taken from the user site") {
		t.Errorf("the user site: %+v, %v", found, err)
	}
	says(t, found, "PyTorch 1.0.3 is too old")
}

func TestBuiltFor(t *testing.T) {
	for _, tt := range []struct{ wheel, version, want string }{
		{"Tag: cp311-cp311-manylinux_2_27_x86_64\n", "3.11.7", ""},
		{"Tag: cp311-cp311-manylinux_2_27_x86_64\n", "3.12.0", "3.11"},
		{"Tag: cp39-cp39-win_amd64\r\nTag: cp310-cp310-win_amd64\r\n", "3.11.7", "3.10"},
		{"Tag: cp38-abi3-macosx_11_0_arm64\n", "3.12.0", ""},
		{"Tag: cp312-abi3-macosx_11_0_arm64\n", "3.11.7", "3.12"},
		{"Tag: py3-none-any\n", "3.11.7", ""},
		{"Tag: py2-none-any\nTag: py3-none-any\n", "3.11.7", ""},
		{"Tag: cp310.cp311-cp310.cp311-linux_x86_64\n", "3.11.7", ""},
		{"", "3.11.7", ""},
		{"Tag: cp39-cp39-linux_x86_64\n", "2.7.18", ""},
		{"Tag: cp39-cp39-linux_x86_64\n", "", ""},
	} {
		if got := builtFor(tt.wheel, tt.version); got != tt.want {
			t.Errorf("%q on %s: %q, want %q", tt.wheel, tt.version, got, tt.want)
		}
	}
}
