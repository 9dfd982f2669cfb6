package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// training shows a training while it runs and delivers what came of it.
type training struct {
	app      *app
	flags    finetuneFlags
	progress *progress
	document trainingJSON
	name     string // of the model
	losses   []float64
	first    int             // iteration of the first loss
	latest   framework.Step  // with a loss
	held     []float64       // losses on rows that are not trained on
	lines    *json.Encoder   // of jsonl, as events come; nil otherwise
	failed   error           // of writing them
	stderr   io.Writer       // of what stays when the progress is gone
	style    report.Style    // of stdout
	facts    llm.Facts       //
	about    framework.About //
}

// trainingJSON is a training with all that is needed to judge it.
type trainingJSON struct {
	Schema   string             `json:"schema"`
	Created  time.Time          `json:"created"`
	Program  report.Program     `json:"program"`
	Command  []string           `json:"command"`
	Machine  host.Machine       `json:"machine"`
	Model    string             `json:"model"`
	Facts    llm.Facts          `json:"facts"`
	About    framework.About    `json:"about"`
	Data     lora.Data          `json:"data"`
	Settings framework.Settings `json:"settings"`
	Iters    int                `json:"iters"`
	lora.Result
	Error string `json:"error,omitempty"`
}

const trainingSchema = "gpuplay/finetune/v1"

var trainingFormats = []string{"text", "json", "jsonl", "csv"}

// checkOutput settles the format and sees early that the file can be written.
func (f *finetuneFlags) checkOutput() error {
	if ending := strings.TrimPrefix(filepath.Ext(f.output), "."); f.format == "text" && f.output != "" {
		if f.format = ending; ending != "json" && ending != "jsonl" && ending != "csv" {
			return usagef("for example --output training.json", "--output %s: which format? the name ends in none of .json, .jsonl, .csv", f.output)
		}
	}
	if err := oneOf("format", f.format, trainingFormats); err != nil {
		return err
	}
	writable := outputFlags{format: "json", output: f.output}
	return writable.check()
}

func newTraining(a *app, f finetuneFlags) *training {
	t := &training{app: a, flags: f, stderr: a.stderr, style: a.env.style(a.stdout)}
	t.progress = newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	if f.format == "jsonl" && f.output == "" {
		t.lines = json.NewEncoder(a.stdout)
		t.lines.SetEscapeHTML(false)
	}
	return t
}

// begin says what is about to be trained.
func (t *training) begin(m *framework.Model, found model.Model, j lora.Job) {
	t.facts, t.about, t.name = m.Facts(), m.About, found.Name
	t.document = trainingJSON{
		Schema: trainingSchema, Created: time.Now().UTC(), Program: program(), Command: t.app.args, Machine: host.Describe(context.Background()),
		Model: found.Path, Facts: t.facts, About: t.about, Data: j.Data, Settings: j.Settings, Iters: j.Iters,
	}
	for _, line := range t.head() {
		t.progress.say("%s", line)
	}
	t.progress.say("asking before the training")
}

// head names the model and what runs it.
func (t *training) head() []string {
	lines := []string{fmt.Sprintf("%s, %sM parameters in %s, %s on %s", t.name, unit.Digits3(float64(t.about.Parameters)/1e6), t.about.DType, t.facts.Runtime, place(t.facts.Device))}
	for _, n := range t.facts.Notes {
		lines = append(lines, "note: "+n)
	}
	return lines
}

// observer shows what goes on. The events come one at a time.
func (t *training) observer() lora.Observer {
	return lora.Observer{
		Planned: func(p framework.Tuning, estimate int64) {
			for _, line := range t.plan(p, estimate) {
				t.progress.say("%s", line)
			}
		},
		Step: t.step,
	}
}

// plan says what will be trained and the memory it is expected to take.
func (t *training) plan(p framework.Tuning, estimate int64) []string {
	d := t.document
	rows := fmt.Sprintf("%d rows of at most %d tokens", p.Rows, p.Longest)
	if d.Data.Folder == "" {
		rows += ", built in"
	}
	share := float64(p.Trainable) / float64(t.about.Parameters)
	lines := []string{
		rows,
		fmt.Sprintf("adapter of rank %d on %d of %d layers: %sM parameters, %s of all", d.Settings.Rank, p.Layers, t.about.Layers, unit.Digits3(float64(p.Trainable)/1e6), unit.Percent(share)),
		fmt.Sprintf("memory: about %s expected, %s of it weights; %s free", unit.Bytes(float64(estimate)), unit.Bytes(float64(t.about.Bytes)), unit.Bytes(float64(host.Free()))),
	}
	if p.Cut > 0 {
		lines = append(lines, fmt.Sprintf("note: %d rows are longer than --max-length %d tokens: their rest is not learned", p.Cut, d.Settings.MaxLength))
	}
	if d.Data.Held > 0 && d.Data.Held < d.Settings.Batch {
		lines = append(lines, fmt.Sprintf("note: valid.jsonl has %d rows, fewer than --batch %d: they are not looked at", d.Data.Held, d.Settings.Batch))
	}
	return lines
}

// step shows an event. A pipe gets about ten lines a training.
func (t *training) step(s framework.Step) {
	if t.lines != nil {
		if err := t.lines.Encode(s); err != nil && t.failed == nil {
			t.failed = err
		}
	}
	if s.Validation != nil {
		t.held = append(t.held, *s.Validation)
	}
	if s.Loss == nil {
		return
	}
	if len(t.losses) == 0 {
		t.first = s.Iteration
	}
	t.losses, t.latest = append(t.losses, *s.Loss), s
	if t.progress.live {
		lines := append([]string{""}, report.Curve(t.losses, t.first, min(t.progress.style.Width-4, 76), 8, t.progress.style.Unicode)...)
		t.progress.draw(append(lines, "", t.now()))
	} else if every := max(1, t.flags.iters/10); len(t.losses)%every == 0 || len(t.losses) == 1 || len(t.losses) == t.flags.iters {
		t.progress.say("%s", t.now())
	}
}

// now is the latest iteration in a line.
func (t *training) now() string {
	s := t.latest
	line := fmt.Sprintf("iteration %d/%d  loss %.3f  %s tokens/s", s.Iteration, t.first-1+t.flags.iters, *s.Loss, unit.Digits3(s.Speed))
	if s.Peak > 0 {
		line += fmt.Sprintf("  memory %s", unit.Bytes(float64(s.Peak)))
	}
	return line
}

// deliver prints or writes what came of a training, also of one that failed.
func (t *training) deliver(ctx context.Context, r lora.Result, failed error) error {
	t.document.Result = r
	if failed != nil && ctx.Err() == nil {
		t.document.Error = failed.Error()
	}
	var err error
	switch {
	case t.flags.output != "":
		err = writeFile(t.flags.output, t.write)
		if err != nil {
			err = errors.Join(fmt.Errorf("--output %s: %w", t.flags.output, err), t.write(t.app.stdout))
		} else if !t.flags.quiet {
			t.text(t.app.stdout)
		}
	case t.flags.format == "text":
		t.text(t.app.stdout)
	default:
		err = t.write(t.app.stdout)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(t.stderr, "gpuplay: interrupted")
		return errors.Join(err, &reportedError{exitInterrupted})
	}
	return errors.Join(failed, err, t.failed)
}

// medianSpeed returns the tokens a second of the median iteration: the first may have
// compiled what it computes with.
func medianSpeed(steps []framework.Step) float64 {
	var speeds []float64
	for _, s := range steps {
		if s.Loss != nil {
			speeds = append(speeds, s.Speed)
		}
	}
	return stats.Median(speeds)
}

// write writes the result in a format that programs read.
func (t *training) write(w io.Writer) error {
	switch t.flags.format {
	case "csv":
		return t.csv(w)
	case "jsonl":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		if t.lines == nil { // not written as they came
			for _, s := range t.document.Steps {
				if err := e.Encode(s); err != nil {
					return err
				}
			}
		}
		d := t.document
		d.Steps = []framework.Step{}
		return e.Encode(d)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(t.document)
}

// csv writes a row an event, in base units; a field that an event does not have is
// empty.
func (t *training) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	c.Write([]string{"iteration", "loss", "validation_loss", "learning_rate", "tokens_per_second", "trained_tokens", "peak_bytes"})
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, s := range t.document.Steps {
		switch {
		case s.Loss != nil:
			c.Write([]string{strconv.Itoa(s.Iteration), number(*s.Loss), "", number(s.LR), number(s.Speed), strconv.FormatInt(s.Tokens, 10), strconv.FormatInt(s.Peak, 10)})
		case s.Validation != nil:
			c.Write([]string{strconv.Itoa(s.Iteration), "", number(*s.Validation), "", "", "", ""})
		}
	}
	c.Flush()
	return c.Error()
}

// text prints the result for people.
func (t *training) text(w io.Writer) {
	r := t.document.Result
	dot, arrow := " · ", " → "
	if !t.style.Unicode {
		dot, arrow = " | ", " -> "
	}
	say := func(line string) {
		for i, l := range report.Wrap(t.style.Plain(line), t.style.Width-6) {
			if i > 0 {
				l = "  " + l
			}
			fmt.Fprintln(w, "  "+l)
		}
	}
	fmt.Fprintln(w, t.head()[0])
	for _, note := range t.head()[1:] {
		say(note)
	}
	if r.Tuning != nil {
		for _, line := range t.plan(*r.Tuning, r.Estimate)[:2] {
			say(line)
		}
	}
	if len(t.losses) > 0 {
		fmt.Fprintln(w)
		for _, line := range report.Curve(t.losses, t.first, min(t.style.Width-4, 76), 8, t.style.Unicode) {
			fmt.Fprintln(w, "  "+line)
		}
		fmt.Fprintln(w)
		said := fmt.Sprintf("loss %.2f%s%.2f in %d iterations of %d rows", lossOf(t.losses, false), arrow, lossOf(t.losses, true), len(t.losses), t.document.Settings.Batch)
		if len(t.held) > 1 {
			said += fmt.Sprintf("; on %d rows not trained on %.2f%s%.2f", t.document.Data.Held, t.held[0], arrow, t.held[len(t.held)-1])
		}
		say(said)
		how := []string{fmt.Sprintf("%s tokens/s, the median of the iterations", unit.Digits3(medianSpeed(r.Steps))), unit.Seconds(r.Wall)}
		if r.Peak > 0 {
			how = append(how, fmt.Sprintf("memory at most %s, of %s", unit.Bytes(float64(r.Peak)), t.about.PeakOf))
		}
		say(strings.Join(how, dot))
	}
	fmt.Fprintf(w, "\n  asked   %s\n", t.style.Plain(quoteText(r.Prompt, t.style.Width)))
	fmt.Fprintf(w, "  before  %s\n", t.style.Plain(quoteText(r.Before, t.style.Width)))
	if r.After != "" {
		fmt.Fprintf(w, "  after   %s\n", t.style.Plain(quoteText(r.After, t.style.Width)))
	}
	if r.Saved > 0 {
		fmt.Fprintf(w, "\n  adapter of iteration %d in %s\n", r.Saved, t.flags.adapter)
		if r.End == lora.Complete {
			fmt.Fprintf(w, "  Next: gpuplay generate %s --adapter %s --prompt \"…\"\n", shellWord(t.document.Model, t.app.env.folder), quoted(t.flags.adapter))
		} else {
			fmt.Fprintln(w, "  --resume goes on with it")
		}
	}
}

// shellWord names a path as short as it can be typed in a folder.
func shellWord(path, folder string) string {
	if rel, err := filepath.Rel(folder, path); err == nil && len(rel) < len(path) {
		path = rel
	}
	return quoted(path)
}

// quoteText shows a text that may have several lines in few: broken at the width,
// each line but the first under the first.
func quoteText(text string, width int) string {
	const margin, most = 10, 4
	room := max(20, width-margin-1)
	var lines []string
	line := ""
	for _, word := range strings.Fields(plain.Text(text)) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > room {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	lines = append(lines, line)
	if len(lines) > most {
		lines = append(lines[:most-1], lines[most-1]+" …")
	}
	if lines[0] == "" {
		return "(nothing)"
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", margin))
}
