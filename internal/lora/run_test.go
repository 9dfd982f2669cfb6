package lora

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
)

// model loads a tiny model with either framework, whichever is there.
func model(t *testing.T) *framework.Model {
	t.Helper()
	for _, name := range frameworktest.Runtimes {
		var m *framework.Model
		t.Run(name, func(sub *testing.T) {
			r, folder := frameworktest.Real(sub, name), frameworktest.TinyModel(sub, name)
			opened, err := r.Open(frameworktest.Limit(sub), folder, framework.Options{Device: "cpu"})
			if err != nil {
				sub.Fatal(err)
			}
			m = opened
			t.Cleanup(func() { m.Close() })
		})
		if m != nil {
			return m
		}
	}
	t.Skip("neither MLX nor PyTorch is there with what language models need")
	return nil
}

func job(t *testing.T) Job {
	t.Helper()
	d, err := BuiltIn(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := framework.Settings{Adapter: t.TempDir(), Batch: 4, Layers: 2, Rank: 4, Scale: 10, LR: 1e-2, MaxLength: 128, SaveEvery: 5, EvalEvery: 10}
	s.Train, s.Valid = d.Files()
	if s.State, err = (State{Schema: StateSchema, Rank: 4, Layers: 2}).Keep(); err != nil {
		t.Fatal(err)
	}
	return Job{Data: d, Settings: s, Iters: 10, Prompt: d.Prompt, Tokens: 16, Floor: 1, Free: func() int64 { return 1 << 40 }}
}

func silent() Observer {
	return Observer{Planned: func(framework.Tuning, int64) {}, Step: func(framework.Step) {}}
}

// A training from end to end, refused, stopped for want of memory, and interrupted.
func TestRun(t *testing.T) {
	t.Run("too little memory", func(t *testing.T) {
		m := model(t)
		j := job(t)
		j.Free = func() int64 { return 10_000 }
		r, err := Run(frameworktest.Limit(t), m, j, silent())
		if !errors.Is(err, fault.OutOfMemory) || !strings.Contains(err.Error(), "the training takes about ") || r.End != Failed || len(r.Steps) > 0 || r.Before == "" {
			t.Errorf("error %v, %+v", err, r)
		}
	})
	t.Run("memory runs low", func(t *testing.T) {
		m := model(t)
		j := job(t)
		j.Iters = 1_000_000
		var low atomic.Bool
		j.Free = func() int64 {
			if low.Load() {
				return 5
			}
			return 1 << 40
		}
		j.Floor = 10
		o := silent()
		o.Step = func(s framework.Step) { low.Store(low.Load() || s.Iteration == 3) }
		r, err := Run(frameworktest.Limit(t), m, j, o)
		if !errors.Is(err, fault.OutOfMemory) || !strings.HasPrefix(err.Error(), "stopped before the machine swaps: 5.00 B of memory is free, less than 10.0 B; the adapter of iteration ") || r.End != LowMemory || r.Saved < 3 {
			t.Errorf("error %v, %s after %d steps, saved %d", err, r.End, len(r.Steps), r.Saved)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		m := model(t)
		j := job(t)
		j.Iters = 1_000_000
		ctx, cancel := context.WithCancel(frameworktest.Limit(t))
		o := silent()
		o.Step = func(s framework.Step) {
			if s.Iteration == 2 {
				cancel()
			}
		}
		r, err := Run(ctx, m, j, o)
		if r.End != Interrupted || r.Saved < 2 || err != nil {
			t.Errorf("error %v, %s after %d steps, saved %d", err, r.End, len(r.Steps), r.Saved)
		}
		if s, err := Resume(j.Settings.Adapter); err != nil || s.Iterations != r.Saved {
			t.Errorf("to go on with: %+v, %v", s, err)
		}
	})
	t.Run("complete", func(t *testing.T) {
		m := model(t)
		j := job(t)
		r, err := Run(frameworktest.Limit(t), m, j, silent())
		losses, first := r.Losses()
		if err != nil || r.End != Complete || len(losses) != 10 || first != 1 || r.Saved != 10 || r.Wall <= 0 || r.Peak <= 0 {
			t.Errorf("error %v, %+v", err, r)
		}
	})
}

func TestEstimate(t *testing.T) {
	about := framework.About{Bytes: 1000, DType: "float32", Hidden: 10, Heads: 2, Vocabulary: 100}
	tuning := framework.Tuning{Padded: 20, Trainable: 50, Layers: 3}
	// weights + 16·50 + 3·40·(34·10 + 5·2·20)·2 + 40·100·16
	if got, want := Estimate(about, tuning, 2), int64(1000+800+129600+64000); got != want {
		t.Errorf("estimate %d, want %d", got, want)
	}
	tuning.Padded = 10
	if half := Estimate(about, tuning, 2); half >= 195400 {
		t.Errorf("shorter rows take %d, no less", half)
	}
}

func TestFloor(t *testing.T) {
	for total, want := range map[int64]int64{0: 256 << 20, 8 << 30: 512 << 20, 128 << 30: 2 << 30} {
		if got := Floor(total); got != want {
			t.Errorf("floor of %d: %d, want %d", total, got, want)
		}
	}
}

func TestClaimAndResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "adapters")
	if err := Claim(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	refuses := func(says string, err error) {
		t.Helper()
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, says) || len(e.Remedies) == 0 {
			t.Errorf("error %#v, want %s", err, says)
		}
	}
	_, err := Resume(dir)
	refuses("has no adapter to go on with", err)
	if err := os.WriteFile(filepath.Join(dir, "adapters.safetensors"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses("holds an adapter already", Claim(dir))
	for _, text := range []string{"{}", `{"schema": "gpuplay/adapter/v9", "iterations": 3, "rank": 8, "layers": 1}`} {
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = Resume(dir)
		refuses("is not understood by this gpuplay", err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(dir); err == nil || !strings.Contains(err.Error(), stateFile) {
		t.Errorf("error %v of a cut file", err)
	}
}

func TestLosses(t *testing.T) {
	one, two := 3.0, 2.0
	r := Result{Steps: []framework.Step{{Validation: &one}, {Iteration: 7, Loss: &one}, {Saved: 7}, {Iteration: 8, Loss: &two}}}
	if losses, first := r.Losses(); len(losses) != 2 || first != 7 || math.Abs(losses[1]-2) > 0 {
		t.Errorf("%v from %d", losses, first)
	}
}
