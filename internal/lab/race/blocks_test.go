package race

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/telemetry"
)

// averages is a driver of GPUs whose readings reach back a second, as NVML's do.
type averages struct{ cards []hardware.Card }

func (averages) Name() string { return "NVML" }
func (a averages) Open() (found telemetry.Found, err error) {
	found.Settle = time.Second
	for _, c := range a.cards {
		found.Sensors = append(found.Sensors, telemetry.Sensor{Sensor: event.Sensor{Quantity: event.Utilization}, GPU: &c})
	}
	return found, nil
}
func (averages) Read(values []float64) { clear(values) }

// Sensors need a block of 2 s from each lane. The time holds all the same, with the same
// size and the same lanes; and the fastest GPU lane has its block, unless all of the time
// is as short as that.
func TestTimeHoldsWithSensors(t *testing.T) {
	for _, budget := range []time.Duration{2 * time.Second, 10 * time.Second} {
		for _, gpus := range []int{1, 4} {
			o := Options{Settings: lab.Settings{Budget: budget, Seed: 1}, DType: matrix.Float32, AllGPUs: true}
			without, _ := h200s(gpus, 16).race(t, o)
			limit := 2*budget + 13700*time.Millisecond
			synctest.Test(t, func(t *testing.T) {
				m := h200s(gpus, 16)
				m.sensors = []telemetry.Source{averages{hardware.Cards(nil, m.engines[2].devices[1].Device)}}
				r, w := m.race(t, o)
				w.Close()
				if r.Elapsed > limit {
					t.Errorf("%v, %d GPUs: it took %v of at most %v", budget, gpus, r.Elapsed, limit)
				}
				if len(r.Results) != len(without.Results) {
					t.Errorf("%v, %d GPUs: %d lanes, %d without sensors", budget, gpus, len(r.Results), len(without.Results))
				}
				proven := false
				for _, x := range r.Results {
					if x.GEMM.N != without.Results[0].GEMM.N || len(x.Samples) < 6 || !x.Verified() {
						t.Errorf("%v, %d GPUs: %s has %d samples of %d³, warnings %v", budget, gpus, x.Lane, len(x.Samples), x.GEMM.N, x.Warnings)
					}
					proven = proven || x.Engine == "torch" && x.Device.Kind == hardware.GPU && x.Block != nil
				}
				if proven != (budget >= 10*time.Second) {
					t.Errorf("%v, %d GPUs: the fastest GPU lane has a block: %t", budget, gpus, proven)
				}
			})
		}
	}
}
