// Package topology describes this machine's CPU for programs that compute: the
// kinds of cores, their caches, the NUMA nodes, and which CPUs the process may use.
//
// It reads sysfs on Linux and sysctl on macOS, and executes the cpuid instruction
// where the system provides nothing. What is not known is left out. It measures
// nothing and does not depend on the rest of gpuplay, so that any package can use
// it.
package topology

import (
	"cmp"
	"slices"
	"sync"
)

// A Topology describes the CPUs that the process may use at the time of the call.
// It does not include a container's CPU quota.
type Topology struct {
	Kinds []Kind `json:"kinds"`           // of cores, the fastest first; most machines have only one
	Nodes []Node `json:"nodes,omitempty"` // NUMA nodes with CPUs of this process; absent where the system does not report them
}

// A Kind is a set of identical cores: a hybrid chip has performance and efficiency
// cores.
type Kind struct {
	Name   string  `json:"name,omitempty"`   // performance or efficiency; empty where there is only one kind
	CPUs   int     `json:"cpus"`             // logical CPUs that the process may use
	Cores  [][]int `json:"cores,omitempty"`  // CPU numbers, core by core: CPUs of one core share its execution units. Absent where CPUs have no numbers (macOS)
	Count  int     `json:"count,omitempty"`  // cores, where CPUs have no numbers; 0 where that is not known
	Caches []Cache `json:"caches,omitempty"` // data caches, by level; caches of the same level but of different size are separate entries
}

// A Cache describes all caches of one level and size that cores of a kind have.
type Cache struct {
	Level   int     `json:"level"`             // 1 is nearest to the core
	Size    int     `json:"size"`              // bytes, of each cache
	Line    *int    `json:"line,omitempty"`    // bytes
	Ways    *int    `json:"ways,omitempty"`    // associativity
	Shared  *int    `json:"shared,omitempty"`  // logical CPUs of the machine that share one cache, usable or not
	Domains [][]int `json:"domains,omitempty"` // usable CPUs that share each cache
}

// A Node is a NUMA node: memory and the CPUs that are close to it.
type Node struct {
	ID   int   `json:"id"`
	CPUs []int `json:"cpus"` // those that the process may use
}

var once = sync.OnceValue(read)

// Read returns this machine's topology. The system is queried once and the result
// is shared; callers that change it must copy it first.
func Read() Topology { return once() }

// Cores returns the number of cores of the fastest kind, 0 if it is not known.
// Where it is not known which CPUs share a core, it counts CPUs.
func (t Topology) Cores() int {
	if len(t.Kinds) == 0 {
		return 0
	}
	if n := t.Kinds[0].physical(); n > 0 {
		return n
	}
	return t.Kinds[0].CPUs
}

// Physical returns the number of cores of all kinds, each counted once however many
// logical CPUs it has, and of those of the fastest kind; 0 where that is not known.
func (t Topology) Physical() (all, fastest int) {
	for i, k := range t.Kinds {
		n := k.physical()
		if n == 0 {
			return 0, 0
		}
		if all += n; i == 0 {
			fastest = n
		}
	}
	return all, fastest
}

// physical returns the number of a kind's cores, 0 where it is not known.
func (k Kind) physical() int {
	if n := len(k.Cores); n > 0 {
		return n
	}
	return k.Count
}

// CPUs returns the numbers of the logical CPUs in the order in which they should be
// used: one of each core of the fastest kind, then their siblings, then slower
// kinds. It is empty where CPUs have no numbers.
func (t Topology) CPUs() []int {
	var cpus []int
	for _, k := range t.Kinds {
		for i, more := 0, true; more; i++ {
			more = false
			for _, c := range k.Cores {
				if i < len(c) {
					cpus, more = append(cpus, c[i]), true
				}
			}
		}
	}
	return cpus
}

// Cache returns the cache of a level that every core of the fastest kind has at
// least: the smallest, where they differ.
func (t Topology) Cache(level int) (Cache, bool) {
	if len(t.Kinds) == 0 {
		return Cache{}, false
	}
	var found []Cache
	for _, c := range t.Kinds[0].Caches {
		if c.Level == level {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return Cache{}, false
	}
	return slices.MinFunc(found, func(a, b Cache) int { return cmp.Compare(a.Size, b.Size) }), true
}

// instance is one cache as the system lists it.
type instance struct {
	level, size int
	line, ways  *int
	shared      *int
	cpus        []int // all CPUs that share it, usable or not
}

// cachesOf groups the caches of a kind's CPUs by level and size.
func cachesOf(cores [][]int, all []instance) []Cache {
	ours := slices.Concat(cores...)
	var caches []Cache
	for _, one := range all {
		var domain []int
		for _, cpu := range one.cpus {
			if slices.Contains(ours, cpu) {
				domain = append(domain, cpu)
			}
		}
		if len(domain) == 0 {
			continue
		}
		slices.Sort(domain)
		at := slices.IndexFunc(caches, func(c Cache) bool { return c.Level == one.level && c.Size == one.size })
		if at < 0 {
			at = len(caches)
			caches = append(caches, Cache{Level: one.level, Size: one.size, Line: one.line, Ways: one.ways, Shared: one.shared})
		}
		caches[at].Domains = append(caches[at].Domains, domain)
	}
	slices.SortFunc(caches, func(a, b Cache) int { return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(b.Size, a.Size)) })
	for _, c := range caches {
		slices.SortFunc(c.Domains, slices.Compare)
	}
	return caches
}

// kindName names kind i of the given number of kinds.
func kindName(i, kinds int) string {
	switch {
	case kinds == 1:
		return ""
	case i == 0:
		return "performance"
	case i == kinds-1:
		return "efficiency"
	}
	return "middle"
}

// positive returns n if it is a valid size or count, that is, positive.
func positive(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}
