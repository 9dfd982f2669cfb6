package telemetry

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// rapl reads the counters of energy of Intel's and AMD's CPUs, which Linux has in files
// (Documentation/power/powercap/powercap.rst). Since Linux 5.10 root alone may read them
// (CVE-2020-8694).
type rapl struct {
	root  string
	zones [][]*counter // of each sensor
}

// counter is a counter of energy in microjoules, which starts anew at a limit.
type counter struct {
	file  string
	limit float64
	last  float64
	sum   float64
}

// RAPL returns the source of the CPUs' energy. root is the folder below which Linux has
// its files, "/".
func RAPL(root string) Source { return &rapl{root: root} }

func (r *rapl) Name() string { return "RAPL" }

// Open finds the counters of the processors' packages and of their memory. The counters
// are updated about every millisecond (Intel's Software Developer's Manual, volume 3,
// section 16.10).
func (r *rapl) Open() (Found, error) {
	files, _ := filepath.Glob(filepath.Join(r.root, "sys/class/powercap/intel-rapl:*/energy_uj"))
	found := Found{Step: 2 * time.Millisecond}
	zones := map[string][]*counter{}
	for _, f := range files {
		name, err := os.ReadFile(filepath.Join(filepath.Dir(f), "name"))
		kind, _, _ := strings.Cut(strings.TrimSpace(string(name)), "-") // package-0
		if err != nil || kind != "package" && kind != "dram" {
			continue
		}
		if _, err := os.ReadFile(f); errors.Is(err, fs.ErrPermission) {
			return Found{}, errors.New("the energy of the CPUs can be read by root alone: " + f)
		}
		c := &counter{file: f, limit: number(filepath.Join(filepath.Dir(f), "max_energy_range_uj")), last: number(f)}
		if !math.IsNaN(c.last) {
			zones[kind] = append(zones[kind], c)
		}
	}
	for _, z := range []struct{ kind, scope string }{{"package", "CPU packages"}, {"dram", "DRAM"}} {
		if list := zones[z.kind]; len(list) > 0 {
			r.zones = append(r.zones, list)
			found.Sensors = append(found.Sensors, Sensor{Sensor: event.Sensor{Quantity: event.Energy, Scope: z.scope}})
		}
	}
	return found, nil
}

func (r *rapl) Read(values []float64) {
	for i, zone := range r.zones {
		values[i] = 0
		for _, c := range zone {
			values[i] += c.read() // NaN if one of them gives no answer
		}
	}
}

// read returns the joules since Open. A counter starts anew about once an hour at the
// power of a server.
func (c *counter) read() float64 {
	now := number(c.file)
	if math.IsNaN(now) {
		return now
	}
	switch grown := now - c.last; {
	case grown >= 0:
		c.sum += grown
	case c.limit > 0:
		c.sum += grown + c.limit
	}
	c.last = now
	return c.sum / 1e6
}
