package encode

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Benchfmt writes every sample as a line of Go's benchmark format, which benchstat
// reads: https://go.dev/design/14313-benchmark-format. A lane is a benchmark, whose name
// says what was measured. Results that may not be quoted have no lines. What differs from
// run to run, such as an id, is no key of the file: benchstat would put files whose keys
// differ into tables of their own.
func Benchfmt(w io.Writer, r *record.Run, _ fault.Wording) error {
	var b strings.Builder
	config := func(key, value string) {
		if value = strings.TrimSpace(plain.Line(value)); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	config("goos", r.Machine.OS)
	config("goarch", r.Machine.Arch)
	config("cpu", r.Machine.CPU)
	if r.Foreign != nil {
		config("measured-by", judge.ForeignTool(r.Foreign))
	}
	b.WriteString("\n")
	line := func(name string, iters int, figures string) {
		fmt.Fprintf(&b, "Benchmark%s %d %s\n", name, iters, figures)
	}
	results := r.Results
	if r.Noise != nil {
		results = r.Noise.Results
	}
	for _, x := range results {
		if _, ok := x.Speed(); !ok || !x.Verified() {
			continue
		}
		g := x.GEMM
		name := benchName("MatMul", "lane", x.Lane, "dtype", judge.Operands(g), "size", unit.Cube(g.M, g.N, g.K))
		for _, s := range x.Samples {
			each := s.Seconds()
			line(name, s.Iters, fmt.Sprintf("%s ns/op %s %s/s", float(each*1e9), float(g.FLOP()/each), g.Op()))
		}
	}
	if r.Tokens != nil {
		for _, x := range r.Tokens.Results {
			if !judge.Quotable(x) {
				continue
			}
			for _, m := range []llm.Metric{llm.Generating, llm.Prompting, llm.First} {
				name := benchName("LLM", "lane", x.Lane, "model", r.Tokens.Model.Name, "figure", string(m))
				for _, v := range x.Values(m) {
					if m == llm.First {
						line(name, 1, float(v*1e9)+" ns/op")
					} else {
						line(name, 1, float(v)+" tokens/s")
					}
				}
			}
		}
	}
	if r.Training != nil {
		name := benchName("Finetune", "model", r.Training.Name)
		for _, s := range r.Training.Result.Steps {
			if s.Loss != nil && s.Speed > 0 {
				line(name, 1, float(s.Speed)+" tokens/s")
			}
		}
	}
	if r.Ladder != nil {
		for _, rung := range r.Ladder.Rungs {
			name := benchName("Learn", "way", rung.Name, "size", unit.Cube(r.Ladder.Size, r.Ladder.Size, r.Ladder.Size))
			for _, s := range rung.Seconds {
				line(name, 1, float(s*1e9)+" ns/op")
			}
		}
	}
	for _, s := range seriesOf(r) {
		name := benchName("Imported", "tool", r.Foreign.Tool, "name", s.Name)
		for _, v := range s.Values {
			if s.Unit == "s" {
				line(name, 1, float(v*1e9)+" ns/op")
			} else {
				line(name, 1, float(v)+" "+benchWord(s.Unit))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// benchName returns a benchmark's name with its parameters: /key=value each.
func benchName(base string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		base += "/" + pairs[i] + "=" + benchWord(pairs[i+1])
	}
	return base
}

// benchWord returns a text as a word of the format: its fields are separated by blanks,
// and slashes separate the parts of a name.
func benchWord(text string) string {
	word := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return '_'
		case r == '/' || r == '=':
			return ':'
		}
		return r
	}, plain.Line(text))
	if word == "" {
		return "-"
	}
	return word
}
