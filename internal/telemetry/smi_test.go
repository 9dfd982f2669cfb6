package telemetry

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// testdata/h100 has what gpuplay monitor recorded on an H100 (driver 580.159.04, November
// 2026), and what nvidia-smi wrote every 100 ms at the same time, while PyTorch multiplied
// matrices for 7 s and half of the time for 3 s:
//
//	nvidia-smi --query-gpu=timestamp,index,…,clocks_event_reasons.active --format=csv -lms 100

// unzipped opens a recording.
func unzipped(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "h100", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// smiRound is what NVML said at a time.
type smiRound struct {
	at     time.Time
	values map[event.Quantity]float64
}

func recordedRounds(t *testing.T) []smiRound {
	t.Helper()
	var list []smiRound
	var begin event.Begin
	lines := bufio.NewScanner(unzipped(t, "monitor.jsonl.gz"))
	for lines.Scan() {
		var e struct {
			At   time.Duration   `json:"at_ns"`
			Type event.Type      `json:"type"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		var told event.Telemetry
		switch e.Type {
		case event.TypeBegin:
			if err := json.Unmarshal(e.Data, &begin); err != nil {
				t.Fatal(err)
			}
		case event.TypeTelemetry:
			if err := json.Unmarshal(e.Data, &told); err != nil {
				t.Fatal(err)
			}
			r := smiRound{begin.Created.Add(e.At), map[event.Quantity]float64{}}
			for _, x := range told.Readings {
				r.values[x.Quantity] = x.Value
			}
			list = append(list, r)
		}
	}
	return list
}

// What NVML says here is what nvidia-smi showed at the same time: the reading just before or
// just after is the same, but for watts, which change with each reading.
func TestAgreesWithNvidiaSMI(t *testing.T) {
	in := csv.NewReader(unzipped(t, "nvidia-smi.csv.gz"))
	in.TrimLeadingSpace = true
	rows, err := in.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]int{}
	for i, name := range rows[0] {
		columns[name] = i
	}
	recorded := recordedRounds(t)
	for i, row := range rows[1:] { // nvidia-smi went on for longer
		if at, _ := time.Parse("2006/01/02 15:04:05.000", row[0]); at.After(recorded[len(recorded)-1].at) {
			rows = rows[:1+i]
			break
		}
	}
	if len(rows) < 300 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, tt := range []struct {
		column   string
		quantity event.Quantity
		unit     float64
		within   float64
	}{
		{"utilization.gpu [%]", event.Utilization, 1, 0},
		{"power.draw [W]", event.Power, 1, 0.2},
		{"clocks.current.sm [MHz]", event.Clock, 1e6, 0},
		{"clocks.current.memory [MHz]", event.MemoryClock, 1e6, 0},
		{"temperature.gpu", event.Temperature, 1, 0},
	} {
		lowest, highest := math.Inf(1), math.Inf(-1)
		for _, row := range rows[1:] {
			at, err := time.Parse("2006/01/02 15:04:05.000", row[0])
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(row[columns[tt.column]], " ")
			shown, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			lowest, highest = min(lowest, shown), max(highest, shown)
			nearest := math.Inf(1)
			for _, r := range recorded {
				if d := r.at.Sub(at); d > -220*time.Millisecond && d < 220*time.Millisecond {
					nearest = min(nearest, math.Abs(r.values[tt.quantity]/tt.unit-shown))
				}
			}
			if nearest > tt.within {
				t.Errorf("%s: nvidia-smi shows %s of %s, which is %g from what is read here", row[0], row[columns[tt.column]], tt.quantity, nearest)
			}
		}
		if tt.quantity != event.MemoryClock && highest <= lowest {
			t.Errorf("%s did not change, so that nothing is shown", tt.quantity)
		}
	}
	for i, row := range rows[1:] { // the driver's reasons, which change seldom
		reasons, err := strconv.ParseUint(strings.TrimPrefix(row[columns["clocks_event_reasons.active"]], "0x"), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse("2006/01/02 15:04:05.000", row[0])
		same := false
		for _, r := range recorded {
			d := r.at.Sub(at)
			same = same || d > -220*time.Millisecond && d < 220*time.Millisecond && r.values[event.Throttle] == float64(throttling(reasons))
		}
		if !same {
			t.Errorf("row %d: reasons %#x", i, reasons)
		}
	}
}
