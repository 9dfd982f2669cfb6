package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
)

// loaded is a task on a machine where others have the CPUs at times.
type loaded struct {
	bench.Task
	each time.Duration // that a product takes now
	runs []int         // products of the runs so far
}

func (t *loaded) Run(ctx context.Context, n, _ int) (bench.Sample, error) {
	t.runs = append(t.runs, n)
	start := time.Now()
	for range n {
		time.Sleep(t.each)
		if err := ctx.Err(); err != nil {
			return bench.Sample{}, err
		}
	}
	return bench.Sample{Iters: n, Wall: time.Since(start)}, nil
}

// A run that takes many times as long as planned is ended and replaced by a shorter one,
// which is timed as any other.
func TestStalled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before time.Duration
		now    time.Duration
		n      int
		iters  int
		within time.Duration
	}{
		{"as planned", 5 * time.Microsecond, 5 * time.Microsecond, 4000, 4000, 20 * time.Millisecond},
		{"nine times as long", 5 * time.Microsecond, 45 * time.Microsecond, 4000, 4000, 180 * time.Millisecond},
		{"a time slice each", 5 * time.Microsecond, 4 * time.Millisecond, 4000, 62, 500 * time.Millisecond},
		{"a second each", 5 * time.Microsecond, time.Second, 4000, 1, 4 * time.Second},
		{"a long one", time.Second, 9 * time.Second, 2, 2, 18 * time.Second},
		{"the only one", time.Second, time.Minute, 1, 1, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			task := &loaded{each: tt.before}
			s := &server{task: task}
			if _, err := s.sample(t.Context(), 1, 0); err != nil {
				t.Fatal(err)
			}
			task.each = tt.now
			start := time.Now()
			got, err := s.sample(t.Context(), tt.n, 0)
			if err != nil || got.Iters != tt.iters || got.Wall != time.Duration(tt.iters)*tt.now || time.Since(start) > tt.within {
				t.Errorf("%s: %+v after %v, %v; runs of %v", tt.name, got, time.Since(start), err, task.runs)
			}
		})
	}
}

// What has not been run before is not planned, and whoever gives up gets no other run.
func TestNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := &loaded{each: time.Second}
		s := &server{task: task}
		if got, err := s.sample(t.Context(), 100, 0); err != nil || got.Iters != 100 {
			t.Errorf("the first run: %+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.sample(ctx, 100, 0); !errors.Is(err, context.DeadlineExceeded) || len(task.runs) != 2 {
			t.Errorf("given up: %v; runs of %v", err, task.runs)
		}
	})
}
