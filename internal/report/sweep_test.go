package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// at makes a result one of another size at the same speed.
func at(m, n, k int) func(*bench.Result) {
	return func(r *bench.Result) {
		was := r.GEMM.FLOP()
		r.GEMM.M, r.GEMM.N, r.GEMM.K = m, n, k
		for i, s := range r.Samples {
			iters := 1 + int(1e9/r.GEMM.FLOP())
			r.Samples[i] = bench.Sample{Iters: iters, Wall: time.Duration(s.Seconds() * float64(iters) * r.GEMM.FLOP() / was * 1e9)}
		}
	}
}

// doubtful makes a result one that is not verified, if so.
func doubtful(yes bool) func(*bench.Result) {
	return func(r *bench.Result) {
		if yes {
			r.Warnings = append(r.Warnings, bench.Warning{Code: bench.WarnAbovePeak, Text: "faster than this device can be: not believed"})
		}
	}
}

// sweeps are what golden files exist for.
func sweeps() map[string]*Sweep {
	rising := &Sweep{}
	for i, n := range []int{16, 64, 256, 1000, 4096} {
		share := []float64{0.4, 0.8, 0.93, 0.94, 0.95}[i]
		rising.Points = append(rising.Points, document(
			result(builtIn, share*110e9, named("gocpu"), peak(112e9-1e9*float64(i)), at(n, n, n)),
			result(blas, share*105e9*(1+0.05*float64(i%3)), named("blas"), at(n, n, n)),
			result(device(hardware.CPU, chip, "mkl", "MKL", "2026.2", "sequential"), 0.8*share*105e9, named("blas"), at(n, n, n), doubtful(n == 1000)),
		))
	}
	rising.Points = append(rising.Points, document(
		result(builtIn, 30e9, named("gocpu"), peak(112e9), at(5, 4096, 4096)),
		result(blas, 20e9, named("blas"), at(5, 4096, 4096), broken(fault.Wrong, "wrong result: error 3.1e-02 where at most 6.0e-06 is expected", "")),
		result(device(hardware.CPU, chip, "mkl", "MKL", "2026.2", "sequential"), 25e9, named("blas"), at(5, 4096, 4096), warned(bench.WarnNoise, "noisy")),
	))
	crossing := &Sweep{Crossover: true, Interrupted: true}
	for i, n := range []int{64, 512, 4096} {
		crossing.Points = append(crossing.Points, document(
			result(torch, 0.9e12, named("torch"), at(n, n, n)),
			result(cuda, []float64{0.01e12, 1.2e12, 25e12}[i], named("torch"), at(n, n, n)),
		))
	}
	alone := &Sweep{Points: []*Document{document(result(builtIn, 50e9, named("gocpu"), at(64, 64, 64)))}}
	return map[string]*Sweep{"sweep": rising, "crossing": crossing, "alone": alone, "nothing": {Interrupted: true}}
}

func TestSweepGolden(t *testing.T) {
	for name, s := range sweeps() {
		for _, width := range []int{120, 80, 60, 40} {
			var b bytes.Buffer
			if err := SweepTable(&b, s, Style{Width: width, Unicode: true}); err != nil {
				t.Fatal(err)
			}
			golden(t, fmt.Sprintf("%s.%d.txt", name, width), b.Bytes())
			if name == "nothing" {
				break
			}
		}
		for ending, write := range map[string]func(io.Writer, *Sweep) error{"csv": SweepCSV, "md": SweepMarkdown, "svg": SweepSVG} {
			var b bytes.Buffer
			if err := write(&b, s); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+ending, b.Bytes())
			if ending == "svg" {
				wellFormed(t, b.Bytes())
			}
		}
	}
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
}

// What one line says can be read back and written again.
func TestSweepRoundTrip(t *testing.T) {
	for name, s := range sweeps() {
		var b bytes.Buffer
		if err := SweepJSONL(&b, s); err != nil {
			t.Fatal(err)
		}
		again := &Sweep{Interrupted: s.Interrupted, Crossover: s.Crossover}
		for line := range bytes.Lines(b.Bytes()) {
			validate(t, "result", line)
			d, err := Parse(line)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again.Points = append(again.Points, d)
		}
		var one, two bytes.Buffer
		SweepCSV(&one, s)
		SweepCSV(&two, again)
		if diff := cmp.Diff(one.String(), two.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for line, says := range map[string]string{`{}`: "schema", `[]`: "cannot unmarshal", `{"schema":"gpuplay/result/v1","results":[null]}`: "null"} {
		if _, err := Parse([]byte(line)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want one that says %q", line, err, says)
		}
	}
}

// validate holds JSON against a schema of docs.
func validate(t *testing.T, schema string, text []byte) {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../docs/" + schema + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = s.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v", schema, err)
	}
}

func TestSweepJSON(t *testing.T) {
	for _, s := range sweeps() {
		var b bytes.Buffer
		if err := SweepJSON(&b, s); err != nil {
			t.Fatal(err)
		}
		validate(t, "sweep", b.Bytes())
	}
}

func TestCrossing(t *testing.T) {
	pair := func(n int, gpu float64, change ...func(*bench.Result)) *Document {
		return document(result(torch, 1e12, at(n, n, n)), result(cuda, gpu, append(change, at(n, n, n))...))
	}
	for _, tt := range []struct {
		name   string
		points []*Document
		want   Crossing
	}{
		{"in the middle", []*Document{pair(64, 0.1e12), pair(256, 0.9e12), pair(512, 2e12), pair(1024, 9e12)}, Crossing{256, 512, true}},
		{"in any order", []*Document{pair(512, 2e12), pair(64, 0.1e12)}, Crossing{64, 512, true}},
		{"always", []*Document{pair(64, 2e12), pair(512, 2e12)}, Crossing{0, 64, true}},
		{"never", []*Document{pair(64, 0.2e12), pair(512, 0.2e12)}, Crossing{512, 0, true}},
		{"level is no win", []*Document{pair(64, 1e12)}, Crossing{64, 0, true}},
		{"it loses again", []*Document{pair(64, 2e12), pair(512, 0.2e12), pair(1024, 2e12)}, Crossing{512, 1024, true}},
		{"a wrong GPU", []*Document{pair(64, 2e12, broken(fault.Wrong, "wrong", ""))}, Crossing{}},
		{"other shapes", []*Document{document(result(torch, 1e12, at(5, 64, 64)), result(cuda, 2e12, at(5, 64, 64)))}, Crossing{}},
	} {
		if got := (&Sweep{Points: tt.points}).Crossing(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestCrossoverSentence(t *testing.T) {
	pair := func(n int, gpu float64) *Document {
		return document(result(torch, 1e12, at(n, n, n)), result(cuda, gpu, at(n, n, n)))
	}
	alone := document(result(torch, 1e12, at(64, 64, 64)))
	for want, s := range map[string]*Sweep{
		"The GPU wins from 512³ on; at 64³ it does not.":                           {Points: []*Document{pair(64, 0.1e12), pair(512, 2e12)}},
		"The GPU wins at every size from 64³ on.":                                  {Points: []*Document{pair(64, 2e12), pair(512, 2e12)}},
		"The CPU is as fast as the GPU or faster up to the largest size, 512³.":    {Points: []*Document{pair(64, 0.1e12), pair(512, 0.1e12)}},
		"No crossover: GPU and CPU do not both have verified results at any size.": {Points: []*Document{alone}, Crossover: true},
		"": {Points: []*Document{alone}},
	} {
		if got := s.crossover(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A column's head is as short as tells it from the others.
func TestShort(t *testing.T) {
	one := func(library, api, id string) hardware.Device {
		return hardware.Device{Library: library, API: api, ID: id}
	}
	got := short([]hardware.Device{one("MKL", "mkl", "mkl:a"), one("PyTorch", "cpu", "cpu"), one("PyTorch", "cuda", "cuda:1"), one("PyTorch", "cuda", "cuda:2")})
	if want := []string{"MKL", "PyTorch cpu", "PyTorch cuda:1", "PyTorch cuda:2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFigure(t *testing.T) {
	for want, r := range map[string]*bench.Result{
		"–":     nil,
		"wrong": result(torch, 1e12, broken(fault.Wrong, "", "")),
		"none":  result(torch, 1e12, broken(fault.Crashed, "", "")),
		"1000":  result(torch, 1e12),
		"1000*": result(torch, 1e12, doubtful(true)),
	} {
		if got := figure(r, 1e9); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := figure(result(torch, 1e12, broken(fault.Unsupported, "", "")), 1e9); got != "–" {
		t.Errorf("of a type that there is no code for: %q", got)
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{
		{3e9, 120e9, []float64{5e9, 10e9, 20e9, 50e9, 100e9}},
		{28e9, 125e9, []float64{30e9, 40e9, 50e9, 60e9, 80e9, 100e9}},
		{1e6, 2e12, []float64{1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}},
	} {
		got := ticks(tt.low, tt.high)
		if len(got) != len(tt.want) {
			t.Errorf("%v, want %v", got, tt.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]/tt.want[i]-1) > 1e-9 {
				t.Errorf("%v, want %v", got, tt.want)
			}
		}
	}
}
