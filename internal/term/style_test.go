package term

import "testing"

// Where only ASCII can be shown nothing else is, whatever a library said.
func TestPlain(t *testing.T) {
	for _, tt := range []struct {
		unicode  bool
		in, want string
	}{
		{false, "Aᵀ·B 4096³ ≥ ±0.4 % “naïve” → 漢 ÷", `A^T-B 4096^3 >= +-0.4 % "na?ve" -> ? /`},
		{true, "Aᵀ → 漢", "Aᵀ → 漢"},
		{true, "\x1b[2J\u202e\ntwo", "^[[2J<U+202E>\ntwo"},
		{false, "\x1b[2J\u202e\ntwo", "^[[2J<U+202E>\ntwo"},
	} {
		s := Style{Unicode: tt.unicode}
		if got := s.Plain(tt.in); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
		if again := s.Plain(s.Plain(tt.in)); again != tt.want {
			t.Errorf("cleaned twice: %q, want %q", again, tt.want)
		}
	}
}

func TestShow(t *testing.T) {
	for _, tt := range []struct {
		color bool
		look  look
		want  string
	}{
		{true, usual, "x"},
		{false, bold | red, "x"},
		{true, bold, "\x1b[1mx\x1b[m"},
		{true, dim, "\x1b[2mx\x1b[m"},
		{true, red, "\x1b[31mx\x1b[m"},
		{true, bold | yellow, "\x1b[1;33mx\x1b[m"},
		{true, green, "\x1b[32mx\x1b[m"},
	} {
		if got := (Style{Color: tt.color}).show("x", tt.look); got != tt.want {
			t.Errorf("look %b: %q, want %q", tt.look, got, tt.want)
		}
	}
}
