package encode

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// Reports are written as their golden files are, which leave out the style that all of
// them share.
func TestReports(t *testing.T) {
	all := recordtest.Examples()
	for _, name := range []string{"gpu", "troubled", "equal", "classic", "mixed", "tokens.gpu", "tokens.troubled", "generation.graph", "training", "roofs", "ladder", "doctor.broken", "sensors", "llama-bench", "inputs", "zeros", "noise.short"} {
		page := string(encoded(t, all[name], "html"))
		page = strings.Replace(page, reportCSS, "…", 1)
		page = regexp.MustCompile(`sha256-(?:[^&]|&#43;)*`).ReplaceAllString(page, "sha256-…")
		golden.Compare(t, name+".html", page)
	}
}

// allowed are the elements and attributes of a report; what a name could bring along
// is none of them.
var allowed = map[string][]string{
	"html": {"lang"}, "head": nil, "meta": {"charset", "http-equiv", "content", "name"}, "title": nil, "style": nil, "body": nil, "header": {"class"},
	"ul": nil, "li": nil, "span": {"class"}, "b": nil, "p": {"class"}, "h1": nil, "h2": nil,
	"main": nil, "article": nil, "section": nil, "details": nil, "summary": nil, "figure": {"class", "tabindex"}, "figcaption": nil, "pre": nil,
	"div": {"class", "tabindex"}, "table": {"class"}, "thead": nil, "tbody": nil, "tr": nil, "th": {"scope", "class"}, "td": {"class", "data-label"}, "dl": nil, "dt": nil, "dd": nil,
	"svg":  {"xmlns", "class", "viewBox", "preserveAspectRatio", "role", "aria-label", "aria-hidden", "font-family"},
	"rect": {"class", "x", "y", "width", "height", "rx"}, "path": {"class", "d"}, "circle": {"class", "cx", "cy", "r"},
	"line": {"class", "x1", "x2", "y1", "y2"}, "polyline": {"class", "points"}, "text": {"x", "y", "class", "text-anchor"},
}

// checkPage fails for a page that holds anything but what reports are made of.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	var styles []string
	inStyle, found := false, ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inStyle = e.Name.Local == "style"
			attributes, known := allowed[e.Name.Local]
			if !known {
				t.Fatalf("the page has an element <%s>", e.Name.Local)
			}
			for _, a := range e.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Fatalf("<%s> has the attribute %s", e.Name.Local, a.Name.Local)
				}
				if strings.HasPrefix(a.Value, "default-src") {
					found = a.Value
				}
			}
		case xml.EndElement:
			inStyle = false
		case xml.CharData:
			if inStyle {
				styles = append(styles, string(e))
			}
		}
	}
	if want := policy(styles); found != want {
		t.Errorf("the policy is %q, and the styles need %q", found, want)
	}
}

// Whatever the names and texts of a run are, its report is of the elements that reports
// are made of, and the policy allows its styles and nothing else.
func TestReportIsHarmless(t *testing.T) {
	for _, text := range []string{"", `"><script>alert(1)</script>`, `</style><img src=x onerror="alert(1)">`, "</pre></td><a href='javascript:x'>", "{{.}}\u202e]]>--><!--", "' onload='x", "\xff\x00<b"} {
		for _, kind := range recordtest.Kinds {
			for seed := range uint64(6) {
				r := recordtest.Random(kind, seed)
				recordtest.Poison(r, text)
				checkPage(t, encoded(t, r, "html"))
			}
		}
	}
	for name, r := range recordtest.Examples() {
		t.Run(name, func(t *testing.T) { checkPage(t, encoded(t, r, "html")) })
	}
	for name, r := range recordtest.Older(t) {
		t.Run(name, func(t *testing.T) { checkPage(t, encoded(t, r, "html")) })
	}
}

// A lane that is not verified has no bar, and no part in the scale of the others.
func TestReportHasNoBarOfWhatIsNotVerified(t *testing.T) {
	for _, doubtful := range []float64{5e11, 9e12} {
		r := recordtest.Run(record.Race,
			recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Engine("gocpu")),
			recordtest.Result(recordtest.TorchGPU, doubtful, recordtest.Engine("torch"), recordtest.Doubtful(true)))
		page := string(encoded(t, r, "html"))
		if n := strings.Count(page, `<svg class="bar"`); n != 1 {
			t.Errorf("%g: %d bars", doubtful, n)
		}
		if !strings.Contains(page, `<rect width="100.00" height="1"/>`) {
			t.Errorf("%g: the verified lane has no full bar", doubtful)
		}
	}
}

// Of a wrong lane a report has the samples, which are facts, and no speed.
func TestReportHasNoSpeedOfAWrongLane(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		r := recordtest.Run(record.MatMul, recordtest.Result(recordtest.BuiltIn, 1, func(x *bench.Result) {
			for i := range x.Samples {
				x.Samples[i].Iters, x.Samples[i].Wall = 1, 100*time.Millisecond
			}
			if wrong {
				x.Error = fault.Errorf(fault.Wrong, "wrong result")
			}
		}))
		page := string(encoded(t, r, "html"))
		if shown := strings.Contains(page, "1.37"); shown == wrong { // 2·4096³ in a tenth of a second
			t.Errorf("wrong: %v, its speed is shown: %v", wrong, shown)
		}
		if !strings.Contains(page, ">0.1<") {
			t.Error("the samples are not shown")
		}
	}
}
