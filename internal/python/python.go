// Package python starts the workers that are written in Python: it lists the
// frameworks, holds their workers' source, one file per framework beside worker.py,
// and finds the interpreter that a user's framework is installed in.
package python

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

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
	// Has reports whether an interpreter finds a module: HasModule.
	Has func(ctx context.Context, interpreter, module string) bool
}

// An Interpreter with the reason it was chosen.
type Interpreter struct {
	Path string
	Why  string // "asked for", "GPUPLAY_TORCH_PYTHON", ".venv-torch", "PATH"
}

// Find returns the interpreter to use for the framework, which is also the name
// of its module: the first in the order of Search's fields that has it, or else
// the first that there is, whose worker will say what is missing.
func (s Search) Find(ctx context.Context, framework string) (Interpreter, error) {
	for _, explicit := range []Interpreter{{s.Asked, Asked}, {s.Variable, Variable(framework)}} {
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
			return Interpreter{found, explicit.Why}, nil
		case s.Asked != "":
			return Interpreter{}, fmt.Errorf("the Python %s that was asked for is no program: %w", explicit.Path, err)
		}
		return Interpreter{}, fmt.Errorf("%s names %s, which is no program: %w", explicit.Why, explicit.Path, err)
	}
	there := s.candidates(framework)
	for _, i := range there {
		if s.Has(ctx, i.Path, framework) {
			return i, nil
		}
	}
	if len(there) > 0 {
		return there[0], nil
	}
	return Interpreter{}, fmt.Errorf("no Python was found: looked for .venv-%s and .venv here, an active environment and python3 on PATH", framework)
}

// Replace returns how to get an environment for the framework that Find takes in place of
// this interpreter.
func (i Interpreter) Replace(framework string) fault.Remedies {
	setup := fault.Run("", "gpuplay", "setup", framework)
	here := setup // the first that Find looks at
	here.Param, here.Value = "dir", "."
	switch i.Why {
	case Asked:
		return fault.Remedies{fault.Change("python", "{} names another interpreter")}
	case Variable(framework):
		return fault.Advice("let " + i.Why + " name another interpreter")
	case inFolder + "-" + framework:
		here.Text = "remove " + i.Why + ", then"
		return fault.Remedies{here}
	case inFolder:
		return fault.Remedies{here}
	case Own:
		setup.Param = "clear"
	}
	return fault.Remedies{setup}
}

// Obtain returns how to get the framework, which this interpreter does not have. Where one
// was named, Find looks at no other.
func (i Interpreter) Obtain(framework string) fault.Remedies {
	if i.Why == Asked || i.Why == Variable(framework) {
		return i.Replace(framework)
	}
	return fault.Remedies{fault.Run("", "gpuplay", "setup", framework)}
}

// Reasons for which an interpreter is chosen, beside the names of variables and PATH.
const (
	Own      = "made by gpuplay"
	Asked    = "asked for"
	inFolder = ".venv" // and .venv-torch
)

// candidates returns the interpreters that there are, in order.
func (s Search) candidates(framework string) []Interpreter {
	var there []Interpreter
	for _, e := range []Interpreter{
		{filepath.Join(s.Folder, inFolder+"-"+framework), inFolder + "-" + framework},
		{filepath.Join(s.Folder, inFolder), inFolder},
		{filepath.Join(s.Own, framework), Own},
		{s.VirtualEnv, "VIRTUAL_ENV"},
	} {
		path := In(e.Path)
		if e.Path != "" && disk.Exists(path) && !disk.Exists(filepath.Join(e.Path, Incomplete)) {
			there = append(there, Interpreter{path, e.Why})
		}
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := s.LookPath(name); err == nil {
			return append(there, Interpreter{path, "PATH"})
		}
	}
	return there
}

// Incomplete is the file that an environment has while gpuplay makes it. Whoever
// finds it leaves the environment alone.
const Incomplete = ".incomplete"

// HasModule reports whether interpreter would find the module, without importing
// it.
func HasModule(ctx context.Context, interpreter, module string) bool {
	const ask = `import sys
sys.path[:] = [p for p in sys.path if p]
from importlib.util import find_spec
sys.exit(find_spec(sys.argv[1]) is None)`
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, interpreter, "-c", ask, module).Run() == nil
}

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
