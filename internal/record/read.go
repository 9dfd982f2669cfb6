package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Write writes a run as one line of JSON: what a store or a file of several runs
// keeps. Parse returns the same run, except that JSON holds UTF-8 alone: other bytes
// in a text become U+FFFD.
func Write(w io.Writer, r *Run) error {
	e := json.NewEncoder(plain.JSON(w))
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// Parse returns the run in a JSON text of this version or of one before it. What
// follows from a run and was written beside it for others to read (verdicts, speeds,
// comparisons) is passed over. A run that cannot have been measured, such as one with
// a sample of no products, is an error.
func Parse(text []byte) (*Run, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, err
	}
	read := older[head.Schema]
	switch {
	case head.Schema == Schema:
		read = current
	case head.Schema == "":
		return nil, fmt.Errorf("it has no schema, %q is needed", Schema)
	case read == nil:
		return nil, fmt.Errorf("its schema is %q, not %q", head.Schema, Schema)
	}
	r, err := read(text)
	if err == nil {
		err = r.sound()
	}
	if err != nil && head.Schema != Schema {
		err = fmt.Errorf("%s: %w", head.Schema, err)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func current(text []byte) (*Run, error) {
	var r Run
	return &r, json.Unmarshal(text, &r)
}

// kinds are all kinds of runs.
var kinds = []Kind{Race, MatMul, Sweep, LLM, Generate, Finetune, CPUs, GPUs, Learn, Inputs, Scale, Doctor, Imported}

// sound reports an error for a run that nothing can be computed with.
func (r *Run) sound() error {
	if !slices.Contains(kinds, r.Kind) {
		return fmt.Errorf("it is a run of unknown kind %q", r.Kind)
	}
	for i, x := range r.Results {
		if err := product(x); err != nil {
			return fmt.Errorf("result %d: %w", i+1, err)
		}
	}
	if r.Kind == Imported && r.Foreign == nil {
		return errors.New("it holds nothing of another tool")
	}
	if r.Noise != nil {
		for i, x := range r.Noise.Results {
			if err := product(x); err != nil {
				return fmt.Errorf("result %d of noise: %w", i+1, err)
			}
		}
	}
	if r.Tokens != nil && slices.Contains(r.Tokens.Results, (*llm.Result)(nil)) {
		return errors.New("a result of tokens is null")
	}
	return r.Telemetry.sound()
}

// product reports what makes a lane's result impossible.
func product(x *bench.Result) error {
	if x == nil {
		return errors.New("it is null")
	}
	g := x.GEMM
	if min(g.M, g.N, g.K) < 1 {
		return fmt.Errorf("it is a product of %s", unit.Cube(g.M, g.N, g.K))
	}
	for _, d := range []matrix.DType{g.In, g.Acc, g.Out} {
		if d != matrix.Int32 && !slices.Contains(matrix.DTypes, d) {
			return fmt.Errorf("unknown dtype %q", d)
		}
	}
	for i, s := range x.Samples {
		if s.Iters < 1 || s.Wall < 0 {
			return fmt.Errorf("sample %d has %d products in %s", i+1, s.Iters, unit.Seconds(s.Wall))
		}
	}
	return nil
}
