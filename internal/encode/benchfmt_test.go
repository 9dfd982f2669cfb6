package encode

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// Every line of the export is one that Go's own reader takes, whatever names a record
// has.
func TestBenchfmt(t *testing.T) {
	lines := 0
	for name, r := range runs(t) {
		if Formats(r.Kind) == nil || writers[r.Kind]["benchfmt"] == nil {
			continue
		}
		in := benchfmt.NewReader(bytes.NewReader(encoded(t, r, "benchfmt")), name)
		for in.Scan() {
			switch x := in.Result().(type) {
			case *benchfmt.SyntaxError:
				t.Fatalf("%s: %v", name, x)
			case *benchfmt.Result:
				lines++
				if x.Iters < 1 || len(x.Values) == 0 {
					t.Errorf("%s: %s has %d iterations and the values %v", name, x.Name, x.Iters, x.Values)
				}
			}
		}
		if err := in.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if lines < 100 {
		t.Errorf("only %d lines", lines)
	}
}

// A lane of a language model whose figures may not be quoted has no lines.
func TestBenchfmtLeavesOut(t *testing.T) {
	for name, change := range map[string]func(*llm.Result){
		"not on the GPU": recordtest.LaneWarned(measure.NotOnGPU, "no layer is on the GPU"),
		"wrong tokens":   func(r *llm.Result) { r.Check.Passed = false },
		"failed":         func(r *llm.Result) { r.Error = fault.Errorf(fault.Crashed, "ended by signal 6") },
	} {
		r := recordtest.Language(recordtest.Lane(recordtest.LlamaCPU, 0, 40, 300), recordtest.Lane(recordtest.LlamaGPU, 99, 240, 3000, change))
		text := string(encoded(t, r, "benchfmt"))
		if !strings.Contains(text, "llama.cpp:cpu") || strings.Contains(text, "llama.cpp:gpu") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// benchstat itself reads the exports of two runs, finds the lanes that they share and
// says how much faster the second is.
func TestBenchstat(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, f := range []struct {
		name  string
		speed float64
	}{{"before", 20e12}, {"after", 25e12}} {
		r := recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, f.speed, recordtest.Engine("torch")), recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Engine("gocpu")))
		r.ID = record.NewID()
		path := filepath.Join(dir, f.name+".benchfmt")
		if err := os.WriteFile(path, encoded(t, r, "benchfmt"), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	out, err := exec.Command("go", append([]string{"tool", "benchstat"}, files...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		`MatMul/lane=torch:cuda:0/dtype=float32/size=4096³(-\d+)? 6\.8\d+m ± \d+% 5\.4\d+m ± \d+% -20\.\d+% \(p=0\.000 n=12\)`,
		`MatMul/lane=gocpu:cpu:0/dtype=float32/size=4096³(-\d+)? 137\.\dm ± \d+% 137\.\dm ± \d+% ~ \(p=1\.000 n=12\)`,
		`FLOP/s`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("benchstat does not say %s:\n%s", want, out)
		}
	}
}
