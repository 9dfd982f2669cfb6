package host

import (
	"context"
	"runtime"
	"testing"

	"github.com/gpuplay/gpuplay/internal/topology"
)

func TestDescribe(t *testing.T) {
	m := Describe(context.Background())
	if m.CPU == "" || m.CPUs < 1 || m.Cores > m.CPUs || m.Fast > m.Cores || m.OS != runtime.GOOS || m.Arch != runtime.GOARCH {
		t.Errorf("Describe = %+v: name, cores, system or architecture missing", m)
	}
	if again := Describe(context.Background()); m.ID != again.ID || m.ID != "" && len(m.ID) != 16 {
		t.Errorf("its id is %q, then %q", m.ID, again.ID)
	}
	free := Free()
	if m.Memory == nil || free <= 0 || uint64(free) > *m.Memory {
		t.Errorf("free memory is %d of %v", free, m.Memory)
	}
}

// Two threads of a core are one core, and a container's quota may be less than all.
func TestCount(t *testing.T) {
	pairs := func(first, cores int) (list [][]int) {
		for i := range cores {
			list = append(list, []int{first + 2*i, first + 2*i + 1})
		}
		return list
	}
	smt := topology.Topology{Kinds: []topology.Kind{{CPUs: 16, Cores: pairs(0, 8)}}}
	hybrid := topology.Topology{Kinds: []topology.Kind{{CPUs: 16, Cores: pairs(0, 8)}, {CPUs: 2, Cores: [][]int{{16}, {17}}}}}
	for _, tt := range []struct {
		name              string
		of                topology.Topology
		usable            int
		cores, fast, cpus int
		says              string
	}{
		{"hyper-threads", smt, 16, 8, 0, 16, "8 cores, 16 threads"},
		{"a quota of 12", smt, 12, 8, 0, 12, "8 cores, 12 threads"},
		{"a quota of 4", smt, 4, 4, 0, 4, "4 cores"},
		{"two kinds", hybrid, 18, 10, 8, 18, "10 cores, 18 threads"},
		{"two kinds, a quota of 4", hybrid, 4, 4, 4, 4, "4 cores"},
		{"not known", topology.Topology{Kinds: []topology.Kind{{CPUs: 16}}}, 16, 0, 0, 16, "16 CPUs"},
		{"nothing told", topology.Topology{}, 1, 0, 0, 1, "1 CPU"},
	} {
		cores, fast, cpus := count(tt.of, tt.usable)
		if cores != tt.cores || fast != tt.fast || cpus != tt.cpus {
			t.Errorf("%s: %d cores, %d fast ones, %d CPUs; want %d, %d, %d", tt.name, cores, fast, cpus, tt.cores, tt.fast, tt.cpus)
		}
		if says := (Machine{Cores: cores, Fast: fast, CPUs: cpus}).Processors(); says != tt.says {
			t.Errorf("%s: %q, want %q", tt.name, says, tt.says)
		}
	}
	if says := (Machine{}).Processors(); says != "" {
		t.Errorf("of nothing: %q", says)
	}
}
