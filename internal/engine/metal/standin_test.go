//go:build linux && (amd64 || arm64)

package metal

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

var (
	mark     = flag.Bool("marked", true, "let unused registers carry a marker, which the stand-in looks for")
	compiler = flag.String("cc", "cc", "the C compiler for the stand-in: under emulation, one that makes code for this architecture")
	compiled = flag.String("standin", "", "a compiled stand-in, instead of one that the test compiles")
)

// standin is what tests ask of the library, besides what the engine does.
var standin struct {
	file string
	why  string // there is none

	report  func(text unsafe.Pointer, size int32) int32
	leaks   func(text unsafe.Pointer, size int32) int32
	explain func(address, text unsafe.Pointer, size int32) int32
	option  func(name string, value int32) int32
	reset   func()
	inUse   func() uint64
}

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		panic(err)
	}
	code := func() int {
		defer os.RemoveAll(dir)
		if err := loadStandin(dir); err != nil {
			panic(err)
		}
		return m.Run()
	}()
	os.Exit(code)
}

// loadStandin compiles the stand-in and loads it.
func loadStandin(dir string) error {
	if standin.file = *compiled; standin.file == "" {
		cc, err := exec.LookPath(*compiler)
		if err != nil {
			standin.why = "there is no C compiler (" + *compiler + ") for the stand-in of Metal"
			return nil
		}
		if err := compile(cc, dir); err != nil {
			return err
		}
		standin.file = filepath.Join(dir, "standin.so")
	}
	if *mark {
		objc.Mark()
	}
	if err := objc.Load(standin.file); err != nil {
		return err
	}
	l, err := dl.Open(standin.file)
	if err != nil {
		return err
	}
	for symbol, f := range map[string]any{
		"standin_report": &standin.report, "standin_leaks": &standin.leaks, "standin_explain": &standin.explain,
		"standin_option": &standin.option, "standin_reset": &standin.reset, "standin_in_use": &standin.inUse,
	} {
		if err := l.Register(f, symbol); err != nil {
			return err
		}
	}
	set("marked", *mark)
	return nil
}

func compile(cc, dir string) error {
	source, err := filepath.Abs("testdata/standin")
	if err != nil {
		return err
	}
	list, err := os.ReadFile(filepath.Join(source, "messages.tsv"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "messages.h"), messagesInC(string(list)), 0o600); err != nil {
		return err
	}
	args := []string{"-shared", "-fPIC", "-Wall", "-Wl,-z,defs", "-O3", "-g", "-pthread", "-I", dir, "-o", filepath.Join(dir, "standin.so")}
	for _, name := range []string{"runtime.c", "foundation.c", "metal.c", "mps.c", "msgsend.S"} {
		args = append(args, filepath.Join(source, name))
	}
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cc, err, out)
	}
	return nil
}

// messagesInC makes initializers of struct Fact.
func messagesInC(list string) []byte {
	var c strings.Builder
	for line := range strings.Lines(list) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || f[1] == "<" {
			continue
		}
		fmt.Fprintf(&c, "{%q, '%c', %q, %q, {", f[0], f[1][0], f[1][1:], f[2])
		for _, argument := range strings.Fields(f[3]) {
			fmt.Fprintf(&c, "%q, ", argument)
		}
		c.WriteString("}},\n")
	}
	return []byte(c.String())
}

// set changes how the stand-in behaves.
func set(option string, on bool) {
	value := int32(0)
	if on {
		value = 1
	}
	if standin.option(option, value) == 0 {
		panic("the stand-in has no option " + option)
	}
}

// said returns what the stand-in writes into a buffer.
func said(f func(text unsafe.Pointer, size int32) int32) string {
	b := make([]byte, 1<<16)
	f(unsafe.Pointer(&b[0]), int32(len(b)))
	text, _, _ := strings.Cut(string(b), "\x00")
	return strings.TrimSpace(text)
}

// standinOnly skips a test without the stand-in, and forgets what came before.
func standinOnly(t *testing.T) {
	t.Helper()
	if standin.why != "" {
		enginetest.Require(t, "cc", standin.why)
	}
	standin.reset()
}

// engine returns one for the stand-in. At the end of the test the stand-in must have
// nothing to object to, and nothing may be left but the GPU.
func engine(t *testing.T) *Engine {
	t.Helper()
	standinOnly(t)
	e := New()
	f := standin.file
	e.files = files{f, f, f, f, f, f}
	t.Cleanup(func() {
		if e.gpu != nil {
			_ = e.thread.Do(t.Context(), func() error { return nil })
			owned := []id{e.gpu.queue, e.gpu.device}
			for _, p := range e.gpu.pipelines {
				owned = append(owned, p)
			}
			objc.Release(owned...)
		}
		if text := said(standin.report); text != "" {
			t.Errorf("the stand-in objects:\n%s", text)
		}
		if text := said(standin.leaks); text != "" {
			t.Errorf("not released:\n%s", text)
		}
	})
	return e
}

// inUse is the memory of all buffers.
func inUse() uint64 { return standin.inUse() }

// The messages are those of Apple's headers.
func TestVerify(t *testing.T) {
	standinOnly(t)
	agree, problems := objc.Verify()
	for _, p := range problems {
		t.Error(p)
	}
	if agree < 50 {
		t.Errorf("only %d messages were compared", agree)
	}
}

// On a Mac no register carries a marker: everything works without it too.
func TestUnmarked(t *testing.T) {
	if !*mark {
		t.Skip("this is the process without markers")
	}
	standinOnly(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-marked=false", "-standin="+standin.file, "-test.v", "-test.run=^(TestConforms|TestUncomputed|TestPieces)$/^(devices|metal:.*)?$/^(float32|float16|bfloat16|run)?$")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestConforms") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Constants and structures are those of Apple's headers, in testdata/standin/constants.txt.
func TestConstants(t *testing.T) {
	source, err := os.ReadFile("testdata/standin/constants.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{
		"MTLGPUFamilyApple7": familyApple7, "MTLLanguageVersion3_1": language3_1, "MTLResourceStorageModeShared": storageShared, "MTLCommandBufferStatusCompleted": statusCompleted,
		"MTLCommandBufferErrorTimeout": errorTimeout, "MTLCommandBufferErrorOutOfMemory": errorOutOfMemory, "MPSGraphOptimizationLevel0": optimizationLevel0,
		"MPSDataTypeFloat32": dataFloat32, "MPSDataTypeFloat16": dataFloat16, "MPSDataTypeBFloat16": dataBFloat16,
		"sizeof(MTLSize)": int(unsafe.Sizeof(mtlSize{})), "sizeof(NSOperatingSystemVersion)": int(unsafe.Sizeof(osVersion{})),
	}
	for line := range strings.Lines(string(source)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok {
			continue
		}
		var want int
		if _, err := fmt.Sscan(value, &want); err != nil {
			t.Fatal(err)
		}
		if value, known := got[name]; !known || value != want {
			t.Errorf("%s is %#x, Apple has %#x", name, value, want)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is not in the list", name)
	}
}

// Other Macs: a virtual one, an old one, one without a GPU.
func TestMacs(t *testing.T) {
	ids := func(inv hardware.Inventory) string {
		var ids []string
		for _, d := range inv.Devices {
			ids = append(ids, d.ID)
		}
		return strings.Join(ids, " ")
	}
	for _, c := range []struct {
		option, devices, missing, err string
	}{
		{"no_default_device", "metal:mpsgraph metal:mps metal:gpuplay", "", ""}, // as in a program without a window
		{"old", "metal:mpsgraph metal:mps metal:gpuplay", "", ""},
		{"paravirtual", "", "Metal Performance Shaders do not support Apple Paravirtual device", "has nothing that multiplies matrices"},
		{"no_device", "", "", "Metal lists no GPU"},
	} {
		t.Run(c.option, func(t *testing.T) {
			e := engine(t)
			set(c.option, true)
			defer set(c.option, false)
			inv, err := e.Devices(t.Context())
			if ids(inv) != c.devices || c.err == "" && err != nil || c.err != "" && (!errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("devices %q, error %v; want %q, %q", ids(inv), err, c.devices, c.err)
			}
			if c.missing != "" && (len(inv.Missing) == 0 || !strings.Contains(inv.Missing[0].Reason, c.missing)) {
				t.Errorf("missing %+v, want %q", inv.Missing, c.missing)
			}
			for _, d := range inv.Devices {
				if c.option != "old" {
					break
				}
				if _, err := e.Prepare(t.Context(), d, bench.Square(8, matrix.BFloat16), 1, nil); !errors.Is(err, fault.Unsupported) {
					t.Errorf("bfloat16 on macOS 13 with %s: %v", d.ID, err)
				}
			}
		})
	}
	for other, says := range map[int32]string{1: "-[MTLDevice newBufferWithLength:options:]: encoding @@:QI: argument 2 is I", 2: "-[MPSGraph transposeTensor:dimension:withDimension:name:]: the class has no such method"} {
		t.Run(fmt.Sprint("other ", other), func(t *testing.T) {
			e := engine(t)
			standin.option("other", other)
			defer standin.option("other", 0)
			if _, err := e.Devices(t.Context()); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), says) {
				t.Errorf("%v, want %q", err, says)
			}
		})
	}
	e := New()
	e.files.runtime = "gpuplay-no-such-library"
	if _, err := e.Devices(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("without libraries: %v", err)
	}
}

// What the GPU says of a failure reaches the reader.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		code int32
		want fault.Code
		says string
	}{
		{errorTimeout, fault.Internal, "macOS ended it because it took too long: MPSGraph on Apple S1: injected by the stand-in (MTLCommandBufferErrorDomain, code 2)"},
		{errorOutOfMemory, fault.OutOfMemory, "code 8"},
		{1, fault.Internal, "code 1"},
	} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			e := engine(t)
			d := devices(t, e)[0]
			task, err := e.Prepare(t.Context(), d, bench.Square(8, matrix.Float32), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer task.Close()
			standin.option("fail_code", c.code)
			if _, err := task.Run(t.Context(), 1, 0); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %d: %v, want %s that says %q", c.code, err, c.want, c.says)
			}
			if _, err := task.MulVec(t.Context(), make([]float64, 8)); !errors.Is(err, fault.Invalid) {
				t.Errorf("after a failure: %v", err)
			}
			standin.option("fail_code", c.code)
			if _, err := e.Prepare(t.Context(), d, bench.Square(8, matrix.Float32), 1, nil); !errors.Is(err, c.want) {
				t.Errorf("code %d while preparing: %v", c.code, err)
			}
		})
	}
}

// A kernel that Metal does not compile is an error with Metal's words.
func TestCompileError(t *testing.T) {
	e := engine(t)
	devices(t, e)
	source := kernelSource
	defer func() { kernelSource = source }()
	kernelSource = "no kernel at all"
	_, err := e.Prepare(t.Context(), hardware.Device{ID: "metal:gpuplay"}, bench.Square(8, matrix.Float32), 1, nil)
	if !errors.Is(err, fault.Internal) || !strings.Contains(err.Error(), "program_source: no kernel function (MTLLibraryErrorDomain, code 3)") {
		t.Error(err)
	}
}

// The kernel in Metal's language and this package agree on its numbers.
func TestKernelSource(t *testing.T) {
	for name, want := range map[string]int{"tile": kernelTile, "threads": kernelThreads} {
		if !regexp.MustCompile(fmt.Sprintf(`constant constexpr uint %s = %d;`, name, want)).MatchString(kernelSource) {
			t.Errorf("gemm.metal does not have %s = %d", name, want)
		}
	}
}
