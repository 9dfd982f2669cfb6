package encode

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// scalingSVG draws the speed-up over the number of ranks, both logarithmic: a line for each
// strategy, dashed and with hollow points where nothing but the model is known, and the
// line of a speed-up by as much as there are ranks.
func scalingSVG(w io.Writer, r *record.Run, _ fault.Wording) error {
	list := judge.ScaledOf(r.Scaling)
	var b strings.Builder
	text := func(x, y float64, class, anchor, t string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(t))
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif">`+"\n", plotWidth, plotHeight)
	b.WriteString("<style>" + plotStyle(len(scaling.Strategies)) + ".d{stroke-dasharray:3 5}.o{fill:none!important;stroke-width:1.6}</style>\n" + `<rect class="b" width="100%" height="100%" rx="8"/>` + "\n")
	most, low, high := 1, 1.0, 1.0
	for _, x := range list {
		if drawable(x.Speedup) {
			most, low, high = max(most, x.Ranks), min(low, x.Speedup), max(high, x.Speedup)
		}
	}
	if most == 1 {
		text(plotWidth/2, plotHeight/2, "t", "middle", "Nothing was measured on several ranks and found right.")
		b.WriteString("</svg>\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	high = max(high, float64(most)) * 1.1
	low *= 0.9
	px := func(ranks int) float64 {
		return plotLeft + 16 + math.Log(float64(ranks))/math.Log(float64(most))*(plotRight-plotLeft-32)
	}
	py := func(speedup float64) float64 {
		return plotBottom - math.Log(speedup/low)/math.Log(high/low)*(plotBottom-plotTop)
	}
	title := judge.ScalingTitle(r.Scaling)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(strings.Join(title, ", ")))
	text(plotLeft, 32, "h", "start", "Speed-up by the number of ranks, "+title[0])
	text(plotLeft, 54, "s", "start", strings.Join(title[1:], " · "))
	for _, y := range ticks(low, high) {
		fmt.Fprintf(&b, `<line class="g" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", plotLeft, plotRight, py(y), py(y))
		text(plotLeft-8, py(y)+4, "t", "end", trim(unit.Digits3(y))+"×")
	}
	shown := map[int]bool{}
	for _, x := range list {
		if !shown[x.Ranks] && x.Ranks >= 1 && x.Ranks <= most {
			shown[x.Ranks] = true
			fmt.Fprintf(&b, `<line class="a" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", px(x.Ranks), px(x.Ranks), plotBottom, plotBottom+5)
			text(px(x.Ranks), plotBottom+20, "t", "middle", fmt.Sprint(x.Ranks))
		}
	}
	text((plotLeft+plotRight)/2, plotBottom+44, "s", "middle", "ranks; dashed, hollow: modelled, not measured")
	fmt.Fprintf(&b, `<line class="a" x1="%d" x2="%d" y1="%d" y2="%d"/>`+"\n", plotLeft, plotRight, plotBottom, plotBottom)
	fmt.Fprintf(&b, `<polyline class="r" points="%.1f,%.1f %.1f,%.1f"/>`+"\n", px(1), py(1), px(most), py(float64(most)))
	labels := []label{{y: py(float64(most)), class: "n t", text: "as many as ranks", lane: len(scaling.Strategies)}}
	for i, s := range scaling.Strategies {
		x0, y0 := px(1), py(1)
		end := math.NaN()
		for _, x := range list {
			if x.Strategy != s || !drawable(x.Speedup) || x.Ranks < 2 {
				continue
			}
			line, point := "l", "p"
			if x.Step == nil {
				line, point = "l d", "o"
			}
			x1, y1 := px(x.Ranks), py(x.Speedup)
			fmt.Fprintf(&b, `<line class="%s c%d" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, line, i, x0, x1, y0, y1)
			fmt.Fprintf(&b, `<circle class="%s c%d" cx="%.1f" cy="%.1f" r="3.2"/>`+"\n", point, i, x1, y1)
			x0, y0, end = x1, y1, y1
		}
		if !math.IsNaN(end) {
			labels = append(labels, label{y: end, class: fmt.Sprintf("n c%d", i), text: string(s), lane: i})
		}
	}
	spreadOut(labels)
	for _, l := range labels {
		text(plotRight+10, l.y+4, l.class, "start", l.text)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}
