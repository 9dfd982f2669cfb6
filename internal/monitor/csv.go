package monitor

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/plain"
)

// columns are the quantities that CSV has, in the order of its columns.
var columns = []struct {
	quantity event.Quantity
	name     string
}{
	{event.Utilization, "utilization_percent"}, {event.Memory, "memory_bytes"}, {event.Swap, "swap_bytes"}, {event.Power, "power_watts"}, {event.Energy, "energy_joules"},
	{event.Temperature, "temperature_celsius"}, {event.Clock, "clock_hertz"}, {event.MemoryClock, "memory_clock_hertz"},
	{event.Throttle, "throttling"}, {event.Processes, "processes"}, {event.PCIeSent, "pcie_sent_bytes"}, {event.PCIeReceived, "pcie_received_bytes"},
	{event.NVLinkSent, "nvlink_sent_bytes"}, {event.NVLinkReceived, "nvlink_received_bytes"},
}

// CSV writes readings as CSV: a row for each device each time that a source was read. Energy
// and the bytes of links are counted up. failed returns the first error.
func CSV(w io.Writer) (each func(event.Event), failed func() error) {
	out := csv.NewWriter(w)
	var mu sync.Mutex
	var created time.Time
	names := map[int]string{}
	head := []string{"time", "seconds", "device", "name", "source"}
	for _, c := range columns {
		head = append(head, c.name)
	}
	out.Write(head)
	each = func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch d := e.Data.(type) {
		case event.Begin:
			created = d.Created
		case event.Sensors:
			for _, x := range d.Sensors {
				if x.CPU == nil {
					names[number(x.Card)] = cmp.Or(x.Name, names[number(x.Card)])
				}
			}
		case event.Telemetry:
			for _, row := range csvRows(e, d, created, names) {
				out.Write(row)
			}
			out.Flush()
		}
	}
	return each, func() error {
		mu.Lock()
		defer mu.Unlock()
		out.Flush()
		return out.Error()
	}
}

// cpu stands for the number of the CPU, beside those of GPUs.
const cpu = math.MaxInt

func number(card *int) int {
	if card == nil {
		return cpu
	}
	return *card
}

// csvRows returns a row for each device of which a source has readings.
func csvRows(e event.Event, d event.Telemetry, created time.Time, names map[int]string) [][]string {
	devices := map[int]map[event.Quantity]string{}
	for _, x := range d.Readings {
		n := number(x.Card)
		switch {
		case x.CPU != nil, x.Quantity == event.Energy && x.Scope == "DRAM":
			continue
		case devices[n] == nil:
			devices[n] = map[event.Quantity]string{}
		}
		text := strconv.FormatFloat(math.Round(x.Value*1000)/1000, 'f', -1, 64)
		if x.Quantity == event.Throttle {
			text = ""
			if x.Value > 0 {
				text = strings.Join(event.Throttling(x.Value).Words(), "; ")
			}
		}
		devices[n][x.Quantity] = text
	}
	var list [][]string
	for n, values := range devices {
		at := ""
		if !created.IsZero() {
			at = created.Add(e.At).UTC().Format("2006-01-02T15:04:05.000Z")
		}
		device := "cpu"
		if n != cpu {
			device = fmt.Sprintf("gpu%d", n)
		}
		row := []string{at, strconv.FormatFloat(e.At.Seconds(), 'f', 3, 64), device, cell(names[n]), d.Source}
		for _, c := range columns {
			row = append(row, values[c.quantity])
		}
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b []string) int { return cmp.Or(cmp.Compare(len(a[2]), len(b[2])), cmp.Compare(a[2], b[2])) })
	return list
}

// cell makes a name harmless for a terminal and for a spreadsheet, which takes what begins
// with these characters for a formula.
func cell(t string) string {
	t = plain.Line(t)
	if strings.HasPrefix(t, "=") || strings.HasPrefix(t, "+") || strings.HasPrefix(t, "-") || strings.HasPrefix(t, "@") {
		return "'" + t
	}
	return t
}
