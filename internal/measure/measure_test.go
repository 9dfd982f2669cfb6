package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// A B B A: what changes steadily while lanes are measured hits all of them alike.
func TestTurns(t *testing.T) {
	for _, tt := range []struct {
		n, round int
		want     []int
	}{
		{0, 0, nil},
		{1, 1, []int{0}},
		{2, 0, []int{0, 1}},
		{2, 1, []int{1, 0}},
		{3, 2, []int{0, 1, 2}},
		{3, 3, []int{2, 1, 0}},
	} {
		if got := slices.Collect(Turns(tt.n, tt.round)); !slices.Equal(got, tt.want) {
			t.Errorf("%d lanes in round %d: %v, want %v", tt.n, tt.round, got, tt.want)
		}
	}
	// Over an even number of rounds the mean place of every lane is the same.
	const lanes, rounds = 5, 4
	sums, at := make([]int, lanes), 0
	for round := range rounds {
		for i := range Turns(lanes, round) {
			sums[i] += at
			at++
		}
	}
	for i, s := range sums {
		if s != sums[0] {
			t.Errorf("lane %d has the places %d, lane 0 has %d", i, s, sums[0])
		}
	}
	for i := range Turns(3, 1) { // a reader may stop early
		if i == 1 {
			break
		}
	}
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock does not wait
		start := time.Now()
		ctx, cancel := Limit(t.Context(), 90*time.Second, "no answer within")
		defer cancel()
		<-ctx.Done()
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("ended after %s", took)
		}
		err := Because(ctx, fmt.Errorf("lane: %w", ctx.Err()))
		e := fault.From(err)
		if want := "no answer within 90.0 s"; !errors.Is(err, fault.Timeout) || e.Message != want {
			t.Errorf("%v: %q, want %q", err, e.Message, want)
		}
		if got, want := e.Remedies.String(), "timeout allows more time"; got != want {
			t.Errorf("to fix it: %q, want %q", got, want)
		}
		if own := errors.New("out of memory"); Because(ctx, own) != own {
			t.Error("another error became one of the limit")
		}
		if Because(ctx, nil) != nil {
			t.Error("no error became one")
		}
	})
}

// The user's end is no limit, and what has no limit ends with the context around it
// alone.
func TestLimitAndUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []time.Duration{0, time.Minute} {
			user, interrupt := context.WithCancel(t.Context())
			ctx, cancel := Limit(user, limit, "no answer within")
			defer cancel()
			time.Sleep(30 * time.Second) // of the test's own clock
			if ctx.Err() != nil || Because(ctx, context.Canceled) != context.Canceled {
				t.Errorf("limit %s: ended early with %v", limit, context.Cause(ctx))
			}
			if limit == 0 {
				time.Sleep(time.Hour)
			}
			interrupt()
			<-ctx.Done()
			if err := Because(ctx, ctx.Err()); !errors.Is(err, context.Canceled) || errors.Is(err, fault.Timeout) {
				t.Errorf("limit %s: the user's end is called %v", limit, err)
			}
		}
		ctx, cancel := Limit(t.Context(), 0, "no answer within")
		cancel()
		if ctx.Err() == nil {
			t.Error("cancel does nothing without a limit")
		}
	})
}

func TestWarnings(t *testing.T) {
	var list Warnings
	if list.Has(Noise) {
		t.Error("an empty list has a warning")
	}
	list.Add(Noise, "noisy")
	list.Add(FewSamples, "%d of %d rounds", 3, 6)
	if !list.Has(Noise) || !list.Has(FewSamples) || list.Has(Drift) {
		t.Errorf("%v does not have what was added, or more", list)
	}
	text, err := json.Marshal(list)
	if want := `[{"code":"noise","text":"noisy"},{"code":"few_samples","text":"3 of 6 rounds"}]`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	var back Warnings
	if err := json.Unmarshal(text, &back); err != nil || cmp.Diff(list, back) != "" {
		t.Errorf("read back: %v %s", err, cmp.Diff(list, back))
	}
}

func TestEven(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		even      bool
	}{
		{0.97, 1.02, true},
		{1, 1.02, true},
		{0.9, 1, true},
		{1.001, 1.02, false},
		{0.5, 0.999, false},
		{0, 0, false}, // nothing was measured: not known to be even
	} {
		c := Comparison{Ratio: stats.Interval{Value: (tt.low + tt.high) / 2, Low: tt.low, High: tt.high}}
		if c.Even() != tt.even {
			t.Errorf("%g to %g: even %v", tt.low, tt.high, c.Even())
		}
	}
	if (Comparison{Ratio: stats.MedianInterval(nil)}).Even() {
		t.Error("no samples are even")
	}
}
