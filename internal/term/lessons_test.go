package term

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/plan"
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
			if err := Lessons(&b, l, s); err != nil {
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
	_, shown, found := strings.Cut(string(readme), "This is a part of it:\n\n```\n")
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
