package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/process"
)

// A Mode is how much an interpreter heeds of what surrounds it.
type Mode int

const (
	// Isolated Pythons have what is installed in them and nothing else: neither files in
	// the working folder nor PYTHONPATH, PYTHONHOME or a user's own packages change what
	// is measured (-I, https://docs.python.org/3/using/cmdline.html#cmdoption-I).
	Isolated Mode = iota
	// UserSite Pythons also have the packages that pip installed with --user.
	UserSite
	// Inherited Pythons heed PYTHONPATH and its like too, as HPC modules set them.
	Inherited
)

// modes are all, in the order in which a framework is looked for.
var modes = []Mode{Isolated, UserSite, Inherited}

// flags are those of an interpreter that is started in a mode. In all of them the
// programs that gpuplay has it run take the working folder off the path.
func (m Mode) flags() []string {
	switch m {
	case Isolated:
		return []string{"-I"}
	case UserSite:
		return []string{"-E"}
	}
	return nil
}

// String says where a framework is from that is only found in this mode; empty for
// Isolated.
func (m Mode) String() string {
	switch m {
	case UserSite:
		return "the user site"
	case Inherited:
		return "PYTHONPATH"
	}
	return ""
}

// An Environment is what an interpreter says of itself. For that it imports a few small
// modules of the standard library, and no framework.
type Environment struct {
	Version string            `json:"version"` // "3.11.7"
	Machine string            `json:"machine"` // "arm64", "x86_64"
	Path    []string          `json:"path"`    // where it looks for modules
	Modules map[string]Module `json:"modules"` // those that it was asked for and has
	Err     error             `json:"-"`       // why it does not run; nil if it does
}

// A Module is where an import would find one.
type Module struct {
	File    string   `json:"file"`    // empty for a folder that is no package
	Folders []string `json:"folders"` // of a package
}

// mark begins the line of the answer: banners and farewells may surround it.
const mark = "gpuplay-environment "

const question = `import sys
sys.path[:] = [p for p in sys.path if p]
import json, os
from importlib.util import find_spec
found = {}
for name in sys.argv[1:]:
    try:
        spec = find_spec(name)
    except Exception:
        spec = None
    if spec:
        found[name] = {"file": spec.origin if spec.has_location else "", "folders": list(spec.submodule_search_locations or [])}
machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
print("\n" + "` + mark + `" + json.dumps({"version": sys.version.split()[0], "machine": machine, "path": sys.path, "modules": found}))`

// askLimit is how long an interpreter may take to answer: it is a matter of hundredths
// of a second, but not from a cold network disk.
const askLimit = 5 * time.Second

// Ask starts an interpreter and asks it about itself, and where it finds the modules of
// the frameworks and others.
func Ask(ctx context.Context, interpreter string, m Mode, others ...string) Environment {
	if err := unusable(ctx, interpreter); err != nil {
		return Environment{Err: err}
	}
	begin := time.Now()
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	args := slices.Concat(m.flags(), []string{"-c", question}, modules(), others)
	out, complaint, err := process.Output(limited, exec.Command(interpreter, args...))
	switch {
	case limited.Err() != nil:
		return Environment{Err: fmt.Errorf("no answer within %s", time.Since(begin).Round(100*time.Millisecond))}
	case err != nil:
		return Environment{Err: because(err, complaint, out)}
	}
	at := strings.LastIndex(out, "\n"+mark)
	if at < 0 {
		return Environment{Err: errors.New("it does not answer as a Python does")}
	}
	line, _, _ := strings.Cut(out[at+1+len(mark):], "\n")
	var e Environment
	if err := json.NewDecoder(bytes.NewReader([]byte(line))).Decode(&e); err != nil {
		return Environment{Err: fmt.Errorf("its answer is not understood: %w", err)}
	}
	return e
}

// unusable reports why an interpreter must not be started: macOS's own python3 would open
// a window that offers to install the command line tools while they are missing.
func unusable(ctx context.Context, interpreter string) error {
	if runtime.GOOS != "darwin" || interpreter != "/usr/bin/python3" {
		return nil
	}
	if _, _, err := process.Output(ctx, exec.Command("xcode-select", "-p")); err != nil && ctx.Err() == nil {
		return errors.New("it comes with the command line tools, which are not installed")
	}
	return nil
}

// because returns the line with which a program that failed says why: a traceback ends
// with it.
func because(err error, texts ...string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	for _, text := range texts {
		if lines := strings.Split(strings.TrimSpace(text), "\n"); lines[0] != "" {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(lines[len(lines)-1]))
		}
	}
	return err
}

// An Asker asks each interpreter once in each mode. The zero value is ready to use.
type Asker struct {
	mu    sync.Mutex
	asked map[string]func() Environment
}

// Ask is the function Ask, remembered.
func (a *Asker) Ask(ctx context.Context, interpreter string, m Mode) Environment {
	key := fmt.Sprint(m, interpreter)
	a.mu.Lock()
	once, known := a.asked[key]
	if !known {
		once = sync.OnceValue(func() Environment { return Ask(ctx, interpreter, m) })
		if a.asked == nil {
			a.asked = map[string]func() Environment{}
		}
		a.asked[key] = once
	}
	a.mu.Unlock()
	return once()
}

// HasModule reports whether an interpreter has a module installed.
func HasModule(ctx context.Context, interpreter, module string) bool {
	there, broken := Ask(ctx, interpreter, Isolated, module).Has(module)
	return there && broken == nil
}
