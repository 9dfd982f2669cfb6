package python

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
)

//go:embed *.py
var files embed.FS

// boot reads the program from stdin, so that no file is left anywhere and a traceback
// still has names and lines. The current folder leaves the search path in every mode: a
// file called torch.py in it is not what the user means.
//
// Before that, stdin becomes the null device: a library that asks a question gets the end
// of its input, instead of waiting for the next request and taking it for the answer.
const boot = `import os, sys
stdin = os.fdopen(os.dup(0), "rb")
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)
os.close(null)
sys.path[:] = [p for p in sys.path if p]
n, engine, names = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
parts = stdin.read(n).split(b"\0")
space = {"__name__": "gpuplay"}
for name, part in zip(names, parts):
    exec(compile(part, name, "exec"), space)
space["serve"](engine, space, stdin)`

// parts are the files that the worker of an engine or of a runtime of language models
// is made of: the latter stands on the framework that computes for it.
func parts(name string) []string {
	for _, f := range Frameworks {
		if f.Models == name {
			return []string{"worker.py", f.Name + ".py", "language.py", name + ".py"}
		}
	}
	if name == Network || name == GPT {
		return []string{"worker.py", "torch.py", name + ".py"}
	}
	return []string{"worker.py", name + ".py"}
}

// Network and GPT are the names of the workers that train small networks, and a small
// transformer, in PyTorch.
const (
	Network = "torch_network"
	GPT     = "torch_gpt"
)

// Worker returns the arguments, its own name first, that make an interpreter in a mode a
// worker of that name, a framework's or that of a runtime of language models, and the
// program to write to its stdin before the first request.
func Worker(interpreter string, m Mode, name string) (args []string, source []byte, err error) {
	names := parts(name)
	for _, file := range names {
		text, err := files.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("no Python worker for %q: %w", name, err)
		}
		if len(source) > 0 {
			source = append(source, 0)
		}
		source = append(source, text...)
	}
	return slices.Concat([]string{interpreter}, m.flags(), []string{"-u", "-c", boot, strconv.Itoa(len(source)), name}, names), source, nil
}
