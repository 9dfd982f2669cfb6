package doctor

import (
	"fmt"
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/version"
)

// system shows what machine this is. PyTorch's MPS needs macOS 14 since 2.10
// (github.com/pytorch/pytorch/issues/159275), MLX's wheels always did
// (ml-explore.github.io/mlx/build/html/install.html).
func system(f Facts) []record.Check {
	c := record.Check{Name: "System", Status: record.OK, Seen: fmt.Sprintf("%s %s, %s", f.System, f.Arch, f.CPU)}
	if cores := (host.Machine{Cores: f.Cores, CPUs: f.CPUs}).Processors(); cores != "" {
		c.Seen += ", " + cores
	}
	if f.Container != "" {
		c.Seen += ", in " + f.Container
	}
	if f.Virtual {
		c.Seen += ", virtual"
		c.Why = "others may share its cores: repeat a measurement before believing a small difference"
	}
	if f.OS == "darwin" && version.Older(f.Version, "14") {
		c.Status = record.Warning
		c.Why = "PyTorch 2.10 and newer use the GPU from macOS 14 on, and MLX runs from macOS 14 on"
		c.Remedies = fault.Remedies{fault.Run("{} shows what is newer", "softwareupdate", "--list")}
	}
	return []record.Check{c}
}

// process looks for this program being translated.
func process(f Facts) []record.Check {
	if f.Apple == nil || !f.Apple.Translated {
		return nil
	}
	return one("gpuplay", record.Failed, "this is the Intel build, translated by Rosetta",
		"its CPU figures are of translated code, and Metal's of a slower path", advice("install the arm64 build"), fault.Run("in a native terminal {} says arm64", "uname", "-m"))
}

// tools looks for Xcode's command line tools.
func tools(f Facts) []record.Check {
	switch {
	case f.Apple == nil:
		return nil
	case f.Apple.Tools == nil:
		return unknown("Xcode tools")
	case *f.Apple.Tools == "":
		return one("Xcode tools", record.Warning, "not installed", "macOS's own python3 and git, and building packages, need them", fault.Run("", "xcode-select", "--install"))
	}
	return one("Xcode tools", record.OK, *f.Apple.Tools, "")
}

// memory warns when products would be swapped to disk.
func memory(f Facts) []record.Check {
	m := f.Memory
	if m == nil || m.Total == 0 {
		return unknown("Memory")
	}
	c := record.Check{Name: "Memory", Status: record.OK, Seen: fmt.Sprintf("%s, %s free", unit.Bytes(float64(m.Total)), unit.Bytes(float64(m.Available)))}
	if m.SwapUsed > 0 {
		c.Seen += fmt.Sprintf(", %s of swap in use", unit.Bytes(float64(m.SwapUsed)))
	}
	switch {
	case m.Available < m.Total/8:
		// Three float32 matrices of n² fit while 12·n² bytes are free.
		fits := int(math.Sqrt(float64(m.Available)/12)) / 256 * 256
		c.Status, c.Why = record.Warning, "little is free: a product that does not fit is swapped, and then the disk is measured"
		smaller := fault.Set("size", max(256, min(fits, 8192)), "{} fits")
		smaller.Command = []string{"gpuplay", "race"}
		c.Remedies = fault.Remedies{advice("close other programs"), smaller}
	case m.SwapUsed > m.Total/4:
		c.Status, c.Why = record.Warning, "memory was short: what comes back from swap disturbs a measurement"
		c.Remedies = fault.Advice("close other programs")
	}
	return []record.Check{c}
}

// power warns of a battery and of power saving.
func power(f Facts) []record.Check {
	p := f.Power
	if p == nil {
		return unknown("Power")
	}
	c := record.Check{Name: "Power", Status: record.OK, Seen: "mains"}
	if p.Battery {
		c.Seen = "battery"
		if p.Charge != nil {
			c.Seen += fmt.Sprintf(", %d %%", *p.Charge)
		}
		c.Status, c.Why = record.Warning, "CPU and GPU are held to less power than on mains"
		c.Remedies = fault.Advice("plug in the charger")
	}
	if p.Saving {
		c.Seen += ", power saving on"
		c.Status, c.Why = record.Warning, "CPU and GPU are held to a fraction of their power"
		c.Remedies = commandFor(f.OS, map[string][]string{
			"darwin":  {"sudo", "pmset", "-a", "lowpowermode", "0"},
			"linux":   {"powerprofilesctl", "set", "performance"},
			"windows": {"powercfg", "/setactive", "SCHEME_MIN"},
		})
	}
	return []record.Check{c}
}

// clock judges Linux's CPU frequency policy. A governor called powersave holds the
// lowest clock, except in the drivers that choose clocks themselves, where it is
// the normal one and the preference decides
// (docs.kernel.org/admin-guide/pm/intel_pstate.html, …/amd-pstate.html).
func clock(f Facts) []record.Check {
	if f.OS != "linux" {
		return nil
	}
	c := f.Clock
	if c == nil {
		return unknown("CPU clock")
	}
	seen := fmt.Sprintf("governor %s (%s)", c.Governor, c.Driver)
	if c.Preference != "" {
		seen += ", prefers " + c.Preference
	}
	performance := fault.Run("", "sudo", "sh", "-c", "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
	own := slices.Contains([]string{"intel_pstate", "amd-pstate-epp"}, c.Driver)
	switch {
	case c.NoTurbo:
		return one("CPU clock", record.Warning, seen+", turbo off", "the CPU never reaches its highest clock", fault.Run("", "sudo", "sh", "-c", "echo 0 > /sys/devices/system/cpu/intel_pstate/no_turbo"))
	case c.Governor == "powersave" && !own:
		return one("CPU clock", record.Warning, seen, "the CPU stays at its lowest clock", performance)
	case c.Governor == "powersave" && (c.Preference == "power" || c.Preference == "balance_power"):
		return one("CPU clock", record.Warning, seen, "the CPU is slow to raise its clock and may not reach the highest", performance)
	}
	return one("CPU clock", record.OK, seen, "")
}

// heat warns when the CPU is being slowed down, or about to be.
func heat(f Facts) []record.Check {
	h := f.Heat
	const why = "a hot machine measures its cooling: the same race is slower now than after a pause"
	switch {
	case h == nil:
		return unknown("Heat")
	case h.SpeedLimit != nil && *h.SpeedLimit < 100:
		return one("Heat", record.Warning, fmt.Sprintf("the CPU is held to %d %% of its speed", *h.SpeedLimit), why, fault.Run("let it cool; {} shows when", "pmset", "-g", "therm"))
	case h.SpeedLimit != nil:
		return one("Heat", record.OK, "the CPU is not slowed down", "")
	case h.Celsius == nil || h.Limit == nil:
		return unknown("Heat")
	}
	seen := fmt.Sprintf("%.0f °C, slows down at %.0f °C", *h.Celsius, *h.Limit)
	if *h.Celsius > *h.Limit-5 {
		return one("Heat", record.Warning, seen, why, advice("let it cool"))
	}
	return one("Heat", record.OK, seen, "")
}
