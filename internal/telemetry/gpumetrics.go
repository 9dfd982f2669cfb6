package telemetry

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"github.com/gpuplay/gpuplay/internal/event"
)

// A metricsLayout says where a version of amdgpu's file gpu_metrics has its reasons for holding
// clocks down. The structures are those of drivers/gpu/drm/amd/include/kgd_pp_interface.h in
// Linux; a test computes the numbers from copies of them.
type metricsLayout struct {
	size int // bytes of the structure, which is the whole file
	// status is the offset of indep_throttle_status, 64 bits that mean the same on all GPUs; 0:
	// there is none.
	status int
	// residencies is the offset of counters of 32 bits, each of which grows while its reason
	// holds; what they stand for is in reasons.
	residencies int
	reasons     []event.Throttling
}

// metricsLayouts has the versions, by format_revision and content_revision. Those before 1.3 and
// 2.2, and 1.4 and 1.5, have no more than a throttle_status whose bits differ from GPU to GPU;
// 1.9 is not a fixed structure.
var metricsLayouts = map[[2]byte]metricsLayout{
	{1, 3}: {size: 120, status: 112},
	{1, 6}: {size: 1664, residencies: 36, reasons: instinct},
	{1, 7}: {size: 2208, residencies: 44, reasons: instinct},
	{1, 8}: {size: 3360, residencies: 44, reasons: instinct},
	{2, 2}: {size: 128, status: 120},
	{2, 3}: {size: 152, status: 120},
	{2, 4}: {size: 168, status: 120},
	{3, 0}: {size: 264, residencies: 228, reasons: []event.Throttling{event.Heat, event.PowerCap, event.PowerCap, event.PowerCap, event.Heat, event.Heat, event.Heat}}, // PROCHOT; SPL, FPPT and SPPT; cores, GPU, SoC
}

// instinct are the reasons of 1.6 to 1.8: PROCHOT, PPT, and the temperatures of the socket, the
// voltage regulators and the memory.
var instinct = []event.Throttling{event.Heat, event.PowerCap, event.Heat, event.Heat, event.Heat}

// statusReasons are the bits of indep_throttle_status, SMU_THROTTLER_*_BIT of
// drivers/gpu/drm/amd/pm/swsmu/inc/amdgpu_smu.h: limits of power from bit 0 on, of currents from
// 16 on, of temperatures from 32 on, and others, which are no more than named, from 56 on.
var statusReasons = []struct {
	from, to int // bits
	is       event.Throttling
}{{0, 15, event.PowerCap}, {16, 31, event.PowerCap}, {32, 55, event.Heat}, {56, 63, event.Slowdown}}

// A metricsTable is what a gpu_metrics says of reasons.
type metricsTable struct {
	status      event.Throttling
	residencies []uint32 // counters; nil: status says it
	reasons     []event.Throttling
}

// parseMetrics reads a gpu_metrics. A version that says nothing that can be understood, a size
// that is not that of its version, and a field that the GPU does not fill (all bits are set) are
// errors.
func parseMetrics(file []byte) (t metricsTable, err error) {
	const header = 4
	if len(file) < header {
		return t, fmt.Errorf("gpu_metrics has %d bytes, fewer than its header", len(file))
	}
	size, version := int(binary.LittleEndian.Uint16(file)), [2]byte{file[2], file[3]}
	l, known := metricsLayouts[version]
	if !known {
		return t, fmt.Errorf("gpu_metrics %d.%d has no reasons that mean the same on all GPUs, or is not known", version[0], version[1])
	}
	if size != l.size || len(file) != l.size {
		return t, fmt.Errorf("gpu_metrics %d.%d has %d bytes and says %d: they must be %d", version[0], version[1], len(file), size, l.size)
	}
	if l.status > 0 {
		bits := binary.LittleEndian.Uint64(file[l.status:])
		if bits == math.MaxUint64 {
			return t, fmt.Errorf("gpu_metrics %d.%d: this GPU does not say why it throttles", version[0], version[1])
		}
		for _, r := range statusReasons {
			if mask := uint64(1)<<(r.to-r.from+1) - 1; bits>>r.from&mask != 0 {
				t.status |= r.is
			}
		}
		return t, nil
	}
	t.reasons = l.reasons
	filled := false
	for i := range l.reasons {
		v := binary.LittleEndian.Uint32(file[l.residencies+4*i:])
		filled = filled || v != math.MaxUint32
		t.residencies = append(t.residencies, v)
	}
	if !filled {
		return t, fmt.Errorf("gpu_metrics %d.%d: this GPU does not say why it throttles", version[0], version[1])
	}
	return t, nil
}

// since returns the reasons that held since an earlier table of the same GPU.
func (t metricsTable) since(last metricsTable) event.Throttling {
	is := t.status
	for i, v := range t.residencies {
		if i < len(last.residencies) && v != last.residencies[i] {
			is |= t.reasons[i]
		}
	}
	return is
}

// amdThrottling returns what reads the reasons for which an AMD GPU holds its clocks down, from
// one round to the next; nil where its gpu_metrics does not say them.
func amdThrottling(file string) func() float64 {
	table := func() (metricsTable, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return metricsTable{}, err
		}
		return parseMetrics(text)
	}
	last, err := table()
	if err != nil {
		return nil
	}
	return func() float64 {
		now, err := table()
		if err != nil {
			return math.NaN()
		}
		is := now.since(last)
		last = now
		return float64(is)
	}
}
