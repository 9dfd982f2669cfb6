package doctor

import (
	"strconv"
	"strings"
)

// container names the container that a process is in, by its first process's
// control groups and by the files that container engines leave.
func container(cgroup string, exists func(string) bool) string {
	switch {
	case exists("/run/.containerenv"):
		return "podman"
	case strings.Contains(cgroup, "kubepods") || exists("/var/run/secrets/kubernetes.io"):
		return "kubernetes"
	case exists("/.dockerenv") || strings.Contains(cgroup, "docker"):
		return "docker"
	case strings.Contains(cgroup, "lxc"):
		return "lxc"
	}
	return ""
}

// parsePower reads `pmset -g batt`, which begins
//
//	Now drawing from 'Battery Power'
//	 -InternalBattery-0 (id=…)	87%; discharging; 5:12 remaining present: true
//
// and the settings of `pmset -g`, lines such as " lowpowermode 1".
func parsePower(source, settings string) *Power {
	if !strings.Contains(source, "Now drawing from") {
		return nil
	}
	p := Power{Battery: strings.Contains(source, "'Battery Power'")}
	if before, _, ok := strings.Cut(source, "%"); ok {
		digits := before[strings.LastIndexAny(before, " \t")+1:]
		if n, err := strconv.Atoi(digits); err == nil {
			p.Charge = &n
		}
	}
	p.Saving = setting(settings, "lowpowermode") == 1
	return &p
}

// parseHeat reads `pmset -g therm`: "CPU_Speed_Limit = 100", which is left out
// as long as there has been nothing to note.
func parseHeat(out string) *Heat {
	limit := 100
	if n := setting(strings.ReplaceAll(out, "=", " "), "CPU_Speed_Limit"); n >= 0 {
		limit = n
	} else if !strings.Contains(out, "No thermal warning level") {
		return nil
	}
	return &Heat{SpeedLimit: &limit}
}

// setting returns the number behind a name, -1 if there is none.
func setting(text, name string) int {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) >= 2 && words[0] == name {
			if n, err := strconv.Atoi(words[1]); err == nil {
				return n
			}
		}
	}
	return -1
}
