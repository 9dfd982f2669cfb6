package host

import (
	"math"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/shirou/gopsutil/v4/mem"
)

// Limits are what the control groups of this process allow it: Linux's way of
// confining containers and services. The zero value is no limit.
type Limits struct {
	CPUs   float64 // seconds of CPU time per second, 0.5 for half a CPU; 0: no limit
	Memory uint64  // bytes; 0: no limit
	Left   uint64  // bytes of Memory that can still be had
}

// groups are those of this process, which does not change them.
var groups = sync.OnceValue(func() controls {
	if runtime.GOOS != "linux" {
		return controls{}
	}
	return findControls("/")
})

// ReadLimits returns the limits of this process.
func ReadLimits() Limits { return groups().limits() }

// Throttled returns in how many periods of its CPU quota, of usually 0.1 s, this process
// and those that share the quota have run until now, and in how many of them they were
// stopped because it was used up. Both are 0 without a quota.
func Throttled() (periods, throttled int64) { return groups().throttled() }

// HeedQuota lets Go run no more threads at a time than the CPU quota allows. Go itself
// does so except for quotas below two CPUs, of which it uses two
// (https://pkg.go.dev/runtime#GOMAXPROCS).
func HeedQuota() {
	if quota := ReadLimits().CPUs; quota > 0 {
		runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), int(math.Ceil(quota))))
	}
}

// Threads returns with how many threads to compute where a quota, or GOMAXPROCS,
// allows fewer than there are CPUs: libraries do not know of it. It is 0 where they may
// choose for themselves.
func Threads() int {
	if runtime.GOMAXPROCS(0) >= runtime.NumCPU() {
		return 0
	}
	cores, _, cpus := Cores()
	if cores == 0 {
		return cpus
	}
	return cores
}

// controls are the folders of the control groups that confine a process, its own group
// first, then those around it: each of them counts.
type controls struct {
	cpu, memory []string
	unified     bool // version 2 of control groups, whose files have other names
}

// findControls finds them below a root folder. /proc/self/cgroup has the group's path
// in each hierarchy (cgroups(7)):
//
//	0::/user.slice/session.scope         version 2
//	4:cpu,cpuacct:/docker/3f1c           version 1
//
// and mountinfo says where a hierarchy is, and which of its groups is seen as its root.
// Version 2 is what counts if it has the controllers; with both, version 1 has them.
func findControls(root string) controls {
	paths := map[string]string{} // by controller, "" for version 2
	for line := range strings.Lines(read(root, "proc/self/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			paths[controller] = fields[2]
		}
	}
	var c controls
	for line := range strings.Lines(read(root, "proc/self/mountinfo")) {
		before, after, ok := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(kind) < 3 {
			continue
		}
		at := filepath.Join(root, filepath.FromSlash(unescape(mount[4])))
		switch kind[0] {
		case "cgroup2":
			if found := chain(at, unescape(mount[3]), paths[""]); c.cpu == nil && c.memory == nil {
				c = controls{found, found, true}
			}
		case "cgroup":
			for controller := range strings.SplitSeq(kind[2], ",") {
				if controller != "cpu" && controller != "memory" {
					continue
				}
				if c.unified {
					c = controls{}
				}
				if found := chain(at, unescape(mount[3]), paths[controller]); controller == "cpu" {
					c.cpu = found
				} else {
					c.memory = found
				}
			}
		}
	}
	return c
}

// unescape undoes what mountinfo does to spaces.
func unescape(name string) string { return strings.ReplaceAll(name, `\040`, " ") }

// chain returns the folders of a group and of all groups around it, in a hierarchy that
// is mounted at a folder and whose root there is the group called root. A process in a
// container may see a path that is not below what is mounted: then only that counts.
func chain(at, root, group string) []string {
	inside, below := strings.CutPrefix(path.Clean("/"+group), path.Clean("/"+root))
	if root != "/" && !below {
		inside = ""
	}
	if root == "/" {
		inside = path.Clean("/" + group)
	}
	var folders []string
	for inside = strings.Trim(inside, "/"); inside != "" && inside != "."; inside = path.Dir(inside) {
		folders = append(folders, filepath.Join(at, filepath.FromSlash(inside)))
	}
	return append(folders, at)
}

// limits reads the limits.
func (c controls) limits() Limits {
	var l Limits
	_, l.CPUs = c.tightest()
	for _, group := range c.memory {
		names, used, cache := []string{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file"
		if c.unified { // memory.high is where a group is slowed down instead of ended
			names, used, cache = []string{"memory.max", "memory.high"}, "memory.current", "inactive_file"
		}
		for _, name := range names {
			limit, err := strconv.ParseUint(read(group, name), 10, 64)
			if err != nil || limit >= 1<<62 { // "max"; version 1 has a number that no machine has
				continue
			}
			taken, _ := strconv.ParseUint(read(group, used), 10, 64)
			taken -= min(taken, uint64(entry(read(group, "memory.stat"), cache))) // files that were read, given up on demand
			left := limit - min(limit, taken)
			if l.Memory == 0 || left < l.Left {
				l.Left = left
			}
			if l.Memory == 0 || limit < l.Memory {
				l.Memory = limit
			}
		}
	}
	return l
}

// tightest returns the group whose CPU quota is the lowest, and that quota; 0 where none
// has one.
func (c controls) tightest() (group string, cpus float64) {
	for _, folder := range c.cpu {
		quota, period, _ := strings.Cut(read(folder, "cpu.max"), " ") // "50000 100000"
		if !c.unified {
			quota, period = read(folder, "cpu.cfs_quota_us"), read(folder, "cpu.cfs_period_us")
		}
		q, err := strconv.ParseFloat(quota, 64)
		p, bad := strconv.ParseFloat(period, 64)
		if err != nil || bad != nil || !(q > 0) || !(p > 0) || math.IsInf(q, 0) { // "max"; -1 in version 1
			continue
		}
		if cpus == 0 || q/p < cpus {
			group, cpus = folder, q/p
		}
	}
	return group, cpus
}

func (c controls) throttled() (periods, throttled int64) {
	group, cpus := c.tightest()
	if cpus == 0 {
		return 0, 0
	}
	stat := read(group, "cpu.stat")
	return entry(stat, "nr_periods"), entry(stat, "nr_throttled")
}

// entry returns the number behind a name in a file of names and numbers, 0 if there is
// none.
func entry(text, name string) int64 {
	for line := range strings.Lines(text) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return max(0, n)
		}
	}
	return 0
}

// memory returns the bytes of memory that this process may use, and those that can be
// had without swapping: the machine's, or less where a container has a limit. Both are 0
// where the system does not say.
func memory() (total, free uint64) {
	v, err := mem.VirtualMemory()
	if err != nil {
		return 0, 0
	}
	return ReadLimits().apply(v.Total, v.Available)
}

// apply returns what is left of a machine's memory.
func (l Limits) apply(total, free uint64) (uint64, uint64) {
	if l.Memory == 0 || l.Memory >= total {
		return total, free
	}
	return l.Memory, min(free, l.Left)
}
