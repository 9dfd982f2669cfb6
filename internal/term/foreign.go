package term

import (
	"io"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// foreignTable shows what another tool has measured.
func foreignTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	p.title("measured by "+judge.ForeignTool(r.Foreign), r.Machine.CPU)
	const figureWidth, samplesWidth = 18, 16
	if r.Foreign != nil {
		longest := 0
		for _, x := range r.Foreign.Series {
			longest = max(longest, ansi.StringWidth(p.clean(x.Name)))
		}
		room := min(longest, s.Width-4-figureWidth-samplesWidth)
		device := ""
		p.line()
		for i, x := range r.Foreign.Series {
			if x.Device != "" && (i == 0 || x.Device != device) {
				p.line(span{"  " + fit(p.clean(x.Device), s.Width-2), bold})
			}
			device = x.Device
			name, figure := p.clean(x.Name), p.clean(judge.SeriesFigure(x))
			if longest > room { // the names have lines of their own
				for _, t := range Wrap(name, s.Width-4) {
					p.line(span{"    " + t, usual})
				}
				p.line(span{"      " + figure, bold}, span{"  " + judge.SeriesSamples(x), dim})
				continue
			}
			p.line(span{"    " + pad(name, room) + right(figure, figureWidth), usual}, span{right(judge.SeriesSamples(x), samplesWidth), dim})
		}
	}
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}
