package monitor

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/gpuplay/gpuplay/internal/term"
)

// spans are the lengths of time that can be shown.
var spans = []time.Duration{
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

const (
	firstSpan = 2 // of spans
	frame     = 100 * time.Millisecond
)

// Options are what Show needs beside a history.
type Options struct {
	In     io.Reader
	Out    io.Writer
	Style  term.Style           // of the terminal
	Now    func() time.Duration // the present, on the history's clock
	Replay bool                 // the history is complete from the start, and played
	Env    []string             // TERM and its like
}

// Show shows a history on a terminal until somebody quits, or ctx ends.
func Show(ctx context.Context, h *History, o Options) error {
	m := &model{history: h, options: o, span: firstSpan, chosen: -1}
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithEnvironment(o.Env),
		tea.WithFPS(10), tea.WithoutSignalHandler(), tea.WithWindowSize(o.Style.Width, o.Style.Lines))
	_, err := p.Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// model is what is shown, for bubbletea.
type model struct {
	history *History
	options Options
	span    int // of spans
	chosen  int // the device that is marked; -1: none
	alone   bool
	held    bool // the right edge stays at until
	until   time.Duration
	shown   Frame
}

type tick struct{}

func next() tea.Cmd { return tea.Tick(frame, func(time.Time) tea.Msg { return tick{} }) }

func (m *model) Init() tea.Cmd { return next() }

// now is the time at the right edge.
func (m *model) now() time.Duration {
	if m.held {
		return m.until
	}
	return m.latest()
}

// latest is the present, or the end of what is played.
func (m *model) latest() time.Duration {
	if m.options.Replay {
		return min(m.options.Now(), m.history.Now())
	}
	return m.options.Now()
}

// hold stops at a time.
func (m *model) hold(at time.Duration) {
	end := m.latest()
	if m.options.Replay {
		end = m.history.Now()
	}
	m.held, m.until = true, max(0, min(at, end))
	if at >= end && !m.options.Replay {
		m.held = false
	}
}

// Update takes a key, the mouse, a new size or the time for the next frame.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick:
		return m, next()
	case tea.WindowSizeMsg:
		m.options.Style.Width, m.options.Style.Lines = msg.Width, msg.Height
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.zoom(-1)
		case tea.MouseWheelDown:
			m.zoom(1)
		}
	case tea.MouseClickMsg:
		m.click(msg.Y)
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+z" {
			return m, tea.Suspend
		}
		if m.key(msg.String()) {
			return m, tea.Quit
		}
	}
	return m, nil
}

func (m *model) zoom(by int) { m.span = max(0, min(len(spans)-1, m.span+by)) }

// click shows the device on a line alone, or all of them again.
func (m *model) click(line int) {
	if line < 0 || line >= len(m.shown.devices) || m.shown.devices[line] < 0 {
		return
	}
	if m.alone {
		m.alone = false
		return
	}
	m.chosen, m.alone = m.shown.devices[line], true
}

// key does what a key is for, and reports whether it ends the program.
func (m *model) key(k string) (quit bool) {
	step := spans[m.span] / 10
	switch k {
	case "q", "ctrl+c":
		return true
	case "esc":
		m.alone, m.chosen = false, -1
	case "space":
		if m.held {
			m.held = false
		} else {
			m.hold(m.now())
			m.held = true
		}
	case "left", "h":
		m.hold(m.now() - step)
	case "right", "l":
		m.hold(m.now() + step)
	case "home":
		m.hold(min(spans[m.span], m.latest()))
	case "end":
		m.held = false
		if m.options.Replay {
			m.hold(m.history.Now())
		}
	case "+", "=":
		m.zoom(-1)
	case "-":
		m.zoom(1)
	case "up", "k":
		m.choose(-1)
	case "down", "j":
		m.choose(1)
	case "enter":
		m.alone = !m.alone && m.chosen >= 0
	}
	return false
}

// choose marks another device.
func (m *model) choose(by int) {
	list := slices.DeleteFunc(slices.Clone(m.shown.devices), func(d int) bool { return d < 0 })
	if len(list) == 0 {
		return
	}
	if m.chosen < 0 {
		m.chosen = list[0]
		return
	}
	m.history.mu.Lock()
	defer m.history.mu.Unlock()
	m.chosen = max(0, min(len(m.history.devices)-1, m.chosen+by))
}

// View draws.
func (m *model) View() tea.View {
	view := View{Style: m.options.Style, Until: m.now(), Span: spans[m.span], Chosen: m.chosen, Alone: m.alone, Keys: true}
	switch {
	case m.held && m.options.Replay:
		view.State = "at " + span(m.until)
	case m.held:
		view.State = "paused"
	case m.options.Replay && m.latest() >= m.history.Now():
		view.State = "end of the recording"
	}
	m.shown = m.history.Frame(view)
	var text string
	for i, l := range m.shown.Lines {
		if i > 0 {
			text += "\n"
		}
		text += l
	}
	v := tea.NewView(text)
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = "gpuplay monitor"
	return v
}
