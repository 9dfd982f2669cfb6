package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/screen"
	"github.com/gpuplay/gpuplay/internal/train"
)

// script is what happens in a run: events of the run as a whole, events in a lane, and
// moments at which the screen is looked at.
type script []any

type in struct {
	lane string
	data event.Data
}

type moment string

// tell gives a script's events to a stream and calls at where it is to be looked at.
func (s script) tell(stream *event.Stream, at func(what string)) {
	for _, x := range s {
		switch x := x.(type) {
		case moment:
			at(string(x))
		case in:
			stream.Emit(x.lane, x.data)
		case event.Data:
			stream.Emit("", x)
		default:
			panic(fmt.Sprintf("%T in a script", x))
		}
	}
}

// perform returns the pictures that a terminal shows of a script, and last what stays.
func perform(t *testing.T, s script, columns, rows int, style Style, quiet bool) []byte {
	t.Helper()
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		window := screen.New(columns, rows)
		style.Width = columns
		p := NewProgress(window, true, quiet, style)
		p.Size = func() (int, int) { return columns, rows }
		stream := event.NewStream("r1", nil)
		stream.Subscribe(p.Observe)
		s.tell(stream, func(what string) {
			synctest.Wait() // until all events have been seen
			time.Sleep(2 * pause)
			synctest.Wait() // and drawn
			fmt.Fprintf(&b, "=== %s\n%s", what, window.Text())
		})
		stream.Close()
		p.Close()
		fmt.Fprintf(&b, "=== in the end\n%s", window.Text())
	})
	return b.Bytes()
}

// pipe returns what is written of a script where there is no terminal.
func pipe(t *testing.T, s script, style Style, quiet bool) []byte {
	t.Helper()
	var b bytes.Buffer
	p := NewProgress(&b, false, quiet, style)
	stream := event.NewStream("r1", nil)
	stream.Subscribe(p.Observe)
	s.tell(stream, func(string) {})
	stream.Close()
	p.Close()
	return b.Bytes()
}

func note(format string, args ...any) event.Note {
	return event.Note{Text: fmt.Sprintf(format, args...)}
}

func transient(format string, args ...any) event.Note {
	return event.Note{Text: fmt.Sprintf(format, args...), Transient: true}
}

// came is what a lane came to: n samples of a product that take seconds each.
func came(lane string, n int, seconds float64) *bench.Result {
	r := &bench.Result{Lane: lane, GEMM: bench.Square(4096, matrix.Float32), Device: hardware.Device{Library: "Library of " + lane, Version: "1.2"}}
	for range n {
		r.Samples = append(r.Samples, bench.Sample{Iters: 1, Wall: time.Duration(seconds * 1e9)})
	}
	return r
}

var failed = &bench.Result{Lane: "tensorflow/gpu", GEMM: bench.Square(4096, matrix.Float32), Error: fault.Errorf(fault.Crashed, "ended by signal 6 while preparing:\n\x1b[31m\"…last line of its own words, which is a long one…\"")}

// race is a race of four lanes, one of which fails.
var race = script{
	event.Begin{Kind: string(record.Race), Command: []string{"gpuplay"}},
	note("starting gocpu, torch, tensorflow, blas"),
	moment("engines start"),
	note("gocpu: gpuplay (built in, AVX-512), ready in 11.0 ms"),
	note("blas: no BLAS library was found\x1b[2J"),
	note("torch: PyTorch 2.15 cpu, PyTorch 2.15 cuda, eager, ready in 2.14 s"),
	note("gpuplay (built in, AVX-512): 812 GFLOP/s, preliminary, at 1024³"),
	in{"gocpu/cpu", event.Lane{Name: "gpuplay (built in, AVX-512)", Engine: "gocpu", Op: "FLOP"}},
	in{"torch/cpu", event.Lane{Name: "PyTorch 2.15 cpu", Engine: "torch", Op: "FLOP"}},
	in{"torch/cuda", event.Lane{Name: "PyTorch 2.15 cuda, eager\u202e, of a long name", Engine: "torch", Op: "FLOP"}},
	in{"tensorflow/gpu", event.Lane{Name: "TensorFlow 2.21 gpu", Engine: "tensorflow", Op: "FLOP"}},
	note("measuring 4096³"),
	moment("lanes are announced"),
	in{"gocpu/cpu", event.Size{M: 4096, N: 4096, K: 4096}},
	in{"gocpu/cpu", event.Phase{Phase: "preparing"}},
	in{"gocpu/cpu", bench.Tuning{Done: 3, Total: 20, Variant: "8×32"}},
	moment("an engine tries out variants"),
	in{"torch/cpu", event.Phase{Phase: "warming up"}},
	in{"tensorflow/gpu", failed},
	in{"gocpu/cpu", event.Phase{Phase: "measuring"}},
	in{"gocpu/cpu", event.Progress{Done: 3, Total: 10, Speed: 1.92e12}},
	in{"torch/cpu", event.Phase{Phase: "measuring"}},
	in{"torch/cuda", event.Phase{Phase: "measuring"}},
	in{"torch/cuda", event.Progress{Done: 12, Total: 10, Speed: 51.3e12}},
	moment("samples are taken"),
	in{"gocpu/cpu", event.Progress{Done: 6, Total: 10, Speed: 1.91e12}},
	moment("half of them are"),
	in{"gocpu/cpu", came("gocpu/cpu", 10, 0.07)},
	in{"torch/cpu", event.Phase{Phase: "checking"}},
	in{"torch/cuda", event.Phase{Phase: "checking"}},
	moment("one has finished"),
	in{"torch/cpu", came("torch/cpu", 1, 0.04)},
	in{"torch/cuda", came("torch/cuda", 12, 0.0027)},
	moment("all have"),
	&record.Run{Kind: record.Race},
}

func TestProgressOfRace(t *testing.T) {
	utf8 := Style{Unicode: true}
	golden.Compare(t, "progress.race.80x24.txt", perform(t, race, 80, 24, utf8, false))
	golden.Compare(t, "progress.race.80x24.ascii.txt", perform(t, race, 80, 24, Style{}, false))
	golden.Compare(t, "progress.race.40x6.txt", perform(t, race, 40, 6, utf8, false))
	golden.Compare(t, "progress.race.pipe.txt", pipe(t, race, Style{Width: 80, Unicode: true}, false))
	if got := perform(t, race, 80, 24, utf8, true); bytes.Contains(got, []byte("PyTorch")) {
		t.Errorf("quiet on a terminal:\n%s", got)
	}
	if got := pipe(t, race, utf8, true); len(got) > 0 {
		t.Errorf("quiet on a pipe:\n%s", got)
	}
}

// A lane that is measured again and again is one that goes on: its results are no lines.
func TestProgressOfAgain(t *testing.T) {
	s := script{
		event.Begin{Kind: string(record.Learn)},
		in{"gocpu/cpu", event.Lane{Name: "gpuplay", Engine: "gocpu", Device: "CPU"}},
		note("measuring 512³ twice"),
		in{"gocpu/cpu", came("gocpu/cpu", 512, 0.01)}, in{"gocpu/cpu", event.Progress{Done: 1, Total: 2, Speed: 27e9}},
		in{"gocpu/cpu", came("gocpu/cpu", 512, 0.01)}, in{"gocpu/cpu", event.Progress{Done: 2, Total: 2, Speed: 27e9}},
	}
	if got := string(pipe(t, s, Style{}, false)); got != "measuring 512^3 twice\n" {
		t.Errorf("%q", got)
	}
}

// Many lanes on a low screen: those that are measured are shown.
func TestProgressOfManyLanes(t *testing.T) {
	s := script{event.Begin{Kind: string(record.Race)}, note("measuring 8192³")}
	id := func(i int) string { return fmt.Sprintf("cuda/%d", i) }
	for card := range 16 {
		s = append(s, in{id(card), event.Lane{Name: "CUDA 13.1, with cuBLASLt and its long name", Card: &card, Op: "FLOP"}})
	}
	s = append(s, moment("all wait"))
	for i := range 16 {
		if s = append(s, in{id(i), event.Phase{Phase: "preparing"}}); i < 12 {
			s = append(s, in{id(i), came(id(i), 10, 0.02)})
		}
	}
	s = append(s, moment("four are measured"))
	golden.Compare(t, "progress.lanes.60x8.txt", perform(t, s, 60, 8, Style{Unicode: true}, false))
}

// A lane that there is no time for is done.
func TestProgressOfLeftOutLanes(t *testing.T) {
	s := script{event.Begin{Kind: string(record.Race)}, in{"gocpu/cpu", event.Lane{Name: "gpuplay", Op: "FLOP"}}, in{"blas/openblas", event.Lane{Name: "OpenBLAS", Op: "FLOP"}},
		in{"gocpu/cpu", event.Phase{Phase: "preparing"}}, in{"blas/openblas", event.Phase{Phase: string(bench.LeftOut)}}, moment("one is left out")}
	if text := string(perform(t, s, 80, 24, Style{Unicode: true}, false)); !strings.Contains(text, "OpenBLAS  left out for lack of time") {
		t.Errorf("it is not said:\n%s", text)
	}
}

// A sweep says what it measures until it can say what came of it, and announces the
// lanes of each size.
func TestProgressOfSweep(t *testing.T) {
	s := script{event.Begin{Kind: string(record.Sweep)}, note("starting gocpu, cuda")}
	for i, n := range []int{512, 1024} {
		s = append(s, transient("measuring %d³, %d of 2", n, i+1))
		if i == 1 { // it is left out of this size
			slow := came("cuda/0", 0, 0)
			slow.Error = fault.Errorf(fault.Timeout, "left out: one product would take about 1.00 h")
			s = append(s, in{"cuda/0", slow})
		}
		for j, lane := range []string{"gocpu/cpu", "cuda/0"}[:2-i] {
			s = append(s, in{lane, event.Lane{Name: []string{"gpuplay (built in, NEON)", "CUDA 13.1"}[j], Op: "FLOP"}})
		}
		for _, lane := range []string{"gocpu/cpu", "cuda/0"}[:2-i] {
			s = append(s, in{lane, event.Size{M: n, N: n, K: n}}, in{lane, event.Phase{Phase: "measuring"}}, in{lane, event.Progress{Done: 1, Total: 10, Speed: 1e12}})
		}
		s = append(s, moment(fmt.Sprintf("size %d is measured", n)))
		for _, lane := range []string{"gocpu/cpu", "cuda/0"}[:2-i] {
			s = append(s, in{lane, came(lane, 10, 0.1)})
		}
		s = append(s, note("%d³: gpuplay 1.37 TFLOP/s", n), moment(fmt.Sprintf("size %d has been", n)))
	}
	golden.Compare(t, "progress.sweep.80x24.txt", perform(t, s, 80, 24, Style{Unicode: true}, false))
	golden.Compare(t, "progress.sweep.pipe.txt", pipe(t, s, Style{Width: 80, Unicode: true}, false))
}

// tokens is a model on two lanes, and a third that cannot load it.
var tokens = script{
	event.Begin{Kind: string(record.LLM)},
	note("llama.cpp b11434: /opt/llama.cpp/bin/llama-server"),
	in{"llama.cpp/cpu", event.Lane{Name: "CPU", Engine: "llama.cpp", Device: "AMD EPYC 9654"}},
	in{"llama.cpp/gpu/99", event.Lane{Name: "GPU", Engine: "llama.cpp", Device: "NVIDIA H100"}},
	in{"llama.cpp/gpu/9", event.Lane{Name: "GPU, 9 layers", Engine: "llama.cpp", Device: "NVIDIA H100"}},
	in{"llama.cpp/cpu", event.Phase{Phase: "loading"}},
	moment("a model is loaded"),
	in{"llama.cpp/cpu", llm.Loaded{Facts: llm.Facts{Device: hardware.Device{Name: "AMD EPYC 9654", Kind: hardware.CPU}, Load: 1200 * time.Millisecond}}},
	in{"llama.cpp/cpu", event.Phase{Phase: "answering"}},
	in{"llama.cpp/cpu", llm.Asked{Prompt: "Say hello in Finnish."}},
	in{"llama.cpp/cpu", llm.Piece{Text: "\n\nHei"}},
	in{"llama.cpp/cpu", llm.Piece{Text: "! That is how people who live in Finland greet each other, all day lo"}},
	moment("it answers"),
	in{"llama.cpp/cpu", llm.Piece{Text: "ng and everywhere."}},
	in{"llama.cpp/cpu", llm.Piece{Text: " \x1b]0;owned\a \U0001F1EB\U0001F1EE\nMoi"}},
	in{"llama.cpp/cpu", event.Phase{Phase: "answered"}},
	in{"llama.cpp/gpu/99", event.Phase{Phase: "loading"}},
	moment("the next one is loaded"),
	in{"llama.cpp/gpu/99", llm.Loaded{Settings: llm.Settings{Layers: 99}, Facts: llm.Facts{Device: hardware.Device{Name: "AMD EPYC 9654", Kind: hardware.CPU}, Load: 2400 * time.Millisecond}}},
	in{"llama.cpp/gpu/99", llm.Piece{Text: "Hei!"}},
	in{"llama.cpp/gpu/99", event.Phase{Phase: "answered"}},
	in{"llama.cpp/gpu/9", event.Phase{Phase: "loading"}},
	in{"llama.cpp/cpu", event.Phase{Phase: "measuring"}},
	in{"llama.cpp/cpu", event.Progress{Done: 0, Total: 6}},
	in{"llama.cpp/gpu/99", event.Phase{Phase: "measuring"}},
	in{"llama.cpp/gpu/99", event.Progress{Done: 1, Total: 6}},
	moment("rounds are measured"),
	transient("measuring the memory's bandwidth and the CPU's peak"),
	moment("limits are measured"),
	in{"llama.cpp/cpu", &llm.Result{Lane: "llama.cpp/cpu", Name: "CPU", Samples: make([]llm.Sample, 6)}},
	in{"llama.cpp/gpu/9", &llm.Result{Lane: "llama.cpp/gpu/9", Name: "GPU, 9 layers", Error: fault.Errorf(fault.OutOfMemory, "out of\nmemory")}},
	note("llama-bench: CPU"),
	moment("llama-bench runs"),
	&record.Run{Kind: record.LLM},
}

func TestProgressOfTokens(t *testing.T) {
	golden.Compare(t, "progress.tokens.80x24.txt", perform(t, tokens, 80, 24, Style{Unicode: true}, false))
	golden.Compare(t, "progress.tokens.40x8.txt", perform(t, tokens, 40, 8, Style{}, false))
	golden.Compare(t, "progress.tokens.pipe.txt", pipe(t, tokens, Style{Width: 80, Unicode: true}, false))
	if got := pipe(t, tokens, Style{Width: 80}, true); len(got) > 0 {
		t.Errorf("quiet:\n%s", got)
	}
}

var about = llm.About{Parameters: 268e6, Bytes: 536e6, DType: "bfloat16", Layers: 18, Chat: true}

func loaded(notes ...string) llm.Loaded {
	return llm.Loaded{Model: "gemma-3-270m", About: &about, Facts: llm.Facts{
		Runtime: "PyTorch 2.15, transformers 5.1", Device: hardware.Device{Name: "NVIDIA H100", Kind: hardware.GPU, API: "cuda"}, Load: 900 * time.Millisecond, Notes: notes,
	}}
}

// finetune is a training of 40 iterations on 12 more before.
func finetune(iters int) script {
	s := script{
		event.Begin{Kind: string(record.Finetune)},
		note("starting torch, loading 536 MB of weights"),
		in{"torch/cuda", event.Lane{Name: "PyTorch 2.15, transformers 5.1"}},
		in{"torch/cuda", loaded("attention is \x1b[7meager")},
		in{"torch/cuda", event.Phase{Phase: "asking before the training"}},
		in{"torch/cuda", llm.Piece{Text: "an answer that is not shown"}},
		moment("it is asked"),
		in{"torch/cuda", train.Planned{
			Plan: train.Plan{Rows: 40, Longest: 61, Cut: 2, Trainable: 1.2e6, Layers: 16}, Estimate: 2.8e9, Free: 64e9,
			Data: train.Data{Held: 3}, Settings: train.Settings{Rank: 8, Batch: 4, MaxLength: 512}, Iters: iters,
		}},
		in{"torch/cuda", event.Phase{Phase: "training"}},
		moment("it is about to learn"),
	}
	for i := range iters {
		loss := 3.2 / (1 + float64(i)/8)
		s = append(s, in{"torch/cuda", train.Step{Iteration: 13 + i, Loss: &loss, Speed: 108, Peak: 2.85e9}})
		if i == 0 {
			s = append(s, moment("one iteration"))
		}
		if i%10 == 9 {
			s = append(s, in{"torch/cuda", train.Step{Saved: 13 + i}}, in{"torch/cuda", train.Step{Iteration: 13 + i, Validation: &loss}})
		}
	}
	return append(s, moment("the last iteration"), in{"torch/cuda", event.Phase{Phase: "asking after the training"}}, moment("it is asked again"))
}

func TestProgressOfFinetune(t *testing.T) {
	style := Style{Unicode: true, Words: recordtest.Flags{}}
	golden.Compare(t, "progress.finetune.80x24.txt", perform(t, finetune(40), 80, 24, style, false))
	golden.Compare(t, "progress.finetune.60x12.txt", perform(t, finetune(40), 60, 12, Style{}, false))
	style.Width = 80
	got := pipe(t, finetune(400), style, false)
	golden.Compare(t, "progress.finetune.pipe.txt", got)
	if n := bytes.Count(got, []byte("iteration ")); n > 12 {
		t.Errorf("%d lines of 400 iterations", n)
	}
	if got := pipe(t, finetune(4), style, true); len(got) > 0 {
		t.Errorf("quiet:\n%s", got)
	}
}

// What generate generates goes to stdout, all else to stderr: on one terminal neither
// gets between the other's lines.
func TestProgressOfGenerate(t *testing.T) {
	chat := false
	run := func() script {
		return script{
			event.Begin{Kind: string(record.Generate)},
			note("starting torch, loading 536 MB of weights"),
			in{"torch/cuda", event.Lane{Name: "PyTorch 2.15, transformers 5.1"}},
			moment("the model is loaded"),
			in{"torch/cuda", loaded("a caveat")},
			moment("the model is there"),
			note("reading the prompt"),
			moment("the prompt is read"),
			in{"torch/cuda", llm.Asked{Prompt: "Once", Chat: chat}},
			in{"torch/cuda", llm.Piece{Text: " upon a time, there were two processors, one of which was"}},
			moment("it speaks"),
			in{"torch/cuda", llm.Piece{Text: " fast"}},
			&record.Run{Kind: record.Generate},
		}
	}
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		window := screen.New(60, 16)
		style := Style{Width: 60, Unicode: true}
		p := NewProgress(window, true, false, style)
		p.Answer = NewAnswer(window, true, 0, style)
		stream := event.NewStream("r1", nil)
		stream.Subscribe(p.Observe)
		run().tell(stream, func(what string) {
			synctest.Wait()
			time.Sleep(2 * pause)
			synctest.Wait()
			fmt.Fprintf(&b, "=== %s\n%s", what, window.Text())
		})
		stream.Close()
		p.Close()
		fmt.Fprintf(&b, "=== in the end\n%s", window.Text())
	})
	golden.Compare(t, "progress.generate.60x16.txt", b.Bytes())

	for _, tt := range []struct {
		quiet, chat bool
		want        string
	}{
		{false, true, " upon a time, there were two processors, one of which was fast\n"}, // an answer to it
		{true, false, "Once upon a time, there were two processors, one of which was fast\n"},
	} {
		chat = tt.chat
		var out, text bytes.Buffer
		p := NewProgress(&out, false, tt.quiet, Style{Width: 80, Unicode: true})
		p.Answer = NewAnswer(&text, false, 0, Style{Unicode: true})
		stream := event.NewStream("r1", nil)
		stream.Subscribe(p.Observe)
		run().tell(stream, func(string) {})
		stream.Close()
		p.Close()
		if text.String() != tt.want {
			t.Errorf("%+v: %q", tt, text.String())
		}
		if !tt.quiet {
			golden.Compare(t, "progress.generate.pipe.txt", out.Bytes())
		} else if out.Len() > 0 {
			t.Errorf("quiet: %q", out.String())
		}
	}
}

// The lines that change are never more than a screen has, nor longer, nor do they hold
// what commands it.
func TestProgressFits(t *testing.T) {
	for name, s := range map[string]script{"race": race, "tokens": tokens, "finetune": finetune(5)} {
		for _, utf8 := range []bool{true, false} {
			v := view{style: Style{Width: 80, Unicode: utf8}, live: true}
			for _, x := range s {
				switch x := x.(type) {
				case in:
					v.apply(event.Event{Lane: x.lane, Data: x.data})
				case event.Data:
					v.apply(event.Event{Data: x})
				}
				for _, columns := range []int{2, 9, 20, 71, 200} {
					for most := 1; most < 30; most += 3 {
						picture := v.picture(columns, most)
						if len(picture) > most {
							t.Fatalf("%s: %d lines of %d:\n%s", name, len(picture), most, strings.Join(picture, "\n"))
						}
						for _, l := range picture {
							if w := ansi.StringWidth(l); w >= columns || strings.ContainsFunc(l, unicode.IsControl) {
								t.Fatalf("%s: %q has %d columns of %d", name, l, w, columns)
							}
						}
					}
				}
			}
		}
	}
}

// A window that becomes narrower has the lines on it take more rows; one that becomes
// lower has room for fewer.
func TestProgressResized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		columns, rows := 80, 24
		p := NewProgress(&out, true, false, Style{Width: 80, Unicode: true})
		p.Size = func() (int, int) { return columns, rows }
		next := func(text string) string {
			out.Reset()
			p.Observe(event.Event{Data: note("%s", text)})
			time.Sleep(2 * pause)
			synctest.Wait()
			return strings.ReplaceAll(out.String(), "\x1b", "^[")
		}
		if got, want := next(strings.Repeat("a", 50)), "  "+strings.Repeat("a", 50)+"\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		columns = 20 // 52 columns are now three rows
		if got, want := next("b"), "\r^[[K^[[A^[[2K^[[A^[[2K^[[A^[[2K  aaaaaaaaaaaaaaaa…\n  b\n"; got != want {
			t.Errorf("narrower: %q, want %q", got, want)
		}
		rows = 2
		if got, want := next("c"), "\r^[[K^[[A^[[2K  c\n"; got != want {
			t.Errorf("lower: %q, want %q", got, want)
		}
		p.Close()
	})
}
