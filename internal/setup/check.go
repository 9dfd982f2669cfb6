package setup

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/python"
)

// checkLimit is enough to import a framework from a cold, slow disk.
const checkLimit = 5 * time.Minute

// checks import a framework and leave in facts what it says of itself. What it
// says on stdout meanwhile is not an answer.
var checks = map[string]string{
	"torch": `import torch
facts = [f"torch: {torch.__version__}"]
if sys.platform == "darwin":
    mps = torch.backends.mps
    facts += [f"MPS available: {mps.is_available()}", f"MPS built: {mps.is_built()}"]
else:
    facts += [f"CUDA available: {torch.cuda.is_available()}", f"CUDA built: {torch.backends.cuda.is_built()}"]`,
	"tensorflow": `import tensorflow as tf
facts = [f"tf: {tf.__version__}", f"GPU devices: {tf.config.list_physical_devices('GPU')}"]`,
	"mlx": `import importlib.metadata
import mlx.core as mx
facts = [f"mlx: {importlib.metadata.version('mlx')}", f"default device: {mx.default_device()}"]`,
	"transformers": `import peft, transformers
facts = [f"transformers: {transformers.__version__}", f"peft: {peft.__version__}"]`,
	CuBLAS: `import ctypes, glob, sysconfig
folder = os.path.join(sysconfig.get_paths()["purelib"], "nvidia", "*")
files = glob.glob(os.path.join(folder, "lib", "libcublasLt.so.*")) + glob.glob(os.path.join(folder, "bin", "**", "cublasLt64_*.dll"), recursive=True)
get = ctypes.CDLL(files[0]).cublasLtGetVersion
get.restype = ctypes.c_size_t
facts = [f"cuBLASLt: {get() // 10000}.{get() // 100 % 100}.{get() % 100}", files[0]]`,
	"jax": `import jax
facts = [f"jax: {jax.__version__}", f"devices: {jax.devices()}"]`,
}

const (
	before = `import os, sys
answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
`
	after = `
print(*facts, sep="\n", file=answer, flush=True)`
)

// Check imports the framework in an environment and returns what it says of
// itself and its devices, a fact each: "torch: 2.15.0", "CUDA available: False".
func (b *Builder) Check(ctx context.Context, folder, framework string) ([]string, error) {
	if framework == LlamaCpp {
		return b.try(ctx, folder)
	}
	env := append(b.Env[:len(b.Env):len(b.Env)], "TF_CPP_MIN_LOG_LEVEL=3")
	out, err := output(ctx, b.Exec, env, checkLimit, python.In(folder), "-I", "-c", before+checks[framework]+after)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s cannot be imported in %s: %w", framework, filepath.Base(folder), err)
	}
	return strings.Split(strings.TrimSpace(out), "\n"), nil
}
