package telemetry

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// tree writes files below a folder, and links those whose text begins with ->.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(text) > 2 && text[:2] == "->" {
			err = os.Symlink(text[2:], file)
		} else {
			err = os.WriteFile(file, []byte(text+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// read opens a source and returns what it says in a round, by quantity and scope.
func read(t *testing.T, s Source) map[string]string {
	t.Helper()
	found, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float64, len(found.Sensors))
	s.Read(values)
	said := map[string]string{}
	for i, x := range found.Sensors {
		if x.Max != nil && x.Quantity == event.Power {
			said["limit"] = fmt.Sprintf("%.6g", *x.Max)
		}
		said[fmt.Sprintf("%s %s", x.Quantity, x.Scope)] = fmt.Sprintf("%.6g", values[i])
	}
	return said
}

// Trees of files as the kernel's documentation has them.
func TestSysfs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Linux has these files, with colons in their names")
	}
	const pci = "sys/bus/pci/devices/0000:03:00.0/"
	for name, tt := range map[string]struct {
		files map[string]string
		want  map[string]string
	}{
		"a Radeon, amdgpu (gpu/amdgpu/thermal.rst)": {map[string]string{
			pci + "driver": "->../../../../bus/pci/drivers/amdgpu", pci + "gpu_busy_percent": "99", pci + "mem_info_vram_used": "21474836480",
			pci + "hwmon/hwmon4/power1_average": "289000000", pci + "hwmon/hwmon4/power1_cap": "303000000", pci + "hwmon/hwmon4/power1_label": "PPT", pci + "hwmon/hwmon4/freq1_input": "2482000000",
			pci + "hwmon/hwmon4/freq2_input": "1249000000", pci + "hwmon/hwmon4/temp2_input": "81000", pci + "hwmon/hwmon4/temp2_label": "junction",
			pci + "hwmon/hwmon4/temp3_input": "57000", pci + "hwmon/hwmon4/temp3_label": "edge",
		}, map[string]string{
			"power PPT": "289", "limit": "303", "utilization ": "99", "memory ": "2.14748e+10", "clock ": "2.482e+09", "memory_clock ": "1.249e+09", "temperature ": "57",
		}},
		"an Instinct, which reports power at once": {map[string]string{
			pci + "driver": "->../../../../bus/pci/drivers/amdgpu", pci + "gpu_busy_percent": "0", pci + "hwmon/hwmon9/power1_input": "134000000", pci + "hwmon/hwmon9/power1_cap": "0",
		}, map[string]string{"power GPU": "134", "utilization ": "0"}},
		"an Arc, xe (sysfs-driver-intel-xe-hwmon)": {map[string]string{
			pci + "driver": "->../../../../bus/pci/drivers/xe", pci + "hwmon/hwmon2/energy1_input": "5000000", pci + "hwmon/hwmon2/energy1_label": "pkg",
			pci + "hwmon/hwmon2/energy2_input": "7000000", pci + "hwmon/hwmon2/energy2_label": "card", pci + "hwmon/hwmon2/temp2_input": "52000", pci + "hwmon/hwmon2/temp2_label": "pkg",
			pci + "tile0/gt0/freq0/act_freq": "2400", pci + "tile0/gt0/gtidle/idle_residency_ms": "123456",
			pci + "tile0/gt0/freq0/throttle/status": "1", pci + "tile0/gt0/freq0/throttle/reason_pl1": "0", pci + "tile0/gt0/freq0/throttle/reason_thermal": "1", pci + "tile0/gt0/freq0/throttle/reason_ratl": "0",
		}, map[string]string{"energy card": "7", "clock ": "2.4e+09", "temperature ": "52", "utilization awake": "100", "throttle ": "2"}},
		"an Arc, i915 (sysfs-driver-intel-i915-hwmon)": {map[string]string{
			pci + "driver": "->../../../../bus/pci/drivers/i915", pci + "hwmon/hwmon3/energy1_input": "9000000", pci + "drm/card1/gt/gt0/rps_act_freq_mhz": "2050",
			pci + "drm/card1/gt/gt0/rc6_residency_ms": "77", pci + "drm/card1/power/rc6_residency_ms": "78",
			pci + "drm/card1/gt/gt0/throttle_reason_status": "1", pci + "drm/card1/gt/gt0/throttle_reason_pl1": "1", pci + "drm/card1/gt/gt0/throttle_reason_pl2": "1", pci + "drm/card1/gt/gt0/throttle_reason_prochot": "0",
		}, map[string]string{"energy GPU": "9", "clock ": "2.05e+09", "utilization awake": "100", "throttle ": "1"}},
		"files that cannot be read (a container), or hold no number": {map[string]string{
			pci + "driver": "->../../../../bus/pci/drivers/amdgpu", pci + "gpu_busy_percent": "busy", pci + "mem_info_vram_used": "",
		}, map[string]string{}},
		"another driver": {map[string]string{pci + "driver": "->../../../../bus/pci/drivers/vfio-pci", pci + "gpu_busy_percent": "99"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sources := Sysfs(tree(t, tt.files), []hardware.Card{{PCI: "0000:03:00.0", Vendor: "AMD"}, {Name: "without an address"}})
			if tt.want == nil {
				if len(sources) != 0 {
					t.Errorf("%d sources", len(sources))
				}
				return
			}
			if len(sources) != 1 {
				t.Fatalf("%d sources", len(sources))
			}
			if d := cmp.Diff(tt.want, read(t, sources[0])); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Intel's utilisation is the time in which the GPU was not asleep.
func TestAwake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "idle_residency_ms")
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("1000\n")
		percent := awake(file)
		for _, tt := range []struct {
			asleep string
			want   float64
		}{{"1100", 0}, {"1125", 75}, {"1125", 100}, {"1226", 0}, {"", math.NaN()}, {"1300", math.NaN()}, {"1400", 0}} {
			time.Sleep(100 * time.Millisecond)
			write(tt.asleep)
			if got := percent(); math.Abs(got-tt.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(tt.want) {
				t.Errorf("%s ms asleep: %v %%, want %v %%", tt.asleep, got, tt.want)
			}
		}
		time.Sleep(time.Millisecond)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if got := percent(); !math.IsNaN(got) { // a sensor that vanishes
			t.Errorf("without a file: %v", got)
		}
	})
}

// The CPUs' energy: packages together, memory apart, counters that start anew, and files
// that only root may read (Documentation/power/powercap/powercap.rst).
func TestRAPL(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Linux has these files, with colons in their names")
	}
	const dir = "sys/class/powercap/intel-rapl:"
	root := tree(t, map[string]string{
		dir + "0/name": "package-0", dir + "0/energy_uj": "90000000", dir + "0/max_energy_range_uj": "100000000",
		dir + "1/name": "package-1", dir + "1/energy_uj": "5000000", dir + "1/max_energy_range_uj": "100000000",
		dir + "0:0/name": "core", dir + "0:0/energy_uj": "1",
		dir + "0:1/name": "dram", dir + "0:1/energy_uj": "1000000", dir + "0:1/max_energy_range_uj": "100000000",
		dir + "2/name": "psys", dir + "2/energy_uj": "1",
	})
	s := RAPL(root)
	if d := cmp.Diff(map[string]string{"energy CPU packages": "0", "energy DRAM": "0"}, read(t, s)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	set := func(zone, text string) {
		if err := os.WriteFile(filepath.Join(root, dir+zone, "energy_uj"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("0", "2000000") // 12 J, over the limit of 100 J
	set("1", "8000000") // 3 J
	set("0:1", "1500000")
	values := make([]float64, 2)
	if s.Read(values); values[0] != 15 || values[1] != 0.5 {
		t.Errorf("%v", values)
	}
	set("1", "")
	if s.Read(values); !math.IsNaN(values[0]) || values[1] != 0.5 {
		t.Errorf("without an answer of one package: %v", values)
	}
	if found, err := RAPL(t.TempDir()).Open(); err != nil || len(found.Sensors) != 0 {
		t.Errorf("a machine without: %v, %v", found, err)
	}
	if os.Getuid() == 0 {
		t.Log("root may read everything: the refusal is not tried")
		return
	}
	if err := os.Chmod(filepath.Join(root, dir+"0", "energy_uj"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := RAPL(root).Open(); err == nil {
		t.Error("no error for files that cannot be read")
	}
}
