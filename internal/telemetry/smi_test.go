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

// testdata/h100 and testdata/h200 have what gpuplay monitor recorded of NVML on such cards
// (driver 580.159.04, November 2026), and what nvidia-smi wrote of card 0 every 100 ms at
// the same time, while PyTorch multiplied matrices, then did so half of the time:
//
//	nvidia-smi --query-gpu=timestamp,index,…,clocks_event_reasons.active --format=csv -lms 100

// unzipped opens a recording.
func unzipped(t *testing.T, card, name string) io.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", card, name))
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

// smiRound is what NVML returned for card 0 at one time.
type smiRound struct {
	at     time.Time
	values map[event.Quantity]float64
}

func recordedRounds(t *testing.T, card string) []smiRound {
	t.Helper()
	var list []smiRound
	var begin event.Begin
	lines := bufio.NewScanner(unzipped(t, card, "monitor.jsonl.gz"))
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
				if *x.Card == 0 {
					r.values[x.Quantity] = x.Value
				}
			}
			list = append(list, r)
		}
	}
	return list
}

// What NVML says here is what nvidia-smi showed at the same time: the reading just before or
// just after is the same, but for watts, which change with each reading, and memory, of
// which nvidia-smi shows whole MiB. While memory is allocated it may lie between the two.
//
// On the H100 all was read in each round, and memory was not yet nvidia-smi's. On the H200
// quantities had their paces, so that nvidia-smi saw clocks, watts and degrees that were not
// read.
func TestAgreesWithNvidiaSMI(t *testing.T) {
	for _, card := range []string{"h100", "h200"} {
		t.Run(card, func(t *testing.T) { agreesWithNvidiaSMI(t, card) })
	}
}

func agreesWithNvidiaSMI(t *testing.T, card string) {
	in := csv.NewReader(unzipped(t, card, "nvidia-smi.csv.gz"))
	in.TrimLeadingSpace = true
	rows, err := in.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]int{}
	for i, name := range rows[0] {
		columns[name] = i
	}
	recorded := recordedRounds(t, card)
	for i, row := range rows[1:] { // nvidia-smi went on for longer
		if at, _ := time.Parse("2006/01/02 15:04:05.000", row[0]); at.After(recorded[len(recorded)-1].at) {
			rows = rows[:1+i]
			break
		}
	}
	if len(rows) < 200 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, tt := range []struct {
		column   string
		quantity event.Quantity
		unit     float64
		within   float64
		cards    string
	}{
		{"utilization.gpu [%]", event.Utilization, 1, 0, "h100 h200"},
		{"memory.used [MiB]", event.Memory, 1 << 20, 1, "h200"},
		{"power.draw [W]", event.Power, 1, 0.2, "h100"},
		{"clocks.current.sm [MHz]", event.Clock, 1e6, 0, "h100"},
		{"clocks.current.memory [MHz]", event.MemoryClock, 1e6, 0, "h100 h200"},
		{"temperature.gpu", event.Temperature, 1, 0, "h100"},
	} {
		if !strings.Contains(tt.cards, card) {
			continue
		}
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
			nearest, least, most := math.Inf(1), math.Inf(1), math.Inf(-1)
			for _, r := range recorded {
				if d := r.at.Sub(at); d > -220*time.Millisecond && d < 220*time.Millisecond {
					x := r.values[tt.quantity] / tt.unit
					nearest, least, most = min(nearest, math.Abs(x-shown)), min(least, x), max(most, x)
				}
			}
			if tt.quantity == event.Memory && least <= shown && shown <= most {
				continue
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
