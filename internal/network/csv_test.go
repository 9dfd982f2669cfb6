package network

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadCSV(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Data
	}{
		{"plain", "0.5,-0.5,a\n-1,1,b\n", Data{Classes: 2, Labels: []string{"a", "b"}, X: []float64{0.5, -0.5, -1, 1}, Y: []float64{0, 1}}},
		{"a heading, semicolons, a mark of byte order, Windows lines", "\ufeffx;y;class\r\n0;1;yes\r\n1;0;no\r\n", Data{Classes: 2, Labels: []string{"no", "yes"}, X: []float64{0, 1, 1, 0}, Y: []float64{1, 0}}},
		{"tabs and quotes", "0\t1\t\"a b\"\n1\t0\tc\n", Data{Classes: 2, Labels: []string{"a b", "c"}, X: []float64{0, 1, 1, 0}, Y: []float64{0, 1}}},
		{"scaled", "0,100,a\n10,300,b\n5,200,a\n", Data{Classes: 2, Labels: []string{"a", "b"}, X: []float64{-1, -1, 1, 1, 0, 0}, Y: []float64{0, 1, 0}}},
		{"one column is constant", "7,0,a\n7,1,b\n", Data{Classes: 2, Labels: []string{"a", "b"}, X: []float64{0, 0, 0, 1}, Y: []float64{0, 1}}},
	} {
		tt.want.Name, tt.want.Inputs = "csv", 2
		d, err := ReadCSV(strings.NewReader(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if diff := cmp.Diff(&tt.want, d); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// More than ten different numbers are values.
func TestReadCSVValues(t *testing.T) {
	var b strings.Builder
	for i := range 11 {
		fmt.Fprintf(&b, "%d,0,%d\n", i, i*i)
	}
	d, err := ReadCSV(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if d.Classes != 0 || slices.Min(d.Y) != -1 || slices.Max(d.Y) != 1 {
		t.Errorf("%d classes, values %v", d.Classes, d.Y)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	many := strings.Repeat("0,0,a\n", MaxRows) + "1,1,b\n"
	words := ""
	for i := range 11 {
		words += fmt.Sprintf("0,0,w%d\n", i)
	}
	for text, want := range map[string]string{
		"":                       "0 points: at least 2 are needed",
		"x,y,label\n":            "0 points: at least 2 are needed",
		"1,2,a\n3,4\n":           "line 2 has 2 fields: it needs x, y and a label",
		"1,2,a\n3,x,b\n":         `line 2: "x" is not a number that a float32 holds`,
		"1,x,a\n3,4,b\n5,6,a\n":  `line 1: "x" is not a number that a float32 holds`,
		"1,2,a\n3,NaN,b\n":       `line 2: "NaN" is not a number that a float32 holds`,
		"1,2,a\n3,1e300,b\n":     `line 2: "1e300" is not a number that a float32 holds`,
		"1,2,a\n3,4,\n":          "line 2 has no label",
		"1,2,a\n3,4,a\n":         `all points have the label "a": at least 2 classes are needed`,
		"1,2,a\n\"3,4,b\n":       `line 2: extraneous or missing " in quoted-field`,
		many:                     "more than 5000 points",
		words:                    `11 different labels: at most 10 can be classes, and they are no values, since "w0" is not a number that a float32 holds`,
		"1,2,a\r\n3,4,b\r\n5,6 ": "line 3 has 2 fields: it needs x, y and a label",
	} {
		if _, err := ReadCSV(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

// Whatever is read can be trained on.
func FuzzReadCSV(f *testing.F) {
	for _, text := range []string{"0.5,-0.5,a\n-1,1,b\n", "\ufeffx;y;class\r\n0;1;yes\r\n1;0;no", "0\t1\t\"a b\"\n1\t0\tc\n", "1e30,2,a\n-1e30,3,b", "1,2,a\n\"3"} {
		f.Add(text)
	}
	pool := newPool(f)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ReadCSV(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, x := range append(slices.Clone(d.X), d.Y...) {
			if math.IsNaN(x) || math.Abs(x) > 1 && d.Classes == 0 {
				t.Fatalf("%v of %q", x, text)
			}
		}
		tr, err := NewTrainer[float32](pool, d, Settings{Hidden: []int{2}, Activation: Tanh, Optimizer: SGD, Rate: 0.1, Batch: 8})
		if err != nil {
			t.Fatal(err)
		}
		if loss, err := tr.Step(t.Context()); err != nil || math.IsNaN(loss) {
			t.Fatalf("%v, %v of %q", loss, err, text)
		}
	})
}
