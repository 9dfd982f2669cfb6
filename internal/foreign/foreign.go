// Package foreign reads what other tools have measured: the JSON of llama-bench and of
// nvbench, and what mlx-lm prints. It becomes a run of kind record.Imported that names
// the tool, so that it never looks as if gpuplay had measured it.
package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
)

// ErrUnknown says that a text comes from none of the tools.
var ErrUnknown = errors.New("it is neither gpuplay's JSON nor that of llama-bench or nvbench, nor what mlx-lm prints")

const (
	mostSeries = 100_000 // of a file
	tokens     = "tokens/s"
)

// Parse returns the run in a text. when is its time where the tool does not say it: that
// of the file. The same text becomes a run with the same id.
func Parse(text []byte, when time.Time) (*record.Run, error) {
	r := &record.Run{
		Schema: record.Schema, ID: uuid.NewSHA1(uuid.Nil, text).String(), Kind: record.Imported,
		Created: when.UTC().Truncate(time.Second), Foreign: &record.Foreign{},
	}
	var err error
	switch first := firstOf(text); {
	case first == '[' || first == '{' && bytes.Contains(text, []byte(`"samples_ts"`)):
		err = llamaBench(text, r)
	case first == '{' && bytes.Contains(text, []byte(`"benchmarks"`)):
		err = nvbench(text, r)
	case bytes.Contains(text, []byte("generation_tps=")) || bytes.Contains(text, []byte("tokens-per-sec")):
		err = mlxLM(text, r)
	default:
		return nil, ErrUnknown
	}
	if err == nil {
		err = check(r.Foreign)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// firstOf returns the first byte that is not a blank, 0 if there is none.
func firstOf(text []byte) byte {
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) > 0 {
		return t[0]
	}
	return 0
}

// check refuses what no tool can have measured, and makes names unique.
func check(f *record.Foreign) error {
	if len(f.Series) == 0 {
		return fmt.Errorf("%s's output holds no figures", f.Tool)
	}
	if len(f.Series) > mostSeries {
		return fmt.Errorf("%d figures: at most %d are read", len(f.Series), mostSeries)
	}
	taken, again := map[string]bool{}, map[string]int{}
	for i := range f.Series {
		s := &f.Series[i]
		s.Name = plain.Line(s.Name)
		for name := s.Name; taken[s.Name]; s.Name = name + " #" + strconv.Itoa(again[name]+1) {
			again[name]++
		}
		taken[s.Name] = true
		if len(s.Values) == 0 {
			return fmt.Errorf("%q has no samples", s.Name)
		}
		for _, x := range s.Values {
			if !(x > 0) || math.IsInf(x, 0) {
				return fmt.Errorf("%q has a sample of %v %s", s.Name, x, s.Unit)
			}
		}
	}
	return nil
}

// llamaBench reads llama-bench -o json or jsonl: an object for each test, with the
// tokens per second of each repetition (tools/llama-bench/llama-bench.cpp of llama.cpp).
func llamaBench(text []byte, r *record.Run) error {
	type test struct {
		Commit   string    `json:"build_commit"`
		Build    int       `json:"build_number"`
		CPU      string    `json:"cpu_info"`
		GPU      string    `json:"gpu_info"`
		Backends string    `json:"backends"`
		Model    string    `json:"model_type"`
		Threads  int       `json:"n_threads"`
		Layers   *int      `json:"n_gpu_layers"`
		Prompt   int       `json:"n_prompt"`
		Generate int       `json:"n_gen"`
		Depth    int       `json:"n_depth"`
		Time     time.Time `json:"test_time"`
		Speeds   []float64 `json:"samples_ts"`
	}
	f := r.Foreign
	f.Tool = "llama-bench"
	var tests []test
	if firstOf(text) == '[' {
		if err := json.Unmarshal(text, &tests); err != nil {
			return err
		}
	} else {
		for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
			var t test
			if err := d.Decode(&t); err != nil {
				return err
			}
			tests = append(tests, t)
		}
	}
	for i, t := range tests {
		if len(t.Speeds) == 0 || t.Prompt < 0 || t.Generate < 0 || t.Prompt+t.Generate == 0 {
			return fmt.Errorf("test %d is not one of llama-bench's: it needs n_prompt, n_gen and samples_ts", i+1)
		}
		if i == 0 {
			r.Machine.CPU = t.CPU
			if !t.Time.IsZero() {
				r.Created = t.Time.UTC().Truncate(time.Second)
			}
			f.Version = fmt.Sprintf("b%d (%s)", t.Build, t.Commit)
		}
		var work []string
		for _, part := range []struct {
			name   string
			tokens int
		}{{"pp", t.Prompt}, {"tg", t.Generate}} {
			if part.tokens > 0 {
				work = append(work, part.name+strconv.Itoa(part.tokens))
			}
		}
		name := t.Model + " " + strings.Join(work, "+")
		if t.Depth > 0 {
			name += fmt.Sprintf(" @ d%d", t.Depth)
		}
		name += fmt.Sprintf(", %s, %d threads", t.Backends, t.Threads)
		if t.Layers != nil && *t.Layers >= 0 {
			name += fmt.Sprintf(", ngl %d", *t.Layers)
		}
		device := t.GPU
		if device == "" || t.Layers != nil && *t.Layers == 0 {
			device = t.CPU
		}
		f.Series = append(f.Series, record.Series{Name: name, Device: device, Unit: tokens, Values: t.Speeds})
	}
	return nil
}

// number is a JSON number, or one in a string, as nvbench writes them.
type number float64

func (n *number) UnmarshalJSON(text []byte) error {
	x, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	*n = number(x)
	return err
}

// nvbench reads the file that nvbench --json writes: for each state of a benchmark the
// mean GPU time (nvbench/json_printer.cu, version 1 of its file). The samples are in
// other files, whose paths are not followed.
func nvbench(text []byte, r *record.Run) error {
	var in struct {
		Meta struct {
			Version struct {
				NVBench struct {
					String string `json:"string"`
				} `json:"nvbench"`
			} `json:"version"`
		} `json:"meta"`
		Devices []struct {
			ID   int    `json:"id"`
			Name string `json:"name"`
		} `json:"devices"`
		Benchmarks []struct {
			Name   string `json:"name"`
			States []struct {
				Name      string `json:"name"`
				Device    *int   `json:"device"`
				Skipped   bool   `json:"is_skipped"`
				Summaries []struct {
					Tag  string `json:"tag"`
					Data []struct {
						Name  string          `json:"name"`
						Value json.RawMessage `json:"value"`
					} `json:"data"`
				} `json:"summaries"`
			} `json:"states"`
		} `json:"benchmarks"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	f := r.Foreign
	f.Tool, f.Version = "nvbench", in.Meta.Version.NVBench.String
	for _, b := range in.Benchmarks {
		for _, s := range b.States {
			if s.Skipped {
				continue
			}
			var mean, count number
			for _, sum := range s.Summaries {
				for _, d := range sum.Data {
					var err error
					switch {
					case d.Name == "value" && sum.Tag == "nv/cold/time/gpu/mean":
						err = mean.UnmarshalJSON(d.Value)
					case d.Name == "value" && sum.Tag == "nv/cold/sample_size":
						err = count.UnmarshalJSON(d.Value)
					}
					if err != nil {
						return fmt.Errorf("%s: %s is not a number", s.Name, sum.Tag)
					}
				}
			}
			if mean == 0 { // a state without cold measurements
				continue
			}
			if !(count >= 1 && count < 1e12) {
				return fmt.Errorf("%s: a mean of %v samples", s.Name, float64(count))
			}
			x := record.Series{Name: strings.TrimSpace(b.Name + " " + s.Name), Unit: "s", Values: []float64{float64(mean)}, Of: int(count)}
			for _, d := range in.Devices {
				if s.Device != nil && d.ID == *s.Device {
					x.Device = d.Name
				}
			}
			f.Series = append(f.Series, x)
		}
	}
	return nil
}
