package llamacpp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/process"
)

// llama-bench's own tests: the reading of a prompt, and generating after none.
const (
	BenchPrompt = 512 // pp512
	BenchTokens = 128 // tg128
)

// benchLine is one test as llama-bench -o jsonl writes it.
type benchLine struct {
	Prompt  int     `json:"n_prompt"`
	Tokens  int     `json:"n_gen"`
	Samples []int64 `json:"samples_ns"`
}

// Benchmark has llama-bench measure pp512 and tg128 on a lane, repeat times each.
// What it has finished when ctx ends is returned with the error.
func (r *Runtime) Benchmark(ctx context.Context, model string, l llm.Settings, repeat int) ([]llm.PeerResult, error) {
	args := []string{"-m", model, "-p", strconv.Itoa(BenchPrompt), "-n", strconv.Itoa(BenchTokens), "-r", strconv.Itoa(repeat), "-o", "jsonl", "-ngl", strconv.Itoa(l.Layers)}
	if l.Layers == 0 {
		args = append(args, "-dev", "none")
	} else {
		args = append(args, "-dev", r.GPU.Name)
	}
	if l.Threads > 0 {
		args = append(args, "-t", strconv.Itoa(l.Threads))
	}
	cmd := exec.CommandContext(ctx, r.Bench, args...)
	process.Detach(cmd)
	cmd.Cancel = func() error { return process.Kill(cmd.Process) }
	cmd.WaitDelay = endLimit
	cmd.Env = r.Env
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if r.Trace != nil {
		cmd.Stderr = io.MultiWriter(&log, r.Trace)
	}
	wait, err := process.Start(cmd)
	if err == nil {
		err = wait()
	}
	list, parsed := parseBench(out.Bytes())
	switch {
	case ctx.Err() != nil:
		return list, ctx.Err()
	case err != nil && cmd.ProcessState == nil:
		return list, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("llama-bench did not start: %v", err)}
	case err != nil:
		return list, ended("benchmarking", cmd.ProcessState, lastWords(log.String()))
	}
	return list, parsed
}

// parseBench reads JSON lines, one object per test.
func parseBench(text []byte) ([]llm.PeerResult, error) {
	var list []llm.PeerResult
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var line benchLine
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return list, &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("llama-bench's JSON is not understood: %v", err)}
		}
		p := llm.PeerResult{Name: fmt.Sprintf("tg%d", line.Tokens), Tokens: line.Tokens}
		if line.Prompt > 0 {
			p = llm.PeerResult{Name: fmt.Sprintf("pp%d", line.Prompt), Tokens: line.Prompt}
		}
		for _, ns := range line.Samples {
			p.Samples = append(p.Samples, time.Duration(ns))
		}
		list = append(list, p)
	}
}
