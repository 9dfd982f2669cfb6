package diagnose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

// The catalog starts this test binary as the worker of the engines that are built in.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "worker" {
		if err := catalog.Serve(os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// deps is a machine without Pythons of its own.
func deps(t *testing.T) lab.Deps {
	return lab.Deps{
		Catalog: &catalog.Catalog{Env: catalog.Environment{Folder: t.TempDir(), Own: t.TempDir(), Children: os.Environ()}},
		Program: record.Program{Version: "1"},
		Command: []string{"gpuplay", "doctor"},
	}
}

func TestRun(t *testing.T) {
	s := event.NewStream("the run", nil)
	var types []event.Type
	s.Subscribe(func(e event.Event) { types = append(types, e.Type) })
	r, err := Run(t.Context(), deps(t), Options{Variables: map[string]string{"XLA_FLAGS": "1"}, Timeout: time.Minute}, s)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if r.Schema != record.Schema || r.Kind != record.Doctor || r.ID != "the run" || r.Program.Version != "1" || r.Machine.CPU == "" || r.Elapsed <= 0 {
		t.Errorf("the envelope is %+v", r)
	}
	find := func(name string) record.Check {
		for _, c := range r.Checks {
			if c.Name == name {
				return c
			}
		}
		t.Errorf("there is no check %s", name)
		return record.Check{}
	}
	if c := find("gpuplay"); c.Status != record.OK || c.Group != "Engines" {
		t.Errorf("gocpu was started and is %+v", c)
	}
	if c := find("Variable"); c.Status != record.Warning || c.Seen != "XLA_FLAGS=1" {
		t.Errorf("the variable is %+v", c)
	}
	for _, f := range python.Frameworks {
		find(f.Title)
	}
	if !slices.Equal(types, []event.Type{event.TypeBegin, event.TypeRecord}) {
		t.Errorf("events %q", types)
	}
}

// An interpreter that was asked for and is not there is an error in the record; that
// there is none at all is not.
func TestAskedForPython(t *testing.T) {
	r, err := Run(t.Context(), deps(t), Options{Python: filepath.Join(t.TempDir(), "nowhere")}, event.NewStream("r", nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range python.Frameworks {
		i := slices.IndexFunc(r.Checks, func(c record.Check) bool { return c.Name == f.Title })
		if i < 0 || r.Checks[i].Status != record.Failed || r.Checks[i].Remedies.String() != "python names an interpreter" {
			t.Errorf("%s: %+v", f.Title, r.Checks)
		}
	}
}

// Frameworks are started only when that was asked for.
func TestDeep(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a program for /bin/sh")
	}
	for _, deep := range []bool{false, true} {
		dir := t.TempDir()
		interpreter, log := filepath.Join(dir, "python"), filepath.Join(dir, "log")
		script := "#!/bin/sh\necho \"$2\" >> " + log + "\necho\necho 'gpuplay-environment {\"version\": \"3.12.0\", \"machine\": \"x86_64\", \"path\": []}'\n"
		if err := os.WriteFile(interpreter, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), deps(t), Options{Deep: deep, Python: interpreter}, event.NewStream("r", nil))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if started := strings.Contains(string(text), "-u"); started != deep || !strings.Contains(string(text), "-c") {
			t.Errorf("deep %t: the interpreter was run with %q", deep, text)
		}
		if i := slices.IndexFunc(r.Checks, func(c record.Check) bool { return c.Name == "Python" }); i < 0 || r.Checks[i].Seen != "3.12.0 (asked for)" {
			t.Errorf("deep %t: %+v", deep, r.Checks)
		}
	}
}

// A lane is compared with itself if that is asked for, and its samples are kept.
func TestAgain(t *testing.T) {
	r, err := Run(t.Context(), deps(t), Options{Again: 2, Timeout: time.Minute}, event.NewStream("r", nil))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Checks, func(c record.Check) bool { return c.Name == "Verdicts" })
	if i < 1 || r.Checks[i-1].Group != "Machine" || r.Checks[i+1].Group == "Machine" || !strings.HasPrefix(r.Checks[i].Seen, "1 comparison of a CPU lane with itself: ") {
		t.Errorf("%d: %+v", i, r.Checks)
	}
	if len(r.Noise.Results) != 2 || len(r.Noise.Results[1].Samples) == 0 {
		t.Errorf("%+v", r.Noise)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Run(ctx, deps(t), Options{}, event.NewStream("r", nil)); !errors.Is(err, context.Canceled) || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// An engine's own error keeps its code and remedies on its way to the doctor; any
// other becomes an internal one.
func TestExamined(t *testing.T) {
	own := fault.Errorf(fault.Unavailable, "no library").With(fault.Advice("install one")...)
	for _, test := range []struct {
		err  error
		want *fault.Error
	}{
		{nil, nil},
		{fmt.Errorf("blas: %w", own), own},
		{errors.New("broken pipe"), fault.Errorf(fault.Internal, "broken pipe")},
	} {
		e := examined(catalog.Contender{Entry: catalog.Entry{Name: "blas"}, Err: test.err})
		if d := cmp.Diff(test.want, e.Error); d != "" || e.BuiltIn || e.Name != "blas" {
			t.Errorf("%v becomes %+v: %s", test.err, e, d)
		}
	}
}
