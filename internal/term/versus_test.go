package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

func TestVersus(t *testing.T) {
	for name, pair := range recordtest.Pairs() {
		v, err := judge.NewVersus(pair[0], pair[1], verdict.Threshold)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v.Names = [2]string{"before", "after.json"}
		for _, s := range styles {
			file := fmt.Sprintf("versus.%s.%d.txt", name, s.Width)
			if !s.Unicode {
				file = fmt.Sprintf("versus.%s.%d.ascii.txt", name, s.Width)
			}
			var b bytes.Buffer
			if err := Versus(&b, v, s); err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, file, b.Bytes())
			for line := range strings.Lines(b.String()) {
				if line = strings.TrimRight(line, "\n"); lipgloss.Width(line) > s.Width {
					t.Errorf("%s: a line is %d columns wide: %q", file, lipgloss.Width(line), line)
				}
			}
		}
	}
}

// No two runs, however odd, make a page panic.
func TestVersusOfAnyRuns(t *testing.T) {
	compared := 0
	for _, kind := range []record.Kind{record.Race, record.Sweep, record.LLM} {
		for seed := range uint64(60) {
			a := recordtest.Random(kind, seed)
			for _, b := range []*record.Run{a, recordtest.Random(kind, seed+1)} {
				v, err := judge.NewVersus(a, b, verdict.Threshold)
				if err != nil {
					continue
				}
				compared++
				for _, width := range []int{0, 12, 80} {
					if err := Versus(new(bytes.Buffer), v, Style{Width: width}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	t.Logf("%d pairs were compared", compared)
}

func TestNoise(t *testing.T) {
	for name, r := range recordtest.Noises() {
		for _, s := range []Style{styles[2], styles[len(styles)-1]} {
			golden.Compare(t, fmt.Sprintf("%s.%d.txt", name, s.Width), tableOf(t, r, s))
		}
	}
}
