package llamacpp

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
	"github.com/gpuplay/gpuplay/internal/stats"
)

func benchRuntime(b *testing.B) (*Runtime, string) {
	b.Helper()
	if llmtest.LlamaCPP() == "" || llmtest.GGUF() == "" {
		b.Skip("needs llama.cpp (GPUPLAY_LLAMA_CPP) and a model (GPUPLAY_TEST_GGUF)")
	}
	found, err := Search{Dir: llmtest.LlamaCPP()}.Find(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return &Runtime{Installation: found, Env: os.Environ()}, llmtest.GGUF()
}

// BenchmarkFirstToken sends the same prompt to the same server through gpuplay and
// by curl, in turns, and reports both medians. One token is asked for, and the time
// is that of the whole answer, since curl's own clock knows the first byte, which is
// a header's, and the last, but not the first token's.
func BenchmarkFirstToken(b *testing.B) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		b.Skip("curl is not here")
	}
	rt, model := benchRuntime(b)
	session, err := rt.Load(b.Context(), model, llm.Settings{Context: 1024})
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	s := session.(*server)
	r := llm.Request{Prompt: "Say hello in Finnish.", Tokens: 1, IgnoreEnd: true}
	body, err := s.body(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs []float64
	for b.Loop() {
		g, err := s.Generate(b.Context(), r, nil)
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, g.Wall.Seconds())
		out, err := exec.Command(curl, "-sN", "-o", os.DevNull, "-w", "%{time_total}", "-H", "Authorization: Bearer "+s.key, "-d", string(body), s.url+"/completion").Output()
		if err != nil {
			b.Fatal(err)
		}
		t, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, t)
		s.settle(b.Context())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(1e3*stats.Median(ours), "ms-gpuplay")
	b.ReportMetric(1e3*stats.Median(theirs), "ms-curl")
}

// BenchmarkAgainstLlamaBench measures pp512 and tg128 as gpuplay does and with
// llama-bench, in turns, and reports the medians, with the widest relative distance
// of llama-bench's own samples from theirs.
func BenchmarkAgainstLlamaBench(b *testing.B) {
	rt, model := benchRuntime(b)
	if rt.Bench == "" {
		b.Skip("llama-bench is not here")
	}
	session, err := rt.Load(b.Context(), model, llm.Settings{Context: 1024})
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	var pp, tg, benchPP, benchTG []float64
	for b.Loop() {
		long, err := session.Generate(b.Context(), llm.Request{Filler: BenchPrompt, Tokens: 1, IgnoreEnd: true}, nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := session.Generate(b.Context(), llm.Request{Filler: 1, Tokens: BenchTokens, IgnoreEnd: true}, nil)
		if err != nil {
			b.Fatal(err)
		}
		ours, _ := long.PromptRate()
		pp = append(pp, ours)
		ours, _ = answer.Rate()
		tg = append(tg, ours)
		list, err := rt.Benchmark(b.Context(), model, llm.Settings{}, 1)
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range list {
			rate, _ := p.Rate()
			if p.Name == "pp512" {
				benchPP = append(benchPP, rate.Value)
			} else {
				benchTG = append(benchTG, rate.Value)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, m := range []struct {
		name        string
		ours, bench []float64
	}{{"pp512", pp, benchPP}, {"tg128", tg, benchTG}} {
		i := stats.MedianInterval(m.bench)
		b.ReportMetric(stats.Median(m.ours), m.name+"-gpuplay")
		b.ReportMetric(i.Value, m.name+"-llama-bench")
		b.ReportMetric(100*i.Spread(), m.name+"-spread-%")
	}
}
