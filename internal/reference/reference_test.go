package reference

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// Every record of the program can be read, is what a reference must be, and is in the
// file of its card and product.
func TestRecords(t *testing.T) {
	list, err := Read(embedded, "records")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if _, err := embedded.Open("records/" + FileName(r)); err != nil {
			t.Error(err)
		}
	}
	if got := Records(); got == nil || len(got) != len(list) {
		t.Errorf("%d of %d records", len(got), len(list))
	}
}

// raced is a race as a machine with GPUs writes it, with all that tells whose it is.
func raced() *record.Run {
	r := recordtest.Races()["cards"]
	r.Command = []string{"gpuplay", "race", "--output", "/home/somebody/x.json"}
	r.Machine.ID, r.Machine.Kernel = "0123456789abcdef", "6.1.0-somebody"
	r.Missing = []record.Missing{{Engine: "mlx", Reason: "MLX is not installed for /home/somebody/.venv/bin/python"}}
	for _, x := range r.Results {
		x.Device.Versions = map[string]string{"driver": "580.1", "torch": "2.15.0+cu130"}
		x.Device.PCI = "0000:1a:00.0"
	}
	return r
}

// Of a race the fastest GPU lane is kept, and nothing that says whose machine it was.
func TestKeep(t *testing.T) {
	r := raced()
	kept, err := Keep(r)
	if err != nil {
		t.Fatal(err)
	}
	x := kept.Results[0]
	if speed, _ := x.Speed(); len(kept.Results) != 1 || x.Lane != "torch/cuda" || speed.Value < 49e12 || x.Device.Name != recordtest.Card {
		t.Errorf("kept %s of %s at %g", x.Lane, x.Device.Name, speed.Value)
	}
	if kept.Created != r.Created || kept.Program != r.Program || kept.Machine.CPU != recordtest.Chip || x.Device.Versions["driver"] != "580.1" {
		t.Errorf("%+v", kept)
	}
	if got := FileName(kept); got != "example-gpu-x-float32-4096.json" {
		t.Errorf("its file is %q", got)
	}
	var b bytes.Buffer
	if err := record.Write(&b, kept); err != nil {
		t.Fatal(err)
	}
	for _, telling := range []string{"somebody", "0123456789abcdef", "GPU-0000", "1a:00", "output"} {
		if strings.Contains(b.String(), telling) {
			t.Errorf("it tells %q: %s", telling, b.String())
		}
	}
	if d := cmp.Diff(raced(), r); d != "" {
		t.Errorf("the race was changed: %s", d)
	}
	// What is written is read back.
	list, err := Read(fstest.MapFS{"x/" + FileName(kept): {Data: b.Bytes()}, "x/README.md": {Data: []byte("#")}}, "x")
	if err != nil || len(list) != 1 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	if d := cmp.Diff(kept, list[0]); d != "" {
		t.Error(d)
	}
}

// What is no reference is refused, with the reason.
func TestCheck(t *testing.T) {
	for want, spoil := range map[string]func(r *record.Run, x *bench.Result){
		"of a race":               func(r *record.Run, _ *bench.Result) { r.Kind = record.MatMul },
		"come to its end":         func(r *record.Run, _ *bench.Result) { r.Interrupted = true },
		"it has 2 lanes":          func(r *record.Run, x *bench.Result) { r.Results = append(r.Results, x) },
		"it has no date":          func(r *record.Run, _ *bench.Result) { r.Created = time.Time{} },
		"which gpuplay":           func(r *record.Run, _ *bench.Result) { r.Program.Version = "" },
		"no GPU":                  func(_ *record.Run, x *bench.Result) { x.Device.Kind = hardware.SoftwareGPU },
		"not verified":            func(_ *record.Run, x *bench.Result) { x.Check.Passed = false },
		"too few":                 func(_ *record.Run, x *bench.Result) { x.Samples = x.Samples[:5] },
		"not that of a race":      func(_ *record.Run, x *bench.Result) { x.GEMM.K = 5 },
		"the driver's is missing": func(_ *record.Run, x *bench.Result) { delete(x.Device.Versions, "driver") },
		"the machine's id":        func(r *record.Run, _ *bench.Result) { r.Machine.ID = "0123456789abcdef" },
		"the command":             func(r *record.Run, _ *bench.Result) { r.Command = []string{"gpuplay"} },
		"/opt/cuda/lib":           func(_ *record.Run, x *bench.Result) { x.Facts.Notes = []string{"/opt/cuda/lib is old"} },
		"5d4bf5a4-79ba-":          func(_ *record.Run, x *bench.Result) { x.Device.UUID = "GPU-5d4bf5a4-79ba-2b8f-d7c9-4e6e3a7bd8a5" },
		"0000:1a:00.0":            func(_ *record.Run, x *bench.Result) { x.Device.PCI = "0000:1a:00.0" },
	} {
		r := recordtest.Reference("Example H", 50e12)
		if err := Check(r); err != nil {
			t.Fatal(err)
		}
		spoil(r, r.Results[0])
		err := Check(r)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, r := range []*record.Run{
		recordtest.Races()["cpu"],
		recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 1e12, recordtest.Failed(fault.Wrong, "wrong"))),
		recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 1e12, recordtest.Warned(measure.Smaller, "smaller"))),
	} {
		if kept, err := Keep(r); err == nil {
			t.Errorf("kept %+v", kept.Results[0])
		}
	}
}

// Read says of each file that is none why.
func TestRead(t *testing.T) {
	text, err := json.Marshal(recordtest.Races()["gpu"])
	if err != nil {
		t.Fatal(err)
	}
	list, err := Read(fstest.MapFS{"x/a.json": {Data: []byte("{")}, "x/b.json": {Data: text}}, "x")
	if len(list) != 0 || err == nil || !strings.Contains(err.Error(), "x/a.json: ") || !strings.Contains(err.Error(), "x/b.json: it has 4 lanes") {
		t.Errorf("%d records, %v", len(list), err)
	}
}
