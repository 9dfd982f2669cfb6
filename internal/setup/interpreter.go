package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// An Interpreter is a Python that environments can be made with.
type Interpreter struct {
	Path   string `json:"path"`
	Minor  int    `json:"minor"` // of Python 3
	Arch   string `json:"arch"`  // as Go names it
	Seeded bool   `json:"seeded"`
}

// question is answered as JSON: platform.machine of a translated or a 32-bit Python is
// not the machine's.
const question = `import importlib.util, json, platform, sys
arch = platform.machine().lower()
arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(arch, arch) if sys.maxsize > 2**32 else "32-bit " + arch
seeded = all(importlib.util.find_spec(m) for m in ("venv", "ensurepip"))
print(json.dumps({"path": sys.executable, "minor": sys.version_info[1], "arch": arch, "seeded": seeded}))`

// examine asks an interpreter what it is. Python 2 does not know -I.
func (b *Builder) examine(ctx context.Context, path string) (Interpreter, error) {
	var i Interpreter
	out, err := output(ctx, b.Exec, b.Env, 10*time.Second, path, "-I", "-c", question)
	if err != nil {
		return i, err
	}
	for _, line := range slices.Backward(strings.Split(strings.TrimSpace(out), "\n")) { // among greetings and farewells of a sitecustomize
		if err = json.Unmarshal([]byte(line), &i); err == nil {
			return i, nil
		}
	}
	return i, fmt.Errorf("does not answer as Python 3 does: %w", err)
}

// Where a Python that will do comes from.
var (
	installUV     = fault.Remedy{Text: "install uv, which brings its own Python: https://docs.astral.sh/uv/"}
	installPython = fault.Remedies{{Text: "install Python 3.12"}, installUV}
)

// fit returns why an interpreter cannot be used for a plan, nil when it can.
func (b *Builder) fit(p *Plan, i Interpreter) error {
	switch {
	case i.Minor < p.Oldest || i.Minor > p.Newest:
		return fail(installPython, "is Python 3.%d, %s needs 3.%d to 3.%d", i.Minor, p.Framework, p.Oldest, p.Newest)
	case i.Arch != b.Machine.Arch:
		return fail(installPython, "is built for %s, %s needs %s", i.Arch, p.Framework, b.Machine.Arch)
	case !i.Seeded && b.Machine.UV == "":
		venv := fault.Run("on Debian and Ubuntu", "sudo", "apt", "install", fmt.Sprintf("python3.%d-venv", i.Minor))
		return fail(fault.Remedies{venv, installUV}, "has no venv and ensurepip")
	}
	return nil
}

// managed is the Python that uv brings when none here will do.
const managed = 12

// interpreter chooses the Python for a plan: the one that was asked for, or else
// the first on PATH that will do. With uv and none, Path is empty.
func (b *Builder) interpreter(ctx context.Context, p *Plan, asked string) (Interpreter, error) {
	names := []string{asked}
	if asked == "" {
		names = []string{"python3", "python"}
		for minor := p.Newest; minor >= p.Oldest; minor-- {
			names = append(names, fmt.Sprintf("python3.%d", minor))
		}
	}
	var found []string // what there is and will not do
	remedies := installPython
	for _, name := range names {
		path, err := b.LookPath(name)
		if err != nil {
			continue
		}
		i, err := b.examine(ctx, path)
		if ctx.Err() != nil {
			return i, ctx.Err()
		}
		if err == nil {
			path = i.Path
			err = b.fit(p, i)
		}
		if err == nil {
			return i, nil
		}
		if e := (*fault.Error)(nil); len(found) == 0 && errors.As(err, &e) {
			remedies = e.Remedies
		}
		if why := fmt.Sprintf("%s: %v", path, err); !slices.Contains(found, why) {
			found = append(found, why)
		}
	}
	switch {
	case asked != "" && len(found) == 0:
		return Interpreter{}, fail(fault.Remedies{fault.Change("python", "{} names a python3 that is there")}, "the Python %s that was asked for is no program", asked)
	case asked != "":
		return Interpreter{}, fail(remedies, "the Python that was asked for will not do: %s", found[0])
	case b.Machine.UV != "":
		return Interpreter{Minor: managed, Arch: b.Machine.Arch}, nil
	case len(found) == 0:
		return Interpreter{}, fail(remedies, "no Python was found: %s needs 3.%d to 3.%d", p.Framework, p.Oldest, p.Newest)
	}
	return Interpreter{}, fail(remedies, "no Python here will do: %s", strings.Join(found, "; "))
}
