package foreign

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/record"
)

var when = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// llama-bench.json is what llama-bench of llama.cpp b11434 wrote, the path of its model
// shortened; mlx-lm's and nvbench's files were made after their source code.
func TestParse(t *testing.T) {
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, want := range map[string]struct {
		created time.Time
		cpu     string
		foreign record.Foreign
	}{
		"llama-bench.json": {time.Date(2026, 11, 28, 0, 36, 50, 0, time.UTC), "AMD EPYC", record.Foreign{Tool: "llama-bench", Version: "b0 (unknown)", Series: []record.Series{
			{Name: "gemma3 270M Q4_K - Medium pp16, CPU, 2 threads", Device: "AMD EPYC", Unit: "tokens/s", Values: []float64{3.0163, 6.08835, 5.77194, 5.74144}},
			{Name: "gemma3 270M Q4_K - Medium tg8, CPU, 2 threads", Device: "AMD EPYC", Unit: "tokens/s", Values: []float64{2.48835, 0.975155, 1.4932, 2.10585}},
		}}},
		"nvbench.json": {day, "", record.Foreign{Tool: "nvbench", Version: "0.1.0", Series: []record.Series{
			{Name: "copy_sweep_grid_shape Device=0 BlockSize=2^6 NumBlocks=2^8", Device: "NVIDIA H100 80GB HBM3", Unit: "s", Values: []float64{0.000712}, Of: 1402},
		}}},
		"mlx-benchmark.txt": {day, "", record.Foreign{Tool: "mlx-lm", Series: []record.Series{
			{Name: "prompt of 512 tokens", Unit: "tokens/s", Values: []float64{4102.113, 4110.02, 4090.871}},
			{Name: "generation of 128 tokens", Unit: "tokens/s", Values: []float64{201.442, 202.003, 200.95}},
		}}},
		"mlx-generate.txt": {day, "", record.Foreign{Tool: "mlx-lm", Series: []record.Series{
			{Name: "prompt of 12 tokens", Unit: "tokens/s", Values: []float64{316.2}},
			{Name: "generation of 20 tokens", Unit: "tokens/s", Values: []float64{98.705}},
		}}},
	} {
		text := read(t, name)
		r, err := Parse(text, when)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(want.foreign, *r.Foreign); d != "" || r.Kind != record.Imported || !r.Created.Equal(want.created) || r.Machine.CPU != want.cpu {
			t.Errorf("%s: %s of %s on %q\n%s", name, r.Kind, r.Created, r.Machine.CPU, d)
		}
		if again, err := Parse(text, when.Add(time.Hour)); err != nil || again.ID != r.ID {
			t.Errorf("%s has the id %s and then %s, %v", name, r.ID, again.ID, err)
		}
	}
	lines := strings.ReplaceAll(strings.Trim(string(read(t, "llama-bench.json")), "[]\n"), "},", "}\n")
	if r, err := Parse([]byte(lines), when); err != nil || len(r.Foreign.Series) != 2 {
		t.Errorf("llama-bench -o jsonl: %v\n%.300s", err, lines)
	}
}

// What cannot have been measured is refused, with the reason.
func TestRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"":     ErrUnknown.Error(),
		"null": ErrUnknown.Error(),
		"{}":   ErrUnknown.Error(),
		"[]":   "llama-bench's output holds no figures",
		"[1]":  "cannot unmarshal number",
		"[{}]": "test 1 is not one of llama-bench's",
		"[" + bench(`"samples_ts": [1, -1]`) + "]":                    `"m pp1, CPU, 0 threads" has a sample of -1 tokens/s`,
		"[" + bench(`"samples_ts": [0]`) + "]":                        "has a sample of 0 tokens/s",
		"[" + bench(`"samples_ts": [1e999]`) + "]":                    "cannot unmarshal number 1e999",
		"[" + bench(`"samples_ts": [NaN]`) + "]":                      "invalid character 'N'",
		nv(`"nan"`, "1"):                                              "has a sample of NaN s",
		nv("1e-3", `"0"`):                                             "a mean of 0 samples",
		nv(`"inf"`, "1"):                                              "has a sample of +Inf s",
		nv(`"1e-3"`, `"many"`):                                        "nv/cold/sample_size is not a number",
		`{"benchmarks": []}`:                                          "nvbench's output holds no figures",
		`{"benchmarks": 1}`:                                           "cannot unmarshal number",
		"Trial 1:  prompt_tps=1.0.0, generation_tps=2, peak_memory=3": `"1.0.0" is not a number`,
		"Prompt: 1 tokens, 0.000 tokens-per-sec":                      "has a sample of 0 tokens/s",
		"tokens-per-sec":                                              "mlx-lm's output holds no figures",
	} {
		if r, err := Parse([]byte(text), when); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %s", text, r, err, want)
		}
	}
	r, err := Parse([]byte("["+bench(`"samples_ts": [1]`)+","+bench(`"samples_ts": [2]`)+"]"), when)
	if err != nil || r.Foreign.Series[1].Name != "m pp1, CPU, 0 threads #2" {
		t.Errorf("twice the same test: %+v, %v", r, err)
	}
	r, err = Parse([]byte(`[{"n_gen": 1, "samples_ts": [1]}]`), when)
	if err != nil || !r.Created.Equal(when.Truncate(time.Second)) {
		t.Errorf("without a time: %+v, %v", r, err)
	}
}

// Names are unique, also where a tool's own look like those that were made so.
func TestNames(t *testing.T) {
	f := &record.Foreign{}
	for _, name := range []string{"a", "a #2", "a", "a", "b", "a #2"} {
		f.Series = append(f.Series, record.Series{Name: name, Unit: "s", Values: []float64{1}})
	}
	if err := check(f); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range f.Series {
		names = append(names, s.Name)
	}
	if d := cmp.Diff([]string{"a", "a #2", "a #3", "a #4", "b", "a #2 #2"}, names); d != "" {
		t.Error(d)
	}
}

func bench(samples string) string {
	return `{"model_type": "m", "backends": "CPU", "n_prompt": 1, "test_time": "2026-01-02T03:04:05Z", ` + samples + `}`
}

func nv(mean, count string) string {
	return `{"benchmarks": [{"name": "b", "states": [{"name": "s", "summaries": [{"tag": "nv/cold/time/gpu/mean", "data": [{"name": "value", "value": ` + mean +
		`}]}, {"tag": "nv/cold/sample_size", "data": [{"name": "value", "value": ` + count + `}]}]}]}]}`
}

// Whatever a file holds, it is refused or becomes a run that can be written and read
// back, with figures that are numbers and names that command no terminal.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"llama-bench.json", "nvbench.json", "mlx-benchmark.txt", "mlx-generate.txt"} {
		f.Add(read(f, name))
	}
	f.Add([]byte("[" + bench(`"model_type": "\u001b[2J<script>\u202e", "samples_ts": [1e308, 5e-324]`) + "]"))
	f.Add([]byte(nv("1", "1e300")))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text, when)
		if err != nil {
			if r != nil {
				t.Error("half a run")
			}
			return
		}
		var b bytes.Buffer
		if err := record.Write(&b, r); err != nil {
			t.Fatal(err)
		}
		back, err := record.Parse(b.Bytes())
		if err != nil {
			t.Fatalf("%v in %s", err, b.Bytes())
		}
		if len(back.Foreign.Series) == 0 {
			t.Error("no figures")
		}
		for _, s := range back.Foreign.Series {
			if strings.ContainsAny(s.Name, "\x1b\n\u202e") {
				t.Errorf("name %q", s.Name)
			}
		}
	})
}
