package monitor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/term"
)

// watching returns a screen of two GPUs at a time, without a terminal.
func watching(now *time.Duration, replay bool) *model {
	h := machine{cards: 2, long: time.Minute}.history()
	m := &model{history: h, span: firstSpan, chosen: -1, options: Options{Style: term.Style{Width: 80, Lines: 40, Unicode: true}, Now: func() time.Duration { return *now }, Replay: replay}}
	m.View()
	return m
}

// press presses keys one after the other, and reports whether one of them ends the program.
func press(m *model, keys ...tea.Key) (quit bool) {
	for _, k := range keys {
		_, cmd := m.Update(tea.KeyPressMsg(k))
		quit = cmd != nil
		m.View()
	}
	return quit
}

var (
	space = tea.Key{Code: tea.KeySpace, Text: " "}
	left  = tea.Key{Code: tea.KeyLeft}
	right = tea.Key{Code: tea.KeyRight}
	end   = tea.Key{Code: tea.KeyEnd}
	home  = tea.Key{Code: tea.KeyHome}
	down  = tea.Key{Code: tea.KeyDown}
	up    = tea.Key{Code: tea.KeyUp}
	enter = tea.Key{Code: tea.KeyEnter}
	esc   = tea.Key{Code: tea.KeyEscape}
)

func letter(r rune) tea.Key { return tea.Key{Code: r, Text: string(r)} }

// Time stands still when it is held, moves by a tenth of what is shown, and follows the
// present again at its end.
func TestKeysOfTime(t *testing.T) {
	now := 60 * time.Second
	m := watching(&now, false)
	want := func(what string, at time.Duration, held bool) {
		t.Helper()
		if m.now() != at || m.held != held {
			t.Errorf("%s: at %s, held %v; want %s, %v", what, m.now(), m.held, at, held)
		}
	}
	press(m, space)
	now = 70 * time.Second
	want("space", 60*time.Second, true)
	press(m, left)
	want("left", 54*time.Second, true)
	press(m, right)
	want("right", 60*time.Second, true)
	press(m, right, right)
	want("right beyond the present", 70*time.Second, false)
	press(m, home)
	want("home", 60*time.Second, true)
	press(m, end)
	want("end", 70*time.Second, false)
	press(m, letter('+'))
	if m.span != firstSpan-1 {
		t.Errorf("zoomed to %d", m.span)
	}
	for range 20 {
		press(m, letter('-'))
	}
	if spans[m.span] != 24*time.Hour {
		t.Errorf("all that can be seen are %s", spans[m.span])
	}
}

// What was recorded is played from its beginning and ends with it.
func TestKeysOfReplay(t *testing.T) {
	now := 10 * time.Second
	m := watching(&now, true)
	press(m, end)
	if m.now() != time.Minute || !m.held {
		t.Errorf("end leads to %s", m.now())
	}
	press(m, right, right)
	if m.now() != time.Minute {
		t.Errorf("behind the end is %s", m.now())
	}
	press(m, space)
	if m.now() != 10*time.Second {
		t.Errorf("it goes on at %s", m.now())
	}
	now = 2 * time.Hour
	if m.now() != time.Minute {
		t.Errorf("its end is at %s", m.now())
	}
}

// A device is chosen by keys or by a click, shown alone, and all are shown again.
func TestChoosing(t *testing.T) {
	now := 60 * time.Second
	m := watching(&now, false)
	press(m, down, down, down, down, up)
	if m.chosen != 1 || m.alone {
		t.Errorf("device %d, alone %v", m.chosen, m.alone)
	}
	press(m, enter)
	if !m.alone || strings.Contains(strings.Join(m.shown.Lines, "\n"), "GPU 0 ") {
		t.Error("another device is shown beside it")
	}
	press(m, esc)
	if m.alone || m.chosen != -1 {
		t.Error("not all are shown again")
	}
	m.Update(tea.MouseClickMsg{Y: 3})
	if !m.alone || m.chosen != 0 {
		t.Errorf("a click chose %d", m.chosen)
	}
	m.View()
	m.Update(tea.MouseClickMsg{Y: 3})
	m.View()
	m.Update(tea.MouseClickMsg{Y: 39}) // a line of keys
	m.Update(tea.MouseClickMsg{Y: 3000})
	if m.alone {
		t.Error("a second click does not show all")
	}
	m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	if m.span != firstSpan+1 {
		t.Errorf("the wheel zooms to %d", m.span)
	}
}

// The window's size may change at any time.
func TestResize(t *testing.T) {
	now := 60 * time.Second
	m := watching(&now, false)
	for _, size := range [][2]int{{200, 50}, {40, 24}, {80, 5}, {0, 0}, {1, 1}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		m.View()
		if n := len(m.shown.Lines); n > max(1, size[1]) {
			t.Errorf("%d lines in %d", n, size[1])
		}
	}
}

// The program itself, on a terminal: it ends with q, and with its context.
func TestShow(t *testing.T) {
	h := machine{cards: 1, long: time.Minute}.history()
	var out bytes.Buffer
	o := Options{In: strings.NewReader("q"), Out: &out, Style: term.Style{Width: 80, Lines: 24, Unicode: true, Color: true}, Now: h.Now, Env: []string{"TERM=xterm-256color"}}
	if err := Show(t.Context(), h, o); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, ansi.SetModeAltScreenSaveCursor) || !strings.Contains(text, ansi.ResetModeAltScreenSaveCursor) {
		t.Errorf("the terminal is not left as it was: %q", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.In, _ = io.Pipe()
	if err := Show(ctx, h, o); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
