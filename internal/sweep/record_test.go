package sweep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
)

func document(n int) *report.Document {
	return &report.Document{
		Schema: report.Schema, Created: time.Unix(0, 0).UTC(), Program: report.Program{Version: "0.1.0", Commit: "abc"},
		Machine: host.Machine{OS: "linux", Arch: "amd64", CPU: "Example", Cores: 2, Features: []string{"avx2"}},
		Results: []*bench.Result{{
			Engine: "fake", Device: hardware.Device{ID: "one", Version: "1.2", Detail: "AVX2"}, GEMM: bench.Square(n, matrix.Float32), Seed: 1,
			Protocol: bench.Steady, Samples: []bench.Sample{{Iters: 3, Wall: 20 * time.Millisecond}},
			Check: &matrix.Check{Passed: true, Arithmetic: "float32"},
		}},
	}
}

// write makes a record of sizes and returns its file.
func write(t *testing.T, sizes ...int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sweep.jsonl")
	r, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes {
		if err := r.Append(document(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRecord(t *testing.T) {
	name := write(t, 16, 32)
	if _, err := Create(name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating what is there: %v", err)
	}
	r, err := Resume(name)
	if err != nil {
		t.Fatal(err)
	}
	if !Has(r.Points, Shape{32, 32, 32}) || Has(r.Points, Shape{64, 64, 64}) || len(r.Points) != 2 || r.Points[0].Results[0].Samples[0].Iters != 3 {
		t.Errorf("got %+v", r.Points)
	}
	if err := errors.Join(r.Append(document(64)), r.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err = Resume(name); err != nil || !Has(r.Points, Shape{64, 64, 64}) || len(r.Points) != 3 {
		t.Errorf("after another size: %+v, %v", r, err)
	}
	r.Close()
}

// A crash may leave part of a line.
func TestRecordCutOff(t *testing.T) {
	name := write(t, 16, 32)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Index(string(whole), "\n") + 1
	for _, length := range []int{first, first + 1, len(whole) - 1} {
		if err := os.WriteFile(name, whole[:length], 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Resume(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Append(document(64)), r.Close()); err != nil {
			t.Fatal(err)
		}
		if r, err = Resume(name); err != nil || len(r.Points) != 2 || !Has(r.Points, Shape{64, 64, 64}) {
			t.Errorf("cut at %d: %+v, %v", length, r, err)
		}
		r.Close()
	}
}

func TestRecordRubbish(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	for text, says := range map[string]string{
		"{\"schema\":":                         "no size",
		"hello\n":                              "line 1: invalid character",
		"{}\n":                                 "schema",
		"{\"schema\":\"gpuplay/result/v1\"}\n": "no size of a sweep",
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
	if r, err := Resume(name); err != nil || len(r.Points) > 0 { // it ended before the first size did
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
	r := &Record{Points: []*report.Document{document(16)}}
	if err := r.Mismatch(document(16), lanes, g, 1); err != nil {
		t.Errorf("the same conditions: %v", err)
	}
	for says, change := range map[string]func(*report.Document){
		"another machine: Example (linux/amd64), now Other (linux/amd64)": func(d *report.Document) { d.Machine.CPU = "Other" },
		"number of CPUs: 2, now 4":                                        func(d *report.Document) { d.Machine.Cores = 4 },
		"instructions":                                                    func(d *report.Document) { d.Machine.Features = nil },
		"version of gpuplay: 0.1.0, now 0.2.0":                            func(d *report.Document) { d.Program.Version = "0.2.0" },
		"build of gpuplay: abc, now unknown":                              func(d *report.Document) { d.Program.Commit = "" },
		"threads: as the engines choose, now 1":                           func(d *report.Document) { d.Threads = 1 },
	} {
		now := document(16)
		change(now)
		if err := r.Mismatch(now, lanes, g, 1); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
	for says, err := range map[string]error{
		"dtype: float32, now bfloat16, sums in float32, results in bfloat16": r.Mismatch(document(16), lanes, bench.Square(1, matrix.BFloat16), 1),
		"seed: 1, now 2":                              r.Mismatch(document(16), lanes, g, 2),
		"engines: fake:one 1.2, now ":                 r.Mismatch(document(16), nil, g, 1),
		"now fake:one 1.3":                            r.Mismatch(document(16), with("1.3", "AVX2"), g, 1),
		"another kind of fake:one: AVX2, now AVX-512": r.Mismatch(document(16), with("1.2", "AVX-512"), g, 1),
		"fake:one: AVX2, now unknown":                 r.Mismatch(document(16), with("1.2", ""), g, 1),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}
