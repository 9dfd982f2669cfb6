package encode

import (
	"fmt"
	"io"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// productsMarkdown writes a table to paste and the sentences below it.
func productsMarkdown(w io.Writer, r *record.Run, words fault.Wording) error {
	scale, name := judge.Scale(r.Results)
	head, boundOf := judge.Bound(r.Results)
	var b strings.Builder
	fmt.Fprintf(&b, "| device | engine | size | dtype | %s | ± | %s | starts in | ready in | |\n|---|---|---|---|--:|--:|--:|--:|--:|---|\n", name, head)
	for _, x := range r.Results {
		g := x.GEMM
		fmt.Fprintf(&b, "| %s | %s | %s | %s |", cell(judge.Place(r, x.Device)), cell(x.Label()), unit.Cube(g.M, g.N, g.K), judge.Operands(g))
		if s, ok := x.Speed(); ok {
			fmt.Fprintf(&b, " %s | %s | %s | %s | %s |", unit.Digits3(s.Value/scale), judge.Spread(s), boundOf(x), unit.Seconds(x.Start), unit.Seconds(x.Ready()))
		} else {
			b.WriteString(" – | – | – | – | – |")
		}
		fmt.Fprintf(&b, " %s |\n", cell(laneVerdict(x, words)))
	}
	said := judge.Sentences(r)
	if text := judge.LeftOut(r, words); text != "" {
		said = append(said, text)
	}
	sentences(&b, said)
	_, err := io.WriteString(w, b.String())
	return err
}

// sentences writes what the table above them means, a paragraph each.
func sentences(b *strings.Builder, texts []string) {
	for _, t := range texts {
		fmt.Fprintf(b, "\n%s\n", plain.Line(t))
	}
}

// cell keeps a text from ending its cell, and from commanding a terminal on which it
// is shown.
func cell(s string) string { return cellMarks.Replace(plain.Line(s)) }

// cellMarks escapes what would end a cell or begin an element of HTML.
var cellMarks = strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", `\<`)

// laneVerdict says in a few words how far to trust a lane's figure.
func laneVerdict(r *bench.Result, words fault.Wording) string {
	var parts []string
	switch {
	case r.Error != nil:
		parts = append(parts, r.Error.Words(words))
	case r.Verified():
		parts = append(parts, "verified")
	case len(r.Samples) == 0:
		parts = append(parts, "not measured")
	}
	for _, w := range r.Warnings {
		parts = append(parts, w.Text)
	}
	if text := r.Device.Renumbered(); text != "" {
		parts = append(parts, text)
	}
	return strings.Join(append(parts, r.Facts.Notes...), "; ")
}
