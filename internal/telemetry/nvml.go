package telemetry

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/ffi/nvml"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// nvidia reads NVIDIA's GPUs by the library of their driver. A reading reaches back up to
// a second: utilisation is that of the last sample period, of 1/6 s to 1 s, and power, on
// Ampere and newer GPUs, the average of the last second (nvml.h). How often the counter of
// energy is updated is not documented; a tenth of a second is what others have measured
// for power (Yang, Adamek, Armour: Part-time Power Measurements, 2023).
//
// PCIe's throughput is taken from counters, not from nvmlDeviceGetPcieThroughput, which
// takes 20 ms each time it is called.
type nvidia struct {
	every    time.Duration // between two rounds of readings
	watching bool          // no lane is measured
	lib      *nvml.Library
	sensors  []paced
	round    int
	devices  []watched
}

// rounds returns in how many rounds a quantity is read once. On an H200 the counter of energy
// takes 3 to 4 ms, one of NVLink's about 1 ms, one of PCIe's 0.1 ms, the others up to 14 µs
// (testdata/h200/bench.txt). Only the energy of a lane needs readings ten times a second. Of
// the other values the driver renews few as often: utilisation five times.
func (n *nvidia) rounds(q event.Quantity) int {
	period := time.Second
	switch q {
	case event.Energy:
		if !n.watching {
			period = interval
		}
	case event.Power, event.Utilization, event.Memory, event.Clock, event.Throttle:
		period = 200 * time.Millisecond
	}
	return max(1, int(period/n.every))
}

// watched is a GPU whose processes are listed.
type watched struct {
	device nvml.Device
	card   *hardware.Card
	seen   uint64 // the time of the last sample of their use, in microseconds since 1970
}

// NVML returns the source of NVIDIA's GPUs.
func NVML() Source { return &nvidia{every: interval} }

func (n *nvidia) Name() string { return "NVML" }

// Open finds the GPUs that answer. A GPU in MIG mode has no utilisation, and what else a
// GPU does not answer at first is no sensor of it.
func (n *nvidia) Open() (Found, error) {
	lib, err := nvml.Open()
	switch {
	case errors.Is(err, nvml.ErrMissing):
		return Found{}, nil
	case err != nil:
		return Found{}, err
	}
	if r := lib.Init_v2(); r != nvml.SUCCESS {
		return Found{}, errors.New(lib.ErrorString(r))
	}
	count, r := lib.DeviceGetCount_v2()
	if r != nvml.SUCCESS {
		return Found{}, fmt.Errorf("counting the GPUs: %s", lib.ErrorString(r))
	}
	n.lib = lib
	found := Found{Settle: time.Second, Step: 100 * time.Millisecond}
	for i := range count {
		d, r := lib.DeviceGetHandleByIndex_v2(i)
		if r != nvml.SUCCESS {
			continue
		}
		card := hardware.Card{Vendor: "NVIDIA"}
		card.UUID, _ = lib.DeviceGetUUID(d)
		card.Name, _ = lib.DeviceGetName(d)
		if p, r := lib.DeviceGetPciInfo_v3(d); r == nvml.SUCCESS {
			card.PCI = fmt.Sprintf("%04x:%02x:%02x.0", p.Domain, p.Bus, p.Device)
		}
		most := n.most(d)
		for _, x := range n.sensorsOf(d) {
			if _, ok := x.read(); ok {
				found.Sensors = append(found.Sensors, Sensor{Sensor: x.Sensor, GPU: &card, Max: most[x.Quantity]})
				n.sensors = append(n.sensors, paced{readable: x, rounds: n.rounds(x.Quantity)})
			}
		}
		n.devices = append(n.devices, watched{device: d, card: &card})
	}
	found.Processes = n.processes
	return found, nil
}

// most returns the most that the sensors of a GPU can read, as far as it says that.
func (n *nvidia) most(d nvml.Device) map[event.Quantity]*float64 {
	most := map[event.Quantity]*float64{}
	if mw, r := n.lib.DeviceGetEnforcedPowerLimit(d); r == nvml.SUCCESS {
		most[event.Power] = positive(float64(mw) / 1000)
	}
	if m, r := n.lib.DeviceGetMemoryInfo(d); r == nvml.SUCCESS {
		most[event.Memory] = positive(float64(m.Total))
	}
	for q, of := range map[event.Quantity]nvml.ClockType{event.Clock: nvml.CLOCK_SM, event.MemoryClock: nvml.CLOCK_MEM} {
		if mhz, r := n.lib.DeviceGetMaxClockInfo(d, of); r == nvml.SUCCESS {
			most[q] = positive(float64(mhz) * 1e6)
		}
	}
	return most
}

// readable is a sensor with how it is read.
type readable struct {
	event.Sensor
	read func() (float64, bool)
}

// paced is a sensor that is not read in every round.
type paced struct {
	readable
	rounds int     // in which it is read once
	last   float64 // what it said then; NaN: nothing
}

// sensorsOf returns all that a GPU may have. Energy comes first: it is the one whose time
// matters most.
func (n *nvidia) sensorsOf(d nvml.Device) []readable {
	lib := n.lib
	field := func(id, scope uint32, unit float64) func() (float64, bool) {
		return func() (float64, bool) {
			v := []nvml.FieldValue{{FieldId: id, ScopeId: scope}}
			if lib.DeviceGetFieldValues(d, v) != nvml.SUCCESS {
				return 0, false
			}
			x, ok := v[0].Float()
			return x * unit, ok
		}
	}
	clock := func(of nvml.ClockType) func() (float64, bool) {
		return func() (float64, bool) {
			v, r := lib.DeviceGetClockInfo(d, of)
			return float64(v) * 1e6, r == nvml.SUCCESS
		}
	}
	return []readable{
		{event.Sensor{Quantity: event.Energy, Scope: "board"}, func() (float64, bool) {
			v, r := lib.DeviceGetTotalEnergyConsumption(d)
			return float64(v) / 1000, r == nvml.SUCCESS
		}},
		{event.Sensor{Quantity: event.Power, Scope: "board"}, func() (float64, bool) {
			v, r := lib.DeviceGetPowerUsage(d)
			return float64(v) / 1000, r == nvml.SUCCESS
		}},
		{event.Sensor{Quantity: event.Utilization}, func() (float64, bool) {
			v, r := lib.DeviceGetUtilizationRates(d)
			return float64(v.Gpu), r == nvml.SUCCESS
		}},
		{event.Sensor{Quantity: event.Memory}, func() (float64, bool) {
			if v, r := lib.DeviceGetMemoryInfo_v2(d); r == nvml.SUCCESS {
				return float64(v.Used), true
			}
			v, r := lib.DeviceGetMemoryInfo(d)
			return float64(v.Used), r == nvml.SUCCESS
		}},
		{event.Sensor{Quantity: event.Clock}, clock(nvml.CLOCK_SM)},
		{event.Sensor{Quantity: event.MemoryClock}, clock(nvml.CLOCK_MEM)},
		{event.Sensor{Quantity: event.Temperature}, func() (float64, bool) {
			if v, r := lib.DeviceGetTemperatureV(d, nvml.TEMPERATURE_GPU); r == nvml.SUCCESS {
				return float64(v), true
			}
			v, r := lib.DeviceGetTemperature(d, nvml.TEMPERATURE_GPU)
			return float64(v), r == nvml.SUCCESS
		}},
		{event.Sensor{Quantity: event.Throttle}, func() (float64, bool) {
			v, r := lib.DeviceGetCurrentClocksEventReasons(d)
			if r == nvml.ERROR_FUNCTION_NOT_FOUND {
				v, r = lib.DeviceGetCurrentClocksThrottleReasons(d)
			}
			return float64(throttling(v)), r == nvml.SUCCESS
		}},
		{event.Sensor{Quantity: event.Processes}, func() (float64, bool) {
			var infos [64]nvml.ProcessInfo
			v, r := lib.DeviceGetComputeRunningProcesses_v3(d, infos[:])
			return float64(v), r == nvml.SUCCESS || r == nvml.ERROR_INSUFFICIENT_SIZE
		}},
		{event.Sensor{Quantity: event.PCIeSent}, field(nvml.FI_DEV_PCIE_COUNT_TX_BYTES, 0, 1)},
		{event.Sensor{Quantity: event.PCIeReceived}, field(nvml.FI_DEV_PCIE_COUNT_RX_BYTES, 0, 1)},
		{event.Sensor{Quantity: event.NVLinkSent}, field(nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, nvml.AllLinks, 1024)},
		{event.Sensor{Quantity: event.NVLinkReceived}, field(nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, nvml.AllLinks, 1024)},
	}
}

// Read repeats the last value of a sensor in rounds in which it is not read. What counts up
// has no value then, since it would seem to stand still.
func (n *nvidia) Read(values []float64) {
	for i := range n.sensors {
		x := &n.sensors[i]
		due := n.round == 0 || (n.round+i)%x.rounds == 0 // not all of them in the same round
		if due {
			x.last = math.NaN()
			if v, ok := x.read(); ok {
				x.last = v
			}
		}
		values[i] = x.last
		if !due && x.Quantity.Counts() {
			values[i] = math.NaN()
		}
	}
	n.round++
}

// throttling translates NVML's reasons.
func throttling(reasons uint64) event.Throttling {
	var t event.Throttling
	for _, x := range []struct {
		bits uint64
		is   event.Throttling
	}{
		{nvml.ClocksEventReasonSwPowerCap, event.PowerCap},
		{nvml.ClocksEventReasonSwThermalSlowdown | nvml.ClocksThrottleReasonHwThermalSlowdown, event.Heat},
		{nvml.ClocksThrottleReasonHwPowerBrakeSlowdown, event.PowerBrake},
		{nvml.ClocksThrottleReasonHwSlowdown, event.Slowdown},
		{nvml.ClocksEventReasonApplicationsClocksSetting | nvml.ClocksEventReasonSyncBoost | nvml.ClocksEventReasonDisplayClockSetting, event.Setting},
	} {
		if reasons&x.bits != 0 {
			t |= x.is
		}
	}
	return t
}
