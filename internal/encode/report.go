package encode

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
)

// The page of reports, and how it looks.
var (
	//go:embed report.html
	reportHTML string
	//go:embed report.css
	reportCSS string

	reportPage = template.Must(template.New("report").Parse(reportHTML))
)

// HTML writes a report of a run: one file that loads nothing and runs no script, with
// what was measured, every sample, the machine, and how it was measured.
func HTML(w io.Writer, r *record.Run, words fault.Wording) error {
	styles := []string{reportCSS}
	if r.Kind == record.Sweep && len(r.Results) > 0 {
		styles = append(styles, plotStyle(len(judge.NewSweep(r).Lanes)))
	}
	page := struct {
		Policy string
		CSS    template.CSS
		*report
	}{policy(styles), template.CSS(reportCSS), newReport(r, words)}
	var b bytes.Buffer
	if err := reportPage.Execute(&b, page); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// policy allows nothing but these styles: what a name in a record might bring along is
// not even applied, should it ever get past the template.
func policy(styles []string) string {
	allowed := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src"
	for _, s := range styles {
		sum := sha256.Sum256([]byte(s))
		allowed += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return allowed
}

// A report is a run as the page shows it. All texts are harmless: they come in through
// its methods.
type report struct {
	Title, Eyebrow      string
	Figure, Unit, Claim string
	Proof, Trust        string // Trust is the class of Proof
	Kind                string // the class of the figure's device
	Sentences           []string
	Sections            []*section
}

// A section is a part of a report. It has what is not empty.
type section struct {
	Title, Intro string
	Plot         template.HTML
	Strips       []strip
	Axis         [2]string // what is at the left and the right end below the strips
	Table        *sheet
	Facts        [][2]string
	Quotes       [][2]string
	Notes        []string
	Folded       bool
}

// A sheet is a table of text.
type sheet struct {
	Head    []tableCell
	Rows    [][]tableCell
	Stacked bool // on a phone, cells stand below each other
}

// A tableCell is one of a sheet.
type tableCell struct {
	Text   string
	Label  string // the head of its column, where that is not above it on a phone
	Number bool   // to the right
	Bar    string // its length in hundredths; empty: there is none
	Class  string // of a device, or of a status
}

var trustClass = map[judge.Trust]string{judge.Proven: "good", judge.Doubted: "bad", judge.Unproven: "plain"}

// kindClass is the class of a kind of device: one of a closed list, whatever a record
// says.
func kindClass(k hardware.Kind) string {
	switch k {
	case hardware.CPU:
		return "cpu"
	case hardware.GPU:
		return "gpu"
	}
	return "off"
}

func newReport(r *record.Run, words fault.Wording) *report {
	p := &report{}
	h, ok := judge.NewHeadline(r)
	if ok {
		p.Figure, p.Unit, p.Claim = plain.Line(h.Figure), plain.Line(h.Unit), plain.Line(h.Claim)
		p.Proof, p.Trust = plain.Line(h.Proof), trustClass[h.Trust]
		p.Eyebrow = plain.Line(h.Subject)
		if h.Winner != "" {
			p.Kind = kindClass(h.Winner)
		}
	} else {
		p.Figure, p.Eyebrow = "Diagnosis", "gpuplay doctor"
		if r.Kind == record.Imported {
			p.Figure, p.Eyebrow, p.Claim = "Imported", "", plain.Line("measured by "+judge.ForeignTool(r.Foreign))
		}
	}
	if p.Eyebrow != "" {
		p.Eyebrow += " · "
	}
	p.Eyebrow += r.Created.Format("2 January 2006, 15:04 UTC")
	p.Title = strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", p.Figure, p.Unit, p.Claim)), " ")
	for _, t := range judge.Sentences(r) {
		p.Sentences = append(p.Sentences, plain.Line(t))
	}
	switch r.Kind {
	case record.Race, record.MatMul:
		p.products(r, words)
	case record.Sweep:
		p.sweep(r, words)
	case record.LLM:
		p.tokens(r, words)
	case record.Generate:
		p.generation(r)
	case record.Finetune:
		p.training(r)
	case record.CPUs:
		p.cpu(r)
	case record.GPUs:
		p.gpus(r)
	case record.Inputs:
		p.inputs(r, words)
	case record.Learn:
		p.ladder(r)
		p.noise(r)
	case record.Scale:
		p.scaling(r)
	case record.Doctor:
		p.checks(r, words)
	case record.Imported:
		p.foreign(r)
	}
	p.sensors(r)
	p.machine(r)
	p.method(r, words)
	return p
}

// add adds sections, but for those that show nothing.
func (p *report) add(sections ...*section) {
	for _, s := range sections {
		if len(s.Strips) > 0 || len(s.Quotes) > 0 || s.Table != nil && len(s.Table.Rows) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
}

// numbers begins a section with every sample, which is shown on demand.
func numbers(title string, heads ...string) *section {
	s := &section{Title: title, Folded: true}
	s.head(heads...)
	return s
}

// section adds one.
func (p *report) section(title string) *section {
	s := &section{Title: plain.Line(title)}
	p.Sections = append(p.Sections, s)
	return s
}

// fact adds a line of a name and a value, unless there is no value.
func (s *section) fact(name, value string) {
	if value = plain.Line(value); value != "" {
		s.Facts = append(s.Facts, [2]string{plain.Line(name), value})
	}
}

// quote adds a text of a model or of a person, with its lines.
func (s *section) quote(name, text string) {
	if strings.TrimSpace(text) != "" {
		s.Quotes = append(s.Quotes, [2]string{plain.Line(name), plain.Text(strings.ReplaceAll(text, "\t", "    "))})
	}
}

// note adds a line of a list, unless it is empty or there already.
func (s *section) note(text string) {
	if text = plain.Line(text); text != "" && !slices.Contains(s.Notes, text) {
		s.Notes = append(s.Notes, text)
	}
}

// head begins a table. Columns of numbers have a # before their name.
func (s *section) head(names ...string) {
	s.Table = &sheet{}
	for _, n := range names {
		number := strings.HasPrefix(n, "#")
		s.Table.Head = append(s.Table.Head, tableCell{Text: plain.Line(strings.TrimPrefix(n, "#")), Number: number})
	}
}

// stackedHead begins a table of few rows with many columns.
func (s *section) stackedHead(names ...string) {
	s.head(names...)
	s.Table.Stacked = true
}

// row adds a row of a table and returns it.
func (s *section) row(cells ...string) []tableCell {
	row := make([]tableCell, len(s.Table.Head))
	for i := range row {
		row[i].Number = s.Table.Head[i].Number
		if s.Table.Stacked {
			row[i].Label = s.Table.Head[i].Text
		}
		if i < len(cells) {
			row[i].Text = plain.Line(cells[i])
		}
	}
	s.Table.Rows = append(s.Table.Rows, row)
	return row
}

// setBar gives a cell a bar of a share of the longest one.
func (c *tableCell) setBar(share float64, class string) {
	c.Class = class
	if share > 0 && share <= 1 {
		c.Bar = fmt.Sprintf("%.2f", share*100)
	}
}
