package topology

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/cpuid/v2/topology"
)

// tree reads a recording of /sys/devices from testdata.
func tree(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		path, content, _ := strings.Cut(line, " ")
		before, rest, list := strings.Cut(path, "{")
		if !list {
			files[path] = &fstest.MapFile{Data: []byte(content)}
			continue
		}
		cpus, after, _ := strings.Cut(rest, "}")
		for _, cpu := range parseList(cpus) {
			files[before+strconv.Itoa(cpu)+after] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return files
}

func n(n int) *int { return &n }

func list(from, to int) []int {
	var l []int
	for i := from; i <= to; i++ {
		l = append(l, i)
	}
	return l
}

// each returns consecutive lists of the given size.
func each(size, from, to int) [][]int {
	var l [][]int
	for i := from; i <= to; i += size {
		l = append(l, list(i, i+size-1))
	}
	return l
}

func cache(level, kib, ways, shared int, domains [][]int) Cache {
	return Cache{Level: level, Size: kib << 10, Line: n(64), Ways: n(ways), Shared: n(shared), Domains: domains}
}

func TestSysfs(t *testing.T) {
	for _, tt := range []struct {
		name, tree string
		usable     []int
		want       Topology
	}{
		{"a virtual machine", "epyc-vm.txt", list(0, 1), Topology{
			Kinds: []Kind{{CPUs: 2, Cores: each(1, 0, 1), Caches: []Cache{
				cache(1, 32, 8, 1, each(1, 0, 1)), cache(2, 512, 8, 1, each(1, 0, 1)), cache(3, 32768, 16, 2, each(2, 0, 1)),
			}}},
			Nodes: []Node{{0, list(0, 1)}},
		}},
		{"a container that may use one CPU", "epyc-vm.txt", []int{1}, Topology{
			Kinds: []Kind{{CPUs: 1, Cores: [][]int{{1}}, Caches: []Cache{
				cache(1, 32, 8, 1, [][]int{{1}}), cache(2, 512, 8, 1, [][]int{{1}}), cache(3, 32768, 16, 2, [][]int{{1}}),
			}}},
			Nodes: []Node{{0, []int{1}}},
		}},
		{"hybrid, told by frequencies", "alder-lake.txt", list(0, 19), Topology{
			Kinds: []Kind{
				{Name: "performance", CPUs: 12, Cores: each(2, 0, 11), Caches: []Cache{
					cache(1, 48, 12, 2, each(2, 0, 11)), cache(2, 1280, 10, 2, each(2, 0, 11)), cache(3, 24576, 12, 20, [][]int{list(0, 11)}),
				}},
				{Name: "efficiency", CPUs: 8, Cores: each(1, 12, 19), Caches: []Cache{
					cache(1, 32, 8, 1, each(1, 12, 19)), cache(2, 2048, 16, 4, each(4, 12, 19)), cache(3, 24576, 12, 20, [][]int{list(12, 19)}),
				}},
			},
			Nodes: []Node{{0, list(0, 19)}},
		}},
		{"hybrid, told by capacities", "gb10.txt", list(0, 19), Topology{
			Kinds: []Kind{
				{Name: "performance", CPUs: 10, Cores: slices.Concat(each(1, 5, 9), each(1, 15, 19)), Caches: []Cache{
					cache(1, 64, 4, 1, slices.Concat(each(1, 5, 9), each(1, 15, 19))),
					cache(2, 2048, 8, 1, slices.Concat(each(1, 5, 9), each(1, 15, 19))),
					cache(3, 16384, 16, 10, [][]int{list(15, 19)}), cache(3, 8192, 16, 10, [][]int{list(5, 9)}),
				}},
				{Name: "efficiency", CPUs: 10, Cores: slices.Concat(each(1, 0, 4), each(1, 10, 14)), Caches: []Cache{
					cache(1, 64, 4, 1, slices.Concat(each(1, 0, 4), each(1, 10, 14))),
					cache(2, 512, 8, 1, slices.Concat(each(1, 0, 4), each(1, 10, 14))),
					cache(3, 16384, 16, 10, [][]int{list(10, 14)}), cache(3, 8192, 16, 10, [][]int{list(0, 4)}),
				}},
			},
			Nodes: []Node{{0, list(0, 19)}},
		}},
		{"masks, and CPUs that are offline", "xeon-offline.txt", []int{0, 4, 8, 9}, Topology{
			Kinds: []Kind{{CPUs: 4, Cores: [][]int{{0, 8}, {4}, {9}}, Caches: []Cache{
				cache(1, 16, 8, 2, [][]int{{0, 8}, {4}, {9}}), cache(2, 1024, 8, 2, [][]int{{0, 8}, {4}, {9}}),
				cache(3, 4096, 16, 4, [][]int{{0, 4, 8}, {9}}),
			}}},
			Nodes: []Node{{0, []int{0, 4, 8, 9}}},
		}},
		{"no caches told", "arm-2.txt", list(0, 1), Topology{Kinds: []Kind{{CPUs: 2, Cores: each(1, 0, 1)}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, fromSysfs(tree(t, tt.tree), tt.usable)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Linux lists Intel's performance cores where it can count their events.
func TestSysfsIntelList(t *testing.T) {
	sys := tree(t, "alder-lake.txt")
	sys["cpu_core/cpus"] = &fstest.MapFile{Data: []byte("0-3\n")}
	if got := fromSysfs(sys, list(0, 7)); len(got.Kinds) != 2 || got.Kinds[0].CPUs != 4 || got.Cores() != 2 || !slices.Equal(got.CPUs(), []int{0, 2, 1, 3, 4, 6, 5, 7}) {
		t.Errorf("got %+v", got)
	}
}

func TestSysfsRubbish(t *testing.T) {
	sys := tree(t, "epyc-vm.txt")
	for name := range sys {
		sys[name] = &fstest.MapFile{Data: []byte("-7,x\n")}
	}
	want := Topology{Kinds: []Kind{{CPUs: 2, Cores: each(1, 0, 1)}}}
	if diff := cmp.Diff(want, fromSysfs(sys, list(0, 1))); diff != "" {
		t.Error(diff)
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string][]int{"0-3,8,10-11": {0, 1, 2, 3, 8, 10, 11}, "5": {5}, "": nil, "3-1": nil, "0-999999999": nil, "a": nil} {
		if got := parseList(s); !slices.Equal(got, want) {
			t.Errorf("list %q is %v, not %v", s, got, want)
		}
	}
	for s, want := range map[string][]int{"00000001,00000101": {0, 8, 32}, "3": {0, 1}, "": nil, "x": nil} {
		if got := parseMask(s); !slices.Equal(got, want) {
			t.Errorf("mask %q is %v, not %v", s, got, want)
		}
	}
	for s, want := range map[string]int{"32K": 32 << 10, "8M": 8 << 20, "64": 64, "": 0, "-1K": 0, "K": 0} {
		if got := parseSize(s); got != want {
			t.Errorf("size %q is %d, not %d", s, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0-3,8", "00000000,00000101", "32K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range [][]int{parseList(s), parseMask(s)} {
			if len(l) > 0 && (slices.Min(l) < 0 || slices.Max(l) >= mostCPUs) {
				t.Errorf("%q gave %d to %d", s, slices.Min(l), slices.Max(l))
			}
		}
		if parseSize(s) < 0 {
			t.Errorf("%q gave a negative size", s)
		}
	})
}

// The numbers of an Apple M1 are those published by owners; the older system of an
// Intel Mac reports no levels.
func TestSysctl(t *testing.T) {
	for _, tt := range []struct {
		name    string
		numbers map[string]int
		want    Topology
	}{
		{"Apple M1", map[string]int{
			"hw.nperflevels": 2, "hw.cachelinesize": 128,
			"hw.perflevel0.logicalcpu": 4, "hw.perflevel0.physicalcpu": 4, "hw.perflevel1.physicalcpu": 4, "hw.perflevel0.l1dcachesize": 131072, "hw.perflevel0.l2cachesize": 12582912, "hw.perflevel0.cpusperl2": 4,
			"hw.perflevel1.logicalcpu": 4, "hw.perflevel1.l1dcachesize": 65536, "hw.perflevel1.l2cachesize": 4194304, "hw.perflevel1.cpusperl2": 4,
		}, Topology{Kinds: []Kind{
			{Name: "performance", CPUs: 4, Count: 4, Caches: []Cache{{Level: 1, Size: 128 << 10, Line: n(128)}, {Level: 2, Size: 12 << 20, Line: n(128), Shared: n(4)}}},
			{Name: "efficiency", CPUs: 4, Count: 4, Caches: []Cache{{Level: 1, Size: 64 << 10, Line: n(128)}, {Level: 2, Size: 4 << 20, Line: n(128), Shared: n(4)}}},
		}}},
		{"Intel", map[string]int{"hw.logicalcpu": 8, "hw.cachelinesize": 64, "hw.l1dcachesize": 32768, "hw.l2cachesize": 262144, "hw.l3cachesize": 8388608},
			Topology{Kinds: []Kind{{CPUs: 8, Caches: []Cache{
				{Level: 1, Size: 32 << 10, Line: n(64)}, {Level: 2, Size: 256 << 10, Line: n(64)}, {Level: 3, Size: 8 << 20, Line: n(64)}}}}}},
		{"Intel with hyper-threads", map[string]int{"hw.logicalcpu": 8, "hw.physicalcpu": 4}, Topology{Kinds: []Kind{{CPUs: 8, Count: 4}}}},
		{"an impossible number", map[string]int{"hw.logicalcpu": 8, "hw.physicalcpu": 16}, Topology{Kinds: []Kind{{CPUs: 8}}}},
		{"nothing told", nil, Topology{}},
	} {
		got := fromSysctl(func(name string) (int, bool) { v, ok := tt.numbers[name]; return v, ok })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestCPUID(t *testing.T) {
	l1 := topology.Cache{Level: 1, Type: topology.Data, Size: 48 << 10, LineSize: 64, Ways: 12, SharedThreads: 2}
	code := topology.Cache{Level: 1, Type: topology.Instruction, Size: 32 << 10, LineSize: 64, Ways: 8, SharedThreads: 2}
	l3 := topology.Cache{Level: 3, Type: topology.Unified, Size: 8 << 20, LineSize: 64, Ways: 16, SharedThreads: 3}
	sys := &topology.System{Packages: []topology.Package{{Groups: []topology.Group{{
		Caches: []topology.Cache{l3},
		Cores: []topology.Core{
			{Type: topology.Efficiency, Threads: []topology.Thread{{ID: 0}}},
			{Type: topology.Performance, Threads: []topology.Thread{{ID: 1}, {ID: 2}}, Caches: []topology.Cache{l1, code}},
		},
	}}}}}
	want := Topology{Kinds: []Kind{
		{Name: "performance", CPUs: 2, Cores: [][]int{{5, 6}}, Caches: []Cache{cache(1, 48, 12, 2, [][]int{{5, 6}}), cache(3, 8192, 16, 3, [][]int{{5, 6}})}},
		{Name: "efficiency", CPUs: 1, Cores: [][]int{{4}}, Caches: []Cache{cache(3, 8192, 16, 3, [][]int{{4}})}},
	}}
	if diff := cmp.Diff(want, fromCPUID(sys, []int{4, 5, 6})); diff != "" {
		t.Error(diff)
	}
	for i := range want.Kinds {
		want.Kinds[i].Count, want.Kinds[i].Cores = len(want.Kinds[i].Cores), nil
		for j := range want.Kinds[i].Caches {
			want.Kinds[i].Caches[j].Domains = nil
		}
	}
	if diff := cmp.Diff(want, fromCPUID(sys, nil)); diff != "" {
		t.Errorf("without numbers: %s", diff)
	}
}

// Cores are counted once, however many logical CPUs they have.
func TestPhysical(t *testing.T) {
	for _, tt := range []struct {
		name                string
		kinds               []Kind
		all, fastest, cores int
	}{
		{"hyper-threads", []Kind{{CPUs: 16, Cores: each(2, 0, 15)}}, 8, 8, 8},
		{"none", []Kind{{CPUs: 4, Cores: each(1, 0, 3)}}, 4, 4, 4},
		{"two kinds", []Kind{{CPUs: 12, Cores: each(2, 0, 11)}, {CPUs: 8, Cores: each(1, 12, 19)}}, 14, 6, 6},
		{"no numbers", []Kind{{CPUs: 16, Count: 8}}, 8, 8, 8},
		{"not known", []Kind{{CPUs: 16}}, 0, 0, 16},
		{"one of two is not known", []Kind{{CPUs: 8, Count: 4}, {CPUs: 4}}, 0, 0, 4},
		{"nothing", nil, 0, 0, 0},
	} {
		top := Topology{Kinds: tt.kinds}
		if all, fastest := top.Physical(); all != tt.all || fastest != tt.fastest || top.Cores() != tt.cores {
			t.Errorf("%s: %d cores, %d of the fastest kind, %d to use; want %d, %d, %d", tt.name, all, fastest, top.Cores(), tt.all, tt.fastest, tt.cores)
		}
	}
}

// The topology of the machine that runs the test is consistent.
func TestRead(t *testing.T) {
	got := Read()
	text, _ := json.Marshal(got)
	cpus := 0
	for _, k := range got.Kinds {
		cpus += k.CPUs
	}
	if cpus < 1 || cpus > runtime.NumCPU() {
		t.Errorf("%d CPUs of %d: %s", cpus, runtime.NumCPU(), text)
	}
	if runtime.GOOS == "linux" && len(got.CPUs()) != cpus {
		t.Errorf("%v are not %d CPUs", got.CPUs(), cpus)
	}
	first, ok := got.Cache(1)
	if runtime.GOARCH == "amd64" && (!ok || first.Size < 8<<10) {
		t.Errorf("no first-level cache: %s", text)
	}
	if last, ok := got.Cache(2); ok && last.Size < first.Size {
		t.Errorf("the second level is smaller than the first: %s", text)
	}
	if _, ok := got.Cache(9); ok {
		t.Error("a ninth level")
	}
}
