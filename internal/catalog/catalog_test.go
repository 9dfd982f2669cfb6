package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

// The catalog starts this test binary as the workers of built-in engines.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "worker" {
		if err := Serve(os.Args[2], os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// entries returns engines by name.
func entries(t *testing.T, names ...string) []Entry {
	t.Helper()
	list, err := Select(names)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestEngines(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+$`)
	var frameworks []string
	for i, e := range Engines {
		if !word.MatchString(e.Name) || slices.Contains(Names()[:i], e.Name) || e.About == "" {
			t.Errorf("engine %q, %q: a name of its own in lower case and words about it are needed", e.Name, e.About)
		}
		if !e.BuiltIn() {
			frameworks = append(frameworks, e.Name)
		}
	}
	if has := slices.Contains(Names(), "metal"); has != (runtime.GOOS == "darwin") {
		t.Errorf("on %s there is metal: %v", runtime.GOOS, has)
	}
	var listed []string
	for _, f := range python.Frameworks {
		listed = append(listed, f.Name)
	}
	slices.Sort(frameworks)
	slices.Sort(listed)
	if d := cmp.Diff(listed, frameworks); d != "" {
		t.Errorf("the frameworks among the engines (+) are not those of package python: %s", d)
	}
}

func TestSelect(t *testing.T) {
	names := func(list []Entry) (names []string) {
		for _, e := range list {
			names = append(names, e.Name)
		}
		return names
	}
	if got := names(entries(t)); !slices.Equal(got, Names()) {
		t.Errorf("no names stand for %v", got)
	}
	if got := names(entries(t, "torch", "gocpu", "torch")); !slices.Equal(got, []string{"gocpu", "torch"}) {
		t.Errorf("torch, gocpu and torch are %v", got)
	}
	_, err := Select([]string{"gocpu", "tosch"})
	if !errors.Is(err, fault.Invalid) || err.Error() != `unknown engine "tosch"` || !strings.HasPrefix(fault.From(err).Remedies.String(), "did you mean torch? there are: gocpu, blas, ") {
		t.Errorf("a mistyped engine: %v", err)
	}
}

func TestServe(t *testing.T) {
	for _, name := range []string{"torch", "none", ""} {
		if err := Serve(name, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%q is built in", name)
		}
	}
}

func TestClient(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	libraries := filepath.Join(dir, ".venv-mkl", "lib")
	if err := os.MkdirAll(libraries, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &Catalog{Env: Environment{Folder: dir, BLAS: []string{"/opt/libblas.so"}, Children: []string{"HOME=/h", "CUDA_DEVICE_ORDER=FASTEST_FIRST"}, Trace: &log}}
	w, _, err := c.client(t.Context(), entries(t, "blas")[0], Options{Threads: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"HOME=/h", "CUDA_DEVICE_ORDER=FASTEST_FIRST", "CUDA_DEVICE_ORDER=PCI_BUS_ID", "OPENBLAS_THREAD_TIMEOUT=20"}, w.Env); d != "" {
		t.Errorf("environment: %s", d)
	}
	var options struct{ Dirs, Libraries []string }
	if err := json.Unmarshal(w.Hello.Options, &options); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(options.Dirs, []string{libraries}) || !slices.Equal(options.Libraries, []string{"/opt/libblas.so"}) || w.Hello.Threads != 3 {
		t.Errorf("options %+v in %+v", options, w.Hello)
	}
	if !slices.Equal(w.Args, []string{"gpuplay", "worker", "blas"}) || w.Source != nil {
		t.Errorf("it is started as %v", w.Args)
	}
	io.WriteString(w.Trace, "→ one\n← two\n")
	if log.String() != "blas: → one\nblas: ← two\n" {
		t.Errorf("traced %q", log.String())
	}
}

// Of two entries of a name, the last counts for a child.
func TestCardOrderWins(t *testing.T) {
	env, err := exec.LookPath("env")
	if err != nil {
		t.Skip("no env")
	}
	c := &Catalog{Env: Environment{Children: []string{"CUDA_DEVICE_ORDER=FASTEST_FIRST"}}}
	out, err := (&exec.Cmd{Path: env, Args: []string{"env"}, Env: c.Environ()}).Output()
	if err != nil || strings.TrimSpace(string(out)) != "CUDA_DEVICE_ORDER=PCI_BUS_ID" {
		t.Errorf("a child has %q, %v", out, err)
	}
}

func TestDefaultDevice(t *testing.T) {
	for engine, want := range map[string]string{"gocpu": "cpu", "torch": "cpu", "cuda": "gpu", "cublaslt": "gpu", "tosch": "cpu"} {
		if got := DefaultDevice(engine); got != want {
			t.Errorf("%s: %s, want %s", engine, got, want)
		}
	}
}

// What NVIDIA's driver compiles is kept in gpuplay's own cache, unless the user chose a folder.
func TestCodeCache(t *testing.T) {
	for _, tt := range []struct {
		env  Environment
		want []string
	}{
		{Environment{Cache: "/cache"}, []string{"CUDA_CACHE_PATH=" + filepath.Join("/cache", "code")}},
		{Environment{Cache: "/cache", Children: []string{"A=1", "CUDA_CACHE_PATH=/mine"}}, nil},
		{Environment{}, nil},
	} {
		if d := cmp.Diff(tt.want, tt.env.codeCache()); d != "" {
			t.Errorf("%+v: %s", tt.env, d)
		}
	}
}

func TestDiscover(t *testing.T) {
	c := &Catalog{Env: Environment{Children: os.Environ()}}
	told := make(chan Contender, len(Engines))
	isas := gemm.ISAs()
	worst := string(isas[len(isas)-1])
	list := c.Discover(t.Context(), entries(t, "gocpu"), Options{ISA: worst, Threads: 1}, func(c Contender) { told <- c })
	defer Close(list)
	x := list[0]
	if x.Err != nil || len(x.Found.Devices) != 1 || x.Found.Devices[0].Kind != hardware.CPU || x.Start <= 0 || (<-told).Name != "gocpu" {
		t.Fatalf("gocpu: %+v", x)
	}
	if best := isas[0]; best != isas[len(isas)-1] && strings.Contains(x.Found.Devices[0].Detail, best.String()) {
		t.Errorf("asked for %s, the engine has %s", worst, x.Found.Devices[0].Detail)
	}

	for name, tt := range map[string]struct {
		engine  string
		options Options
		code    fault.Code
		says    string
		remedy  string
	}{
		"too slow":      {"gocpu", Options{Timeout: 1}, fault.Timeout, "did not start within 1.00 ns", "timeout gives it longer"},
		"not an ISA":    {"gocpu", Options{ISA: "mmx"}, "", "mmx", ""},
		"not a worker":  {"torch", Options{Python: program(t, "true")}, fault.Crashed, "exit code 0", "python names another interpreter"},
		"not a program": {"torch", Options{Python: "no/such/python"}, fault.Unavailable, "no/such/python", "python names an interpreter"},
	} {
		list := c.Discover(t.Context(), entries(t, tt.engine), tt.options, nil)
		Close(list)
		e := fault.From(list[0].Err)
		if e == nil || tt.code != "" && e.Code != tt.code || !strings.Contains(e.Message, tt.says) || tt.remedy != "" && e.Remedies.String() != tt.remedy {
			t.Errorf("%s: %+v", name, e)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list = c.Discover(ctx, entries(t, "gocpu", "torch"), Options{Timeout: time.Minute}, nil)
	Close(list)
	for _, x := range list {
		if !errors.Is(x.Err, fault.Interrupted) || x.Err.Error() != "interrupted while it started" {
			t.Errorf("%s after Ctrl-C: %v", x.Name, x.Err)
		}
	}
}

// Setting up a framework mends nothing where another interpreter was named.
func TestObtainable(t *testing.T) {
	said := fault.Remedies{fault.Run("", "gpuplay", "setup", "jax"), {Text: "words"}}
	for why, want := range map[string]string{
		".venv": "gpuplay setup jax; words", "PATH": "gpuplay setup jax; words", "asked for": "python names another interpreter; words",
		"GPUPLAY_JAX_PYTHON": "let GPUPLAY_JAX_PYTHON name another interpreter; words",
	} {
		if got := obtainable(said, python.Interpreter{Why: why}, "jax").String(); got != want {
			t.Errorf("%s: %s, want %s", why, got, want)
		}
	}
}

// program returns the path of a program that is no Python, "" where there is none.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s", name)
	}
	return path
}

func number(n int) *int { return &n }

func TestCards(t *testing.T) {
	list := []Contender{
		{Found: hardware.Inventory{Devices: []hardware.Device{{ID: "cpu", Kind: hardware.CPU}, {ID: "cuda:b", Kind: hardware.GPU, UUID: "GPU-b", Index: number(0)}}}},
		{Err: errors.New("not there")},
		{Found: hardware.Inventory{Devices: []hardware.Device{{ID: "gpu", Kind: hardware.GPU, PCI: "00000000:01:00.0"}, {ID: "odd", Kind: hardware.GPU}}}},
	}
	cards := Cards([]hardware.Card{
		{Name: "B", UUID: "GPU-b", PCI: "0000:02:00.0"},
		{Name: "A", UUID: "GPU-a", PCI: "0000:01:00.0"},
	}, list)
	if len(cards) != 2 || cards[0].Name != "A" || cards[1].Number != 1 {
		t.Errorf("cards %+v", cards)
	}
	var got []*int
	for _, c := range list {
		for _, d := range c.Found.Devices {
			got = append(got, d.Card)
		}
	}
	if d := cmp.Diff([]*int{nil, number(1), number(0), nil}, got); d != "" {
		t.Errorf("cards of devices: %s", d)
	}
}

func TestMissing(t *testing.T) {
	remedy := fault.Remedies{fault.Run("", "gpuplay", "setup", "jax")}
	got := Missing([]Contender{
		{Entry: Entry{Name: "gocpu"}},
		{Entry: Entry{Name: "torch"}, Found: hardware.Inventory{Missing: []hardware.Missing{{API: "mps", Kind: hardware.GPU, Reason: "not a Mac"}}}},
		{Entry: Entry{Name: "jax"}, Err: fault.Errorf(fault.Unavailable, "not installed").With(remedy...)},
		{Entry: Entry{Name: "mlx"}, Err: io.ErrUnexpectedEOF},
	})
	want := []record.Missing{
		{Engine: "torch", API: "mps", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "not a Mac"},
		{Engine: "jax", Code: fault.Unavailable, Reason: "not installed", Remedies: remedy},
		{Engine: "mlx", Code: fault.Internal, Reason: "unexpected EOF"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A race takes every GPU, each CPU library once, and software in place of a GPU alone.
func TestRacing(t *testing.T) {
	c := Contender{Found: hardware.Inventory{Devices: []hardware.Device{
		{ID: "openblas", Kind: hardware.CPU, API: "openblas"},
		{ID: "openblas-2", Kind: hardware.CPU, API: "openblas"},
		{ID: "mkl", Kind: hardware.CPU, API: "mkl"},
		{ID: "cuda:GPU-a", Kind: hardware.GPU, API: "cuda"},
		{ID: "cuda:GPU-b", Kind: hardware.GPU, API: "cuda"},
		{ID: "llvmpipe", Kind: hardware.SoftwareGPU, API: "vulkan"},
	}}}
	var ids []string
	for _, d := range c.Racing() {
		ids = append(ids, d.ID)
	}
	if got, want := strings.Join(ids, " "), "openblas mkl cuda:GPU-a cuda:GPU-b"; got != want {
		t.Errorf("racing %s, want %s", got, want)
	}
	if software := (Contender{Found: hardware.Inventory{Devices: c.Found.Devices[5:]}}).Racing(); len(software) != 1 {
		t.Errorf("a software GPU alone is not shown: %+v", software)
	}
}
