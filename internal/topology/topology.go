// Package topology says what CPU this is to programs that compute: its kinds of
// cores, their caches, its NUMA nodes, and which of it the process may use.
//
// It reads sysfs on Linux, sysctl on macOS and the cpuid instruction where the
// system has nothing to say. What is not known is absent. It measures nothing
// and knows nothing of gpuplay, so that any package may ask.
package topology

import (
	"cmp"
	"slices"
	"sync"
)

// A Topology is the CPUs that the process may use, at the time it was asked for:
// a container's quota is no part of it.
type Topology struct {
	Kinds []Kind `json:"kinds"`           // of cores, the fastest first; most machines have one
	Nodes []Node `json:"nodes,omitempty"` // NUMA nodes with CPUs of ours; absent where the system does not tell
}

// A Kind is cores that are alike: a hybrid chip has performance and efficiency
// cores.
type Kind struct {
	Name   string  `json:"name,omitempty"`   // performance, efficiency; empty where there is but one kind
	CPUs   int     `json:"cpus"`             // logical CPUs that the process may use
	Cores  [][]int `json:"cores,omitempty"`  // their numbers, core by core: those of one core share its units. Absent where CPUs have no numbers (macOS)
	Caches []Cache `json:"caches,omitempty"` // that hold data, by level; those that differ in size only are listed apart
}

// A Cache is all caches of one level and size that cores of a kind have.
type Cache struct {
	Level   int     `json:"level"`             // 1 is nearest to the core
	Size    int     `json:"size"`              // bytes, of each
	Line    *int    `json:"line,omitempty"`    // bytes
	Ways    *int    `json:"ways,omitempty"`    // of associativity
	Shared  *int    `json:"shared,omitempty"`  // logical CPUs of the machine that share one, ours or not
	Domains [][]int `json:"domains,omitempty"` // our CPUs behind each of them
}

// A Node is memory with the CPUs that are next to it.
type Node struct {
	ID   int   `json:"id"`
	CPUs []int `json:"cpus"` // those that the process may use
}

var once = sync.OnceValue(read)

// Read returns this machine's topology. It asks the system once; whoever needs
// to change it copies it first.
func Read() Topology { return once() }

// Cores returns how many cores of the fastest kind there are, 0 when that is not
// known; where it is not known which CPUs share one, it counts CPUs.
func (t Topology) Cores() int {
	if len(t.Kinds) == 0 {
		return 0
	}
	if n := len(t.Kinds[0].Cores); n > 0 {
		return n
	}
	return t.Kinds[0].CPUs
}

// CPUs returns the numbers of the logical CPUs in the order in which to use them:
// one of each core of the fastest kind, then their siblings, then slower kinds.
// Nothing where CPUs have no numbers.
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

// Cache returns the cache of a level that every core of the fastest kind can
// count on: the smallest, where they differ.
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

// instance is one cache, as the system lists it.
type instance struct {
	level, size int
	line, ways  *int
	shared      *int
	cpus        []int // all that it says, ours or not
}

// cachesOf sorts the caches that serve any of a kind's CPUs by level and size.
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

// kindName names the i-th of so many kinds.
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

// positive returns n if it can be a size or a count.
func positive(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}
