package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/report"
)

// labels are how a list calls the engines that are built in.
var labels = map[string]string{"gocpu": "gpuplay", "blas": "BLAS", "cuda": "CUDA", "vulkan": "Vulkan", "metal": "Metal"}

// builtIn judges the engines of this program, and whether anything can race at all.
func builtIn(f Facts) []Check {
	var list []Check
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
		list = append(list, Check{Name: "Race", Status: Failed, Seen: "no engine works", Why: "there is nothing to race", Fix: "gpuplay engines"})
	}
	return list
}

// started judges one engine by what it found.
func started(e Engine) Check {
	c := Check{Name: cmp.Or(labels[e.Name], e.Name), Status: OK}
	switch {
	case e.Error != nil && e.Error.Code == fault.Timeout:
		return Check{Name: c.Name, Status: Unknown, Seen: e.Error.Message, Fix: report.Words(e.Error.Remedies)}
	case e.Error != nil && e.Error.Code == fault.Unavailable:
		return Check{Name: c.Name, Status: Absent, Seen: e.Error.Message, Fix: report.Words(e.Error.Remedies)}
	case e.Error != nil:
		return Check{Name: c.Name, Status: Failed, Seen: e.Error.Message, Why: "it was found and does not start", Fix: report.Words(e.Error.Remedies)}
	case len(e.Found.Devices) == 0:
		c.Status = Absent
		var reasons []string
		for _, m := range e.Found.Missing {
			if !slices.Contains(reasons, m.Reason) {
				reasons = append(reasons, m.Reason)
			}
			c.Fix = cmp.Or(c.Fix, report.Words(m.Remedies))
		}
		c.Seen = cmp.Or(strings.Join(reasons, "; "), "no device")
		return c
	}
	var names []string
	software := true
	library := ""
	for _, d := range e.Found.Devices {
		label := report.Label(d)
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
		c.Status, c.Why = Absent, "a CPU serves the interface; good for tests, never for a comparison"
	}
	return c
}
