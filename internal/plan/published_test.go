package plan

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// publishedTable is the part of docs/SCALING.md that compares the model with what others
// have published.
func publishedTable(t *testing.T) string {
	var b strings.Builder
	g, _ := LookupGPU("h200")
	block := cluster{g, networks()[0], Node}.block(named("llama3-8b"), scaling.Split{Data: 1, Tensor: 1, Pipeline: 1, Microbatch: 1}, true)
	var measured []string
	for _, r := range sharesRecord(t) {
		if r.Kind == "block" {
			_, how, _ := strings.Cut(r.What, "tokens, ")
			measured = append(measured, fmt.Sprintf("%s %s", seconds(stats.Median(r.Seconds)), how))
		}
	}
	fmt.Fprintf(&b, "\nOn the H200 of that record, the forward and the backward pass of four blocks of Llama 3 8B over 8192 tokens were measured as a whole:\n%s. The model says %s.\n", unit.List(measured), seconds(4*block.sum()))
	list := Compare()
	signed := func(share float64) string { return strings.Replace(fmt.Sprintf("%+.0f %%", 100*share), "-", "−", 1) }
	a := Missed()
	fmt.Fprintf(&b, "\nThe model misses the time of %d steps by %s at the median and by %s at worst; %d took longer than modelled. Of %d peaks of memory it\nmisses the median one by %s and the worst by %s, before what is kept free, which covers %d.\n\n",
		a.Steps, unit.Percent(a.Median), unit.Percent(a.Worst), a.Faster, a.Memory, unit.Percent(a.MemoryMedian), unit.Percent(a.MemoryWorst), a.MemoryCovered)
	b.WriteString("| study | steps | median error of the time | worst | source | what the source does not say and is taken so |\n|---|--:|--:|--:|---|---|\n")
	for i := 0; i < len(list); {
		study, j := list[i].Study, i
		var errors []float64
		for ; j < len(list) && list[j].Study == study; j++ {
			errors = append(errors, list[j].Time)
		}
		median, worst := Errors(errors)
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", study.Name, len(errors), unit.Percent(median), unit.Percent(worst), study.Source, study.Taken)
		i = j
	}
	b.WriteString("\n| study | model | GPUs | divided | published | modelled | error | memory: published | modelled | error |\n|---|---|--:|---|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range list {
		memory := "| | |"
		if c.Published.Memory > 0 {
			memory = fmt.Sprintf("%s | %s | %s |", unit.Bytes(c.Published.Memory), unit.Bytes(c.Modelled.Memory.Total()), signed(c.Memory))
		}
		fmt.Fprintf(&b, "| %s | %s | %d %s | %s | %s | %s | %s | %s\n", c.Study.Name, c.Published.Model, c.GPUs, c.cluster.gpu.Name, c.Published.Split, seconds(c.Published.Seconds), seconds(c.Modelled.Seconds), signed(c.Time), memory)
	}
	return b.String() + "\n"
}

// The table of docs/SCALING.md is what the model says; -update writes it again.
func TestPublishedTable(t *testing.T) {
	const file, begin, end = "../../docs/SCALING.md", "<!-- internal/plan, published: made by go test ./internal/plan -update -->\n", "<!-- internal/plan: end -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	want := publishedTable(t)
	if golden.Updating() {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("docs/SCALING.md has another table; go test ./internal/plan -update writes it")
	}
}

// What the README and docs/SCALING.md say in sentences is what the model says.
func TestPublishedSentences(t *testing.T) {
	a := Missed()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(readme)), " ")
	if want := fmt.Sprintf("misses %d published training steps: by %s at the median and %s at worst", a.Steps, unit.Percent(a.Median), unit.Percent(a.Worst)); !strings.Contains(text, want) {
		t.Errorf("README.md does not say %q", want)
	}
	o := options(t, "llama3-8b", 64, "h100")
	o.Tokens = 15e12
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if times := 1.46e6 / (p.Days(p.Best[0]) * 24 * 64); times < 3.5 || times > 4.5 {
		t.Errorf("Llama 3.1 8B took %.1f times what a plan says, about four in docs/SCALING.md", times)
	}
}

// What was published is what is in the table: figures that follow from the sources by hand.
func TestPublishedSteps(t *testing.T) {
	want := map[string]float64{ // seconds of a step
		"Megatron-LM, 2021 GPT 1T":                         102.6, // 502 PFLOP/s in all
		"Korthikanti et al., 2022 GPT 530B":                49.05,
		"Megatron-LM, 2024 GPT 462B":                       12.72,
		"Llama 3 405B Llama 3 405B":                        12.50, // 16 Mi tokens at 430 TFLOP/s on 8192
		"torchtitan, 2024 Llama 3.1 8B":                    2.843, // 16,384 tokens at 5762 a second
		"Megatron-LM on B200, 2026 Llama 3 70B, 12 layers": 0.843,
	}
	for _, p := range published() {
		key := p.Study.Name + " " + p.Model
		if seconds, ok := want[key]; ok && math.Abs(p.Seconds/seconds-1) > 0.002 {
			t.Errorf("%s: %v s, want %v", key, p.Seconds, seconds)
		}
		delete(want, key)
		if p.GPUs != p.space.ranks {
			t.Errorf("%s: %d GPUs, %d ranks", key, p.GPUs, p.space.ranks)
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
}
