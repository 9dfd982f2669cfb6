package monitor

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/plain"
)

// metrics are the names that Prometheus knows quantities by: base units, and _total for what
// counts up, as its documentation asks for.
var metrics = []struct {
	quantity   event.Quantity
	name, help string
	scale      float64
}{
	{event.Utilization, "gpuplay_utilization_ratio", "Share of the time in which the device was busy.", 0.01},
	{event.Memory, "gpuplay_memory_used_bytes", "Memory in use.", 1},
	{event.Swap, "gpuplay_swap_used_bytes", "Swap space in use.", 1},
	{event.Power, "gpuplay_power_watts", "Power that the device takes.", 1},
	{event.Energy, "gpuplay_energy_joules_total", "Energy that the device has taken.", 1},
	{event.Temperature, "gpuplay_temperature_celsius", "Temperature of the device.", 1},
	{event.Clock, "gpuplay_clock_hertz", "Clock of a GPU's shader cores, or of the CPUs on average.", 1},
	{event.MemoryClock, "gpuplay_memory_clock_hertz", "Clock of the device's memory.", 1},
	{event.Throttle, "gpuplay_throttled", "1 while the driver holds a clock down, by its reason.", 1},
	{event.Processes, "gpuplay_processes", "Processes that compute on the GPU.", 1},
	{event.PCIeSent, "gpuplay_pcie_sent_bytes_total", "Bytes sent over PCIe.", 1},
	{event.PCIeReceived, "gpuplay_pcie_received_bytes_total", "Bytes received over PCIe.", 1},
	{event.NVLinkSent, "gpuplay_nvlink_sent_bytes_total", "Bytes sent over NVLink.", 1},
	{event.NVLinkReceived, "gpuplay_nvlink_received_bytes_total", "Bytes received over NVLink.", 1},
}

// Prometheus writes the latest readings in Prometheus' text format, version 0.0.4. What was
// not read for some seconds is absent.
func (h *History) Prometheus() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, m := range metrics {
		var lines []string
		for _, d := range h.devices {
			for _, x := range d.sorted() {
				if x.reading.Quantity == m.quantity && h.now-x.at <= stale {
					lines = append(lines, d.samples(m.name, x.reading, m.scale)...)
				}
			}
		}
		if lines == nil {
			continue
		}
		kind := "gauge"
		if m.quantity.Counts() {
			kind = "counter"
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s", m.name, m.help, m.name, kind, strings.Join(lines, ""))
	}
	return b.String()
}

// samples returns the lines of a reading.
func (d *device) samples(name string, x event.Reading, scale float64) []string {
	labels := `device="cpu"`
	if d.card != nil {
		labels = fmt.Sprintf(`device="gpu%d"`, *d.card)
	}
	labels += `,name="` + escape(d.name) + `"`
	if x.Scope != "" {
		labels += `,scope="` + escape(x.Scope) + `"`
	}
	if x.Quantity != event.Throttle {
		return []string{name + "{" + labels + "} " + strconv.FormatFloat(x.Value*scale, 'g', -1, 64) + "\n"}
	}
	var lines []string
	for i, reason := range event.Throttling(math.MaxUint8).Words() {
		lines = append(lines, fmt.Sprintf("%s{%s,reason=%q} %d\n", name, labels, reason, uint(x.Value)>>i&1))
	}
	return lines
}

// escape makes a text one of a label's value.
func escape(t string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain.Line(t))
}

// ServeHTTP answers Prometheus at /metrics. Pages of browsers cannot read it by a name that
// leads here: the request must name this machine's own address.
func (h *History) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	switch {
	case host != "127.0.0.1" && host != "localhost":
		http.Error(w, "only 127.0.0.1 is served", http.StatusMisdirectedRequest)
	case r.URL.Path != "/metrics":
		http.Error(w, "readings are at /metrics", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "only GET is served", http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Write([]byte(h.Prometheus()))
	}
}

// sorted returns the latest readings in an order that does not change.
func (d *device) sorted() []latest {
	return slices.SortedFunc(maps.Values(d.latest), func(a, b latest) int { return cmp.Compare(a.reading.Scope, b.reading.Scope) })
}
