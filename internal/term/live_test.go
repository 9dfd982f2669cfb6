package term

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/screen"
)

// sizes35 is a sweep of more sizes than a screen has lines.
func sizes35() script {
	s := script{event.Begin{Kind: string(record.Sweep)}, in{"gocpu/cpu", event.Lane{Name: "gpuplay (built in, AVX-512)", Op: "FLOP"}}}
	for i := range 35 {
		n := 64 * (i + 1)
		s = append(s,
			transient("measuring %d³, %d of 35", n, i+1),
			in{"gocpu/cpu", event.Size{M: n, N: n, K: n}},
			in{"gocpu/cpu", event.Phase{Phase: "measuring"}},
			moment("measured"),
			in{"gocpu/cpu", came("gocpu/cpu", 10, 0.1)},
			note("%d³: gpuplay 1.37 TFLOP/s", n),
			moment("has been"))
	}
	return s
}

// However much there is to show, and whatever becomes of the window meanwhile, each line
// is on the screen once, none has scrolled off it, and in the end none is left.
func TestProgressLeavesNoCopies(t *testing.T) {
	const before = "$ gpuplay sweep\n"
	for name, widths := range map[string][]int{"same": {80}, "narrower": {80, 60, 40}, "at once": {80, 40}, "step by step": {80, 77, 71, 66, 58, 51, 44, 40}} {
		for from, s := range map[int]script{0: race, 60: sizes35()} { // when the screen is full
			synctest.Test(t, func(t *testing.T) {
				window := screen.New(80, 24)
				io.WriteString(window, before)
				p := NewProgress(window, true, false, Style{Width: 80, Unicode: true})
				p.Size = func() (int, int) { return window.Size() }
				stream := event.NewStream("r1", nil)
				stream.Subscribe(p.Observe)
				looks := 0
				s.tell(stream, func(string) {
					synctest.Wait()
					time.Sleep(2 * pause)
					synctest.Wait()
					if at := looks - from; at >= 0 && at < len(widths) {
						p.lines.mu.Lock()
						window.Narrow(widths[at])
						p.lines.mu.Unlock()
						time.Sleep(2 * glance)
						synctest.Wait()
					}
					looks++
					text := window.Text()
					if n := window.Above(); n > 1 || n == 1 && !strings.HasPrefix(text, before) {
						t.Errorf("%s: %d lines have scrolled off:\n%s", name, n, text)
					}
					if strings.Count(text, "measuring ") > 1 {
						t.Errorf("%s: a line is there twice:\n%s", name, text)
					}
				})
				stream.Close()
				p.Close()
				if got := window.Text(); got != before {
					t.Errorf("%s: in the end:\n%s", name, got)
				}
			})
		}
	}
}

// While the program is stopped nothing is on the screen, and afterwards all that changes
// is there once.
func TestProgressSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		window := screen.New(60, 16)
		p := NewProgress(window, true, false, Style{Width: 60, Unicode: true})
		settle := func() {
			synctest.Wait()
			time.Sleep(2 * pause)
			synctest.Wait()
		}
		p.Observe(event.Event{Data: note("starting gocpu")})
		p.Observe(event.Event{Data: transient("measuring")})
		settle()
		const shell = "\n[1]+  Stopped\n$ fg\n"
		io.WriteString(window, "^Z") // as the terminal shows the key
		p.Suspend(func() {
			if got := window.Text(); got != "\n" {
				t.Errorf("stopped:\n%s", got)
			}
			p.Observe(event.Event{Data: transient("measuring more")}) // is not shown before the stop ends
			io.WriteString(window, shell)
		})
		settle()
		if got, want := window.Text(), shell+"  starting gocpu\n  measuring more\n"; got != want {
			t.Errorf("continued:\n%swant\n%s", got, want)
		}
		p.Close()
		if got := window.Text(); got != shell {
			t.Errorf("in the end:\n%s", got)
		}
		NewProgress(io.Discard, true, false, Style{}).Suspend(func() {}) // nothing is shown
	})
}

// A line that changes ends in an ellipsis where it is cut, and leaves no copy.
func TestLive(t *testing.T) {
	window, columns := screen.New(40, 5), 40
	l := NewLive(window, Style{Unicode: true}, func() (int, int) { return columns, 5 })
	l.Show("  " + strings.Repeat("a", 60))
	if got, want := window.Text(), "  "+strings.Repeat("a", 36)+"…\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	columns = 20
	window.Narrow(columns)
	l.Show("  b\x1b[2J", "  c")
	if got, want := window.Text(), "  b^[[2J\n  c\n"; got != want {
		t.Errorf("narrower: %q, want %q", got, want)
	}
	l.Suspend(func() { fmt.Fprintln(window, "stopped") })
	l.Show("  d")
	l.Show()
	if got, want := window.Text(), "stopped\n"; got != want {
		t.Errorf("in the end: %q, want %q", got, want)
	}
}

func TestPace(t *testing.T) {
	var p pace
	for _, tt := range []struct {
		at          time.Duration
		done, total int
		want        string
	}{
		{5 * time.Second, 1, 10, ""}, // how long the first took is not known
		{7 * time.Second, 2, 10, "16 s left"},
		{7 * time.Second, 2, 0, ""},
		{11 * time.Second, 10, 10, ""},
	} {
		p.see(tt.at, tt.done, tt.total)
		if got := p.left(); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
