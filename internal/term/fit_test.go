package term

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/screen"
)

// seenOn is what can be seen on a screen, without what has scrolled off it.
func seenOn(s *screen.Screen) string {
	return strings.Join(strings.SplitAfter(s.Text(), "\n")[s.Above():], "")
}

// However many lanes a race has, it is seen at once on a screen of 80×24, with the prompt
// below it: the sentence, and the best of each kind. Without a limit all lanes are there.
func TestRaceFitsTheScreen(t *testing.T) {
	crowd := recordtest.Races()["equal.all"]
	for _, x := range crowd.Results {
		for range 7 {
			copied := *x
			crowd.Results = append(crowd.Results, &copied)
		}
	}
	for name, r := range map[string]*record.Run{"equal": recordtest.Races()["equal"], "equal.all": recordtest.Races()["equal.all"], "crowd": crowd} {
		s := screen.New(80, 24)
		style := Style{Width: 80, Lines: 24, Unicode: true, Words: recordtest.Flags{}}
		if err := Table(s, r, style); err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("$ "))
		if n := s.Above(); n > 0 {
			t.Errorf("%s: %d lines have scrolled off the screen:\n%s", name, n, s.Text())
		}
		seen := seenOn(s)
		for _, want := range []string{
			"AI GPU Playground", "GPU 0 is 18× as fast as the CPU", "What the CPU does in a minute, the GPU does in 3.3 s.", "Estimate from", "Left out: for lack of time",
			judge.Best(r.Results, hardware.CPU).Device.Label(), judge.Best(r.Results, hardware.GPU).Device.Label(),
		} {
			if !strings.Contains(seen, want) {
				t.Errorf("%s: %q is not seen:\n%s", name, want, seen)
			}
		}
		if name != "crowd" {
			golden.Compare(t, name+".screen.txt", []byte(s.Text()))
		}
		style.Lines = 0
		if all := tableOf(t, r, style); strings.Count(all, ", eager ")+strings.Count(all, ", jit ")+strings.Count(all, "built in") != len(r.Results) || strings.Contains(all, "without room") {
			t.Errorf("%s: without a limit there are other than %d lanes:\n%s", name, len(r.Results), all)
		}
	}
}

// Where reference cards are shown, sentences that repeat the table or another sentence are
// left out before any lane is.
func TestReferencesFitTheScreen(t *testing.T) {
	r := recordtest.Races()["cpu"]
	style := Style{Width: 80, Lines: 24, Unicode: true, Words: recordtest.Flags{}, References: cards()}
	s := screen.New(80, 24)
	if err := Table(s, r, style); err != nil {
		t.Fatal(err)
	}
	seen := s.Text()
	if strings.Contains(seen, "Published") || strings.Contains(seen, "without room") || !strings.Contains(seen, "447 times this CPU") || s.Above() > 0 {
		t.Errorf("the screen is\n%s", seen)
	}
	style.Lines = 0
	if whole := tableOf(t, r, style); !strings.Contains(whole, "Published") || strings.Contains(whole, "without room") {
		t.Errorf("without a limit it is\n%s", whole)
	}
}

// What failed is never left out; the sentence is seen below it all the same.
func TestFailuresKeepTheirRoom(t *testing.T) {
	r := recordtest.Races()["equal.all"]
	r.Results[3+5].Error = fault.Errorf(fault.Crashed, "ended by signal 6")
	s := screen.New(80, 24)
	if err := Table(s, r, Style{Width: 80, Lines: 24, Unicode: true, Words: recordtest.Flags{}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Text(), "incomplete: ended by signal 6") || !strings.Contains(seenOn(s), "GPU 0 is 18×") {
		t.Errorf("the failure or the sentence is not seen:\n%s", s.Text())
	}
}

// A bar is as long as its share, to an eighth of a column.
func TestBarsAreToScale(t *testing.T) {
	for _, tt := range []struct {
		share          float64
		unicode, ascii string
	}{{1, "████████", "########"}, {0.5, "████", "####"}, {1. / 18, "▌", "#"}, {1. / 79, "▏", "."}, {1e-9, "▏", "."}, {0, "", ""}, {0.9, "███████▎", "#######"}, {0.95, "███████▋", "########"}} {
		for _, unicode := range []bool{true, false} {
			l := &layout{page: &page{Style: Style{Unicode: unicode}}, bar: 8}
			want := tt.unicode
			if !unicode {
				want = tt.ascii
			}
			if got := strings.TrimRight(l.clean(l.filled(tt.share)), " "); got != want {
				t.Errorf("%g, Unicode %t: %q, want %q", tt.share, unicode, got, want)
			}
		}
	}
}
