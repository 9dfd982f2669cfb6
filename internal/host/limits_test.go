package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Mount points as mountinfo has them: of version 2, and of two controllers of version 1.
const (
	unifiedMount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	splitMounts  = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)

func TestLimits(t *testing.T) {
	const unlimited = "9223372036854771712" // what version 1 has where there is none
	for _, tt := range []struct {
		name               string
		files              map[string]string
		want               Limits
		periods, throttled int64
	}{
		{name: "no control groups"},
		{name: "version 2 without limits", files: map[string]string{
			"proc/self/cgroup": "0::/user.slice\n", "proc/self/mountinfo": unifiedMount,
			"sys/fs/cgroup/user.slice/cpu.max": "max 100000\n", "sys/fs/cgroup/user.slice/memory.max": "max\n",
		}},
		{name: "half a CPU and 1.5 GB in version 2, seen as the root", files: map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unifiedMount,
			"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 6231\nnr_periods 127\nnr_throttled 35\nthrottled_usec 12\n",
			"sys/fs/cgroup/memory.max": "1500000000\n", "sys/fs/cgroup/memory.current": "900000000\n", "sys/fs/cgroup/memory.stat": "anon 300000000\nfile 600000000\ninactive_file 500000000\nactive_file 100000000\n",
		}, want: Limits{0.5, 1500000000, 1100000000}, periods: 127, throttled: 35},
		{name: "the tightest of the groups around it", files: map[string]string{
			"proc/self/cgroup": "0::/pod/container\n", "proc/self/mountinfo": unifiedMount,
			"sys/fs/cgroup/pod/container/cpu.max": "400000 100000\n", "sys/fs/cgroup/pod/cpu.max": "150000 100000\n", "sys/fs/cgroup/pod/cpu.stat": "nr_periods 8\nnr_throttled 2\n",
			"sys/fs/cgroup/pod/container/memory.max": "max\n", "sys/fs/cgroup/pod/container/memory.high": "8000000000\n", "sys/fs/cgroup/pod/container/memory.current": "1000000000\n",
			"sys/fs/cgroup/pod/memory.max": "9000000000\n", "sys/fs/cgroup/pod/memory.current": "8500000000\n",
		}, want: Limits{1.5, 8000000000, 500000000}, periods: 8, throttled: 2},
		{name: "version 1", files: map[string]string{
			"proc/self/cgroup": "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n", "proc/self/mountinfo": splitMounts + strings.Replace(unifiedMount, "/sys/fs/cgroup", "/sys/fs/cgroup/unified", 1),
			"sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/cpu,cpuacct/box/cpu.stat": "nr_periods 10\nnr_throttled 0\nthrottled_time 0\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":         "-1\n",
			"sys/fs/cgroup/memory/box/memory.limit_in_bytes":     "8000000000\n",
			"sys/fs/cgroup/memory/box/memory.usage_in_bytes":     "2000000000\n",
			"sys/fs/cgroup/memory/box/memory.stat":               "inactive_file 1\ntotal_inactive_file 500000000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":         unlimited + "\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":         "3000000000\n",
			"sys/fs/cgroup/unified/cpu.max":                      "10000 100000\n", // of the version that does not have the controllers
			"sys/fs/cgroup/memory/elsewhere/memory.limit_in_use": "1\n",
		}, want: Limits{2.5, 8000000000, 6500000000}, periods: 10},
		{name: "a container that sees the host's path", files: map[string]string{
			"proc/self/cgroup": "0::/docker/3f1c\n", "proc/self/mountinfo": strings.Replace(unifiedMount, " / ", " /docker/3f1c ", 1),
			"sys/fs/cgroup/cpu.max": "200000 100000\n",
		}, want: Limits{CPUs: 2}},
		{name: "a container that sees a path above its root", files: map[string]string{
			"proc/self/cgroup": "0::/../../other\n", "proc/self/mountinfo": strings.Replace(unifiedMount, " / ", " /docker/3f1c ", 1),
			"sys/fs/cgroup/cpu.max": "200000 100000\n",
		}, want: Limits{CPUs: 2}},
		{name: "nonsense", files: map[string]string{
			"proc/self/cgroup": "x\n0::/\n", "proc/self/mountinfo": "a b\n - cgroup2\n" + unifiedMount,
			"sys/fs/cgroup/cpu.max": "NaN 0\n", "sys/fs/cgroup/memory.max": "-5\n", "sys/fs/cgroup/memory.current": "99",
		}},
		{name: "more in use than the limit", files: map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unifiedMount,
			"sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "2000\n",
		}, want: Limits{Memory: 1000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range tt.files {
				write(t, root, path, text)
			}
			c := findControls(root)
			if got := c.limits(); got != tt.want {
				t.Errorf("limits %+v, want %+v", got, tt.want)
			}
			if periods, throttled := c.throttled(); periods != tt.periods || throttled != tt.throttled {
				t.Errorf("%d of %d periods throttled, want %d of %d", throttled, periods, tt.throttled, tt.periods)
			}
		})
	}
}

func TestLimitsApply(t *testing.T) {
	for _, tt := range []struct {
		limits      Limits
		total, free uint64
	}{
		{Limits{}, 25e9, 20e9},
		{Limits{Memory: 8e9, Left: 7e9}, 8e9, 7e9},
		{Limits{Memory: 24e9, Left: 23e9}, 24e9, 20e9}, // the machine has less than the container may take
		{Limits{Memory: 64e9, Left: 64e9}, 25e9, 20e9},
	} {
		if total, free := tt.limits.apply(25e9, 20e9); total != tt.total || free != tt.free {
			t.Errorf("%+v: %d and %d, want %d and %d", tt.limits, total, free, tt.total, tt.free)
		}
	}
}

// A real control group with half a CPU: this test again, inside it.
func TestQuota(t *testing.T) {
	if os.Getenv("GPUPLAY_TEST_QUOTA") != "" {
		inside(t)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has control groups")
	}
	group, procs := "/sys/fs/cgroup/cpu/gpuplay-test", "cgroup.procs"
	settings := map[string]string{"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "10000"}
	if len(groups().cpu) > 0 && groups().unified {
		group, settings = filepath.Join(groups().cpu[len(groups().cpu)-1], "gpuplay-test"), map[string]string{"cpu.max": "10000 20000"}
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("no control group can be made here: %v", err)
	}
	t.Cleanup(func() { os.Remove(group) })
	for name, value := range settings {
		if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0o644); err != nil {
			t.Skipf("no quota can be set here: %v", err)
		}
	}
	cmd := exec.Command("sh", "-c", `echo $$ > "$1" && exec "$2" -test.run='^TestQuota$' -test.v`, "sh", filepath.Join(group, procs), os.Args[0])
	cmd.Env = append(os.Environ(), "GPUPLAY_TEST_QUOTA=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v: %s", err, out)
	}
}

// inside is TestQuota in a control group with half a CPU.
func inside(t *testing.T) {
	if got := ReadLimits().CPUs; got != 0.5 {
		t.Fatalf("%v CPUs, want half of one", got)
	}
	HeedQuota()
	if runtime.GOMAXPROCS(0) != 1 {
		t.Errorf("%d threads of Go's on half a CPU", runtime.GOMAXPROCS(0))
	}
	if runtime.NumCPU() > 1 && Threads() != 1 {
		t.Errorf("libraries are to compute with %d threads on half a CPU", Threads())
	}
	m := Describe(t.Context())
	if m.Quota == nil || *m.Quota != 0.5 || !strings.HasSuffix(m.Processors(), ", quota of 0.5 CPUs") {
		t.Errorf("the machine is %q, quota %v", m.Processors(), m.Quota)
	}
	for busy := 0; ; busy++ { // uses CPU time until the quota is used up
		if periods, throttled := Throttled(); throttled > 0 {
			if throttled > periods {
				t.Errorf("%d of %d periods throttled", throttled, periods)
			}
			return
		}
	}
}
