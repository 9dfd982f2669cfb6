package python

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// The list of operations in Go and the one in Python are the same, and each worker's
// operations take the arguments that the list names.
func TestOperationsAgree(t *testing.T) {
	want := worker.Arguments()
	got := evaluate(t, "torch", []string{"OPERATIONS", "Worker.operations"})
	text, err := json.Marshal(got[0])
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string][]string
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, theirs); d != "" {
		t.Errorf("Go and Python have other operations (-Go +Python):\n%s", d)
	}
	both := got[1].([]any)
	for _, name := range []string{"transformers", Network, GPT} {
		both = append(both, evaluate(t, name, []string{"Worker.operations"})[0].([]any)...)
	}
	there := map[string]bool{"hello": true, "describe": true, "round_trip": true} // which engines in Go have
	for _, o := range both {
		there[o.(string)] = true
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(there))); d != "" {
		t.Errorf("the workers do not do what is listed: %s", d)
	}
}

// framework is a framework without anything but Python: its products are zeros.
const framework = `
def inventory(cpu, threads):
    print("a banner")
    os.write(1, b"half a line")
    return {"devices": [{"id": "one", "name": cpu, "kind": "cpu", "api": "cpu", "library": "Python", "version": "3"}],
            "missing": [{"api": "cuda", "kind": "gpu", "reason": "a test", "remedies": [pip_install("torch", text="with a GPU"), change("size", "a smaller {}")]}]}


class Task:
    def __init__(self, device_id, gemm, seed):
        if seed == 13:
            raise MemoryError("unlucky")
        if seed == 14:
            raise Failure("unsupported", "no", change("dtype", "", "float32"), command("gpuplay", "setup", "torch"))
        self.m, self.seed, self.ran = gemm["m"], seed, 0

    def facts(self):
        return {"notes": [], **({"peak": float("nan")} if self.seed == 15 else {})}

    def ready(self, which):
        pass

    def run(self, n):
        if self.seed == 16:
            os._exit(3)
        self.ran += n
        os.write(1, b'{"id": 3, "result": {}}\nno newline')

    def device_ns(self):
        return None

    def mulvec(self, x):
        y = array.array("d", bytes(8 * self.m))
        y[-1] = sum(x)
        return y

    def close(self):
        pass
`

// plainClient makes a worker of Python alone.
func plainClient(t *testing.T) *worker.Client {
	c := client(t, python3(t), "torch")
	extend(c, framework)
	return c
}

func TestPythonSpeaksTheProtocol(t *testing.T) {
	c := plainClient(t)
	found, err := c.Devices(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	remedies := found.Missing[0].Remedies
	if len(remedies) != 2 || remedies[0].Text != "with a GPU" || !slices.Equal(remedies[0].Command[1:], []string{"-m", "pip", "install", "torch"}) || remedies[1].Param != "size" {
		t.Errorf("remedies %+v", remedies)
	}
	d := hardware.Device{ID: "one"}
	g := bench.Square(8, matrix.Float32)
	g.M = 2_000_000 // more than any line may hold
	task, err := c.Prepare(limit(t), d, g, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := task.Run(limit(t), 3, 1); err != nil || s.Iters != 3 {
		t.Errorf("sample %+v, %v", s, err)
	}
	for range 2 {
		y, err := task.MulVec(limit(t), []float64{1, 2, 3, 4, 5, 6, 7, 8})
		if err != nil {
			t.Fatal(err)
		}
		if len(y) != g.M || y[0] != 0 || y[g.M-1] != 36 {
			t.Errorf("%d elements, the last %v", len(y), y[g.M-1])
		}
	}
	for _, n := range []int{0, 7, 9, 1 << 20} {
		if _, err := task.MulVec(limit(t), make([]float64, n)); !errors.Is(err, fault.Invalid) {
			t.Errorf("x of %d elements: %v", n, err)
		}
	}
	if err := task.Close(); err != nil {
		t.Error(err)
	}
	for seed, want := range map[uint64]*fault.Error{
		13: {Code: fault.OutOfMemory, Message: "out of memory: unlucky", Remedies: fault.Remedies{fault.Change("size", "a smaller {}")}},
		14: {Code: fault.Unsupported, Message: "no", Remedies: fault.Remedies{fault.Set("dtype", "float32", ""), fault.Run("", "gpuplay", "setup", "torch")}},
		15: {Code: fault.Internal, Message: "ValueError: Out of range float values are not JSON compliant"}, // NaN is no number of JSON's
	} {
		_, err := c.Prepare(limit(t), d, bench.Square(1, matrix.Float32), seed, nil)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != want.Code || !strings.HasPrefix(e.Message, want.Message) || !cmp.Equal(e.Remedies, want.Remedies) {
			t.Errorf("seed %d: %#v, want %#v", seed, err, want)
		}
		if seed == 15 {
			c.Close() // its task is open
			c = plainClient(t)
		}
	}
}

// greetings counts the workers that are started, in a client's trace.
type greetings struct{ n atomic.Int64 }

func (g *greetings) Write(text []byte) (int, error) {
	g.n.Add(int64(bytes.Count(text, []byte(`"op":"hello"`))))
	return len(text), nil
}

// All tasks of a framework are in one process, each with its own product. When that ends
// in the hands of one of them, the others are prepared again in a new one.
func TestPythonHoldsSeveralTasks(t *testing.T) {
	c := plainClient(t)
	var started greetings
	c.Trace = &started
	hellos := func() int { return int(started.n.Load()) }
	prepared := func(rows int, seed uint64) bench.Task {
		t.Helper()
		g := bench.Square(2, matrix.Float32)
		g.M = rows
		task, err := c.Prepare(limit(t), hardware.Device{ID: "one"}, g, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return task
	}
	if err := c.Reserve(limit(t), 3); err != nil {
		t.Fatal(err)
	}
	tall, short := prepared(5, 1), prepared(2, 1)
	for range 2 { // in turns
		for task, rows := range map[bench.Task]int{tall: 5, short: 2} {
			if _, err := task.Run(limit(t), 1, 0); err != nil {
				t.Fatal(err)
			}
			if y, err := task.MulVec(limit(t), []float64{1, 2}); err != nil || len(y) != rows {
				t.Errorf("a product of %d rows: %v, %v", rows, y, err)
			}
		}
	}
	var at sync.WaitGroup
	for task, rows := range map[bench.Task]int{tall: 5, short: 2} { // at the same time
		at.Go(func() {
			for range 20 {
				if s, err := task.Run(limit(t), 1, 0); err != nil || s.Iters != 1 {
					t.Errorf("a run beside another: %+v, %v", s, err)
				}
				if y, err := task.MulVec(limit(t), []float64{1, 2}); err != nil || len(y) != rows {
					t.Errorf("a product of %d rows beside another: %v, %v", rows, y, err)
				}
			}
		})
	}
	at.Wait()
	if n := hellos(); n != 1 {
		t.Errorf("%d workers were started for two tasks", n)
	}
	if err := short.Close(); err != nil {
		t.Error(err)
	}
	crashes := prepared(2, 16)
	if _, err := crashes.Run(limit(t), 1, 0); !errors.Is(err, fault.Crashed) {
		t.Errorf("error %v, want that it crashed", err)
	}
	if _, err := tall.MulVec(limit(t), []float64{1, 2}); !errors.Is(err, fault.Lost) {
		t.Errorf("the product of the task beside it: %v, want that it is lost", err)
	}
	if _, err := tall.Run(limit(t), 1, 0); err != nil {
		t.Errorf("the task beside it: %v", err)
	}
	if y, err := tall.MulVec(limit(t), []float64{1, 2}); err != nil || len(y) != 5 {
		t.Errorf("its next product: %v, %v", y, err)
	}
	if _, err := crashes.Run(limit(t), 1, 0); err == nil || errors.Is(err, fault.Lost) {
		t.Errorf("what crashed runs again: %v", err)
	}
	if n := hellos(); n != 2 {
		t.Errorf("%d workers were started, want a second one after the crash", n)
	}
	for _, task := range []bench.Task{tall, crashes} {
		task.Close()
	}
}

// What makes no sense is refused, in the words of the worker in Go.
func TestPythonRefuses(t *testing.T) {
	const hello = `{"id":1,"op":"hello","args":{"protocol":2,"threads":0,"cpu":"","options":{}}}` + "\n"
	const prepare = `{"id":2,"op":"prepare","args":{"device":"one","seed":1,"gemm":{"m":1,"n":2,"k":1,"in":"float32","acc":"float32","out":"float32"}}}` + "\n"
	for _, tt := range []struct{ requests, want string }{
		{"garbage\n", "request is not understood"},
		{`{"id":1,"op":"run","args":{"n":1,"set":0}}` + "\n", `run came before hello`},
		{`{"id":1,"op":"hello","args":{"protocol":9}}` + "\n", "this worker speaks protocol 2, not 9"},
		{`{"id":1,"op":"hello","args":{"protocol":2}}` + "\n", "hello without threads"},
		{strings.Replace(hello, `{}`, `{"speed":9}`, 1), "torch has no option 'speed'"},
		{hello + `{"id":2,"op":"dance","args":{}}` + "\n", `unknown operation 'dance'`},
		{hello + `{"id":2,"op":"train","args":{"iters":1}}` + "\n", `unknown operation 'train'`},
		{hello + `{"id":2,"op":"run","args":{"n":1,"set":0}}` + "\n", `run without a prepared task`},
		{hello + `{"id":2,"op":"prepare","args":{"device":"one","seed":1}}` + "\n", "prepare without gemm"},
		{hello + strings.Replace(prepare, `"seed"`, `"data":"odd","seed"`, 1), "no inputs of the kind 'odd'"},
		{hello + prepare + prepare, "prepare while another task is open"},
		{hello + prepare + `{"id":3,"op":"run","args":{}}` + "\n", "run without n"},
		{hello + prepare + `{"id":3,"op":"run","args":{"n":1}}` + "\n", "run without set"},
		{hello + prepare + `{"id":3,"op":"run","args":{"n":0,"set":0}}` + "\n", "run 0 times: want at least 1"},
		{hello + prepare + `{"id":3,"op":"run","args":{"n":1,"set":2}}` + "\n", "set 2 of operands: there are 2"},
		{hello + prepare + `{"id":3,"op":"run","args":{"n":1,"set":0,"m":1}}` + "\n", "run has no argument 'm'"},
		{hello + prepare + `{"id":3,"op":"run","args":[1]}` + "\n", "the arguments of run are not understood"},
		{hello + prepare + `{"id":3,"op":"run","args":{"n":1,"set":0},"bytes":3}` + "\nabc", "3 bytes follow run where there must be 0"},
		{hello + prepare + `{"id":3,"op":"mulvec","args":{},"bytes":3}` + "\nabc", "3 bytes follow mulvec where there must be 16"},
		{hello + prepare + `{"id":3,"op":"mulvec","args":{},"bytes":1e3}` + "\n", "1000.0 is no number of bytes"},
	} {
		var last response
		for _, r := range talk(t, tt.requests) {
			last = r
		}
		if last.Error == nil || last.Error.Code != fault.Invalid || !strings.HasPrefix(last.Error.Message, tt.want) {
			t.Errorf("%s: answer %+v, want invalid: %s", tt.requests, last.Error, tt.want)
		}
	}
	all := talk(t, hello+prepare+`{"id":3,"op":"mulvec","args":{},"bytes":8}`+"\n12345678"+"\n"+`{"id":4,"op":"close","args":{}}`+"\n")
	if len(all) != 4 || all[2].Error == nil || all[3].Error != nil {
		t.Errorf("a frame of the wrong length is not passed over: %+v", all)
	}
}

// A frame that is longer than what was asked for takes no memory: the worker reads past
// it, here to the end.
func TestPythonSkipsLongFrames(t *testing.T) {
	c := plainClient(t)
	cmd := exec.CommandContext(limit(t), c.Path, c.Args[1:]...)
	cmd.Stdin = io.MultiReader(bytes.NewReader(c.Source), strings.NewReader(`{"id":1,"op":"mulvec","args":{},"bytes":1000000000000000}`+"\nabc"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the worker says %q, %v", out, err)
	}
}

type response struct {
	ID    int          `json:"id"`
	Error *fault.Error `json:"error"`
}

// talk sends requests to a worker of Python alone, each when the one before is
// answered, and returns the answers.
func talk(t *testing.T, requests string) (all []response) {
	t.Helper()
	c := plainClient(t)
	cmd := exec.CommandContext(limit(t), c.Path, c.Args[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(c.Source); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(out)
	next := func(request string) {
		if _, err := io.WriteString(in, request); err != nil {
			t.Fatal(err)
		}
		for answers.Scan() {
			var r response
			if len(answers.Bytes()) > 0 && json.Unmarshal(answers.Bytes(), &r) == nil {
				all = append(all, r)
				return
			}
		}
		t.Fatalf("no answer to %s", request)
	}
	for line := range strings.Lines(requests) { // a frame goes with the line before it
		if !strings.HasPrefix(line, "{") && line != "garbage\n" {
			continue
		}
		_, behind, _ := strings.Cut(requests, line)
		if strings.Contains(line, `"bytes":3}`) || strings.Contains(line, `"bytes":8}`) {
			frame, _, _ := strings.Cut(behind, "\n")
			line += frame
		}
		next(line)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	return all
}

// language is a runtime of language models of Python alone, which fills the place of
// transformers.
const language = `
def inventory(cpu, threads):
    return {"devices": [{"id": "cpu", "name": cpu, "kind": "cpu", "api": "cpu", "library": "Python", "version": "3"}], "missing": []}


class Words:
    eos_token_id = 0

    def decode(self, tokens):
        return "".join(chr(t) for t in tokens)

    def encode(self, text):
        return [ord(c) for c in text]


def load_tokenizer(folder):
    if folder == "broken":
        raise ValueError("no config.json")
    return Words()


class Model:
    def __init__(self, device_id, folder, tokenizer, adapter, bits, dtype, graph):
        self.tokenizer = tokenizer

    def facts(self):
        return {"parameters": 1, "bytes": 4, "dtype": "float32", "layers": 2, "hidden": 1, "vocabulary": 256, "heads": 1, "context": 64, "chat": False, "notes": [], "peak_of": "the process"}

    def encode(self, prompt, chat):
        return [ord(c) for c in prompt]

    def generate(self, tokens, limit, ignore_end, candidates, eager):
        for i in range(limit):
            best = [(97 + i, -0.5), (98 + i, float("-inf")), (99 + i, float("nan"))][:candidates] or None
            yield 97 + i, chr(97 + i), best, {"prompt_tokens": len(tokens), "prompt_ns": 1, "tokens": i + 1, "token_ns": 2, "finish": "length" if i + 1 == limit else ""}
            while tokens == [33] and not stopping():
                time.sleep(0.001)

    def peak(self):
        return 7

    def tune(self, settings, rows, valid):
        self.valid = valid
        return {"rows": len(rows), "longest": 1, "padded": 1, "cut": 0, "trainable": 1, "layers": 1}

    def train(self, training):
        for i in range(training.first, training.last):
            training.iteration(float("nan") if i == 4 else 1.0 / (i + 1), training.settings["lr"], 1.0, i + 1)
        training.validation(0.25)

    def write(self, folder):
        with open(os.path.join(folder, "adapters.txt"), "w") as file:
            file.write("x")

    def close(self):
        pass
`

// Tokens, steps and saves travel as events, and a request that is stopped answers with
// what it has.
func TestPythonTellsOfEvents(t *testing.T) {
	c := client(t, python3(t), "transformers")
	extend(c, language)
	link, err := c.Dial(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	_, _, err = worker.Do(limit(t), link, worker.Load, worker.LoadArgs{Device: "cpu", Model: "broken"}, nil, 0)
	if !errors.Is(err, fault.Invalid) || err.Error() != "transformers cannot load broken: ValueError: no config.json" {
		t.Errorf("error %v", err)
	}
	about, _, err := worker.Do(limit(t), link, worker.Load, worker.LoadArgs{Device: "cpu", Model: "fine"}, nil, 0)
	if err != nil || about.Layers != 2 {
		t.Fatalf("about %+v, %v", about, err)
	}
	var tokens []llm.Token
	g, stopped, err := worker.Do(limit(t), link, worker.Generate, worker.GenerateArgs{Prompt: "xy", Tokens: 2, Candidates: 3}, func(k llm.Token) { tokens = append(tokens, k) }, 0)
	if err != nil || stopped || g != (worker.Generated{PromptTokens: 2, PromptTime: 1, Tokens: 2, TokenTime: 2, Finish: "length", Peak: 7}) {
		t.Errorf("generated %+v, %t, %v", g, stopped, err)
	}
	half := -0.5
	want := []llm.Token{ // a candidate that cannot be has no logarithm
		{ID: 97, Text: "a", Candidates: []llm.Candidate{{ID: 97, Text: "a", LogProb: &half}, {ID: 99, Text: "c"}}},
		{ID: 98, Text: "b", Candidates: []llm.Candidate{{ID: 98, Text: "b", LogProb: &half}, {ID: 100, Text: "d"}}},
	}
	if d := cmp.Diff(want, tokens); d != "" {
		t.Error(d)
	}
	var e *fault.Error
	for prompt, says := range map[string][2]string{
		"xy":                    {"2 tokens of prompt and 63 to generate are more than the 64", "a shorter prompt; tokens 62"},
		strings.Repeat("x", 64): {"64 tokens of prompt and 63 to generate are more than the 64", "a shorter prompt"}, // fewer tokens would not do
	} {
		if _, _, err = worker.Do(limit(t), link, worker.Generate, worker.GenerateArgs{Prompt: prompt, Tokens: 63}, nil, 0); !errors.As(err, &e) || !strings.HasPrefix(e.Message, says[0]) || e.Remedies.String() != says[1] {
			t.Errorf("error %#v", err)
		}
	}
	ctx, cancel := context.WithCancel(limit(t))
	g, stopped, err = worker.Do(ctx, link, worker.Generate, worker.GenerateArgs{Prompt: "!", Tokens: 5}, func(llm.Token) { cancel() }, time.Minute)
	if err != nil || !stopped || g.Tokens < 1 || g.Tokens > 2 {
		t.Errorf("a stopped generation: %+v, %t, %v", g, stopped, err)
	}

	rows := filepath.Join(t.TempDir(), "train.jsonl")
	if err := os.WriteFile(rows, []byte(`{"text":"a"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := train.Settings{Train: rows, Adapter: t.TempDir(), LR: 0.5, SaveEvery: 2, EvalEvery: 9, State: map[string]any{}}
	if plan, _, err := worker.Do(limit(t), link, worker.Tune, s, nil, 0); err != nil || plan.Rows != 1 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	var steps []string
	each := func(s train.Step) {
		switch {
		case s.Loss != nil:
			steps = append(steps, fmt.Sprintf("%d: %.2f", s.Iteration, *s.Loss))
		case s.Validation != nil:
			steps = append(steps, fmt.Sprintf("%d: validation %.2f", s.Iteration, *s.Validation))
		default:
			steps = append(steps, fmt.Sprintf("saved %d", s.Saved))
		}
	}
	trained, _, err := worker.Do(limit(t), link, worker.Train, worker.TrainArgs{Iters: 3}, each, 0)
	if err != nil || trained.Iterations != 3 || trained.Peak != 7 {
		t.Errorf("trained %+v, %v", trained, err)
	}
	if got := strings.Join(steps, ", "); got != "1: 1.00, 2: 0.50, saved 2, 3: 0.33, 3: validation 0.25, saved 3" {
		t.Errorf("steps %s", got)
	}
	_, _, err = worker.Do(limit(t), link, worker.Train, worker.TrainArgs{Iters: 2}, each, 0)
	if !errors.As(err, &e) || e.Message != "the loss became nan in iteration 5, after 0.25; the adapter of iteration 4 is kept in "+s.Adapter || e.Remedies.String() != "a smaller one: lr 5e-02" {
		t.Errorf("error %#v", err)
	}
}
