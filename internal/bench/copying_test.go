package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Every sample begins with another destination and ends with a comparison; one copy that
// does not arrive leaves no figure.
func TestCopying(t *testing.T) {
	for _, lost := range []int{-1, 0, 9} { // which sample's copies do not arrive
		source, to := []byte{1, 2, 3}, make([]byte, 3)
		samples, copied := 0, 0
		c := Copying{
			Route: hardware.OnDevice,
			Clear: func() error { clear(to); return nil },
			Copy: func(n int) error {
				if !slices.Equal(to, make([]byte, 3)) {
					t.Error("the destination holds what was copied before")
				}
				for start := time.Now(); time.Since(start) == 0; { // a copy takes time
				}
				if samples++; samples-1 != lost {
					copy(to, source)
				}
				copied += n
				return nil
			},
			Same: func() (bool, error) { return slices.Equal(source, to), nil },
		}
		seconds, err := c.Seconds(t.Context())
		if lost >= 0 {
			if !errors.Is(err, fault.Wrong) || !strings.Contains(err.Error(), "on the device") || seconds != nil || samples != lost+1 {
				t.Errorf("sample %d is wrong: %v, %v after %d", lost, seconds, err, samples)
			}
			continue
		}
		if err != nil || len(seconds) != copySamples || samples < copySamples || slices.Min(seconds) <= 0 {
			t.Errorf("%v, %v after %d samples", seconds, err, samples)
		}
	}
}

// The first copy is slow and says nothing about the others, not even how many a sample
// needs.
func TestCopyingWarmsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var each []int
		c := Copying{
			Clear: func() error { return nil },
			Copy: func(n int) error {
				if len(each) == 0 {
					time.Sleep(time.Second)
				}
				each = append(each, n)
				time.Sleep(time.Duration(n) * time.Millisecond)
				return nil
			},
			Same: func() (bool, error) { return true, nil },
		}
		seconds, err := c.Seconds(t.Context())
		if err != nil || slices.Min(seconds) != 1e-3 || slices.Max(seconds) != 1e-3 {
			t.Errorf("a copy takes 1 ms: %v, %v", seconds, err)
		}
		if want := []int{1, 1, 4, 16, 16, 16, 16, 16, 16, 16}; !slices.Equal(each, want) {
			t.Errorf("copies in each sample: %v, want %v", each, want)
		}
	})
}

func TestCopyingEnds(t *testing.T) {
	broken := errors.New("broken")
	fine := func() error { return nil }
	same := func() (bool, error) { return true, nil }
	ctx, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]Copying{
		"clear": {Clear: func() error { return broken }},
		"copy":  {Clear: fine, Copy: func(int) error { return broken }},
		"same":  {Clear: fine, Copy: func(int) error { return nil }, Same: func() (bool, error) { return false, broken }},
	} {
		if _, err := c.Seconds(ctx); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := Copying{Clear: fine, Copy: func(int) error { cancel(); return nil }, Same: same}
	if seconds, err := c.Seconds(ctx); !errors.Is(err, context.Canceled) || seconds != nil {
		t.Errorf("%v, %v", seconds, err)
	}
}
