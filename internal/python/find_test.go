package python

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	folder := t.TempDir()
	environment := func(name string) string {
		path := In(filepath.Join(folder, name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own, framework, plain := environment("own/torch"), environment(".venv-torch"), environment(".venv")
	active := environment("active")
	onPath := func(name string) (string, error) {
		if strings.Contains(name, "no-such") {
			return "", exec.ErrNotFound
		}
		if strings.ContainsRune(name, filepath.Separator) {
			return name, nil
		}
		return "/usr/bin/" + name, nil
	}
	full := Search{Folder: folder, Own: filepath.Join(folder, "own"), VirtualEnv: filepath.Join(folder, "active"), LookPath: onPath}
	with := func(change func(*Search)) Search {
		s := full
		change(&s)
		return s
	}
	tests := []struct {
		name   string
		search Search
		has    []string // interpreters with the module
		path   string
		why    string
		fails  string
	}{
		{"what was asked for first", with(func(s *Search) { s.Asked, s.Variable = "/x/python", "/y/python" }), nil, "/x/python", "asked for", ""},
		{"then the variable", with(func(s *Search) { s.Variable = "/y/python" }), nil, "/y/python", "GPUPLAY_TORCH_PYTHON", ""},
		{"an environment's folder", with(func(s *Search) { s.Asked = filepath.Join(folder, ".venv") }), nil, plain, "asked for", ""},
		{"what is not there", with(func(s *Search) { s.Asked = "/no-such/python" }), nil, "", "", "the Python /no-such/python that was asked for is no program"},
		{"a variable that leads nowhere", with(func(s *Search) { s.Variable = "/no-such/python" }), nil, "", "", "GPUPLAY_TORCH_PYTHON names /no-such/python, which is no program"},
		{"nothing has it", full, nil, framework, ".venv-torch", ""},
		{"all have it", full, []string{framework, plain, own, active, "/usr/bin/python3"}, framework, ".venv-torch", ""},
		{"not the first", full, []string{plain, own, active}, plain, ".venv", ""},
		{"gpuplay's own", full, []string{own, active, "/usr/bin/python3"}, own, "made by gpuplay", ""},
		{"the active one", full, []string{active, "/usr/bin/python3"}, active, "VIRTUAL_ENV", ""},
		{"the path", full, []string{"/usr/bin/python3"}, "/usr/bin/python3", "PATH", ""},
		{"no Python", Search{Folder: t.TempDir(), LookPath: func(string) (string, error) { return "", exec.ErrNotFound }}, nil, "", "", "no Python was found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.search.Ask = func(_ context.Context, interpreter string, m Mode) Environment {
				e := Environment{Version: "3.11.7", Modules: map[string]Module{}}
				if slices.Contains(tt.has, interpreter) {
					e.Modules["torch"] = Module{File: "torch/__init__.py"}
				}
				return e
			}
			got, err := tt.search.Find(context.Background(), "torch")
			if tt.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fails) {
					t.Errorf("error %v, want %s", err, tt.fails)
				}
				return
			}
			if err != nil || got.Path != tt.path || got.Why != tt.why || got.Has != (len(tt.has) > 0) || got.Notes() != nil {
				t.Errorf("found %+v, %v, want %s by %s", got, err, tt.path, tt.why)
			}
		})
	}
}

// What Replace says leads to an interpreter that Find takes.
func TestReplace(t *testing.T) {
	places := []string{".venv-torch", ".venv", "own/torch", "active"}
	for i, name := range append(places, "PATH") {
		folder := t.TempDir()
		has := map[string]bool{"/usr/bin/python3": true} // all that there are have the framework
		environment := func(name string) string {
			path := In(filepath.Join(folder, name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
				t.Fatal(err)
			}
			has[path] = true
			return path
		}
		for _, p := range places[i:] {
			environment(p)
		}
		s := Search{
			Folder: folder, Own: filepath.Join(folder, "own"), VirtualEnv: filepath.Join(folder, "active"),
			LookPath: func(name string) (string, error) { return "/usr/bin/" + name, nil },
			Ask: func(_ context.Context, interpreter string, _ Mode) Environment {
				if has[interpreter] {
					return Environment{Modules: map[string]Module{"torch": {File: "torch.py"}}}
				}
				return Environment{}
			},
		}
		before, err := s.Find(t.Context(), "torch")
		if err != nil {
			t.Fatal(err)
		}
		fix := before.Replace("torch")
		if len(fix) != 1 || !slices.Equal(fix[0].Command, []string{"gpuplay", "setup", "torch"}) {
			t.Fatalf("%s: %+v", before.Why, fix)
		}
		made := "own/torch" // as setup does
		if fix[0].Param == "dir" {
			made = filepath.Join(fix[0].Value, ".venv-torch")
		}
		if there := In(filepath.Join(folder, made)); has[there] && fix[0].Param != "clear" && !strings.Contains(fix[0].Text, "remove "+before.Why) {
			t.Errorf("%s: %s is there already", name, made)
		}
		want := environment(made)
		if after, err := s.Find(t.Context(), "torch"); err != nil || after.Path != want {
			t.Errorf("in place of %s, %s leads to %+v, %v; want %s", before.Why, fix, after, err, want)
		}
	}
	broken := []Candidate{{Why: ".venv-torch", Reason: "x"}, {Why: Own, Reason: "x"}} // which setup does not touch unasked
	if got := (Interpreter{Why: ".venv", Passed: broken[:1]}).Replace("torch").String(); got != "remove .venv-torch, then: gpuplay setup torch dir ." {
		t.Error(got)
	}
	if i := (Interpreter{Why: "PATH", Passed: broken}); i.Replace("torch").String() != "gpuplay setup torch clear" || i.Obtain("torch").String() != "gpuplay setup torch clear" {
		t.Errorf("%s; %s", i.Replace("torch"), i.Obtain("torch"))
	}
	for why, want := range map[string]string{"asked for": "python names another interpreter", "GPUPLAY_TORCH_PYTHON": "let GPUPLAY_TORCH_PYTHON name another interpreter"} {
		if got := (Interpreter{Path: "/x/python", Why: why}).Replace("torch").String(); got != want {
			t.Errorf("%s: %s", why, got)
		}
	}
}

func TestHasModule(t *testing.T) {
	p := python3(t)
	if !HasModule(limit(t), p, "json") || HasModule(limit(t), p, "no_such_module") || HasModule(limit(t), "/no/such/python", "json") {
		t.Error("HasModule is wrong about json, no_such_module or a missing interpreter")
	}
}

// Every framework has a worker, and the part for language models one of its own.
func TestFrameworksHaveWorkers(t *testing.T) {
	for _, f := range Frameworks {
		for _, name := range []string{f.Name, f.Models} {
			if name == "" {
				continue
			}
			if _, _, err := Worker("python3", Isolated, name); err != nil {
				t.Errorf("%s: %v", f.Title, err)
			}
		}
	}
}
