package card

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/reference"
)

const command = "gpuplay race --size 4096"

func drawn(t *testing.T, r *record.Run, theme Theme, command string) *Drawing {
	t.Helper()
	d, ok := New(r, theme, command)
	if !ok {
		t.Fatalf("a run of kind %q has no card", r.Kind)
	}
	return d
}

// manyLanes is a race of eight lanes with long names.
func manyLanes() *record.Run {
	r := recordtest.Run(record.Race)
	r.Machine.CPU = "Intel(R) Xeon(R) Platinum 8481C Processor with a very long name @ 2.70GHz"
	for i := range 8 {
		d := recordtest.TorchCPU
		d.Name, d.ID = r.Machine.CPU, fmt.Sprint("cpu:", i)
		d.Library, d.Detail = "A library with quite a long name", "with a detail that is longer still"
		r.Results = append(r.Results, recordtest.Result(d, 1e12+1e11*float64(i), recordtest.Engine("torch")))
	}
	return r
}

// ratioOf is a race whose GPU is that many times as fast.
func ratioOf(times float64) *record.Run {
	gpu := recordtest.TorchGPU
	gpu.Name = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"
	return recordtest.Run(record.Race, recordtest.Result(gpu, times*1e11, recordtest.Engine("torch"), recordtest.On(7, 0)), recordtest.Result(recordtest.BuiltIn, 1e11, recordtest.Engine("gocpu")))
}

// sensed gives a run of one card the history of its power.
func sensed(r *record.Run) *record.Run {
	r.Cards = []hardware.Card{{Number: 0, Name: recordtest.Card}}
	for _, x := range r.Results {
		x.Device.Card = nil // there is one
	}
	source := record.TelemetrySource{Name: "NVML"}
	series := record.TelemetrySeries{Sensor: event.Sensor{Quantity: event.Power, Card: new(int)}}
	for i := range 140 {
		watts := 72 + float64(i%5)
		if i > 60 && i < 120 {
			watts = 640 - 300/float64(i-59) + float64(i*7%11)
		}
		source.At, series.Values = append(source.At, time.Duration(i)*100*time.Millisecond), append(series.Values, &watts)
	}
	source.Series = []record.TelemetrySeries{series}
	r.Telemetry = &record.Telemetry{Sources: []record.TelemetrySource{source}}
	return r
}

// runs are those that cards must be good for: all examples, files of before, kept
// records, extremes, and runs at random with hostile texts.
func runs(t *testing.T) map[string]*record.Run {
	all := recordtest.Examples()
	for name, r := range recordtest.Older(t) {
		all["older/"+name] = r
	}
	for i, r := range reference.Records() {
		all[fmt.Sprint("reference/", i)] = r
	}
	all["many"] = manyLanes()
	for _, times := range []float64{0.001, 0.4, 1.02, 1.5, 2, 9.99, 25, 700, 12345, 3e6} {
		all[fmt.Sprint("ratio/", times)] = ratioOf(times)
	}
	for name, r := range recordtest.Examples() {
		all["sensed/"+name] = sensed(r)
	}
	for _, times := range []float64{0.5, 1.2, 38, 3000} {
		all[fmt.Sprint("sensed/ratio/", times)] = sensed(ratioOf(times))
	}
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(12) {
			r := recordtest.Random(kind, seed)
			all[fmt.Sprintf("random/%s/%d", kind, seed)] = r
			if seed%4 == 0 {
				r = recordtest.Random(kind, seed)
				recordtest.Poison(r, `"><script>`+strings.Repeat("\u202eW漢\x1b", 400))
				all[fmt.Sprintf("hostile/%s/%d", kind, seed)] = r
			}
		}
	}
	for name, r := range all {
		if r.Kind == record.Doctor || r.Kind == record.Imported {
			delete(all, name)
		}
	}
	return all
}

// A card shows a ratio only where two verified results of devices of their own may be
// compared, says the rest in words, and does not pass on what is not believed.
func TestHonest(t *testing.T) {
	wrong := func(r *bench.Result) { r.Check.Passed = false }
	cpu := recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Engine("gocpu"))
	for name, tt := range map[string]struct {
		run    *record.Run
		says   []string
		denies []string
	}{
		"wrong":    {recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 25e12, wrong), cpu), []string{"No ratio", "not verified", "1 of 2 lanes verified"}, []string{"×", "25.0 TFLOP/s", "both verified"}},
		"peak":     {recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 25e12, recordtest.Doubtful(true)), cpu), []string{"No ratio"}, []string{"×", "25.0 TFLOP/s"}},
		"software": {recordtest.Run(record.Race, recordtest.Result(recordtest.Software, 25e12), cpu), []string{"on the CPU; no GPU was found,", "Vulkan 1.4, a software GPU"}, []string{"×", "No ratio"}},
		"alone":    {recordtest.Run(record.MatMul, recordtest.Result(recordtest.Software, 25e12)), []string{"on the software GPU, whose"}, []string{"×"}},
		"size":     {recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 25e12, recordtest.Size(512, 512, 512)), cpu), []string{"No ratio", "GPU and CPU differ in size 512³"}, []string{"×"}},
		"none":     {recordtest.Run(record.MatMul, recordtest.Result(recordtest.TorchGPU, 25e12, wrong)), []string{"No result", "not verified"}, []string{"25.0"}},
		"nothing":  {recordtest.Run(record.Race), []string{"No result", "Nothing was measured"}, []string{"×"}},
		"slower":   {ratioOf(0.5), []string{"2.0×", "as fast on the CPU", "the GPU, in the same time"}, []string{"as fast on the GPU"}},
		"level":    {ratioOf(1), []string{"Level"}, []string{"×"}},
	} {
		text := ""
		for _, s := range drawn(t, tt.run, Themes[0], "").Shapes {
			text += s.Text + "\n"
		}
		for _, want := range tt.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, text)
			}
		}
		for _, not := range tt.denies {
			if strings.Contains(text, not) {
				t.Errorf("%s says %q:\n%s", name, not, text)
			}
		}
	}
}

// A diagnosis has no card, nor has what another tool has measured; every other kind of
// run has one.
func TestKinds(t *testing.T) {
	for _, kind := range recordtest.Kinds {
		if _, ok := New(&record.Run{Kind: kind}, Themes[0], ""); ok == (kind == record.Doctor || kind == record.Imported) {
			t.Errorf("%s: %v", kind, ok)
		}
	}
}
