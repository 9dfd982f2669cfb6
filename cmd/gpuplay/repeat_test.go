package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/card"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func TestRepeating(t *testing.T) {
	of := func(kind record.Kind, d matrix.DType, command ...string) *record.Run {
		r := recordtest.Run(kind, recordtest.Result(recordtest.TorchGPU, 1e12, recordtest.Engine("torch"), func(x *bench.Result) { x.GEMM = bench.Square(4096, d) }))
		r.Command = command
		return r
	}
	vector := of(record.MatMul, matrix.Float32)
	vector.Results[0].GEMM.N = 1
	for want, r := range map[string]*record.Run{
		"gpuplay race --size 4096":                                            of(record.Race, matrix.Float32, "/usr/bin/gpuplay"),
		"gpuplay race --size 4k":                                              of(record.Race, matrix.Float32, "gpuplay", "race", "--size", "4k", "-o", "r.json", "-q", "--format=json"),
		"gpuplay race --engines torch --size 4096 --dtype int8":               of(record.Race, matrix.Int8, "gpuplay", "race", "--engines", "torch", "--time", "3s", "-ofile.json"),
		"gpuplay race --dtype=bfloat16 --threads 4 --size 4096":               of(record.Race, matrix.BFloat16, "gpuplay", "--dtype=bfloat16", "--threads", "4"),
		"gpuplay race --size=4096":                                            of(record.Race, matrix.Float32, "gpuplay", "race", "--size=4096", "--dtype", "float32", "--output", "-"),
		"gpuplay matmul --engine torch --device cuda --size 4096":             of(record.MatMul, matrix.Float32),
		"gpuplay matmul --engine torch --device cuda --m 4096 --n 1 --k 4096": vector,
		"gpuplay matmul --engine torch --device gpu --size 4096 --dtype tf32": of(record.MatMul, matrix.TF32, "gpuplay", "matmul", "--engine", "torch", "--device", "gpu", "--python", "/home/jane/venv"),
		"gpuplay sweep --sizes 16:4096":                                       {Kind: record.Sweep, Command: []string{"gpuplay", "sweep", "--sizes", "16:4096", "--plot", "/home/jane/x.svg"}},
		"gpuplay llm model.gguf --prompt 'Say hello.'":                        {Kind: record.LLM, Command: []string{"gpuplay", "llm", "/home/jane/models/model.gguf", "--prompt", "Say hello."}},
		"gpuplay llm m.gguf":                                                  recordtest.Language(),
		"gpuplay llm owner/name:Q4_K_M":                                       {Kind: record.LLM, Command: []string{"gpuplay", "llm", "owner/name:Q4_K_M"}},
		"gpuplay generate gemma --adapter=adapters":                           {Kind: record.Generate, Command: []string{"gpuplay", "generate", `C:\Users\jane\gemma`, "--adapter=./out/adapters"}},
		"gpuplay learn data --size 512":                                       {Kind: record.Inputs, Command: []string{"gpuplay", "learn", "data", "--size", "512", "--time", "5s"}},
		"gpuplay learn data":                                                  {Kind: record.Inputs},
		"gpuplay learn noise":                                                 {Kind: record.Learn, Noise: &record.Noise{}},
		"gpuplay learn matmul":                                                {Kind: record.Learn},
		"gpuplay cpu":                                                         {Kind: record.CPUs, Command: []string{"gpuplay", "cpu", "--format", "json"}},
	} {
		if got := repeating(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The card in the README is that of the record beside it.
func TestPictureOfTheREADME(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	r, err := readRun(filepath.Join(docs, "race-h200.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"card.svg", "card-dark.svg"} {
		d, _ := card.New(r, card.Themes[i], repeating(r))
		file := filepath.Join(docs, name)
		if golden.Updating() {
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := d.SVG(f); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := d.SVG(&b); err != nil {
			t.Fatal(err)
		}
		outline := regexp.MustCompile(` d="[^"]*"`) // whose last digits processors round in their own ways
		if outline.ReplaceAllString(string(kept), "") != outline.ReplaceAllString(b.String(), "") {
			t.Errorf("docs/%s is not the card of docs/race-h200.json: -update rewrites it", name)
		}
	}
}
