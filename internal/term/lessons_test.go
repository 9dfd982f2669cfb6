package term

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

func TestLessons(t *testing.T) {
	g, err := plan.LookupGPU("h100")
	if err != nil {
		t.Fatal(err)
	}
	for name, gpus := range map[string]int{"llama3-8b": 8, "gpt2-xl": 4, "llama3-405b": 2} {
		m, _ := scaling.Lookup(name)
		l, err := plan.Learn(name, m.Shape, g, gpus)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range styles {
			file := fmt.Sprintf("lessons.%s.%d.txt", name, s.Width)
			if !s.Unicode {
				file = fmt.Sprintf("lessons.%s.%d.ascii.txt", name, s.Width)
			}
			var b bytes.Buffer
			if err := Lessons(&b, l, nil, s); err != nil {
				t.Fatal(err)
			}
			if s.Width == 40 || s.Width == 80 {
				golden.Compare(t, file, b.Bytes())
			}
			for line := range strings.Lines(b.String()) {
				if line = strings.TrimRight(line, "\n"); lipgloss.Width(line) > s.Width {
					t.Errorf("%s: a line is %d columns wide: %q", file, lipgloss.Width(line), line)
				}
			}
		}
	}
}

// What the README shows is what the command shows.
func TestReadmeShowsLessons(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("testdata/lessons.llama3-8b.80.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, found := strings.Cut(string(readme), "This is part of its output:\n\n```\n")
	shown, _, _ = strings.Cut(shown, "```\n")
	if !found || shown == "" {
		t.Fatal("README.md shows no part of learn gpus")
	}
	for part := range strings.SplitSeq(strings.TrimSpace(shown), "\n\n") {
		if !strings.Contains(string(page), strings.TrimSpace(part)) {
			t.Errorf("README.md shows\n%s", part)
		}
	}
}

// A cell shows what took most of its time.
func TestTimelineCells(t *testing.T) {
	busy := func(spans ...[2]float64) record.Busy { return record.Busy{Spans: spans} }
	for _, tt := range []struct {
		l    record.Lived
		want string
	}{
		{record.Lived{}, "··········"},
		{record.Lived{Compute: busy([2]float64{0, 10})}, "CCCCCCCCCC"},
		{record.Lived{Compute: busy([2]float64{0, 4}), Communicate: busy([2]float64{4, 6})}, "CCCCMM····"},
		{record.Lived{Compute: busy([2]float64{0, 4}, [2]float64{6, 10}), Communicate: busy([2]float64{2, 7})}, "CCBBMMBCCC"},
		{record.Lived{Compute: busy([2]float64{0, 0.4}, [2]float64{9.4, 10})}, "·········C"},
		{record.Lived{Compute: busy([2]float64{-5, 3}, [2]float64{1, 2}), Communicate: busy([2]float64{20, 0})}, "CCC·······"}, // not as it should be
	} {
		if got := cells(tt.l, 10, 10); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.l, got, tt.want)
		}
	}
}

// Of each strategy, the step over the most ranks is drawn.
func TestTimelines(t *testing.T) {
	lived := func(n int) []record.Lived {
		l := record.Lived{Compute: record.Busy{Seconds: 0.04, Spans: [][2]float64{{0, 0.03}, {0.04, 0.05}}}, Communicate: record.Busy{Seconds: 0.02, Spans: [][2]float64{{0.02, 0.04}}}}
		return slices.Repeat([]record.Lived{l}, n)
	}
	r := &record.Run{Kind: record.Scale, Created: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Scaling: &record.Scaling{Model: "small", DType: "bfloat16", Worlds: []record.World{
		{Ranks: 2, Steps: []record.Trained{{Strategy: scaling.DDP, Timeline: lived(2)}, {Strategy: scaling.TP, Timeline: lived(2)}, {Strategy: scaling.PP}}},
		{Ranks: 4, Steps: []record.Trained{{Strategy: scaling.DDP, Timeline: lived(4)}}},
	}}}
	if !HasTimeline(r) || HasTimeline(&record.Run{}) || HasTimeline(&record.Run{Scaling: &record.Scaling{}}) {
		t.Error("a run without a timeline has one")
	}
	p := &page{Style: Style{Width: 80, Unicode: true}}
	p.timelines(r)
	golden.Compare(t, "timelines.txt", p.text.String())
}
