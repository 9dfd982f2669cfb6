package monitor

import (
	"math"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// A plot is where a history is drawn: columns and lines of characters, each with 2 by 4
// dots, for a stretch of time, on an axis from 0.
type plot struct {
	columns, lines int
	until, span    time.Duration
	high           float64 // the end of the axis
	unicode        bool
}

// dots returns how many dots a line of characters has, in both directions.
func (p plot) dots() (x, y int) {
	if p.unicode {
		return 2, 4
	}
	return 1, 1
}

// sample returns a value for each column of dots: the mean of the readings in its time, or
// the one before it where readings are further apart than dots; NaN where there is none.
// Times of dots are multiples of their width, so that a graph moves without changing.
func (p plot) sample(s *series, highest bool) []float64 {
	x, _ := p.dots()
	n := p.columns * x
	width := max(p.span/time.Duration(n), time.Millisecond)
	end := (p.until + width - 1) / width * width
	values := make([]float64, n)
	for i := range values {
		from := end - time.Duration(n-i)*width
		values[i] = math.NaN()
		if from+width <= 0 {
			continue
		}
		mean, high := s.between(from, from+width)
		if highest {
			mean = high
		}
		if math.IsNaN(mean) && width < coarse {
			mean, _ = s.fine.before(from, coarse)
		}
		values[i] = mean
	}
	return values
}

// draw returns the lines of an area below values, one for each column of dots.
func (p plot) draw(values []float64) []string {
	x, y := p.dots()
	cells := make([]rune, p.columns*p.lines)
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		full := p.lines * y
		height := min(full, max(0, int(math.Round(v/p.high*float64(full)))))
		if p.unicode {
			height = max(1, height) // a line at 0 is not the same as no reading
		}
		for d := range height {
			line := p.lines - 1 - d/y
			at := line*p.columns + i/x
			if p.unicode {
				cells[at] |= braille[y-1-d%y][i%x]
			} else {
				cells[at] = '#'
			}
		}
	}
	lines := make([]string, p.lines)
	for l := range lines {
		var b strings.Builder
		for _, c := range cells[l*p.columns : (l+1)*p.columns] {
			switch {
			case c == 0:
				b.WriteByte(' ')
			case p.unicode:
				b.WriteRune(0x2800 + c)
			default:
				b.WriteRune(c)
			}
		}
		lines[l] = b.String()
	}
	return lines
}

// braille are the bits of a character's dots, by row and column (Unicode, Braille
// Patterns).
var braille = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// throttledIn reports for each column of characters whether the driver held a clock down.
func (p plot) throttledIn(s *series) []bool {
	list := make([]bool, p.columns)
	if s == nil {
		return list
	}
	x, _ := p.dots()
	for i, v := range p.sample(s, true) {
		if v > 0 && event.Throttling(v).Words() != nil {
			list[i/x] = true
		}
	}
	return list
}

// ceiling returns the end of an axis: what the sensor can read at most, where that is known,
// else a round number above all values.
func ceiling(q event.Quantity, most float64, values []float64) float64 {
	switch {
	case q == event.Utilization, q == event.Temperature && most == 0:
		most = 100
	}
	high := 0.0
	for _, v := range values {
		if v > high {
			high = v
		}
	}
	switch {
	case most >= high && most > 0:
		return most
	case high == 0:
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(high)))
	for _, step := range []float64{1, 1.5, 2, 3, 4, 5, 8} {
		if high <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}
