package topology

import (
	"slices"

	"github.com/klauspost/cpuid/v2/topology"
)

// fromCPUID converts what x86 CPUs report about themselves. cpus are the system's
// numbers of the CPUs that were queried, in the order of the queries; without them,
// nothing in the result has a number.
func fromCPUID(sys *topology.System, cpus []int) Topology {
	kindOf := map[topology.CoreType]int{}
	var t Topology
	var all []instance
	numbers := func(cores ...topology.Core) []int {
		var list []int
		for _, c := range cores {
			for _, thread := range c.Threads {
				switch {
				case cpus == nil:
					list = append(list, thread.ID) // to tell them apart; removed at the end
				case thread.ID < len(cpus):
					list = append(list, cpus[thread.ID])
				}
			}
		}
		slices.Sort(list)
		return list
	}
	add := func(caches []topology.Cache, domain []int) {
		for _, c := range caches {
			if c.Type != topology.Instruction && c.Size > 0 {
				all = append(all, instance{level: c.Level, size: c.Size, line: positive(c.LineSize), ways: positive(c.Ways), shared: positive(c.SharedThreads), cpus: domain})
			}
		}
	}
	for _, p := range sys.Packages {
		add(p.Caches, numbers(p.Cores()...))
		for _, g := range p.Groups {
			add(g.Caches, numbers(g.Cores...))
			for _, c := range g.Cores {
				add(c.Caches, numbers(c))
				at, known := kindOf[c.Type]
				if !known {
					at = len(t.Kinds)
					kindOf[c.Type] = at
					t.Kinds = append(t.Kinds, Kind{})
				}
				k := &t.Kinds[at]
				k.CPUs += len(c.Threads)
				k.Cores = append(k.Cores, numbers(c))
			}
		}
	}
	if at, known := kindOf[topology.Performance]; known {
		t.Kinds[0], t.Kinds[at] = t.Kinds[at], t.Kinds[0]
	}
	for i := range t.Kinds {
		k := &t.Kinds[i]
		k.Name = kindName(i, len(t.Kinds))
		k.Caches = cachesOf(k.Cores, all)
		if cpus == nil {
			k.Count, k.Cores = len(k.Cores), nil
			for j := range k.Caches {
				k.Caches[j].Domains = nil
			}
		}
	}
	return t
}
