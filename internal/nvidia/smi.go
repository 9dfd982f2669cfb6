package nvidia

import (
	"context"
	"encoding/csv"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/process"
)

// fields are what nvidia-smi is asked for.
var fields = []string{"name", "driver_version", "compute_cap", "memory.total", "utilization.gpu"}

// unknownField is how nvidia-smi refuses all fields for one that it does not know:
// driver 470 has no compute_cap.
var unknownField = regexp.MustCompile(`Field "([^"]+)" is not a valid field to query`)

// smi asks nvidia-smi, once more for each field that it does not know.
func smi(ctx context.Context) Driver {
	path, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return Driver{}
	}
	ask := fields
	for {
		cmd := exec.Command(path, "--query-gpu="+strings.Join(ask, ","), "--format=csv,noheader,nounits")
		stdout, stderr, err := process.Output(ctx, cmd)
		if unknown := unknownField.FindStringSubmatch(stdout + stderr); unknown != nil && slices.Contains(ask, unknown[1]) && len(ask) > 1 {
			ask = slices.DeleteFunc(slices.Clone(ask), func(f string) bool { return f == unknown[1] })
			continue
		}
		d := parse(ask, stdout)
		said := oneLine(strings.Join(append(d.Lost, append(d.Warnings, stderr)...), " "))
		switch noDevices := strings.Contains(said, "No devices were found"); {
		case d.Asked:
			if stderr = oneLine(stderr); stderr != "" {
				d.Warnings = append(d.Warnings, stderr)
			}
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && said == "" {
				d.Warnings = append(d.Warnings, "nvidia-smi ended with "+exit.Error())
			}
			return d
		case noDevices:
			return Driver{Asked: true}
		case said != "":
			return Driver{Error: "nvidia-smi: " + said}
		case err != nil:
			return Driver{Error: "nvidia-smi: " + err.Error()}
		}
		return Driver{Error: "nvidia-smi says nothing"}
	}
}

// oneLine joins the lines of a message.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// lost is how nvidia-smi speaks of a GPU that does not answer, between the rows of the
// others: "Unable to determine the device handle for GPU0000:02:00.0: Unknown Error".
var lost = regexp.MustCompile(`(?i)unable to determine the device handle|gpu is lost|fallen off the bus`)

// parse reads nvidia-smi's CSV line by line: a line that is no row costs only itself.
// What nvidia-smi cannot say it writes as [N/A], [Not Supported] or [Unknown Error].
func parse(fields []string, text string) Driver {
	var d Driver
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		row, ok := split(line, len(fields))
		if !ok {
			if lost.MatchString(line) {
				d.Lost = append(d.Lost, line)
			} else {
				d.Warnings = append(d.Warnings, line)
			}
			continue
		}
		d.Asked = true
		var g GPU
		for i, field := range fields {
			value := row[i]
			if strings.HasPrefix(value, "[") {
				continue
			}
			switch field {
			case "name":
				g.Name = value
			case "driver_version":
				d.Version = value
			case "compute_cap":
				g.Capability = value
			case "memory.total":
				if mib, err := strconv.ParseUint(value, 10, 32); err == nil {
					bytes := mib << 20
					g.Memory = &bytes
				}
			case "utilization.gpu":
				if percent, err := strconv.Atoi(value); err == nil {
					g.Busy = &percent
				}
			}
		}
		d.GPUs = append(d.GPUs, g)
	}
	return d
}

// split returns the fields of a row. A sentence may have as many commas as a row; it has
// no driver's version in the second place.
func split(line string, n int) ([]string, bool) {
	r := csv.NewReader(strings.NewReader(line))
	r.TrimLeadingSpace, r.FieldsPerRecord, r.LazyQuotes = true, n, true
	row, err := r.Read()
	return row, err == nil && (n == 1 || dotted.MatchString(row[1]))
}

var dotted = regexp.MustCompile(`^(\d+(\.\d+)+|\[.*\])$`)
