package term

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"

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
	// Watch returns lines to be shown below the others, in at most that number of columns and
	// lines; they may be in colour. nil: there are none.
	Watch func(columns, lines int) []string

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

	// Of the goroutine that draws, which holds the lock of lines.
	buffer bytes.Buffer // what goes to out in one write
	answer *Answer
	lines  *Live // written to the buffer
}

const (
	// pause is what passes between two pictures at least: twelve in a second are fluent.
	pause = time.Second / 12
	// glance is how often the size of the window is looked at when nothing else happens.
	glance = time.Second / 4
)

// answerIndent is what sets answers apart from the lines about them.
const answerIndent = 4

// NewProgress returns a view on out, a terminal if it is live. Size and Answer are to be
// set before the first event.
func NewProgress(out io.Writer, live, quiet bool, s Style) *Progress {
	p := &Progress{out: out, live: live, quiet: quiet, wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	p.view = view{style: s, live: live}
	p.lines = NewLive(&p.buffer, s, p.size)
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
	p.awaken()
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

// Suspend takes the lines that change off the screen, calls stop and shows them again:
// see Live.Suspend.
func (p *Progress) Suspend(stop func()) {
	p.lines.Suspend(func() {
		p.flush()
		stop()
	})
	p.awaken()
}

// awaken has the view drawn.
func (p *Progress) awaken() {
	select {
	case p.wake <- struct{}{}:
	default: // it will be seen with what came before
	}
}

// show draws until Close.
func (p *Progress) show() {
	defer close(p.done)
	var look <-chan time.Time
	if p.live {
		ticker := time.NewTicker(glance)
		defer ticker.Stop()
		look = ticker.C
	}
	for {
		select {
		case <-p.wake:
		case <-look:
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
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	columns, lines := p.size()
	p.mu.Lock()
	news := p.view.news
	p.view.news = nil
	var picture []string
	if p.live && !p.quiet && !last && !p.view.answering {
		picture = p.picture(columns, lines)
	}
	p.mu.Unlock()

	if p.live && p.answer.live { // the same terminal
		p.answer.style.Width = columns
	}
	if len(news) > 0 || last || !slices.Equal(picture, p.lines.drawn) {
		p.lines.replace(nil)
		for _, n := range news {
			p.write(n, columns)
		}
		if last {
			p.endAnswer()
		}
		p.lines.replace(picture)
	}
	p.flush()
}

// lowest is how many lines a picture may have on any screen that has them.
const lowest = 10

// picture returns the lines that change. They leave room for the cursor's line, also
// where a window that is made half as wide wraps them: what has scrolled off the screen
// cannot be erased.
func (p *Progress) picture(columns, lines int) []string {
	most := lines - 1
	list := p.view.picture(columns, most)
	for most > lowest && rows(list, columns/2) > lines-1 {
		most--
		list = p.view.picture(columns, most)
	}
	if p.Watch != nil {
		list = append(list, p.Watch(columns-1, (lines-1-rows(list, columns/2))/2)...)
	}
	return list
}

// size returns the columns and lines that there are.
func (p *Progress) size() (columns, lines int) {
	columns, lines = p.view.style.Width, 24
	if p.live && p.Size != nil {
		columns, lines = p.Size()
	}
	return max(columns, 2), max(lines, 2)
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
