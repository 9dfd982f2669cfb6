package topology

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// fromSysfs reads Linux's /sys/devices for the CPUs that the process may use.
// Its files are described in the kernel's
// Documentation/ABI/testing/sysfs-devices-system-cpu and sysfs-devices-node.
func fromSysfs(sys fs.FS, usable []int) Topology {
	all := sysfsCaches(sys, usable)
	kinds := sysfsKinds(sys, usable)
	var t Topology
	for i, cpus := range kinds {
		cores := sysfsCores(sys, cpus)
		t.Kinds = append(t.Kinds, Kind{Name: kindName(i, len(kinds)), CPUs: len(cpus), Cores: cores, Caches: cachesOf(cores, all)})
	}
	nodes, _ := fs.Glob(sys, "system/node/node[0-9]*")
	for _, dir := range nodes {
		id, err := strconv.Atoi(strings.TrimPrefix(dir, "system/node/node"))
		if err != nil {
			continue
		}
		if cpus := both(parseList(text(sys, dir+"/cpulist")), parseMask(text(sys, dir+"/cpumap")), usable); len(cpus) > 0 {
			t.Nodes = append(t.Nodes, Node{id, cpus})
		}
	}
	slices.SortFunc(t.Nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return t
}

// both returns the usable CPUs of a list, or of a mask where an old kernel has no
// list.
func both(list, mask, usable []int) []int {
	if len(list) == 0 {
		list = mask
	}
	return slices.DeleteFunc(slices.Clone(list), func(cpu int) bool { return !slices.Contains(usable, cpu) })
}

// gap separates kinds of cores: the next slower core must reach less than this
// share of the one before. Cores of one kind also differ a little, because their
// silicon does (997 to 1024 of 1024 on an NVIDIA GB10, whose small cores reach
// 731).
const gap = 0.85

// sysfsKinds groups CPUs by kind, the fastest first: by Intel's list of performance
// cores, or else by the capacity or the highest frequency of each CPU.
func sysfsKinds(sys fs.FS, usable []int) [][]int {
	if big := both(parseList(text(sys, "cpu_core/cpus")), nil, usable); len(big) > 0 && len(big) < len(usable) {
		small := slices.DeleteFunc(slices.Clone(usable), func(cpu int) bool { return slices.Contains(big, cpu) })
		return [][]int{big, small}
	}
	for _, file := range []string{"cpu_capacity", "cpufreq/cpuinfo_max_freq"} {
		speeds := map[int]int{}
		for _, cpu := range usable {
			if n, err := strconv.Atoi(text(sys, fmt.Sprintf("system/cpu/cpu%d/%s", cpu, file))); err == nil && n > 0 {
				speeds[cpu] = n
			}
		}
		if len(speeds) < len(usable) { // not known for all CPUs
			continue
		}
		var kinds [][]int
		order := slices.SortedFunc(maps.Keys(speeds), func(a, b int) int { return cmp.Or(cmp.Compare(speeds[b], speeds[a]), cmp.Compare(a, b)) })
		for i, cpu := range order {
			if i == 0 || float64(speeds[cpu]) < gap*float64(speeds[order[i-1]]) {
				kinds = append(kinds, nil)
			}
			last := &kinds[len(kinds)-1]
			*last = append(*last, cpu)
		}
		for _, k := range kinds {
			slices.Sort(k)
		}
		if len(kinds) > 1 {
			return kinds
		}
	}
	return [][]int{usable}
}

// sysfsCores groups the CPUs of each core.
func sysfsCores(sys fs.FS, cpus []int) [][]int {
	var cores [][]int
	seen := map[int]bool{}
	for _, cpu := range cpus {
		if seen[cpu] {
			continue
		}
		dir := fmt.Sprintf("system/cpu/cpu%d/topology/", cpu)
		core := both(parseList(text(sys, dir+"thread_siblings_list")), parseMask(text(sys, dir+"thread_siblings")), cpus)
		if !slices.Contains(core, cpu) {
			core = []int{cpu}
		}
		for _, sibling := range core {
			seen[sibling] = true
		}
		cores = append(cores, core)
	}
	return cores
}

// sysfsCaches lists every data cache once.
func sysfsCaches(sys fs.FS, usable []int) []instance {
	var all []instance
	seen := map[string]bool{}
	for _, cpu := range usable {
		dirs, _ := fs.Glob(sys, fmt.Sprintf("system/cpu/cpu%d/cache/index[0-9]*", cpu))
		for _, dir := range dirs {
			kind := text(sys, dir+"/type")
			level, err := strconv.Atoi(text(sys, dir+"/level"))
			if kind == "Instruction" || err != nil {
				continue
			}
			cpus := parseList(text(sys, dir+"/shared_cpu_list"))
			if cpus == nil {
				cpus = parseMask(text(sys, dir+"/shared_cpu_map"))
			}
			if !slices.Contains(cpus, cpu) {
				cpus = []int{cpu}
			}
			key := fmt.Sprint(level, cpus)
			size := parseSize(text(sys, dir+"/size"))
			if seen[key] || size == 0 {
				continue
			}
			seen[key] = true
			line, _ := strconv.Atoi(text(sys, dir+"/coherency_line_size"))
			ways, _ := strconv.Atoi(text(sys, dir+"/ways_of_associativity"))
			all = append(all, instance{level: level, size: size, line: positive(line), ways: positive(ways), shared: positive(len(cpus)), cpus: cpus})
		}
	}
	return all
}

func text(sys fs.FS, name string) string {
	b, err := fs.ReadFile(sys, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// mostCPUs is more than any kernel numbers: a list with a larger number is invalid.
const mostCPUs = 1 << 16

// parseList parses "0-3,8,10-11"; the result is empty if the list is invalid.
func parseList(s string) []int {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if isRange && err == nil {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 0 || to < from || to >= mostCPUs {
			return nil
		}
		for n := from; n <= to; n++ {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// parseMask parses "00000000,00000101": words of 32 bits, the highest first.
func parseMask(s string) []int {
	words := strings.Split(s, ",")
	if len(words) > mostCPUs/32 {
		return nil
	}
	var list []int
	for i, word := range slices.Backward(words) {
		w, err := strconv.ParseUint(word, 16, 32)
		if err != nil {
			return nil
		}
		for ; w != 0; w &= w - 1 {
			list = append(list, 32*(len(words)-1-i)+bits.TrailingZeros64(w))
		}
	}
	return list
}

// parseSize parses "32K" or "8M" and returns bytes; 0 if the size is invalid.
func parseSize(s string) int {
	factor := 1
	switch {
	case strings.HasSuffix(s, "K"):
		factor = 1 << 10
	case strings.HasSuffix(s, "M"):
		factor = 1 << 20
	}
	n, err := strconv.Atoi(strings.TrimRight(s, "KM"))
	if err != nil || n < 0 || n > 1<<32 {
		return 0
	}
	return n * factor
}
