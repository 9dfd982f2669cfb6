//lint:file-ignore U1000 the structures have all fields of the kernel's, so that those in use are where they are there

package telemetry

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/event"
)

// Structures of kgd_pp_interface.h as far as the fields that are read, with what follows them as
// far as it decides their size. Go lays them out as C does.
type (
	header struct {
		size            uint16
		format, content uint8
	}
	metrics13 struct {
		header      header
		temperature [6]uint16 // edge, hotspot, mem, vrgfx, vrsoc, vrmem
		activity    [3]uint16 // gfx, umc, mm
		power       uint16
		energy      uint64
		counter     uint64
		average     [7]uint16
		current     [7]uint16
		throttle    uint32
		fan         uint16
		width       uint16
		speed       uint16
		padding     uint16
		accumulated [2]uint32
		hbm         [4]uint16
		timestamp   uint64
		voltage     [3]uint16
		padding1    uint16
		independent uint64
	}
	metrics22 struct {
		header      header
		gfx, soc    uint16
		core        [8]uint16
		l3          [2]uint16
		activity    [2]uint16
		counter     uint64
		power       [4]uint16
		corePower   [8]uint16
		average     [6]uint16
		current     [6]uint16
		coreClock   [8]uint16
		l3Clock     [2]uint16
		throttle    uint32
		fan         uint16
		padding     [3]uint16
		independent uint64
	}
	metrics23 struct {
		metrics22
		temperature [12]uint16 // averages of gfx, soc, 8 cores, 2 l3
	}
	metrics24 struct {
		metrics23
		voltage, current [3]uint16
	}
	metrics16 struct {
		header      header
		temperature [3]uint16
		power       uint16
		activity    [2]uint16
		energy      uint64
		counter     uint64
		instinctRest
		timestamp uint64
		clocks
		partitions [8][168 / 8]uint64
		recovery   uint32
	}
	metrics17 struct {
		metrics17Head
		partitions [8][232 / 8]uint64
		recovery   uint32
	}
	metrics18 struct {
		metrics17Head
		partitions [8][376 / 8]uint64
		recovery   uint32
	}
	metrics17Head struct {
		header      header
		temperature [3]uint16
		power       uint16
		activity    [2]uint16
		bandwidth   uint64
		energy      uint64
		counter     uint64
		instinctRest
		status    [8]uint16
		padding   uint16
		timestamp uint64
		clocks
	}
	instinctRest struct { // from accumulation_counter to xgmi_write_data_acc
		accumulation uint32
		residencies  [5]uint32
		lock         uint32
		link         [4]uint16
		activity     [2]uint32
		pcie         [5]uint64
		nak          [2]uint32
		xgmi         [16]uint64
	}
	clocks struct {
		gfx             [8]uint16
		soc, vclk, dclk [4]uint16
		uclk, partition uint16
	}
	metrics30 struct {
		header                                header
		gfx, soc                              uint16
		core                                  [16]uint16
		skin                                  uint16
		gfxActivity, vcnActivity              uint16
		ipu                                   [8]uint16
		c0                                    [16]uint16
		dramReads, dramWrites                 uint16
		ipuReads, ipuWrites                   uint16
		counter                               uint64
		socketPower                           uint32
		ipuPower                              uint16
		apuPower, gfxPower, dgpuPower, allCor uint32
		corePower                             [16]uint16
		sysPower, stapm, currentStapm         uint16
		average                               [8]uint16
		coreClock                             [16]uint16
		coreMax, gfxMax                       uint16
		residencies                           [7]uint32
		alpha                                 uint32
	}
)

// The offsets and the sizes are those of the structures.
func TestMetricsLayouts(t *testing.T) {
	for version, want := range map[[2]byte][2]int{
		{1, 3}: {int(unsafe.Sizeof(metrics13{})), int(unsafe.Offsetof(metrics13{}.independent))},
		{2, 2}: {int(unsafe.Sizeof(metrics22{})), int(unsafe.Offsetof(metrics22{}.independent))},
		{2, 3}: {int(unsafe.Sizeof(metrics23{})), int(unsafe.Offsetof(metrics22{}.independent))},
		{2, 4}: {int(unsafe.Sizeof(metrics24{})), int(unsafe.Offsetof(metrics22{}.independent))},
		{3, 0}: {int(unsafe.Sizeof(metrics30{})), int(unsafe.Offsetof(metrics30{}.residencies))},
		{1, 6}: {int(unsafe.Sizeof(metrics16{})), int(unsafe.Offsetof(metrics16{}.instinctRest) + unsafe.Offsetof(instinctRest{}.residencies))},
		{1, 7}: {int(unsafe.Sizeof(metrics17{})), int(unsafe.Offsetof(metrics17Head{}.instinctRest) + unsafe.Offsetof(instinctRest{}.residencies))},
		{1, 8}: {int(unsafe.Sizeof(metrics18{})), int(unsafe.Offsetof(metrics17Head{}.instinctRest) + unsafe.Offsetof(instinctRest{}.residencies))},
	} {
		if l := metricsLayouts[version]; l.size != want[0] || l.status+l.residencies != want[1] {
			t.Errorf("%v: %d bytes, offset %d; want %v", version, l.size, l.status+l.residencies, want)
		}
	}
}

// metrics returns a gpu_metrics of a version whose fields are all zeros.
func metrics(format, content byte) []byte {
	file := make([]byte, metricsLayouts[[2]byte{format, content}].size)
	binary.LittleEndian.PutUint16(file, uint16(len(file)))
	file[2], file[3] = format, content
	return file
}

func TestParseMetrics(t *testing.T) {
	status := func(format, content byte, bits uint64) []byte {
		file := metrics(format, content)
		binary.LittleEndian.PutUint64(file[metricsLayouts[[2]byte{format, content}].status:], bits)
		return file
	}
	for name, tt := range map[string]struct {
		file []byte
		want event.Throttling
		ok   bool
	}{
		"nothing":                           {status(1, 3, 0), 0, true},
		"PPT0":                              {status(1, 3, 1), event.PowerCap, true},
		"SPL of an APU":                     {status(2, 2, 1<<4), event.PowerCap, true},
		"a limit of current":                {status(2, 3, 1<<16), event.PowerCap, true},
		"GPU, too hot":                      {status(1, 3, 1<<32), event.Heat, true},
		"PROCHOT":                           {status(2, 4, 1<<47), event.Heat, true},
		"power and heat":                    {status(1, 3, 1<<1|1<<36), event.PowerCap | event.Heat, true},
		"FIT":                               {status(1, 3, 1<<57), event.Slowdown, true},
		"not filled":                        {status(1, 3, math.MaxUint64), 0, false},
		"empty":                             {nil, 0, false},
		"half a header":                     {[]byte{120, 0}, 0, false},
		"1.2, whose bits mean other things": {append([]byte{104, 0, 1, 2}, make([]byte, 100)...), 0, false},
		"too short":                         {status(1, 3, 1)[:119], 0, false},
		"too long":                          {append(status(1, 3, 1), 0), 0, false},
		"another size in the header":        {append([]byte{128, 0, 1, 3}, make([]byte, 116)...), 0, false},
		"residencies that are not filled":   {append([]byte{0, 1, 3, 0}, bytes.Repeat([]byte{0xff}, 252)...), 0, false},
	} {
		table, err := parseMetrics(tt.file)
		if err == nil != tt.ok || table.since(table) != tt.want {
			t.Errorf("%s: %+v, %v", name, table, err)
		}
	}
}

// Counters say what held since the last round.
func TestResidencies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gpu_metrics")
	write := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table := metrics(1, 6)
	count := func(i int, v uint32) { binary.LittleEndian.PutUint32(table[36+4*i:], v); write(table) }
	count(1, 500) // PPT, long ago
	read := amdThrottling(file)
	if read == nil {
		t.Fatal("no reader")
	}
	for _, step := range []struct {
		change func()
		want   float64
	}{
		{func() {}, 0},
		{func() { count(1, 501) }, float64(event.PowerCap)},
		{func() {}, 0},
		{func() { count(4, 1); count(1, 502) }, float64(event.Heat | event.PowerCap)},
		{func() { count(1, 0) }, float64(event.PowerCap)}, // it starts anew
		{func() { write(nil) }, math.NaN()},
		{func() { write(table) }, 0},
	} {
		step.change()
		if got := read(); got != step.want && !(math.IsNaN(got) && math.IsNaN(step.want)) {
			t.Errorf("%v, want %v", got, step.want)
		}
	}
	write([]byte("1.2"))
	if amdThrottling(file) != nil || amdThrottling(file+"none") != nil {
		t.Error("a reader of a file that says no reason")
	}
}

// Whatever a file holds, only known reasons come of it.
func FuzzParseMetrics(f *testing.F) {
	for v := range metricsLayouts {
		f.Add(metrics(v[0], v[1]))
	}
	f.Add([]byte{104, 0, 1, 2})
	f.Fuzz(func(t *testing.T, file []byte) {
		table, err := parseMetrics(file)
		l := metricsLayouts[[2]byte{at(file, 2), at(file, 3)}]
		if err == nil && (len(file) != l.size || l.size == 0) {
			t.Errorf("%d bytes are taken", len(file))
		}
		if is := table.since(metricsTable{}); is&^(event.PowerCap|event.Heat|event.Slowdown) != 0 {
			t.Errorf("reasons %b", is)
		}
	})
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}
