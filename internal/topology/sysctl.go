package topology

import (
	"fmt"
	"slices"
)

// fromSysctl reads macOS's hw.perflevelN, of which level 0 is the fastest kind of
// core, or hw itself where there are no levels (older Macs). macOS neither numbers
// CPUs nor lets a thread choose one. The names are documented in sysctl(3) and, for
// kinds of cores, in "Addressing architectural differences in your macOS code"
// (developer.apple.com).
func fromSysctl(number func(name string) (int, bool)) Topology {
	levels, _ := number("hw.nperflevels")
	prefixes := []string{"hw."}
	if levels > 0 && levels < 10 {
		prefixes = nil
		for i := range levels {
			prefixes = append(prefixes, fmt.Sprintf("hw.perflevel%d.", i))
		}
	}
	var line *int
	if n, ok := number("hw.cachelinesize"); ok {
		line = positive(n)
	}
	var t Topology
	for i, prefix := range prefixes {
		cpus, ok := number(prefix + "logicalcpu")
		if !ok || cpus < 1 {
			continue
		}
		k := Kind{Name: kindName(i, len(prefixes)), CPUs: cpus}
		if n, ok := number(prefix + "physicalcpu"); ok && n > 0 && n <= cpus {
			k.Count = n
		}
		for level, name := range []string{"l1d", "l2", "l3"} {
			size, ok := number(prefix + name + "cachesize")
			if !ok || size <= 0 {
				continue
			}
			c := Cache{Level: level + 1, Size: size, Line: line}
			if n, ok := number(fmt.Sprintf("%scpusperl%d", prefix, level+1)); ok {
				c.Shared = positive(n)
			}
			k.Caches = append(k.Caches, c)
		}
		t.Kinds = append(t.Kinds, k)
	}
	t.Kinds = slices.Clip(t.Kinds)
	return t
}
