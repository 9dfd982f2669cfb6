// Package python starts the workers that are written in Python: it lists the
// frameworks, holds their workers' source, one file per framework beside worker.py,
// and finds the interpreter that a user's framework is installed in.
package python

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
)

// A Search says where to look for a framework's interpreter. Empty fields are
// skipped.
type Search struct {
	Asked      string // an interpreter, or an environment's folder, that was asked for: nothing else is tried
	Variable   string // GPUPLAY_TORCH_PYTHON: likewise
	Folder     string // the working folder, for .venv-torch and .venv in it
	Own        string // the folder of gpuplay's own environments, one per framework
	VirtualEnv string // VIRTUAL_ENV: an active environment
	// LookPath finds a program: exec.LookPath.
	LookPath func(file string) (string, error)
	// Ask asks an interpreter about itself, as an Asker does; nil for the function Ask.
	Ask func(ctx context.Context, interpreter string, m Mode) Environment
	// Failed are interpreters, by path, that were tried and did not work, with why.
	Failed map[string]string
}

// An Interpreter with the reason it was chosen.
type Interpreter struct {
	Path   string
	Why    string      // "asked for", "GPUPLAY_TORCH_PYTHON", ".venv-torch", "PATH"
	Mode   Mode        // in which it has the framework
	Has    bool        // the framework, with nothing known against it
	Broken string      // what is known against the framework in it
	Passed []Candidate // those before it in the order that do not work
}

// A Candidate is an interpreter that may have a framework.
type Candidate struct {
	Why    string `json:"why"`              // it was looked at: ".venv"
	Path   string `json:"path"`             // of the interpreter
	Module string `json:"module,omitempty"` // that does not work in it; empty: the interpreter itself
	Reason string `json:"reason"`           // for which it is passed over; empty for none
}

func (c Candidate) String() string { return c.Why + ": " + c.Reason }

// Notes say what a reader of a result must know about how the framework was found.
func (i Interpreter) Notes() []string {
	var notes []string
	if i.Mode != Isolated {
		notes = append(notes, fmt.Sprintf("taken from %s, not from what is installed in %s", i.Mode, i.Path))
	}
	for _, p := range i.Passed {
		notes = append(notes, fmt.Sprintf("%s was passed over: %s", p.Why, p.Reason))
	}
	return notes
}

// Find returns the interpreter to use for the framework, which is also the name of its
// module, and modules beside it: the first in the order of Search's fields in which all
// are and nothing is known to be wrong. Without one it is the first in which something
// is wrong, or else the first that runs, whose worker will say what is missing.
//
// What is installed in an interpreter comes first; then what its user has added with pip
// --user; then what PYTHONPATH adds.
func (s Search) Find(ctx context.Context, framework string, modules ...string) (Interpreter, error) {
	modules = append([]string{framework}, modules...)
	list, err := s.candidates(framework)
	if err != nil {
		return Interpreter{}, err
	}
	ask := s.Ask
	if ask == nil {
		ask = func(ctx context.Context, path string, m Mode) Environment { return Ask(ctx, path, m) }
	}
	choose := func(at int, m Mode, has bool, broken string) (Interpreter, error) {
		c := list[at]
		i := Interpreter{Path: c.Path, Why: c.Why, Mode: m, Has: has, Broken: broken}
		for _, p := range list[:at] {
			if p.Reason != "" {
				i.Passed = append(i.Passed, p)
			}
		}
		return i, nil
	}
	running, broken, brokenMode := -1, -1, Isolated
	for _, m := range modes {
		for at := range list {
			c := &list[at]
			if c.Reason != "" {
				continue
			}
			e := ask(ctx, c.Path, m)
			if e.Err != nil {
				if m == Isolated {
					c.Reason = e.Err.Error()
				}
				continue
			}
			if running < 0 {
				running = at
			}
			has, why := e.all(modules)
			if why == "" {
				why = s.Failed[c.Path]
			}
			switch {
			case !has:
			case why == "":
				return choose(at, m, true, "")
			default:
				if c.Module, c.Reason = framework, why; broken < 0 {
					broken, brokenMode = at, m
				}
			}
		}
	}
	switch {
	case broken >= 0:
		return choose(broken, brokenMode, false, list[broken].Reason)
	case running >= 0:
		i, err := choose(running, Isolated, false, "")
		i.Passed = nil
		for _, p := range list { // what is in those after it is missed too
			if p.Reason != "" {
				i.Passed = append(i.Passed, p)
			}
		}
		return i, err
	case len(list) == 0:
		return Interpreter{}, fmt.Errorf("no Python was found: looked for .venv-%s and .venv here, an active environment and python3 on PATH", framework)
	}
	if first := slices.IndexFunc(list, func(c Candidate) bool { return disk.Exists(c.Path) }); first >= 0 {
		return choose(first, Isolated, false, "")
	}
	return Interpreter{}, fmt.Errorf("no Python was found that works: %s", list[0])
}

// all reports whether an interpreter has modules, and what is wrong with one of them.
func (e Environment) all(modules []string) (has bool, why string) {
	for _, m := range modules {
		there, broken := e.Has(m)
		if !there {
			return false, ""
		}
		if broken != nil && why == "" {
			why = broken.Error()
		}
	}
	return true, why
}

// candidates returns the interpreters that may have a framework, in order; environments
// whose interpreter is not there have a reason. One that was asked for is the only one.
func (s Search) candidates(framework string) ([]Candidate, error) {
	for _, explicit := range []Candidate{{Path: s.Asked, Why: Asked}, {Path: s.Variable, Why: Variable(framework)}} {
		if explicit.Path == "" {
			continue
		}
		path := explicit.Path
		if info, err := os.Stat(path); err == nil && info.IsDir() { // an environment's folder will do
			path = In(path)
		}
		found, err := s.LookPath(path)
		switch {
		case err == nil:
			return []Candidate{{Path: found, Why: explicit.Why}}, nil
		case s.Asked != "":
			return nil, fmt.Errorf("the Python %s that was asked for is no program: %w", explicit.Path, err)
		}
		return nil, fmt.Errorf("%s names %s, which is no program: %w", explicit.Why, explicit.Path, err)
	}
	var list []Candidate
	own := ""
	if s.Own != "" {
		own = filepath.Join(s.Own, framework)
	}
	for _, e := range []struct{ path, why string }{
		{filepath.Join(s.Folder, inFolder+"-"+framework), inFolder + "-" + framework},
		{filepath.Join(s.Folder, inFolder), inFolder},
		{own, Own},
		{s.VirtualEnv, "VIRTUAL_ENV"},
	} {
		if e.path == "" || disk.Exists(filepath.Join(e.path, Incomplete)) {
			continue
		}
		if c := (Candidate{Path: In(e.path), Why: e.why}); disk.Exists(c.Path) {
			list = append(list, c)
		} else if c.Reason = dangling(e.path); c.Reason != "" {
			list = append(list, c)
		}
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := s.LookPath(name); err == nil {
			return append(list, Candidate{Path: path, Why: "PATH"}), nil
		}
	}
	return list, nil
}

// Replace returns how to get an environment for the framework that Find takes in place of
// this interpreter.
func (i Interpreter) Replace(framework string) fault.Remedies {
	here := fault.Run("", "gpuplay", "setup", framework) // the first that Find looks at
	here.Param, here.Value = "dir", "."
	switch i.Why {
	case Asked:
		return fault.Remedies{fault.Change("python", "{} names another interpreter")}
	case Variable(framework):
		return fault.Advice("let " + i.Why + " name another interpreter")
	case inFolder + "-" + framework, inFolder:
		if first := inFolder + "-" + framework; i.there(first) {
			here.Text = "remove " + first + ", then"
		}
		return fault.Remedies{here}
	}
	return i.setUp(framework)
}

// setUp returns how to have gpuplay make its own environment for the framework, anew if
// there is one that does not work: setup leaves it alone otherwise.
func (i Interpreter) setUp(framework string) fault.Remedies {
	setup := fault.Run("", "gpuplay", "setup", framework)
	if i.there(Own) {
		setup.Param = "clear"
	}
	return fault.Remedies{setup}
}

// there reports whether there is an environment in that place of the order: it was
// chosen, or does not work.
func (i Interpreter) there(why string) bool {
	return i.Why == why || slices.ContainsFunc(i.Passed, func(c Candidate) bool { return c.Why == why })
}

// Obtain returns how to get the framework, which this interpreter does not have. Where one
// was named, Find looks at no other.
func (i Interpreter) Obtain(framework string) fault.Remedies {
	if i.Why == Asked || i.Why == Variable(framework) {
		return i.Replace(framework)
	}
	return i.setUp(framework)
}

// Reasons for which an interpreter is chosen, beside the names of variables and PATH.
const (
	Own      = "made by gpuplay"
	Asked    = "asked for"
	inFolder = ".venv" // and .venv-torch
)

// maxLinks is how many symbolic links Linux follows for one path (path_resolution(7)).
const maxLinks = 40

// dangling says why the environment in a folder has no interpreter: links to one that
// was removed or updated lead nowhere. It is empty for what is no environment.
func dangling(folder string) string {
	path := In(folder)
	if to, err := os.Readlink(path); err == nil {
		for n := 0; !filepath.IsAbs(to); n++ { // bin/python leads to python3, and that to the interpreter
			path = filepath.Join(filepath.Dir(path), to)
			if n == maxLinks {
				return fmt.Sprintf("its interpreter %s is a link that leads back to itself", path)
			}
			if to, err = os.Readlink(path); err != nil {
				to = path
				break
			}
		}
		return fmt.Sprintf("its interpreter was %s, which is not there", to)
	}
	if disk.Exists(filepath.Join(folder, "pyvenv.cfg")) {
		return "it has no interpreter " + path
	}
	return ""
}

// Incomplete is the file that an environment has while gpuplay makes it. Whoever
// finds it leaves the environment alone.
const Incomplete = ".incomplete"

// Variable returns the name of the environment variable that names a framework's
// interpreter.
func Variable(framework string) string {
	return "GPUPLAY_" + strings.ToUpper(framework) + "_PYTHON"
}

// In returns the interpreter of the virtual environment in a folder.
func In(folder string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(folder, "Scripts", "python.exe")
	}
	return filepath.Join(folder, "bin", "python")
}
