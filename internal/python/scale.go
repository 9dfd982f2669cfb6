package python

import (
	"fmt"
	"slices"
)

// torchrunBoot has an interpreter run torchrun.py, which is the first line of stdin as a
// JSON string. Stdin becomes the null device for whatever the ranks are.
const torchrunBoot = `import json, os, sys
stdin = os.fdopen(os.dup(0), "r", encoding="utf-8")
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)
os.close(null)
sys.path[:] = [p for p in sys.path if p]
space = {"__name__": "gpuplay"}
exec(compile(json.loads(stdin.readline()), "torchrun.py", "exec"), space)
space["serve"](stdin)`

// Torchrun returns the arguments, its own name first, with which an interpreter in a mode
// becomes what starts the ranks of a host with torchrun; the program to write to its
// stdin, as a JSON string in a line of its own; and the program that each rank runs.
func Torchrun(interpreter string, m Mode) (args []string, starter, rank string, err error) {
	var texts []string
	for _, name := range []string{"torchrun.py", "scale_model.py", "scale.py"} {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, "", "", fmt.Errorf("no Python program %s: %w", name, err)
		}
		texts = append(texts, string(text))
	}
	return slices.Concat([]string{interpreter}, m.flags(), []string{"-u", "-c", torchrunBoot}), texts[0], texts[1] + "\n\n" + texts[2], nil
}

// Variables returns what an environment must say for a rank to be started in a mode: a
// rank is started by torchrun, with no flags.
func (m Mode) Variables() map[string]string {
	switch m {
	case Isolated:
		return map[string]string{"PYTHONNOUSERSITE": "1", "PYTHONPATH": "", "PYTHONSAFEPATH": "1"}
	case UserSite:
		return map[string]string{"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}
	}
	return map[string]string{}
}
