package card

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	s := style{face: bold, size: 40, least: 30}
	if text, got := s.fit("short", 400); text != "short" || got.size != 40 {
		t.Errorf("%q at %g", text, got.size)
	}
	if text, got := s.fit("shrinks a bit", 220); text != "shrinks a bit" || got.size >= 40 || got.width(text) > 220 {
		t.Errorf("%q at %g", text, got.size)
	}
	if text, got := s.fit("a text that is much too long for its room", 220); got.size != 30 || !strings.HasSuffix(text, "…") || got.width(text) > 220 {
		t.Errorf("%q at %g", text, got.size)
	}
	if lines := s.wrap("one two three four five six seven", 200, 2); len(lines) != 2 || !strings.HasSuffix(lines[1], "seven") {
		t.Errorf("%q", lines)
	}
	if wide, narrow := s.width("WWW"), s.width("iii"); wide < 2*narrow {
		t.Errorf("widths %g and %g", wide, narrow)
	}
	if s.width("AVAVA") >= s.width("A")*3+s.width("V")*2 {
		t.Error("no kerning")
	}
}
