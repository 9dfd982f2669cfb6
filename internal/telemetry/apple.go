package telemetry

import (
	"errors"
	"math"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/ffi/iokit"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// apple reads what the driver of a Mac's GPU says of it: PerformanceStatistics of its
// IOAccelerator. What power it takes is not public.
type apple struct {
	read func(keys ...string) map[string]int64
}

// IOKit returns the source of a Mac's GPU.
func IOKit() Source { return &apple{} }

func (a *apple) Name() string { return "IOKit" }

// statistics are the driver's names of quantities.
var statistics = []struct {
	key      string
	quantity event.Quantity
}{{"Device Utilization %", event.Utilization}, {"In use system memory", event.Memory}}

// Open finds the GPU. Its memory is the machine's.
func (a *apple) Open() (Found, error) {
	if a.read == nil {
		lib, err := iokit.Open()
		switch {
		case errors.Is(err, iokit.ErrMissing):
			return Found{}, nil
		case err != nil:
			return Found{}, err
		}
		a.read = func(keys ...string) map[string]int64 {
			return lib.Numbers("IOAccelerator", "PerformanceStatistics", keys...)
		}
	}
	var found Found
	card := &hardware.Card{Name: "Apple GPU", Vendor: "Apple"}
	if len(a.values()) == 0 {
		return found, nil
	}
	for _, x := range statistics {
		found.Sensors = append(found.Sensors, Sensor{Sensor: event.Sensor{Quantity: x.quantity}, GPU: card})
	}
	return found, nil
}

// values reads all statistics.
func (a *apple) values() map[string]int64 {
	var keys []string
	for _, x := range statistics {
		keys = append(keys, x.key)
	}
	return a.read(keys...)
}

func (a *apple) Read(values []float64) {
	said := a.values()
	for i, x := range statistics {
		values[i] = math.NaN()
		if v, ok := said[x.key]; ok {
			values[i] = float64(v)
		}
	}
}
