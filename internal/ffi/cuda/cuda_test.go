package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// header returns the folder of cuda.h, which the wheel nvidia-cuda-runtime has.
func header(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"../../../.venv-*/lib/python3*/site-packages/nvidia/*/include/cuda.h", "/usr/local/cuda/include/cuda.h"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return filepath.Dir(found[0])
		}
	}
	why := "there is no cuda.h: pip install nvidia-cuda-runtime, in a folder .venv-cuda, has it"
	if slices.Contains(strings.Split(os.Getenv("GPUPLAY_REQUIRE"), ","), "cuda-headers") {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// c runs a program that includes cuda.h and returns the lines that it prints.
func c(t *testing.T, include, body string) []string {
	t.Helper()
	dir := t.TempDir()
	file, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	source := "#include <cuda.h>\n#include <stdio.h>\n#define NAME(x) #x\n#define TEXT(x) NAME(x)\nint main() {\n" + body + "}\n"
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-I", include, "-o", program, file).CombinedOutput(); err != nil {
		if _, missing := exec.LookPath("cc"); missing != nil {
			t.Skip("there is no C compiler")
		}
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// A function is one of ours: its symbol in the driver and its type in Go.
type function struct {
	symbol string
	typ    reflect.Type
	skip   int // arguments of a method before those of C
}

func functions() []function {
	l := reflect.TypeFor[Library]()
	var list []function
	for i := range l.NumField() {
		if f := l.Field(i); f.Tag.Get("cu") != "" {
			list = append(list, function{f.Tag.Get("cu"), f.Type, 0})
		}
	}
	return append(list,
		function{"cuLaunchKernel", reflect.TypeOf((*Library).LaunchKernel), 1},
		function{"cuGraphLaunch", reflect.TypeOf((*Library).GraphLaunch), 1})
}

var version = regexp.MustCompile(`(WithFlags|_v[0-9]+)$`)

// The functions have the names and the arguments of cuda.h: as many, each of the same
// size, and an address where that has one.
func TestFunctions(t *testing.T) {
	include := header(t)
	text, err := os.ReadFile(filepath.Join(include, "cuda.h"))
	if err != nil {
		t.Fatal(err)
	}
	newer := map[string]string{"cuEventElapsedTime": "cuEventElapsedTime_v2"} // than what old drivers have, with the same arguments
	var body strings.Builder
	var want []string
	add := func(line, format string, args ...any) {
		fmt.Fprintf(&body, format, args...)
		want = append(want, line)
	}
	for _, f := range functions() {
		plain := version.ReplaceAllString(f.symbol, "")
		add(f.symbol+": "+cmp.Or(newer[f.symbol], f.symbol), "puts(%q \": \" TEXT(%s));\n", f.symbol, plain)
		declared := regexp.MustCompile(`CUresult CUDAAPI\s+` + plain + `\(([^)]*)\);`).FindSubmatch(text)
		if declared == nil {
			t.Errorf("%s is not in cuda.h", plain)
			continue
		}
		var params []string
		for _, p := range strings.Split(string(declared[1]), ",") {
			if p = strings.TrimSpace(p); p != "void" {
				params = append(params, p)
			}
		}
		if f.symbol == "cuLaunchKernel" {
			params = params[:len(params)-1] // extra is always null
		}
		if len(params) != f.typ.NumIn()-f.skip {
			t.Errorf("%s takes %d arguments, ours %d", plain, len(params), f.typ.NumIn()-f.skip)
			continue
		}
		for i, p := range params {
			ours := f.typ.In(i + f.skip)
			kind := strings.TrimSpace(regexp.MustCompile(`\w+$`).ReplaceAllString(p, ""))
			pointer := ours.Kind() == reflect.Pointer || ours.Kind() == reflect.UnsafePointer
			// An address on a device is a number in Go, also where it is a pointer in C.
			if c := strings.Contains(kind, "*"); c != pointer && !(c && ours == reflect.TypeFor[Pointer]()) {
				t.Errorf("%s: argument %d is %q, ours %v", plain, i+1, p, ours)
			}
			add(fmt.Sprintf("%s %d: %d", plain, i+1, ours.Size()), "printf(\"%%s %%d: %%zu\\n\", %q, %d, sizeof(%s));\n", plain, i+1, kind)
		}
	}
	if got := c(t, include, body.String()); !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("cuda.h has %q, we have %q", got[i], want[i])
			}
		}
	}
}

func TestConstants(t *testing.T) {
	ours := []struct {
		c     string
		value int
	}{
		{"sizeof(CUresult)", int(unsafe.Sizeof(Result(0)))},
		{"sizeof(CUuuid)", int(unsafe.Sizeof(UUID{}))},
		{"sizeof(CUtensorMap)", int(unsafe.Sizeof(TensorMap{}))},
		{"_Alignof(CUtensorMap)", tensorMapAlign},
		{"CUDA_ERROR_OUT_OF_MEMORY", int(ERROR_OUT_OF_MEMORY)},
		{"CUDA_ERROR_NO_DEVICE", int(ERROR_NO_DEVICE)},
		{"CUDA_ERROR_INVALID_PTX", int(ERROR_INVALID_PTX)},
		{"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", int(ERROR_UNSUPPORTED_PTX_VERSION)},
		{"CUDA_ERROR_NOT_FOUND", int(ERROR_NOT_FOUND)},
		{"CU_DEVICE_ATTRIBUTE_CLOCK_RATE", int(DEVICE_ATTRIBUTE_CLOCK_RATE)},
		{"CU_DEVICE_ATTRIBUTE_ECC_ENABLED", int(DEVICE_ATTRIBUTE_ECC_ENABLED)},
		{"CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE", int(DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)},
		{"CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH", int(DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)},
		{"CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE", int(DEVICE_ATTRIBUTE_L2_CACHE_SIZE)},
		{"CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT", int(DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)},
		{"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR", int(DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)},
		{"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR", int(DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)},
		{"CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN", int(DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)},
		{"CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES", int(FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)},
		{"CU_JIT_ERROR_LOG_BUFFER", int(JIT_ERROR_LOG_BUFFER)},
		{"CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES", int(JIT_ERROR_LOG_BUFFER_SIZE_BYTES)},
		{"CU_STREAM_CAPTURE_MODE_THREAD_LOCAL", int(STREAM_CAPTURE_MODE_THREAD_LOCAL)},
		{"CU_STREAM_NON_BLOCKING", int(STREAM_NON_BLOCKING)},
		{"CU_EVENT_DEFAULT", int(EVENT_DEFAULT)},
		{"CU_TENSOR_MAP_DATA_TYPE_UINT8", int(TENSOR_MAP_DATA_TYPE_UINT8)},
		{"CU_TENSOR_MAP_DATA_TYPE_INT32", int(TENSOR_MAP_DATA_TYPE_INT32)},
		{"CU_TENSOR_MAP_DATA_TYPE_FLOAT16", int(TENSOR_MAP_DATA_TYPE_FLOAT16)},
		{"CU_TENSOR_MAP_DATA_TYPE_FLOAT32", int(TENSOR_MAP_DATA_TYPE_FLOAT32)},
		{"CU_TENSOR_MAP_DATA_TYPE_FLOAT64", int(TENSOR_MAP_DATA_TYPE_FLOAT64)},
		{"CU_TENSOR_MAP_DATA_TYPE_BFLOAT16", int(TENSOR_MAP_DATA_TYPE_BFLOAT16)},
		{"CU_TENSOR_MAP_INTERLEAVE_NONE", int(TENSOR_MAP_INTERLEAVE_NONE)},
		{"CU_TENSOR_MAP_SWIZZLE_NONE", int(TENSOR_MAP_SWIZZLE_NONE)},
		{"CU_TENSOR_MAP_SWIZZLE_32B", int(TENSOR_MAP_SWIZZLE_32B)},
		{"CU_TENSOR_MAP_SWIZZLE_64B", int(TENSOR_MAP_SWIZZLE_64B)},
		{"CU_TENSOR_MAP_SWIZZLE_128B", int(TENSOR_MAP_SWIZZLE_128B)},
		{"CU_TENSOR_MAP_L2_PROMOTION_L2_256B", int(TENSOR_MAP_L2_PROMOTION_L2_256B)},
		{"CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE", int(TENSOR_MAP_FLOAT_OOB_FILL_NONE)},
	}
	var body strings.Builder
	var want []string
	for _, o := range ours {
		fmt.Fprintf(&body, "printf(\"%%s %%d\\n\", %q, (int)%s);\n", o.c, o.c)
		want = append(want, fmt.Sprintf("%s %d", o.c, o.value))
	}
	if got := c(t, header(t), body.String()); !slices.Equal(got, want) {
		t.Errorf("cuda.h has\n%s\nwe have\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTensorMapIsAligned(t *testing.T) {
	for range 100 {
		if p := uintptr(unsafe.Pointer(NewTensorMap())); p%tensorMapAlign != 0 {
			t.Fatalf("a tensor map at %#x", p)
		}
	}
}

func TestCheck(t *testing.T) {
	word := func(s string) func(Result, **byte) Result {
		return func(_ Result, to **byte) Result {
			b := append([]byte(s), 0)
			*to = &b[0]
			return SUCCESS
		}
	}
	l := &Library{GetErrorName: word("CUDA_ERROR_OUT_OF_MEMORY"), GetErrorString: word("out of memory")}
	err := fmt.Errorf("a matrix: %w", l.Check("MemAlloc", ERROR_OUT_OF_MEMORY))
	if !ERROR_OUT_OF_MEMORY.Is(err) || ERROR_NO_DEVICE.Is(err) || ERROR_OUT_OF_MEMORY.Is(errors.New("2")) {
		t.Errorf("%v is not told apart", err)
	}
	if want := "a matrix: cuMemAlloc: out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if err := l.Check("Init", SUCCESS); err != nil {
		t.Error(err)
	}
	silent := func(Result, **byte) Result { return ERROR_NOT_FOUND }
	l = &Library{GetErrorName: silent, GetErrorString: silent}
	if err := l.Check("Init", 999); !strings.Contains(err.Error(), "999") {
		t.Error(err)
	}
}
