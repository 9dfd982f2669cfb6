package cublaslt

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// The constants and structures are those of cublasLt.h, which the wheel nvidia-cublas has. It
// includes files of the wheels nvidia-cuda-runtime, nvidia-cuda-crt and nvidia-cuda-cccl.
func TestConstants(t *testing.T) {
	var flags []string
	for _, name := range []string{"cublasLt.h", "library_types.h", "crt/host_defines.h"} { // PyTorch comes with the first two
		found, _ := filepath.Glob("../../../.venv-*/lib/python3*/site-packages/nvidia/*/include/" + name)
		if len(found) == 0 {
			t.Skip("there is no " + name + ": pip install nvidia-cublas nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl, in a folder .venv-cublas, has it")
		}
		include := strings.TrimSuffix(found[0], name)
		flags = append(flags, "-I", include, "-I", filepath.Join(include, "cccl"))
	}
	var source, want strings.Builder
	source.WriteString("#include <cublasLt.h>\n#include <stddef.h>\n#include <stdio.h>\nint main() {\n")
	for _, o := range []struct {
		c     string
		value int
	}{
		{"CUBLAS_STATUS_SUCCESS", int(SUCCESS)}, {"CUBLAS_STATUS_ALLOC_FAILED", int(ALLOC_FAILED)}, {"CUBLAS_STATUS_INVALID_VALUE", int(INVALID_VALUE)}, {"CUBLAS_STATUS_NOT_SUPPORTED", int(NOT_SUPPORTED)},
		{"CUDA_R_32F", int(R_32F)}, {"CUDA_R_64F", int(R_64F)}, {"CUDA_R_16F", int(R_16F)}, {"CUDA_R_8I", int(R_8I)}, {"CUDA_R_32I", int(R_32I)}, {"CUDA_R_16BF", int(R_16BF)},
		{"CUBLAS_COMPUTE_32F", int(COMPUTE_32F)}, {"CUBLAS_COMPUTE_64F", int(COMPUTE_64F)}, {"CUBLAS_COMPUTE_32I", int(COMPUTE_32I)}, {"CUBLAS_COMPUTE_32F_FAST_TF32", int(COMPUTE_32F_FAST_TF32)},
		{"CUBLASLT_MATMUL_DESC_TRANSA", int(MATMUL_DESC_TRANSA)}, {"CUBLASLT_MATMUL_DESC_TRANSB", int(MATMUL_DESC_TRANSB)}, {"CUBLAS_OP_T", int(OP_T)},
		{"CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES", int(MATMUL_PREF_MAX_WORKSPACE_BYTES)},
		{"sizeof(cublasLtMatmulAlgo_t)", int(unsafe.Sizeof(Algo{}))},
		{"sizeof(cublasLtMatmulHeuristicResult_t)", int(unsafe.Sizeof(HeuristicResult{}))},
		{"offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize)", int(unsafe.Offsetof(HeuristicResult{}.WorkspaceSize))},
		{"offsetof(cublasLtMatmulHeuristicResult_t, state)", int(unsafe.Offsetof(HeuristicResult{}.State))},
		{"offsetof(cublasLtMatmulHeuristicResult_t, wavesCount)", int(unsafe.Offsetof(HeuristicResult{}.WavesCount))},
	} {
		fmt.Fprintf(&source, "printf(\"%%s %%d\\n\", %q, (int)%s);\n", o.c, o.c)
		fmt.Fprintf(&want, "%s %d\n", o.c, o.value)
	}
	source.WriteString("}\n")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(file, []byte(source.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("cc", append(flags, "-o", program, file)...).CombinedOutput(); err != nil {
		if _, missing := exec.LookPath("cc"); missing != nil {
			t.Skip("there is no C compiler")
		}
		t.Fatalf("%v: %s", err, text)
	}
	got, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), string(got)); d != "" {
		t.Error("ours and the header's:", d)
	}
}
