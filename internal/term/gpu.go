package term

import (
	"io"
	"slices"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

const (
	gpuName   = 26 // how wide the names of facts about a GPU are
	gpuNarrow = 60 // columns; on a narrower terminal, each fact is on its own line below its name
)

// gpuSheets writes what is known of each GPU, and how it was measured.
func gpuSheets(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	sheets := judge.Sheets(r)
	p.title("GPUs")
	for _, sheet := range sheets {
		p.line()
		for _, l := range Wrap(p.clean(sheet.Title), p.Width) {
			p.line(span{l, bold})
		}
		for _, part := range sheet.Parts {
			if part.Title != "" {
				p.line()
				p.line(span{"  through " + part.Title, dim})
			}
			for _, f := range part.Facts {
				if p.Width < gpuNarrow {
					if f[0] != "" {
						p.line(span{"  " + p.clean(f[0]), usual})
					}
					for _, l := range Wrap(p.clean(f[1]), p.Width-4) {
						p.line(span{"    " + l, usual})
					}
					continue
				}
				for i, l := range Wrap(p.clean(f[1]), max(8, p.Width-2-gpuName)) {
					name := ""
					if i == 0 {
						name = f[0]
					}
					p.line(span{"  " + pad(p.clean(name), gpuName) + l, usual})
				}
			}
		}
	}
	if r.Measured() {
		notes := []string{
			"copies: medians of samples, each of which was compared with its source; staging is memory that the GPU and the CPU both see",
			"launch: a product of 1×1×1, checked; alone with a wait for it, and 2048 with one wait",
		}
		if slices.ContainsFunc(r.GPUs, func(g record.GPU) bool { return g.Fastest != nil }) {
			notes = append(notes, "MAMF, maximum achievable matmul FLOPS: the fastest of the products tried, all of them checked; the median of its samples, taken in turns with the next fastest ones")
		}
		p.notes(notes)
	}
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}
