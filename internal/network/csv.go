package network

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits of data that are read.
const (
	MaxRows    = 5000
	MaxClasses = 10
)

// ReadCSV reads points in the plane: a line each, x, y and a label, separated by commas,
// semicolons or tabs; a first line that does not begin with a number is taken for a heading. At most
// MaxClasses different labels are classes, in the order of their names; more of them are
// values to be learned, if they are all numbers. Columns of x and y, and values, that go
// beyond ±1 are scaled into it. Errors name the line.
func ReadCSV(r io.Reader) (*Data, error) {
	lines := bufio.NewReader(r)
	if mark, _ := lines.Peek(3); string(mark) == "\xef\xbb\xbf" {
		lines.Discard(3)
	}
	start, _ := lines.Peek(4096)
	first, _, _ := strings.Cut(string(start), "\n")
	c := csv.NewReader(lines)
	c.TrimLeadingSpace, c.FieldsPerRecord, c.ReuseRecord = true, -1, true
	for _, comma := range ";\t" {
		if strings.ContainsRune(first, comma) {
			c.Comma = comma
		}
	}
	d := &Data{Name: "csv", Inputs: 2}
	var labels []string
	for heading := true; ; heading = false {
		fields, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("line %d: %w", syntax.Line, syntax.Err)
		}
		if err != nil {
			return nil, err
		}
		line, _ := c.FieldPos(0)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d has %d fields: it needs x, y and a label", line, len(fields))
		}
		var point [2]float64
		if point[0], err = number(fields[0]); err != nil && heading {
			continue
		}
		if err == nil {
			point[1], err = number(fields[1])
		}
		switch label := strings.TrimSpace(fields[2]); {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case label == "":
			return nil, fmt.Errorf("line %d has no label", line)
		case len(labels) == MaxRows:
			return nil, fmt.Errorf("more than %d points", MaxRows)
		default:
			d.X = append(d.X, point[:]...)
			labels = append(labels, strings.Clone(label))
		}
	}
	if len(labels) < 2 {
		return nil, fmt.Errorf("%d points: at least 2 are needed", len(labels))
	}
	fit(d.X, 0, 2)
	fit(d.X, 1, 2)
	return d, d.label(labels)
}

// number parses a finite number.
func number(field string) (float64, error) {
	x, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
	if err != nil || math.Abs(x) > math.MaxFloat32 || math.IsNaN(x) {
		return 0, fmt.Errorf("%q is not a number that a float32 holds", field)
	}
	return x, nil
}

// fit scales every step-th of x into ±1, if any is beyond.
func fit(x []float64, from, step int) {
	low, high := math.Inf(1), math.Inf(-1)
	for i := from; i < len(x); i += step {
		low, high = min(low, x[i]), max(high, x[i])
	}
	if low >= -1 && high <= 1 {
		return
	}
	for i := from; i < len(x); i += step {
		if x[i] = (x[i] - (low+high)/2) / ((high - low) / 2); high == low {
			x[i] = 0
		}
	}
}

// label makes targets of labels.
func (d *Data) label(labels []string) error {
	names := slices.Clone(labels)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 1 {
		return fmt.Errorf("all points have the label %q: at least 2 classes are needed", names[0])
	}
	if len(names) <= MaxClasses {
		d.Classes, d.Labels = len(names), names
		for _, l := range labels {
			i, _ := slices.BinarySearch(names, l)
			d.Y = append(d.Y, float64(i))
		}
		return nil
	}
	for _, l := range labels {
		v, err := number(l)
		if err != nil {
			return fmt.Errorf("%d different labels: at most %d can be classes, and they are no values, since %w", len(names), MaxClasses, err)
		}
		d.Y = append(d.Y, v)
	}
	fit(d.Y, 0, 1)
	return nil
}
