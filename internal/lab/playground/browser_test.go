package playground

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/network"
)

// withPage trains with a page that does what answer does with each of its turns, and returns what
// was told.
func withPage(t *testing.T, k *Keeper, o TrainOptions, answer func(tr *Training, turn int, cancel func())) (list []event.Event, err error) {
	t.Helper()
	training, err := k.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := event.NewStream("test", nil)
	s.Subscribe(func(e event.Event) {
		list = append(list, e)
		switch d := e.Data.(type) {
		case Join:
			answer(training, d.Turn, cancel)
		case Turn:
			answer(training, d.Turn, cancel)
		}
	})
	err = training.Run(ctx, s)
	s.Close()
	return list, err
}

func reply(t *testing.T, tr *Training, turn int, leaves bool) {
	if err := tr.Change(Change{Turn: &turn, Leaves: leaves}); err != nil {
		t.Error(err)
	}
}

// A page that answers is given all steps of a training, also when that goes on: who makes them
// with the given rows comes to the same weights.
func TestPageTakesPart(t *testing.T) {
	pool, err := newPool()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, set := range []string{options.Set, network.Digits} {
		var k Keeper
		o := options
		o.Set, o.Browser = set, true
		training, err := k.New(o)
		if err != nil {
			t.Fatal(err)
		}
		page, err := network.NewTrainer[float32](pool, training.data, o.Settings)
		if err != nil {
			t.Fatal(err)
		}
		begin := single(weightsOf(page))
		for i := range 2 {
			o.Continue = i == 1
			o.Rate *= float64(i + 1)
			list, err := withPage(t, &k, o, func(tr *Training, turn int, _ func()) { reply(t, tr, turn, false) })
			if err != nil {
				t.Fatal(err)
			}
			joins, learned := payloads[Join](list), payloads[Learned](list)
			if len(joins) != 1-i {
				t.Fatalf("joins %d times", len(joins))
			}
			for _, j := range joins {
				if j.Batch != o.Batch || len(j.Shaders) != 2 || !slices.Equal(j.Weights, begin) || len(j.Y) != 4*training.data.Rows() || len(j.X) != len(j.Y)*training.data.Inputs {
					t.Errorf("%s: joins with %+v", set, j)
				}
			}
			for _, turn := range payloads[Turn](list) {
				if turn.Steps != page.Steps {
					t.Fatalf("a turn after %d steps, and the page has made %d", turn.Steps, page.Steps)
				}
				page.Optimizer.Rate = float32(turn.Rate)
				for b := turn.Rows; len(b) > 0; b = b[2*o.Batch:] {
					rows := make([]int, o.Batch)
					for i := range rows {
						rows[i] = int(binary.LittleEndian.Uint16(b[2*i:]))
					}
					if _, err := page.StepOn(t.Context(), rows); err != nil {
						t.Fatal(err)
					}
				}
			}
			if last := learned[len(learned)-1]; page.Steps != 40*(i+1) || !slices.Equal(last.Weights, single(weightsOf(page))) {
				t.Errorf("%s: after %d steps the page has other weights than the engine after %d", set, page.Steps, last.Steps)
			}
		}
	}
}

func weightsOf(t *network.Trainer[float32]) []float64 { return typed[float32]{t}.weights() }

// A page that does not answer, whether to its invitation or to a turn, is left behind after a
// while; the training goes on without it, also when it is continued.
func TestPageIsSilent(t *testing.T) {
	for _, answers := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			var k Keeper
			defer func() { k.last.close() }()
			o := options
			o.Browser = true
			begun, n := time.Now(), 0
			list, err := withPage(t, &k, o, func(tr *Training, turn int, _ func()) {
				if n++; n <= answers {
					reply(t, tr, turn, false)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			left, learned := payloads[Left](list), payloads[Learned](list)
			if len(left) != 1 || left[0].Why != "The page did not answer within 15 s." || n != answers+1 || time.Since(begun) < patience {
				t.Errorf("after %d answers of %d and %v: %v", n, answers, time.Since(begun), left)
			}
			if last := learned[len(learned)-1]; last.Steps != o.Steps {
				t.Errorf("%d steps of %d", last.Steps, o.Steps)
			}
			o.Continue = true
			list, err = withPage(t, &k, o, func(*Training, int, func()) { t.Error("a page that has left is asked") })
			if s := payloads[Started](list)[0]; err != nil || !s.Continued || s.Steps != o.Steps {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// An answer to another turn than the one that is awaited is refused, and changes nothing.
func TestPageAnswersAnotherTurn(t *testing.T) {
	var k Keeper
	o := options
	o.Browser = true
	list, err := withPage(t, &k, o, func(tr *Training, turn int, _ func()) {
		for _, wrong := range []int{turn - 1, turn + 1} {
			if err := tr.Change(Change{Turn: &wrong, Leaves: true}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "is not awaited") {
				t.Errorf("turn %d instead of %d: %v", wrong, turn, err)
			}
		}
		reply(t, tr, turn, false)
		if err := tr.Change(Change{Turn: &turn}); !errors.Is(err, fault.Invalid) {
			t.Errorf("turn %d again: %v", turn, err)
		}
	})
	if left := payloads[Left](list); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// A page may leave; a training that is stopped while its page is asked stops at once.
func TestPageLeaves(t *testing.T) {
	var k Keeper
	o := options
	o.Browser = true
	n := 0
	list, err := withPage(t, &k, o, func(tr *Training, turn int, _ func()) { n++; reply(t, tr, turn, n == 2) })
	if left := payloads[Left](list); err != nil || len(left) != 1 || n != 2 {
		t.Error(left, n, err)
	}
	o.Continue = false
	list, err = withPage(t, &k, o, func(tr *Training, turn int, cancel func()) { cancel() })
	if len(payloads[Join](list)) != 1 || !errors.Is(err, context.Canceled) {
		t.Error(list, err)
	}
	o.Continue = true // the page never joined
	list, err = withPage(t, &k, o, func(tr *Training, turn int, _ func()) { reply(t, tr, turn, false) })
	if s := payloads[Started](list)[0]; err != nil || s.Continued || len(payloads[Join](list)) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A turn of the page lasts about a tenth of a second by its own clock, however long the way there
// and back takes; a clock that cannot be right is not believed.
func TestPageTurns(t *testing.T) {
	for _, tt := range []struct {
		steps           int
		took, roundTrip time.Duration
		want            int
	}{
		{4, 10 * time.Millisecond, time.Second, 16},
		{100, 50 * time.Millisecond, time.Second, 200},
		{100, 400 * time.Millisecond, time.Second, 25},
		{100, 0, 200 * time.Millisecond, 50},
		{100, time.Second, 200 * time.Millisecond, 50},
		{1, 10 * time.Second, 11 * time.Second, 1},
	} {
		var g guest
		if g.next(tt.steps, tt.took, tt.roundTrip); g.most != tt.want {
			t.Errorf("after %d steps in %v of %v: %d", tt.steps, tt.took, tt.roundTrip, g.most)
		}
	}
}
