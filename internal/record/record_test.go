package record_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/train"
)

// survives writes a run, reads it and writes it again.
func survives(t *testing.T, r *record.Run) *record.Run {
	t.Helper()
	var first, second bytes.Buffer
	if err := record.Write(&first, r); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(first.Bytes(), []byte("\n")); n != 1 || !bytes.HasSuffix(first.Bytes(), []byte("\n")) {
		t.Errorf("%d lines instead of one", n)
	}
	back, err := record.Parse(first.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, first.Bytes())
	}
	if d := cmp.Diff(r, back); d != "" {
		t.Errorf("read back (-written +read):\n%s", d)
	}
	if err := record.Write(&second, back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first.String(), second.String()); d != "" {
		t.Errorf("written again:\n%s", d)
	}
	return back
}

// Whatever a run holds is read back as it was written.
func TestRandomRunsSurvive(t *testing.T) {
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(200) {
			t.Run(fmt.Sprintf("%s/%d", kind, seed), func(t *testing.T) { survives(t, recordtest.Random(kind, seed)) })
		}
	}
}

// The random runs have every field that there is; those tests would not see one that
// is always empty.
func TestRandomRunsAreComplete(t *testing.T) {
	empty, seen := map[string]bool{}, map[string]bool{}
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(200) {
			walk(reflect.ValueOf(recordtest.Random(kind, seed)), "run", func(path string, v reflect.Value) {
				empty[path] = true
				if !v.IsZero() {
					seen[path] = true
				}
			})
		}
	}
	for path := range empty {
		if !seen[path] {
			t.Errorf("%s is never set", path)
		}
	}
	if len(seen) < 300 {
		t.Errorf("only %d fields were seen", len(seen))
	}
}

// walk calls each with all fields of a value.
func walk(v reflect.Value, path string, each func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), path, each)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), path+"[]", each)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			name := path + "." + v.Type().Field(i).Name
			each(name, v.Field(i))
			walk(v.Field(i), name, each)
		}
	}
}

// Files of older versions are read whole, and what they come to survives.
func TestOlderFilesSurvive(t *testing.T) {
	kinds := map[record.Kind]int{}
	for name, r := range recordtest.Older(t) {
		t.Run(name, func(t *testing.T) {
			survives(t, r)
			kinds[r.Kind]++
			if r.Schema != record.Schema {
				t.Errorf("schema %q", r.Schema)
			}
			if r.Machine.Cores != 0 || r.Machine.CPUs < 1 {
				t.Errorf("%d cores and %d CPUs: what those files call cores are logical CPUs", r.Machine.Cores, r.Machine.CPUs)
			}
			lanes := map[string]bool{}
			for _, x := range r.Results {
				if x.Lane == "" || lanes[x.Lane] && r.Kind != record.Sweep {
					t.Errorf("lane %q is not unique", x.Lane)
				}
				lanes[x.Lane] = true
			}
		})
	}
	for _, k := range []record.Kind{record.Race, record.Sweep, record.LLM, record.Generate, record.Finetune, record.CPUs} {
		if kinds[k] == 0 {
			t.Errorf("no older file of %s", k)
		}
	}
}

// The files keep the schemas that were published with their versions, so that they are
// what others have too. One is shortened by hand; training and generation had no
// schema.
func TestOlderFilesKeepTheirSchemas(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "v1", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(value.(map[string]any)["schema"].(string), "gpuplay/"), "/v1")
		if value.(map[string]any)["source"] != nil || name == "finetune" || name == "generation" {
			continue
		}
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "v1", name+".schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		checked[name]++
	}
	for _, name := range []string{"result", "tokens", "cpu", "sweep"} {
		if checked[name] == 0 {
			t.Errorf("no file of the schema of %s", name)
		}
	}
}

// The lines of a JSON Lines file are runs of one lane each.
func TestOlderLines(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "v1", "troubled.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	whole := recordtest.Older(t)["troubled"]
	i := 0
	for line := range bytes.Lines(text) {
		r, err := record.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Results) != 1 {
			t.Fatalf("%d results", len(r.Results))
		}
		if d := cmp.Diff(whole.Results[i], r.Results[0]); d != "" {
			t.Errorf("line %d: %s", i+1, d)
		}
		survives(t, r)
		i++
	}
	if i != len(whole.Results) {
		t.Errorf("%d lines, want %d", i, len(whole.Results))
	}
}

func TestOlderProducts(t *testing.T) {
	runs := recordtest.Older(t)
	cpu := runs["cpu"]
	if len(cpu.Missing) != 3 || cpu.Missing[0].Remedies.String() != "pip install torch" {
		t.Errorf("what is missing became %+v", cpu.Missing)
	}
	if got := runs["troubled"].Results[2].Error; got.Code != fault.OutOfMemory || !strings.Contains(got.Remedies.String(), "27392") {
		t.Errorf("a hint became %+v", got)
	}
	if x := cpu.Results[1]; x.Lane != "gocpu/cpu:0" || *x.Facts.Peak != 110e9 || len(x.Samples) != 12 || x.Check.Arithmetic != "float32" {
		t.Errorf("a lane became %+v", x)
	}
	crossing := runs["sweep.crossing"]
	if !crossing.Crossover || !crossing.Interrupted || len(crossing.Points()) != 3 {
		t.Errorf("a sweep of 3 sizes for a crossover, interrupted, became crossover %v, interrupted %v, %d sizes", crossing.Crossover, crossing.Interrupted, len(crossing.Points()))
	}
	sweep := runs["sweep"]
	if sweep.Crossover || sweep.Interrupted || sweep.Threads != 1 || len(sweep.Points()) != 6 {
		t.Errorf("a sweep became crossover %v, interrupted %v, threads %d, %d sizes", sweep.Crossover, sweep.Interrupted, sweep.Threads, len(sweep.Points()))
	}
	for i, p := range sweep.Points() {
		for j, x := range p {
			if want := sweep.Points()[0][j].Lane; x.Lane != want {
				t.Errorf("size %d: lane %s, at the first size %s", i+1, x.Lane, want)
			}
		}
	}
}

func TestOlderKinds(t *testing.T) {
	lane := func(n int) string {
		return strings.TrimSuffix(strings.Repeat(`{"engine": "e", "device": {"id": "d"}, "gemm": {"m": 1, "n": 1, "k": 1, "in": "float32", "acc": "float32", "out": "float32"}, "samples": []},`, n), ",")
	}
	for _, tt := range []struct {
		command  string
		lanes    int
		notRaced string
		want     record.Kind
	}{
		{`null`, 1, "", record.MatMul},
		{`null`, 2, "", record.Race},
		{`null`, 1, `{"engine": "x"}`, record.Race},
		{`["gpuplay"]`, 1, "", record.Race},
		{`["gpuplay", "--size", "64"]`, 1, "", record.Race},
		{`["gpuplay", "race", "--size", "64"]`, 1, "", record.Race},
		{`["gpuplay", "matmul", "--protocol", "both"]`, 2, "", record.MatMul},
		{`["race", "matmul"]`, 2, "", record.MatMul},
		{`["gpuplay", "--quiet", "sweep"]`, 2, "", record.Sweep},
	} {
		text := fmt.Sprintf(`{"schema": "gpuplay/result/v1", "command": %s, "results": [%s], "not_raced": [%s]}`, tt.command, lane(tt.lanes), tt.notRaced)
		r, err := record.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if r.Kind != tt.want {
			t.Errorf("%s with %d lanes and %q not raced: %s, want %s", tt.command, tt.lanes, tt.notRaced, r.Kind, tt.want)
		}
		if tt.lanes == 2 && (r.Results[0].Lane != "e/d" || r.Results[1].Lane != "e/d~2") {
			t.Errorf("lanes %s and %s", r.Results[0].Lane, r.Results[1].Lane)
		}
	}
}

func TestOlderTokens(t *testing.T) {
	runs := recordtest.Older(t)
	gpu := runs["tokens.gpu"].Tokens
	if l := gpu.Limits; l == nil || *l.Bandwidth != 60e9 || *l.Peak != 1.1e12 {
		t.Errorf("limits became %+v", gpu.Limits)
	}
	if len(gpu.Peers) != 2 || gpu.Peers[1].Lane != "llama.cpp/gpu/99" || gpu.Peers[1].Name != "llama-bench" || len(gpu.Peers[1].Results[0].Samples) != 6 {
		t.Errorf("peers became %+v", gpu.Peers)
	}
	if gpu.Layers || !runs["tokens.sweep"].Tokens.Layers {
		t.Error("a sweep over layers is not told from other lanes")
	}
	var names []string
	for _, r := range runs["tokens.troubled"].Tokens.Results {
		names = append(names, r.Name)
	}
	if d := cmp.Diff([]string{"CPU", "GPU", "GPU, 12 layers"}, names); d != "" {
		t.Error(d)
	}
	if r := runs["tokens.troubled"].Tokens.Results[1]; r.Shown == nil || r.Shown.Sequence == nil || r.Check.Difference.Lane != "\x1b]0;x\x07" {
		t.Errorf("text or sequence of %s was lost", r.Lane)
	}
}

func TestOlderLanguage(t *testing.T) {
	runs := recordtest.Older(t)
	tr := runs["finetune"].Training
	losses, first := tr.Result.Losses()
	if len(losses) != 40 || first != 1 || tr.Result.Plan == nil || tr.Result.Plan.Trainable != 1900544 || tr.Settings.Rank != 8 || tr.Name != "gemma-3-270m" || tr.Result.End != train.Complete {
		t.Errorf("a training became %+v", tr)
	}
	if r := runs["finetune"]; r.Command[0] != "gpuplay" || r.Command[1] != "finetune" || r.Created.Nanosecond() == 0 {
		t.Errorf("%q at %s", r.Command, r.Created)
	}
	if r := runs["finetune.memory"]; r.Error == nil || r.Error.Code != fault.OutOfMemory {
		t.Errorf("an error became %v", r.Error)
	}
	g := runs["generation"].Generation
	if rate, ok := g.Answer.Rate(); !ok || rate != 78.75 || g.Answer.Peak != 1.2e9 || g.Answer.PeakOf != "the process" || g.About.Hidden != 640 || g.Facts.Device.API != "mps" {
		t.Errorf("a generation became %+v", g)
	}
	c := runs["roofs.whole"].CPU
	if len(c.Peaks) != 4 || len(c.Bandwidths) != 8 || len(c.Clocks) != 2 || *c.Others != 0.4 || c.Elapsed != 2340*time.Millisecond || c.Topology.Kinds[0].CPUs != 16 {
		t.Errorf("a CPU became %+v", c)
	}
}

func TestRefuses(t *testing.T) {
	product := func(gemm, samples string) string {
		return fmt.Sprintf(`{"schema": %q, "kind": "race", "results": [{"gemm": {%s}, "samples": [%s]}]}`, record.Schema, gemm, samples)
	}
	const good = `"m": 1, "n": 1, "k": 1, "in": "int8", "acc": "int32", "out": "int32"`
	for _, tt := range []struct{ text, want string }{
		{`{`, "unexpected end"},
		{`[]`, "cannot unmarshal array"},
		{`{}`, `it has no schema, "gpuplay/run/v2" is needed`},
		{`{"schema": "gpuplay/run/v3"}`, `its schema is "gpuplay/run/v3"`},
		{`{"schema": "gpuplay/run/v2"}`, "unknown kind"},
		{`{"schema": "gpuplay/run/v2", "kind": "dance"}`, `unknown kind "dance"`},
		{`{"schema": "gpuplay/run/v2", "kind": "race", "results": [null]}`, "result 1: it is null"},
		{`{"schema": "gpuplay/run/v2", "kind": "llm", "tokens": {"results": [null]}}`, "is null"},
		{`{"schema": "gpuplay/result/v1", "results": [null]}`, "gpuplay/result/v1: result 0 is null"},
		{`{"schema": "gpuplay/tokens/v1", "results": [null]}`, "is null"},
		{`{"schema": "gpuplay/sweep/v1", "points": []}`, "holds no size"},
		{product(`"m": 0, "n": 1, "k": 1, "in": "int8", "acc": "int32", "out": "int32"`, ""), "a product of 0×1×1"},
		{product(`"m": 1, "n": 1, "k": 1, "in": "int4", "acc": "int32", "out": "int32"`, ""), `unknown dtype "int4"`},
		{product(good, `{"iters": 0, "wall_ns": 1}`), "sample 1 has 0 products"},
		{product(good, `{"iters": 1, "wall_ns": -1}`), "sample 1"},
		{product(good, `{"iters": 1, "wall_ns": 0}`), ""},
	} {
		r, err := record.Parse([]byte(tt.text))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.text, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || r != nil):
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// JSON has no way to write what is no number. No part of a run may hold one: engines'
// workers speak JSON too, and a loss that is no number ends a training.
func TestNoNumber(t *testing.T) {
	nan := math.NaN()
	r := &record.Run{Schema: record.Schema, Kind: record.Finetune, Training: &record.Training{Result: train.Result{Steps: []train.Step{{Loss: &nan}}}}}
	if err := record.Write(new(bytes.Buffer), r); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("NaN was written: %v", err)
	}
	ref, err := matrix.NewReference(t.Context(), matrix.Problem{M: 2, N: 2, K: 2, In: matrix.Float32, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ref.CheckProduct(func([]float64) ([]float64, error) { return []float64{nan, 1}, nil }, matrix.Float32, matrix.Float32)
	if err != nil || c.Error != nil || c.Passed {
		t.Errorf("the check of a product that is no number came to %+v: %v", c, err)
	}
	check := llm.Agree("CPU", []llm.Token{{ID: 1, Candidates: []llm.Candidate{{ID: 1}, {ID: 2}}}}, []llm.Token{{ID: 2}})
	if d := check.Difference; check.Passed || d.BaseLogProb != nil || d.LaneLogProb != nil {
		t.Errorf("the check of probabilities that are no numbers came to %+v", check)
	}
}

// Text that is not UTF-8 can be written; what is no UTF-8 in it is marked.
func TestOtherText(t *testing.T) {
	r := recordtest.Random(record.Race, 1)
	r.Command = []string{"gpuplay", "a\xffb"}
	var b bytes.Buffer
	if err := record.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	back, err := record.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if back.Command[1] != "a\ufffdb" {
		t.Errorf("%q", back.Command)
	}
}

func TestIDsSortByTime(t *testing.T) {
	last := ""
	for range 1000 {
		id := record.NewID()
		if id <= last || len(id) != 36 || id[14] != '7' {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
}

func TestPoints(t *testing.T) {
	at := func(lane string, n int) *bench.Result {
		return &bench.Result{Lane: lane, GEMM: bench.Square(n, matrix.Float32)}
	}
	results := []*bench.Result{at("a", 64), at("b", 64), at("a", 128), at("b", 128), at("b", 64)}
	sizes := func(kind record.Kind) (list []int) {
		for _, p := range (&record.Run{Kind: kind, Results: results}).Points() {
			list = append(list, len(p))
		}
		return list
	}
	if d := cmp.Diff([]int{3, 2}, sizes(record.Sweep)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{5}, sizes(record.Race)); d != "" {
		t.Error(d)
	}
}

// FuzzParse: no text makes Parse panic, and what it accepts survives.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "v1", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, kind := range recordtest.Kinds {
		var b bytes.Buffer
		if err := record.Write(&b, recordtest.Random(kind, 1)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := record.Parse(text)
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := record.Write(&first, r); err != nil {
			t.Fatal(err)
		}
		back, err := record.Parse(first.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, first.Bytes())
		}
		if err := record.Write(&second, back); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("written again:\n%s", cmp.Diff(first.String(), second.String()))
		}
	})
}
