package term

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// writes counts what is written and when.
type writes struct {
	mu sync.Mutex
	at []time.Time
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = append(w.at, time.Now())
	return len(p), nil
}

// However much happens, a terminal gets twelve pictures in a second, each in one write.
func TestProgressRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		p := NewProgress(w, true, false, Style{Width: 80})
		for i := range 1000 {
			p.Observe(event.Event{Data: transient("step %d", i)})
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		p.Close()
		if n := len(w.at); n < 11 || n > 14 { // one at once and one in the end
			t.Errorf("%d pictures in a second", n)
		}
		for i := 1; i < len(w.at)-1; i++ {
			if d := w.at[i].Sub(w.at[i-1]); d < pause {
				t.Errorf("picture %d after %s", i, d)
			}
		}
	})
}

// stuck is a terminal that takes nothing until it is let go.
type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.free
	return len(p), nil
}

// A terminal that is stopped stops nobody but itself.
func TestProgressNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := stuck{make(chan struct{})}
		p := NewProgress(s, true, false, Style{Width: 80})
		for i := range 10_000 {
			p.Observe(event.Event{Data: note("note %d", i)})
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %s", took)
		}
		close(s.free)
		p.Close()
		p.Close() // again does nothing
		p.Observe(event.Event{Data: note("too late")})
	})
	NewProgress(io.Discard, true, false, Style{}).Close() // nothing happened
}
