package telemetry

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// clients finds the processes that use a GPU by what its driver says of their open files, in
// /proc/PID/fdinfo (Documentation/gpu/drm-usage-stats.rst, and those of amdgpu, i915 and
// xe). The files of other users' processes can be read by root alone. It has not been run on
// such a GPU yet.
type clients struct {
	root string
	pci  string
	last map[int]usage // by the number of the process
}

// usage is how long a process has kept each engine of a GPU busy.
type usage struct {
	at      time.Time
	engines map[string]uint64 // nanoseconds, or cycles
	totals  map[string]uint64 // cycles of the engine in all; nil: the driver counts nanoseconds
	memory  float64           // bytes; 0: not known
}

// list returns the processes.
func (c *clients) list() []event.Process {
	now := map[int]usage{}
	var list []event.Process
	folders, _ := filepath.Glob(filepath.Join(c.root, "proc/[0-9]*"))
	for _, dir := range folders {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		u, ok := c.use(dir)
		if !ok {
			continue
		}
		p := event.Process{PID: pid, Memory: positive(u.memory)}
		if before, known := c.last[pid]; known {
			p.Busy = u.since(before)
		}
		now[pid] = u
		list = append(list, p)
	}
	c.last = now
	return list
}

// use reads what a process uses of the GPU; ok is false if it has not opened it.
func (c *clients) use(dir string) (u usage, ok bool) {
	u = usage{at: time.Now(), engines: map[string]uint64{}}
	files, _ := os.ReadDir(filepath.Join(dir, "fd"))
	seen := map[string]bool{} // several open files may be of one client
	for _, f := range files {
		target, err := os.Readlink(filepath.Join(dir, "fd", f.Name()))
		if err != nil || !strings.HasPrefix(target, "/dev/dri/") {
			continue
		}
		values := keys(filepath.Join(dir, "fdinfo", f.Name()))
		if values["drm-pdev"] != c.pci || seen[values["drm-client-id"]] {
			continue
		}
		seen[values["drm-client-id"]] = true
		ok = true
		u.add(values)
	}
	return u, ok
}

// add adds what one client uses.
func (u *usage) add(values map[string]string) {
	for k, v := range values {
		if engine, is := strings.CutPrefix(k, "drm-engine-"); is && !strings.HasPrefix(engine, "capacity-") {
			u.engines[engine] += quantity(v)
		}
		if engine, is := strings.CutPrefix(k, "drm-total-cycles-"); is {
			if u.totals == nil {
				u.totals = map[string]uint64{}
			}
			u.totals[engine] = max(u.totals[engine], quantity(v))
		} else if engine, is := strings.CutPrefix(k, "drm-cycles-"); is && values["drm-total-cycles-"+engine] != "" {
			u.engines[engine] += quantity(v)
		}
	}
	for _, keys := range [][]string{{"drm-resident-vram", "drm-resident-vram0", "drm-resident-local0"}, {"drm-memory-vram"}} {
		found := uint64(0)
		for _, k := range keys {
			found += quantity(values[k])
		}
		if found > 0 {
			u.memory += float64(found)
			return
		}
	}
}

// since returns how busy the busiest engine was kept since then, in percent; nil where that
// is not known. A count that runs backwards stands for its last value.
func (u usage) since(before usage) *float64 {
	highest, known := 0.0, false
	for engine, now := range u.engines {
		then, there := before.engines[engine]
		if !there {
			continue
		}
		span := float64(u.at.Sub(before.at))
		if u.totals != nil {
			span = float64(u.totals[engine]) - float64(before.totals[engine])
		}
		if span > 0 {
			known = true
			if now > then {
				highest = max(highest, 100*float64(now-then)/span)
			}
		}
	}
	if !known {
		return nil
	}
	return rounded(min(100, highest))
}

// keys reads a file of keys and values.
func keys(file string) map[string]string {
	values := map[string]string{}
	f, err := os.Open(file)
	if err != nil {
		return values
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok {
			values[k] = strings.TrimSpace(v)
		}
	}
	return values
}

// quantity returns a number with its unit: nanoseconds, cycles or bytes; 0 for what is none.
func quantity(text string) uint64 {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0
	}
	switch strings.TrimSpace(unit) {
	case "KiB":
		return n << 10
	case "MiB":
		return n << 20
	}
	return n
}
