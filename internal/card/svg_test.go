package card

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// An SVG is that of its golden file, but for the last digits, which processors round in
// their own ways.
func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := drawn(t, recordtest.Examples()["gpu"], Themes[1], command).SVG(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "gpu.dark.svg")
	if golden.Updating() {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	near := cmp.Comparer(func(a, b point) bool { return math.Hypot(a.x-b.x, a.y-b.y) < 0.05 })
	if d := cmp.Diff(parsed(t, kept), parsed(t, b.Bytes()), cmp.AllowUnexported(Shape{}, op{}, rect{}), near); d != "" {
		t.Errorf("%s (-want +got; rewrite it with -update):\n%s", file, d)
	}
}

// parsed reads the shapes of an SVG that a drawing wrote, and fails for anything else
// in it.
func parsed(t *testing.T, svg []byte) []Shape {
	t.Helper()
	var shapes []Shape
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return shapes
		} else if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local == "svg" || e.Name.Local == "title" {
			continue
		}
		if e.Name.Local != "path" {
			t.Fatalf("a card holds <%s>", e.Name.Local)
		}
		var s Shape
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "fill":
				n, err := strconv.ParseUint(a.Value[1:], 16, 24)
				if err != nil {
					t.Fatal(err)
				}
				s.Fill = rgb(uint32(n))
			case "aria-label":
				s.Text = a.Value
			case "d":
				s.path = parsedPath(t, a.Value)
			default:
				t.Fatalf("a path has the attribute %s", a.Name.Local)
			}
		}
		shapes = append(shapes, s)
	}
}

// parsedPath reads path data as SVG 1.1 has them, of the letters that a card uses.
func parsedPath(t *testing.T, data string) path {
	t.Helper()
	var p path
	at, start := point{}, point{}
	for len(data) > 0 {
		o := op{letter: data[0] &^ 0x20}
		data = data[1:]
		n, known := count[o.letter]
		if !known {
			t.Fatalf("path data %.20q", data)
		}
		from := at
		for i := range n {
			var xy [2]float64
			for j := range xy {
				data = strings.TrimPrefix(data, " ")
				end := 1 // a sign, a digit or a point
				for end < len(data) && (data[end] >= '0' && data[end] <= '9' || data[end] == '.' && !strings.Contains(data[:end], ".")) {
					end++
				}
				v, err := strconv.ParseFloat(data[:end], 64)
				if err != nil {
					t.Fatal(err)
				}
				xy[j], data = v, data[end:]
			}
			at = point{from.x + xy[0], from.y + xy[1]}
			o.points[i] = at
		}
		switch o.letter {
		case 'M':
			start = at
		case 'Z':
			at = start
		}
		p = append(p, o)
	}
	return p
}

// What the SVG says is what the PNG shows, but for a hundredth of a pixel, which may
// change into how many lines a curve is divided.
func TestSVGIsThePNG(t *testing.T) {
	all := runs(t)
	for _, name := range []string{"gpu", "troubled", "mixed", "classic", "training", "ratio/12345", "hostile/race/0", "hostile/llm/4"} {
		d := drawn(t, all[name], Themes[1], command)
		var b bytes.Buffer
		if err := d.SVG(&b); err != nil {
			t.Fatal(err)
		}
		again := *d
		again.Shapes = parsed(t, b.Bytes())
		if len(again.Shapes) != len(d.Shapes) {
			t.Fatalf("%s: %d shapes of %d", name, len(again.Shapes), len(d.Shapes))
		}
		for i, s := range again.Shapes {
			if s.Text != d.Shapes[i].Text {
				t.Errorf("%s: %q is labelled %q", name, d.Shapes[i].Text, s.Text)
			}
		}
		if largest, mean := difference(again.paint(), d.paint()); largest > 48 || mean > 0.02 {
			t.Errorf("%s: pixels differ by up to %d, by %.4f on average", name, largest, mean)
		}
	}
}
