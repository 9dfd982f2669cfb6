package judge

import (
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// ForeignTool names the tool that measured an imported run.
func ForeignTool(f *record.Foreign) string {
	if f == nil {
		return "another tool"
	}
	if f.Version == "" {
		return f.Tool
	}
	return f.Tool + " " + f.Version
}

// SeriesFigure returns the median of a series' samples, or the mean that the tool gives,
// with its unit.
func SeriesFigure(s record.Series) string {
	x := stats.Median(s.Values)
	if s.Unit == "s" {
		return unit.Seconds(time.Duration(x * float64(time.Second)))
	}
	return unit.Digits3(x) + " " + s.Unit
}

// SeriesSamples says what a series' figure was computed from: "median of 12".
func SeriesSamples(s record.Series) string {
	if s.Of > 0 {
		return fmt.Sprintf("mean of %d", s.Of)
	}
	return fmt.Sprintf("median of %d", len(s.Values))
}

// foreignSentences say who measured.
func foreignSentences(r *record.Run) []string {
	return []string{fmt.Sprintf("Measured by %s, not by gpuplay, which checked nothing of it.", ForeignTool(r.Foreign))}
}
