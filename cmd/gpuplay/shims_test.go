package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/term"
)

// shimmed is what a measurement with a faulty BLAS library came to.
type shimmed struct {
	Results []struct {
		bench.Result
		Verified bool
		Speed    *stats.Interval
	}
	Missing     []record.Missing
	Comparisons []struct {
		Lane, Base string
		Ratio      *stats.Interval
	}
	texts map[string]string // what people read, by format
	exit  int
}

// measureWith runs gpuplay with a library in the place of a real one, to which variables of
// the environment, as NAME=value, lead it.
func measureWith(t *testing.T, args []string, variables ...string) (m shimmed) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	cmd := &exec.Cmd{
		Path: self, Dir: t.TempDir(), Stdout: &out, Stderr: &log,
		Args: append([]string{"gpuplay"}, append(args, "--size", "128", "--threads", "1", "--format", "json", "--quiet")...),
		Env:  append(os.Environ(), variables...),
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	m.exit = cmd.ProcessState.ExitCode()
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatalf("exit code %d: %v\n%s%s", m.exit, err, &out, &log)
	}
	r, err := record.Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	m.texts = map[string]string{}
	var table strings.Builder
	if err := term.Table(&table, r, term.Style{Width: 100, Unicode: true}); err != nil {
		t.Fatal(err)
	}
	m.texts["table"] = table.String()
	for _, format := range []string{"md", "csv", "line"} {
		var text strings.Builder
		if err := encode.Write(&text, r, format, commandLine{}); err != nil {
			t.Fatal(err)
		}
		m.texts[format] = text.String()
	}
	return m
}

// A library with a fault gets no lane that is verified, no ratio, and no figure unless it
// computes all of the product with less precision than was asked. A library that harms
// its process ends its own lane alone, with a reason. Every race is one of the program
// itself, with the library in a worker.
func TestFaultyLibraries(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the library is written for Unix")
	}
	race := func(args ...string) []string { return append([]string{"race", "--engines", "gocpu,blas"}, args...) }
	steady, single := race("--time", "3s"), race("--repeat", "24") // single: samples of one product
	classic := []string{"matmul", "--engine", "blas", "--device", "openblas", "--protocol", "classic", "--repeat", "60"}
	const (
		right   = iota // verified
		inexact        // not verified, with a figure that is explained
		wrong
		broken // the process gives no answer
	)
	for _, tt := range []struct {
		fault, name string
		args        []string
		want        int
		some        bool // tried where not all cases are, too
	}{
		{"NONE", "steady", steady, right, true},
		{"NONE", "single", single, right, false},
		{"NONE", "classic", classic, right, false},
		{"SKIP", "steady", steady, wrong, false},
		{"SKIP", "single", single, wrong, true},
		{"SKIP", "classic", classic, wrong, false},
		{"SKIP2", "steady", steady, wrong, true},
		{"SKIP2", "single", single, wrong, false},
		{"SKIP2", "classic", classic, wrong, true},
		{"HALF2", "steady", steady, wrong, false},
		{"LATE", "steady", steady, wrong, true},
		{"LATE", "classic", classic, wrong, false},
		{"DROPK", "steady", steady, wrong, true},
		{"DROPROW", "steady", steady, wrong, false},
		{"STALE", "steady", steady, wrong, false},
		{"MEMOISE", "steady", steady, wrong, false},
		{"MEMOISE", "single", single, wrong, false},
		{"ZERO1", "steady", steady, wrong, false},
		{"TRANSPOSE", "steady", steady, wrong, false},
		{"NANS", "steady", steady, wrong, false},
		{"BF16", "steady", steady, inexact, true},
		{"SIGN", "steady", steady, wrong, false},
		{"SCALE", "steady", steady, inexact, false}, // as far off as TF32; the size of the errors is all that is known
		{"ACCUMULATE", "steady", steady, wrong, false},
		{"OVERRUN", "steady", steady, wrong, true},
		{"UNDERRUN", "steady", steady, wrong, false},
		{"CRASH", "steady", steady, broken, false},
		{"HANG", "steady", race("--time", "3s", "--timeout", "2s"), broken, false},
		{"EXIT0", "steady", steady, broken, true},
		{"PRINT", "steady", steady, right, false},
		{"FORK", "steady", steady, right, false},
	} {
		if !enginetest.AllCases() && !tt.some {
			continue
		}
		t.Run(tt.fault+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			library := enginetest.SharedLibrary(t, filepath.Join("..", "..", "internal", "engine", "blas", "testdata", "shims", "openblas.c"), "libopenblas.so", "-DFAULT="+tt.fault)
			m := measureWith(t, tt.args, "GPUPLAY_BLAS="+library)
			lanes := 0
			for _, r := range m.Results {
				if r.Device.Version != "0.3.999" {
					if r.Engine == "gocpu" && (r.Error != nil || len(r.Samples) == 0) {
						t.Errorf("the other lane: %v, %d samples", r.Error, len(r.Samples))
					}
					continue
				}
				lanes++
				if r.Verified != (tt.want == right) {
					t.Errorf("verified: %v; check %+v, error %v", r.Verified, r.Check, r.Error)
				}
				if r.Speed == nil != (tt.want == wrong || tt.want == broken) {
					t.Errorf("speed %+v; check %+v, error %v", r.Speed, r.Check, r.Error)
				}
				switch tt.want {
				case inexact:
					if r.Check == nil || r.Check.Passed || r.Check.Arithmetic == "" || tt.fault == "BF16" && r.Check.Arithmetic != "bfloat16" {
						t.Errorf("check %+v does not name the shortcut", r.Check)
					}
				case wrong:
					if r.Error == nil || r.Error.Code != fault.Wrong {
						t.Errorf("error %+v, want %s", r.Error, fault.Wrong)
					}
				case broken:
					if r.Error == nil || r.Error.Code != fault.Crashed && r.Error.Code != fault.Timeout || r.Error.Message == "" {
						t.Errorf("error %+v does not say that the process is gone", r.Error)
					}
				}
			}
			if lanes != 1 {
				t.Fatalf("%d lanes of the library: %+v", lanes, m.Results)
			}
			if tt.want == right {
				return
			}
			for _, c := range m.Comparisons {
				if c.Ratio != nil {
					t.Errorf("a ratio of %s to %s: %+v", c.Lane, c.Base, *c.Ratio)
				}
			}
			for format, text := range m.texts {
				if strings.Contains(text, "×") {
					t.Errorf("a ratio in %s:\n%s", format, text)
				}
			}
			if tt.want != inexact && m.exit != exitFailed {
				t.Errorf("exit code %d, want %d", m.exit, exitFailed)
			}
		})
	}
}
