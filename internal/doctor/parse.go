package doctor

import (
	"encoding/csv"
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

// parseSMI reads nvidia-smi's CSV. What it cannot say it writes as [N/A].
func parseSMI(out string) (driver string, gpus []GPU) {
	r := csv.NewReader(strings.NewReader(out))
	r.TrimLeadingSpace, r.FieldsPerRecord = true, 5
	rows, _ := r.ReadAll() // a line that is no row ends it
	for _, row := range rows {
		g := GPU{Name: row[0], Capability: row[2]}
		g.MiB, _ = strconv.Atoi(row[3])
		g.Busy, _ = strconv.Atoi(row[4])
		driver, gpus = row[1], append(gpus, g)
	}
	return driver, gpus
}

// parseModule returns the version in /proc/driver/nvidia/version: the first word
// of its first line that begins with a digit and has a dot.
//
//	NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024
func parseModule(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	for word := range strings.FieldsSeq(first) {
		if word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
			return word
		}
	}
	return ""
}
