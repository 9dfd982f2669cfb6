package plain

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"Hei, maailma!\n\tÄäkkösiä 👩‍👧": "Hei, maailma!\n\tÄäkkösiä 👩‍👧",
		"\x1b[2J\x1b]0;owned\x07":       "^[[2J^[]0;owned^G",
		"over\rwritten\b":               "over^Mwritten^H",
		"del\x7f c1\u009b31m":           "del^? c1<U+009B>31m",
		"\u202eevil\u2066":              "<U+202E>evil<U+2066>",
		"line\u2028para\u2029":          "line<U+2028>para<U+2029>",
		"cut \xf0\x9f":                  "cut ��",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := Line("\n\na\x1b[1m b\n\tc\n"), "a^[[1m b c"; got != want {
		t.Errorf("Line: %q, want %q", got, want)
	}
}

// Nothing that commands a terminal passes, text without it does unchanged, and
// pieces come out as the whole does.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"Hello", "\x1b]8;;http://x\x1b\\link", "\u009b2J", "a\r\nb", "\xff\xfe", "\u061c\u200f\ufeff", "\U000e0001"} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		got := Text(text)
		if !utf8.ValidString(got) {
			t.Errorf("Text(%q) = %q is no UTF-8", text, got)
		}
		for _, r := range got {
			if r == '\n' || r == '\t' || r == 0x200c || r == 0x200d {
				continue
			}
			if r < ' ' || r >= 0x7f && r < 0xa0 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Errorf("Text(%q) = %q has %U", text, got, r)
			}
		}
		if again := Text(got); again != got {
			t.Errorf("Text(%q) = %q, and again %q", text, got, again)
		}
		if cut > 0 && cut < len(text) && utf8.RuneStart(text[cut]) && utf8.ValidString(text) {
			if pieces := Text(text[:cut]) + Text(text[cut:]); pieces != got {
				t.Errorf("in pieces %q, whole %q", pieces, got)
			}
		}
		if strings.ContainsAny(Line(text), "\n\t\r\x1b") {
			t.Errorf("Line(%q) = %q is no line", text, Line(text))
		}
	})
}
