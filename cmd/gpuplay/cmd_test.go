package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// raced returns the record of a race, and a lab that comes to it.
func raced() (*record.Run, measurement) {
	r := &record.Run{Schema: record.Schema, ID: "run-1", Kind: record.Race, Results: []*bench.Result{{
		Lane: "gocpu/cpu", Engine: "gocpu", Device: hardware.Device{ID: "cpu", Kind: hardware.CPU, API: "cpu", Library: "gpuplay"}, GEMM: bench.Square(64, matrix.Float32),
		Protocol: bench.Steady, Samples: []bench.Sample{{Iters: 1, Wall: 1000}}, Check: &matrix.Check{Passed: true},
	}}}
	return r, func(_ context.Context, s *event.Stream) (*record.Run, error) {
		s.Emit("", event.Begin{Kind: string(record.Race)})
		s.Emit("", event.Note{Text: "measuring"})
		s.Emit("", r)
		return r, nil
	}
}

// output returns an app that writes into buffers.
func output() (a *app, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &app{stdout: stdout, stderr: stderr, env: environment{unicode: true}, working: make(chan struct{}, 1)}, stdout, stderr
}

// The result goes where the flags say, and so do people's table and the events.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		format, output         string
		quiet                  bool
		stdout, stderr, inFile string // what each holds; empty: nothing
	}{
		{"for people", "table", "", false, "matrix multiply 64³", "measuring\n", ""},
		{"quietly", "table", "", true, "matrix multiply 64³", "", ""},
		{"as JSON", "json", "", false, `"kind": "race"`, "measuring\n", ""},
		{"into a file", "json", "r.json", false, "matrix multiply 64³", "measuring\n", `"kind": "race"`},
		{"quietly into a file", "json", "r.json", true, "", "", `"kind": "race"`},
		{"as events", "events", "", false, `"type":"begin"`, "measuring\n", ""},
		{"as events into a file", "events", "r", false, "matrix multiply 64³", "measuring\n", `"type":"record"`},
		{"quietly as events into a file", "events", "r", true, "", "", `"type":"record"`},
	} {
		a, stdout, stderr := output()
		f := outputFlags{format: tt.format, quiet: tt.quiet, people: "table"}
		if tt.output != "" {
			name := filepath.Join(t.TempDir(), tt.output)
			f.output, f.to = name, &destination{flag: "output", name: name, path: name}
		}
		_, lab := raced()
		if err := a.run(t.Context(), f, lab); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		file := ""
		if f.output != "" {
			text, err := os.ReadFile(f.output)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			file = string(text)
		}
		for what, got := range map[string][2]string{"stdout": {stdout.String(), tt.stdout}, "stderr": {stderr.String(), tt.stderr}, "the file": {file, tt.inFile}} {
			if !strings.Contains(got[0], got[1]) || got[1] == "" && got[0] != "" {
				t.Errorf("%s: %s holds %q, want %q", tt.name, what, got[0], got[1])
			}
		}
	}
}

// Every line of events is one, and the last has the record.
func TestEvents(t *testing.T) {
	a, stdout, _ := output()
	_, lab := raced()
	if err := a.run(t.Context(), outputFlags{format: events, people: "table", quiet: true}, lab); err != nil {
		t.Fatal(err)
	}
	var types []string
	for line := range strings.Lines(stdout.String()) {
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		types = append(types, e.Type)
	}
	if got := strings.Join(types, " "); got != "begin note record" {
		t.Errorf("events %s", got)
	}
}

// What was measured is printed when its file cannot be written, and what an
// interrupted or a failed run came to decides the exit code.
func TestConclude(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone", "r.json")
	into := &destination{flag: "output", name: gone, path: gone}
	for _, tt := range []struct {
		name   string
		change func(r *record.Run, f *outputFlags)
		err    error
		asked  bool
		code   int
		stderr string
	}{
		{"well", func(*record.Run, *outputFlags) {}, nil, true, 0, ""},
		{"no file", func(_ *record.Run, f *outputFlags) { f.to = into }, nil, false, exitFailed, "--output " + gone + ": no such file or directory"},
		{"interrupted", func(r *record.Run, _ *outputFlags) { r.Interrupted = true }, nil, false, exitInterrupted, ""},
		{"interrupted without a file", func(r *record.Run, f *outputFlags) { r.Interrupted = true; f.to = into }, nil, false, exitInterrupted, "no such file or directory"},
		{"stopped short", func(r *record.Run, _ *outputFlags) {
			r.Error = fault.Errorf(fault.Internal, "disk full").With(fault.Set("output", "a b", ""))
		}, nil, false, exitFailed, "gpuplay: disk full\n  --output 'a b'\n"},
		{"a lane failed", func(r *record.Run, _ *outputFlags) { r.Results[0].Error = fault.Errorf(fault.Crashed, "gone") }, nil, false, exitFailed, ""},
		{"an engine is missing", func(r *record.Run, _ *outputFlags) { r.Missing = []record.Missing{{Engine: "torch"}} }, nil, false, 0, ""},
		{"an engine that was asked for is missing", func(r *record.Run, _ *outputFlags) {
			r.Missing = []record.Missing{{Engine: "torch", Reason: "no Python"}}
		}, nil, true, exitFailed, "gpuplay: torch: no Python\n"},
		{"something beside it failed", func(*record.Run, *outputFlags) {}, errors.New("pipe is closed"), false, exitFailed, "gpuplay: pipe is closed\n"},
	} {
		a, stdout, stderr := output()
		f := outputFlags{format: "json", people: "table", quiet: true}
		r, _ := raced()
		tt.change(r, &f)
		err := a.conclude(f, r, tt.err, tt.asked)
		if code := exitCode(err, t.Context(), stderr); code != tt.code || !strings.Contains(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%s: exit code %d with %q, want %d with %q", tt.name, code, stderr, tt.code, tt.stderr)
		}
		if !strings.Contains(stdout.String(), record.Schema) {
			t.Errorf("%s: printed %q", tt.name, stdout)
		}
	}
}

func TestExitCode(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, tt := range []struct {
		ctx    context.Context
		err    error
		code   int
		stderr string
	}{
		{t.Context(), nil, 0, ""},
		{t.Context(), errors.New("odd"), exitFailed, "gpuplay: odd\n"},
		{t.Context(), errors.New("od\x1b[2Jd"), exitFailed, "gpuplay: od^[[2Jd\n"},
		{t.Context(), usagef("write it so", "that is %s", "wrong"), exitUsage, "gpuplay: that is wrong\n  write it so\n"},
		{t.Context(), mistyped("tabel", []string{"table", "json"}, "unknown format %q", "tabel"), exitUsage, "gpuplay: unknown format \"tabel\"\n  did you mean table? there are: table, json\n"},
		{t.Context(), fault.Errorf(fault.Invalid, "no"), exitUsage, "gpuplay: no\n"},
		{t.Context(), fault.Errorf(fault.Timeout, "slow").With(fault.Change("timeout", "{} allows more time")), exitFailed, "gpuplay: slow\n  --timeout allows more time\n"},
		{ctx, errors.New("anything"), exitInterrupted, "gpuplay: interrupted\n"},
		{ctx, &reportedError{exitFailed}, exitFailed, ""},
	} {
		var stderr bytes.Buffer
		if code := exitCode(tt.err, tt.ctx, &stderr); code != tt.code || stderr.String() != tt.stderr {
			t.Errorf("%v: exit code %d with %q, want %d with %q", tt.err, code, &stderr, tt.code, tt.stderr)
		}
	}
}

func TestOutputFlags(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ format, output, want, err string }{
		{"", "", "table", ""},
		{"", filepath.Join(dir, "r.csv"), "csv", ""},
		{"", filepath.Join(dir, "r.txt"), "table", ""},
		{"json", filepath.Join(dir, "r.csv"), "json", ""},
		{"", filepath.Join(dir, "r.CSV"), "csv", ""},
		{"", filepath.Join(dir, "r.events"), "events", ""},
		{"", "r.svg", "", "--output r.svg: svg is not a format of this command"},
		{"", "r.png", "", "--output r.png: png is not a format of this command"},
		{"json", filepath.Join(dir, "r.png"), "json", ""},
		{"yaml", "", "", `unknown format "yaml"`},
		{"", dir, "", "--output " + dir + ": is a folder"},
		{"", filepath.Join(dir, "no", "r.json"), "", "--output " + filepath.Join(dir, "no", "r.json") + ": no such file or directory"},
	} {
		f := outputFlags{format: tt.format, output: tt.output, people: "table", names: []string{"table", "json", "csv", "events"}}
		err := f.check()
		if tt.err != "" && (err == nil || err.Error() != tt.err) || tt.err == "" && (err != nil || f.format != tt.want) {
			t.Errorf("%s into %s: %s, %v; want %s, %s", tt.format, tt.output, f.format, err, tt.want, tt.err)
		}
	}
}
