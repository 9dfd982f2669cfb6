package doctor

import (
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// groups are the parts of the diagnosis in their order, each with its checks.
var groups = []struct {
	name   string
	checks []func(Facts) []record.Check
}{
	{"Machine", []func(Facts) []record.Check{system, process, tools, quota, memory, power, clock, heat}},
	{"GPU", []func(Facts) []record.Check{metal, nvidiaDriver, vulkan}},
	{"Engines", []func(Facts) []record.Check{builtIn}},
	{"Frameworks", []func(Facts) []record.Check{pythons, frameworkChecks}},
	{"Environment", []func(Facts) []record.Check{variables}},
}

// Examine returns all checks of a machine.
func Examine(f Facts) []record.Check {
	var all []record.Check
	for _, g := range groups {
		for _, check := range g.checks {
			for _, c := range check(f) {
				c.Group = g.name
				all = append(all, c)
			}
		}
	}
	return all
}

// one returns a list of one check.
func one(name string, s record.Status, seen, why string, remedies ...fault.Remedy) []record.Check {
	return []record.Check{{Name: name, Status: s, Seen: seen, Why: why, Remedies: remedies}}
}

func unknown(name string) []record.Check { return one(name, record.Unknown, "not known", "") }

// advice is a remedy of words alone.
func advice(text string) fault.Remedy { return fault.Remedy{Text: text} }

// commandFor returns the remedy of running an operating system's own command, none
// where there is none.
func commandFor(os string, commands map[string][]string) fault.Remedies {
	if commands[os] == nil {
		return nil
	}
	return fault.Remedies{fault.Run("", commands[os]...)}
}

// unset is the remedy of taking a variable out of the environment.
func (f Facts) unset(variable string) fault.Remedy {
	if f.OS == "windows" {
		return fault.Run("", "Remove-Item", "Env:"+variable)
	}
	return fault.Run("", "unset", variable)
}

// titles are the frameworks' names for people, in a row.
func titles() string {
	var names []string
	for _, f := range python.Frameworks {
		names = append(names, f.Title)
	}
	return unit.List(names)
}
