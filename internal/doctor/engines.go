package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

// labels are how a list calls the engines that are built in.
var labels = map[string]string{"gocpu": "gpuplay", "blas": "BLAS", "cuda": "CUDA", "cublaslt": "cuBLASLt", "vulkan": "Vulkan", "metal": "Metal"}

// builtIn judges the engines of this program, and whether anything can race at all.
func builtIn(f Facts) []record.Check {
	var list []record.Check
	devices, slow := 0, 0
	for _, e := range f.Engines {
		devices += len(e.Found.Devices)
		if e.Error != nil && e.Error.Code == fault.Timeout {
			slow++
		}
		if e.BuiltIn {
			list = append(list, started(e))
		}
	}
	if devices == 0 && slow == 0 {
		list = append(list, one("Race", record.Failed, "no engine works", "there is nothing to race", fault.Run("{} says why", "gpuplay", "engines"))...)
	}
	return list
}

// started judges one engine by what it found.
func started(e Engine) record.Check {
	c := record.Check{Name: cmp.Or(labels[e.Name], e.Name), Status: record.OK}
	if e.Error != nil {
		c.Seen, c.Remedies = e.Error.Message, elsewhere(e.Error.Remedies)
		switch e.Error.Code {
		case fault.Timeout:
			c.Status = record.Unknown
		case fault.Unavailable:
			c.Status = record.Absent
		case fault.Invalid:
			c.Status, c.Why = record.Failed, "it was asked for by name"
		default:
			c.Status, c.Why = record.Failed, "it was found and does not start"
		}
		return c
	}
	if len(e.Found.Devices) == 0 {
		c.Status = record.Absent
		var reasons []string
		for _, m := range e.Found.Missing {
			if !slices.Contains(reasons, m.Reason) {
				reasons = append(reasons, m.Reason)
			}
			if c.Remedies == nil {
				c.Remedies = m.Remedies
			}
		}
		c.Seen = cmp.Or(strings.Join(reasons, "; "), "no device")
		return c
	}
	var names []string
	software := true
	library := ""
	for _, d := range e.Found.Devices {
		label := d.Label()
		if d.Library == library { // another version of it
			label = strings.TrimPrefix(label, library+" ")
		}
		names, library = append(names, label), d.Library
		software = software && d.Kind == hardware.SoftwareGPU
	}
	c.Seen = strings.Join(names, ", ")
	if d := e.Found.Devices[0]; d.Kind == hardware.GPU || d.Kind == hardware.SoftwareGPU {
		c.Seen = fmt.Sprintf("%s: %s", c.Seen, d.Name)
	}
	if software {
		c.Status, c.Why = record.Absent, onlySoftware
	}
	return c
}

// onlySoftware is why an interface that a CPU serves is not counted as there.
const onlySoftware = "a CPU serves the interface; good for tests, never for a comparison"
