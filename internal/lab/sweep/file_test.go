package sweep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// one is the run of one size.
func one(n int) *record.Run {
	return &record.Run{
		Schema: record.Schema, ID: "run-0", Kind: record.Sweep, Created: time.Unix(0, 0).UTC(), Program: record.Program{Version: "0.1.0", Commit: "abc"}, Repeat: 3,
		Machine: host.Machine{OS: "linux", Arch: "amd64", CPU: "Example", Cores: 2, CPUs: 4, Features: []string{"avx2"}},
		Results: []*bench.Result{{
			Lane: "fake/one", Engine: "fake", Device: hardware.Device{ID: "one", Version: "1.2", Detail: "AVX2"}, GEMM: bench.Square(n, matrix.Float32), Seed: 1,
			Protocol: bench.Steady, Samples: []bench.Sample{{Iters: 3, Wall: 20 * time.Millisecond}},
			Check: &matrix.Check{Passed: true, Arithmetic: "float32"},
		}},
	}
}

// write makes a file of sizes and returns its file.
func write(t *testing.T, sizes ...int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sweep.jsonl")
	r, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes {
		if err := r.Append(one(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// holds reports whether a file had just those sizes when it was opened.
func holds(f *File, sizes ...int) bool {
	var has []int
	for _, r := range f.Runs {
		has = append(has, r.Results[0].GEMM.N)
	}
	return slices.Equal(has, sizes)
}

func TestFile(t *testing.T) {
	name := write(t, 16, 32)
	if _, err := Create(name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating what is there: %v", err)
	}
	r, err := Resume(name)
	if err != nil {
		t.Fatal(err)
	}
	if !holds(r, 16, 32) || r.Runs[0].Results[0].Samples[0].Iters != 3 {
		t.Errorf("got %+v", r.Runs)
	}
	if err := errors.Join(r.Append(one(64)), r.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err = Resume(name); err != nil || !holds(r, 16, 32, 64) {
		t.Errorf("after another size: %+v, %v", r, err)
	}
	r.Close()
}

// A crash may leave part of a line.
func TestFileCutOff(t *testing.T) {
	name := write(t, 16, 32)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Index(string(whole), "\n") + 1
	longer := append(whole[:first:first], strings.Repeat("x", 2*len(whole))...) // than any line that follows
	for _, left := range [][]byte{whole[:first], whole[:first+1], whole[:len(whole)-1], longer} {
		if err := os.WriteFile(name, left, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Resume(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Append(one(64)), r.Close()); err != nil {
			t.Fatal(err)
		}
		if r, err = Resume(name); err != nil || !holds(r, 16, 64) {
			t.Errorf("with %d bytes: %+v, %v", len(left), r, err)
		}
		if text, _ := os.ReadFile(name); !strings.HasSuffix(string(text), "}\n") || strings.Count(string(text), "\n") != 2 {
			t.Errorf("with %d bytes: the file is %q", len(left), text)
		}
		r.Close()
	}
}

func TestFileRubbish(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	for text, says := range map[string]string{
		"{\"schema\":": "no size that",
		"hello\n":      "line 1: invalid character",
		"{}\n":         "schema",
		"{\"schema\":\"gpuplay/run/v2\",\"kind\":\"sweep\"}\n": "not a size of a sweep",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one that says %q", text, err, says)
		}
		if left, _ := os.ReadFile(name); string(left) != text {
			t.Errorf("%q was changed to %q", text, left)
		}
	}
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Resume(name); err != nil || len(r.Runs) > 0 { // it ended before the first size did
		t.Errorf("an empty record: %+v, %v", r, err)
	} else {
		r.Close()
	}
	if _, err := Resume(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestMismatch(t *testing.T) {
	engine := fake.New("fake", &fake.Clock{}, nil)
	with := func(version, detail string) []bench.Lane {
		return []bench.Lane{{Engine: engine, Device: hardware.Device{ID: "one", Version: version, Detail: detail}}}
	}
	lanes := with("1.2", "AVX2")
	g := bench.Square(1, matrix.Float32)
	f := &File{Name: "s.jsonl", Runs: []*record.Run{one(16)}}
	if err := f.mismatch(one(16), lanes, g, 1); err != nil {
		t.Errorf("the same conditions: %v", err)
	}
	for says, change := range map[string]func(*record.Run){
		"another machine: Example (linux/amd64), now Other (linux/amd64)": func(d *record.Run) { d.Machine.CPU = "Other" },
		"number of CPUs: 4, now 8":                                        func(d *record.Run) { d.Machine.CPUs = 8 },
		"number of cores: 2, now 4":                                       func(d *record.Run) { d.Machine.Cores = 4 },
		"instructions":                                                    func(d *record.Run) { d.Machine.Features = nil },
		"version of gpuplay: 0.1.0, now 0.2.0":                            func(d *record.Run) { d.Program.Version = "0.2.0" },
		"build of gpuplay: abc, now unknown":                              func(d *record.Run) { d.Program.Commit = "" },
		"threads: as the engines choose, now 1":                           func(d *record.Run) { d.Threads = 1 },
		"timed runs: 3, now until the result is precise":                  func(d *record.Run) { d.Repeat = 0 },
	} {
		now := one(16)
		change(now)
		if err := f.mismatch(now, lanes, g, 1); !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "s.jsonl was measured with another ") || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
	zeros := g
	zeros.Data = matrix.Zeros
	for says, err := range map[string]error{
		"kind of inputs: random, now zeros":                                  f.mismatch(one(16), lanes, zeros, 1),
		"dtype: float32, now bfloat16, sums in float32, results in bfloat16": f.mismatch(one(16), lanes, bench.Square(1, matrix.BFloat16), 1),
		"seed: 1, now 2":                              f.mismatch(one(16), lanes, g, 2),
		"engines: fake:one 1.2, now ":                 f.mismatch(one(16), nil, g, 1),
		"now fake:one 1.3":                            f.mismatch(one(16), with("1.3", "AVX2"), g, 1),
		"another kind of fake:one: AVX2, now AVX-512": f.mismatch(one(16), with("1.2", "AVX-512"), g, 1),
		"fake:one: AVX2, now unknown":                 f.mismatch(one(16), with("1.2", ""), g, 1),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}
