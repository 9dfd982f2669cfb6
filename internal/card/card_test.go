package card

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/reference"
)

const command = "gpuplay race --size 4096"

func drawn(t *testing.T, r *record.Run, theme Theme, command string) *Drawing {
	t.Helper()
	d, ok := New(r, theme, command)
	if !ok {
		t.Fatalf("a run of kind %q has no card", r.Kind)
	}
	return d
}

// manyLanes is a race of eight lanes with long names.
func manyLanes() *record.Run {
	r := recordtest.Run(record.Race)
	r.Machine.CPU = "Intel(R) Xeon(R) Platinum 8481C Processor with a very long name @ 2.70GHz"
	for i := range 8 {
		d := recordtest.TorchCPU
		d.Name, d.ID = r.Machine.CPU, fmt.Sprint("cpu:", i)
		d.Library, d.Detail = "A library with quite a long name", "with a detail that is longer still"
		r.Results = append(r.Results, recordtest.Result(d, 1e12+1e11*float64(i), recordtest.Engine("torch")))
	}
	return r
}

// ratioOf is a race whose GPU is that many times as fast.
func ratioOf(times float64) *record.Run {
	gpu := recordtest.TorchGPU
	gpu.Name = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"
	return recordtest.Run(record.Race, recordtest.Result(gpu, times*1e11, recordtest.Engine("torch"), recordtest.On(7, 0)), recordtest.Result(recordtest.BuiltIn, 1e11, recordtest.Engine("gocpu")))
}

// sensed gives a run of one card the history of its power.
func sensed(r *record.Run) *record.Run {
	r.Cards = []hardware.Card{{Number: 0, Name: recordtest.Card}}
	for _, x := range r.Results {
		x.Device.Card = nil // there is one
	}
	source := record.TelemetrySource{Name: "NVML"}
	series := record.TelemetrySeries{Sensor: event.Sensor{Quantity: event.Power, Card: new(int)}}
	for i := range 140 {
		watts := 72 + float64(i%5)
		if i > 60 && i < 120 {
			watts = 640 - 300/float64(i-59) + float64(i*7%11)
		}
		source.At, series.Values = append(source.At, time.Duration(i)*100*time.Millisecond), append(series.Values, &watts)
	}
	source.Series = []record.TelemetrySeries{series}
	r.Telemetry = &record.Telemetry{Sources: []record.TelemetrySource{source}}
	return r
}

// runs are those that cards must be good for: all examples, files of before, kept
// records, extremes, and runs at random with hostile texts.
func runs(t *testing.T) map[string]*record.Run {
	all := recordtest.Examples()
	for name, r := range recordtest.Older(t) {
		all["older/"+name] = r
	}
	for i, r := range reference.Records() {
		all[fmt.Sprint("reference/", i)] = r
	}
	all["many"] = manyLanes()
	for _, times := range []float64{0.001, 0.4, 1.02, 1.5, 2, 9.99, 25, 700, 12345, 3e6} {
		all[fmt.Sprint("ratio/", times)] = ratioOf(times)
	}
	for name, r := range recordtest.Examples() {
		all["sensed/"+name] = sensed(r)
	}
	for _, times := range []float64{0.5, 1.2, 38, 3000} {
		all[fmt.Sprint("sensed/ratio/", times)] = sensed(ratioOf(times))
	}
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(12) {
			r := recordtest.Random(kind, seed)
			all[fmt.Sprintf("random/%s/%d", kind, seed)] = r
			if seed%4 == 0 {
				r = recordtest.Random(kind, seed)
				recordtest.Poison(r, `"><script>`+strings.Repeat("\u202eW漢\x1b", 400))
				all[fmt.Sprintf("hostile/%s/%d", kind, seed)] = r
			}
		}
	}
	for name, r := range all {
		if r.Kind == record.Doctor || r.Kind == record.Imported {
			delete(all, name)
		}
	}
	return all
}

func (r rect) holds(in rect, slack float64) bool {
	return in.left >= r.left-slack && in.top >= r.top-slack && in.right <= r.right+slack && in.bottom <= r.bottom+slack
}

func (r rect) meets(o rect) bool {
	return r.left < o.right && o.left < r.right && r.top < o.bottom && o.top < r.bottom
}

// Every text is inside of its room, is not on another one, and can be read at half of
// the size; nothing is outside of the card.
func TestTextFits(t *testing.T) {
	canvas := rect{0, 0, Width, Height}
	for name, r := range runs(t) {
		d := drawn(t, r, Themes[0], "gpuplay llm "+strings.Repeat("model", 30))
		var texts []Shape
		for _, s := range d.Shapes {
			b := s.path.bounds()
			if len(s.path) == 0 {
				continue
			}
			if math.IsNaN(b.left+b.top+b.right+b.bottom) || !canvas.holds(b, 0.01) {
				t.Errorf("%s: %q is at %v", name, s.Text, b)
			}
			if s.Text == "" {
				continue
			}
			if !s.room.holds(b, 1) {
				t.Errorf("%s: %q at %v is not within its room %v", name, s.Text, b, s.room)
			}
			if s.size < 18 {
				t.Errorf("%s: %q has a size of %.1f", name, s.Text, s.size)
			}
			for _, o := range texts {
				if b.meets(o.path.bounds()) {
					t.Errorf("%s: %q is on %q", name, s.Text, o.Text)
				}
			}
			texts = append(texts, s)
		}
	}
}

// Themes differ in their colours alone.
func TestThemesHaveOneLayout(t *testing.T) {
	r := recordtest.Examples()["gpu"]
	light, dark := drawn(t, r, Themes[0], command), drawn(t, r, Themes[1], command)
	if a, b := listing(light, false), listing(dark, false); a != b {
		t.Errorf("light:\n%s\ndark:\n%s", a, b)
	}
}

// listing writes where the shapes of a drawing are.
func listing(d *Drawing, colours bool) string {
	var b strings.Builder
	fmt.Fprintln(&b, d.Title)
	for _, s := range d.Shapes {
		at := s.path.bounds()
		if colours {
			b.WriteString(hex(s.Fill) + " ")
		}
		fmt.Fprintf(&b, "%.0f,%.0f to %.0f,%.0f %d %s\n", at.left, at.top, at.right, at.bottom, len(s.path), s.Text)
	}
	return b.String()
}

// Layouts are those of their golden files.
func TestLayouts(t *testing.T) {
	all := runs(t)
	for _, name := range []string{"gpu", "cpu", "troubled", "classic", "cards", "tokens.gpu", "tokens.troubled", "tokens.soft", "mixed", "training", "generation", "roofs", "ladder", "nothing", "many", "ratio/0.4", "sensed/ratio/38"} {
		golden.Compare(t, strings.ReplaceAll(name, "/", "-")+".txt", listing(drawn(t, all[name], Themes[0], command), true))
	}
}

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

// difference returns the largest difference of two pictures in any channel, and the mean.
func difference(a, b *image.RGBA) (largest int, mean float64) {
	sum := 0
	for i, v := range a.Pix {
		d := max(int(v)-int(b.Pix[i]), int(b.Pix[i])-int(v))
		largest, sum = max(largest, d), sum+d
	}
	return largest, float64(sum) / float64(len(a.Pix))
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

// A card is painted as the picture that is kept, but for rounding, which processors do
// in their own ways.
func TestPNG(t *testing.T) {
	var b bytes.Buffer
	if err := drawn(t, recordtest.Examples()["gpu"], Themes[0], command).PNG(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "gpu.light.png")
	if golden.Updating() {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, got := decoded(t, kept), decoded(t, b.Bytes())
	if got.Bounds() != want.Bounds() {
		t.Fatalf("the picture is %v", got.Bounds())
	}
	if largest, mean := difference(got, want); largest > 48 || mean > 0.02 {
		t.Errorf("pixels differ by up to %d, by %.4f on average (rewrite the file with -update)", largest, mean)
	}
}

func decoded(t *testing.T, text []byte) *image.RGBA {
	t.Helper()
	in, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out := image.NewRGBA(in.Bounds())
	draw.Draw(out, out.Bounds(), in, in.Bounds().Min, draw.Src)
	return out
}

// painted returns how much of a colour is painted in the room for pictures.
func painted(d *Drawing, c color.RGBA) int {
	n, canvas := 0, d.paint()
	for y := pictureTop; y < lineAt; y++ {
		for x := pictureLeft; x <= edge; x++ {
			if canvas.RGBAAt(x, y) == c {
				n++
			}
		}
	}
	return n
}

// The cells of a ratio are to scale, also where a part of one is left.
func TestCellsAreToScale(t *testing.T) {
	for _, times := range []float64{1.5, 2, 9.5, 25, 101} {
		d := drawn(t, ratioOf(times), Themes[0], command)
		got := float64(painted(d, Themes[0].gpu)) / float64(painted(d, Themes[0].cpu))
		if math.Abs(got/times-1) > 0.08 { // corners are round, and edges smooth
			t.Errorf("%g times as fast is painted as %.2f", times, got)
		}
	}
}

// A card shows a ratio only where two verified results of devices of their own may be
// compared, says the rest in words, and does not pass on what is not believed.
func TestHonest(t *testing.T) {
	wrong := func(r *bench.Result) { r.Check.Passed = false }
	cpu := recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Engine("gocpu"))
	for name, tt := range map[string]struct {
		run    *record.Run
		says   []string
		denies []string
	}{
		"wrong":    {recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 25e12, wrong), cpu), []string{"No ratio", "not verified", "1 of 2 lanes verified"}, []string{"×", "25.0 TFLOP/s", "both verified"}},
		"peak":     {recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 25e12, recordtest.Doubtful(true)), cpu), []string{"No ratio"}, []string{"×", "25.0 TFLOP/s"}},
		"software": {recordtest.Run(record.Race, recordtest.Result(recordtest.Software, 25e12), cpu), []string{"on the CPU; no GPU was found,", "Vulkan 1.4, a software GPU"}, []string{"×", "No ratio"}},
		"alone":    {recordtest.Run(record.MatMul, recordtest.Result(recordtest.Software, 25e12)), []string{"on the software GPU, whose"}, []string{"×"}},
		"size":     {recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 25e12, recordtest.Size(512, 512, 512)), cpu), []string{"No ratio", "GPU and CPU differ in size 512³"}, []string{"×"}},
		"none":     {recordtest.Run(record.MatMul, recordtest.Result(recordtest.TorchGPU, 25e12, wrong)), []string{"No result", "not verified"}, []string{"25.0"}},
		"nothing":  {recordtest.Run(record.Race), []string{"No result", "Nothing was measured"}, []string{"×"}},
		"slower":   {ratioOf(0.5), []string{"2.0×", "as fast on the CPU", "the GPU, in the same time"}, []string{"as fast on the GPU"}},
		"level":    {ratioOf(1), []string{"Level"}, []string{"×"}},
	} {
		text := ""
		for _, s := range drawn(t, tt.run, Themes[0], "").Shapes {
			text += s.Text + "\n"
		}
		for _, want := range tt.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, text)
			}
		}
		for _, not := range tt.denies {
			if strings.Contains(text, not) {
				t.Errorf("%s says %q:\n%s", name, not, text)
			}
		}
	}
}

// A diagnosis has no card, nor has what another tool has measured; every other kind of
// run has one.
func TestKinds(t *testing.T) {
	for _, kind := range recordtest.Kinds {
		if _, ok := New(&record.Run{Kind: kind}, Themes[0], ""); ok == (kind == record.Doctor || kind == record.Imported) {
			t.Errorf("%s: %v", kind, ok)
		}
	}
}

// Colours of text are told from what they are on, by 4.5:1 (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	luminance := func(c color.RGBA) float64 {
		l := 0.0
		for i, v := range []uint8{c.R, c.G, c.B} {
			s := float64(v) / 255
			if s <= 0.04045 {
				s /= 12.92
			} else {
				s = math.Pow((s+0.055)/1.055, 2.4)
			}
			l += []float64{0.2126, 0.7152, 0.0722}[i] * s
		}
		return l
	}
	for _, theme := range Themes {
		ground := luminance(theme.surface)
		for i, c := range []color.RGBA{theme.ink, theme.ink2, theme.ink3, theme.good, theme.warn, theme.cpuInk, theme.gpuInk} {
			if ratio := (max(ground, luminance(c)) + 0.05) / (min(ground, luminance(c)) + 0.05); ratio < 4.5 {
				t.Errorf("%s: text %d has a contrast of %.2f", theme.Name, i, ratio)
			}
		}
		if k := slices.IndexFunc(Themes, func(o Theme) bool { return o.Name == theme.Name }); Themes[k].cpu == theme.gpu {
			t.Errorf("%s: devices have one colour", theme.Name)
		}
	}
}

func TestFit(t *testing.T) {
	s := style{face: bold, size: 40, least: 30}
	if text, got := s.fit("short", 400); text != "short" || got.size != 40 {
		t.Errorf("%q at %g", text, got.size)
	}
	if text, got := s.fit("shrinks a bit", 220); text != "shrinks a bit" || got.size >= 40 || got.width(text) > 220 {
		t.Errorf("%q at %g", text, got.size)
	}
	if text, got := s.fit("a text that is much too long for its room", 220); got.size != 30 || !strings.HasSuffix(text, "…") || got.width(text) > 220 {
		t.Errorf("%q at %g", text, got.size)
	}
	if lines := s.wrap("one two three four five six seven", 200, 2); len(lines) != 2 || !strings.HasSuffix(lines[1], "seven") {
		t.Errorf("%q", lines)
	}
	if wide, narrow := s.width("WWW"), s.width("iii"); wide < 2*narrow {
		t.Errorf("widths %g and %g", wide, narrow)
	}
	if s.width("AVAVA") >= s.width("A")*3+s.width("V")*2 {
		t.Error("no kerning")
	}
}

func BenchmarkPNG(b *testing.B) {
	r := recordtest.Examples()["gpu"]
	for b.Loop() {
		d, _ := New(r, Themes[0], command)
		if err := d.PNG(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
