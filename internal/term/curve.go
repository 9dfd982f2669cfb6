package term

import (
	"fmt"
	"math"
	"strings"
)

// The size of a curve of losses.
const (
	curveWidth  = 76 // columns at most
	curveHeight = 8  // lines
)

// Curve draws values, the first of which belongs to x = first, in lines of at most
// width columns: height lines of a graph with a scale from 0 to the largest value at
// the left, and a line below with the first x and the last. It is drawn in Braille
// dots, 2 by 4 per character, or in asterisks. Where several values fall into one
// column of dots, their mean is drawn. Values that are not finite are left out;
// without any other, or without space, there is no curve.
func Curve(values []float64, first, width, height int, unicode bool) []string {
	high := 0.0
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			high = max(high, v)
		}
	}
	if high == 0 || height < 1 {
		return nil
	}
	labels := make([]string, height)
	for i := range labels {
		switch i {
		case 0:
			labels[i] = axis(high)
		case height - 1:
			labels[i] = "0"
		case height / 2:
			labels[i] = axis(high * (1 - (float64(i)+0.5)/float64(height)))
		}
	}
	margin := 0
	for _, l := range labels {
		margin = max(margin, len(l))
	}
	from, to := fmt.Sprint(first), fmt.Sprint(first+len(values)-1)
	if len(values) == 1 {
		to = ""
	}
	columns := width - margin - 2
	if columns < len(from)+1+len(to) {
		return nil
	}
	dotsX, dotsY := columns, height
	if unicode {
		dotsX, dotsY = 2*columns, 4*height
	}
	cells := make([]uint8, columns*height)
	last := -1 // where the column before is
	for i, v := range resample(values, dotsX) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		y := dotsY - 1 - max(0, min(dotsY-1, int(v/high*float64(dotsY))))
		from := y
		if unicode && last >= 0 { // a line, not points
			from = last
		}
		last = y
		for d := min(from, y); d <= max(from, y); d++ {
			if d != y && d == from { // that dot is the column's before
				continue
			}
			if unicode {
				cells[d/4*columns+i/2] |= braille[d%4][i%2]
			} else {
				cells[d*columns+i] = 1
			}
		}
	}
	bar := "│"
	if !unicode {
		bar = "|"
	}
	var lines []string
	for y := range height {
		var b strings.Builder
		fmt.Fprintf(&b, "%*s %s", margin, labels[y], bar)
		for _, c := range cells[y*columns : (y+1)*columns] {
			switch {
			case unicode && c != 0:
				b.WriteRune(0x2800 + rune(c))
			case !unicode && c != 0:
				b.WriteByte('*')
			default:
				b.WriteByte(' ')
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	gap := columns - len(from) - len(to)
	return append(lines, strings.TrimRight(strings.Repeat(" ", margin+2)+from+strings.Repeat(" ", gap)+to, " "))
}

// braille are the bits of a character's dots, by row and column (Unicode, Braille
// Patterns).
var braille = [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// axis writes a number for a scale.
func axis(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// resample returns n values: the means of as many stretches of them when there are
// more, else points on the straight lines between them. A stretch without a number
// is NaN.
func resample(values []float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		if len(values) <= n {
			at := float64(i) * float64(len(values)-1) / float64(max(n-1, 1))
			left := int(at)
			right := min(left+1, len(values)-1)
			out[i] = values[left] + (values[right]-values[left])*(at-float64(left))
			if math.IsInf(out[i], 0) {
				out[i] = math.NaN()
			}
			continue
		}
		sum, count := 0.0, 0
		for _, v := range values[i*len(values)/n : (i+1)*len(values)/n] {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				sum, count = sum+v, count+1
			}
		}
		out[i] = math.NaN()
		if count > 0 {
			out[i] = sum / float64(count)
		}
	}
	return out
}
