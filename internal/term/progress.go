package term

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/event"
)

// A Progress shows people what goes on while it goes on. It is a subscriber to the
// events of a run, of every kind, and knows nothing else of it: on a terminal a few
// lines that change and leave no trace in the end, elsewhere lines that are worth
// keeping, with quiet nothing.
type Progress struct {
	// Size returns the columns and lines of the terminal, which change with its window;
	// nil stands for the style's width and 24 lines.
	Size func() (columns, lines int)
	// Answer shows the text that a model generates where that is the result itself,
	// also with quiet; nothing else is on the screen meanwhile. If it is nil, the
	// answers of llm are shown among the other lines.
	Answer *Answer

	out   io.Writer
	live  bool
	quiet bool
	wake  chan struct{} // there is something new to show
	end   chan struct{} // closed by Close
	done  chan struct{} // closed when all is shown and taken away

	mu      sync.Mutex
	view    view
	started bool
	closed  bool

	// Of the goroutine that draws.
	buffer bytes.Buffer // what goes to out in one write
	answer *Answer
	drawn  []string // the lines that change, as they are on the screen
}

// pause is what passes between two pictures at least: twelve in a second are fluent.
const pause = time.Second / 12

// answerIndent is what sets answers apart from the lines about them.
const answerIndent = 4

// NewProgress returns a view on out, a terminal if it is live. Size and Answer are to be
// set before the first event.
func NewProgress(out io.Writer, live, quiet bool, s Style) *Progress {
	p := &Progress{out: out, live: live, quiet: quiet, wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	p.view = view{style: s, live: live}
	return p
}

// Observe takes an event. It returns at once, whatever out does, and may be given to
// event.Stream's Subscribe.
func (p *Progress) Observe(e event.Event) {
	if p.quiet && p.Answer == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if !p.started {
		p.started = true
		if p.answer = p.Answer; p.answer == nil {
			p.answer = NewAnswer(&p.buffer, p.live, answerIndent, p.view.style)
		}
		p.view.answers = p.Answer != nil
		go p.show()
	}
	p.view.apply(e)
	select {
	case p.wake <- struct{}{}:
	default: // it will be seen with what came before
	}
}

// Close returns when all that stays is written and what changed is taken off the
// screen. Events that come later are passed over.
func (p *Progress) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.end)
	}
	started := p.started
	p.mu.Unlock()
	if started {
		<-p.done
	}
}

// show draws until Close.
func (p *Progress) show() {
	defer close(p.done)
	for {
		select {
		case <-p.wake:
		case <-p.end:
			p.draw(true)
			return
		}
		p.draw(false)
		if p.live {
			select {
			case <-time.After(pause):
			case <-p.end:
			}
		}
	}
}

// draw writes what is new and stays, and below it the lines that change; none of those
// at the end.
func (p *Progress) draw(last bool) {
	columns, lines := p.size()
	p.mu.Lock()
	news := p.view.news
	p.view.news = nil
	var picture []string
	if p.live && !p.quiet && !last && !p.view.answering {
		picture = p.view.picture(columns, lines-1) // the cursor has the last line
	}
	p.mu.Unlock()

	if p.live && p.answer.live { // the same terminal
		p.answer.style.Width = columns
	}
	if len(news) > 0 || last || !slices.Equal(picture, p.drawn) {
		p.erase(columns, lines)
		for _, n := range news {
			p.write(n, columns)
		}
		if last {
			p.endAnswer()
		}
		for _, l := range picture {
			p.buffer.WriteString(l + "\n")
		}
		p.drawn = picture
	}
	p.flush()
}

// size returns the columns and lines that there are.
func (p *Progress) size() (columns, lines int) {
	columns, lines = p.view.style.Width, 24
	if p.live && p.Size != nil {
		columns, lines = p.Size()
	}
	return max(columns, 2), max(lines, 2)
}

// erase takes the lines that change off the screen. Where a window became narrower,
// they have become more.
func (p *Progress) erase(columns, lines int) {
	rows := 0
	for _, l := range p.drawn {
		rows += max(1, (ansi.StringWidth(l)+columns-1)/columns)
	}
	if rows > 0 {
		p.buffer.WriteString(ansi.CursorUp(min(rows, lines-1)) + "\r" + ansi.EraseScreenBelow)
	}
}

// write writes what stays. Where the lines of a terminal end is known.
func (p *Progress) write(n news, columns int) {
	switch {
	case n.what == answerText:
		p.flushBefore()
		p.answer.Text(n.text)
	case n.what == answerEnd:
		p.endAnswer()
	case !p.quiet:
		p.endAnswer()
		lines := []string{n.text}
		if p.live {
			lines = Wrap(n.text, columns)
		}
		for _, l := range lines {
			p.buffer.WriteString(l + "\n")
		}
	}
}

func (p *Progress) endAnswer() {
	p.flushBefore()
	p.answer.End()
}

// flushBefore writes what is there before an answer that goes elsewhere.
func (p *Progress) flushBefore() {
	if p.Answer != nil {
		p.flush()
	}
}

// flush writes to out. An error is not looked at: who measures does not stop for a
// reader that is gone.
func (p *Progress) flush() {
	if p.buffer.Len() > 0 {
		p.out.Write(p.buffer.Bytes())
		p.buffer.Reset()
	}
}
