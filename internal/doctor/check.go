package doctor

import (
	"slices"
	"strconv"
	"strings"
)

// A Status is the outcome of a check.
type Status string

const (
	OK      Status = "ok"
	Warning Status = "warning" // results are limited or changed by it
	Failed  Status = "failed"  // something that is installed or was asked for cannot work or measures wrongly
	Absent  Status = "absent"  // not there, and nothing is wrong with that
	Unknown Status = "unknown" // could not be found out
)

// A Check is one line of the diagnosis.
type Check struct {
	Group  string `json:"group"`
	Name   string `json:"name"`
	Status Status `json:"status"`
	Seen   string `json:"seen"`          // the fact
	Why    string `json:"why,omitempty"` // it matters
	Fix    string `json:"fix,omitempty"` // the command that mends it
}

// groups are the parts of the diagnosis in their order, each with its checks.
var groups = []struct {
	name   string
	checks []func(Facts) []Check
}{
	{"Machine", []func(Facts) []Check{system, process, tools, memory, power, clock, heat}},
	{"GPU", []func(Facts) []Check{metal, nvidia, vulkan}},
	{"Engines", []func(Facts) []Check{builtIn}},
	{"Frameworks", []func(Facts) []Check{pythons, torch, tensorflow, mlx, jax}},
	{"Environment", []func(Facts) []Check{variables}},
}

// Examine returns all checks of a machine.
func Examine(f Facts) []Check {
	var all []Check
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

// Count returns how many checks have that status.
func Count(list []Check, s Status) int {
	n := 0
	for _, c := range list {
		if c.Status == s {
			n++
		}
	}
	return n
}

// one returns a list of one check.
func one(name string, s Status, seen, why, fix string) []Check {
	return []Check{{Name: name, Status: s, Seen: seen, Why: why, Fix: fix}}
}

func unknown(name string) []Check { return one(name, Unknown, "not known", "", "") }

// older reports whether a dotted version comes before another; a part that is no
// number ends it, and what is not known is not older.
func older(version, than string) bool {
	v, t := numbers(version), numbers(than)
	return len(v) > 0 && slices.Compare(v, t) < 0
}

func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		digits := part
		if i := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
			digits = part[:i]
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		out = append(out, n)
		if digits != part { // 0rc1, 0+cu132
			break
		}
	}
	return out
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
