package plain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"Hei, maailma!\n\tÄäkkösiä 👩‍👧": "Hei, maailma!\n\tÄäkkösiä 👩‍👧",
		"\x1b[2J\x1b]0;owned\x07":       "^[[2J^[]0;owned^G",
		"over\rwritten\b":               "over^Mwritten^H",
		"nul\x00 unit\x1f":              "nul^@ unit^_",
		"del\x7f c1\u009b31m\u0085":     "del^? c1<U+009B>31m<U+0085>",
		"c1 as a byte \x9b31m":          "c1 as a byte \ufffd31m",
		"\u202eevil\u2066\u2069":        "<U+202E>evil<U+2066><U+2069>",
		"\u200eleft \u061cArabic":       "<U+200E>left <U+061C>Arabic",
		"zero\u200bwidth\ufeff\u2060":   "zero<U+200B>width<U+FEFF><U+2060>",
		"hidden\U000e0041":              "hidden<U+E0041>",
		"می\u200cخواهم":                 "می\u200cخواهم",
		"line\u2028para\u2029":          "line<U+2028>para<U+2029>",
		"cut \xf0\x9f":                  "cut ��",
		"half \xed\xa0\x80 a pair":      "half \ufffd\ufffd\ufffd a pair",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"\n\t\n":                  "",
		"one line":                "one line",
		"  blanks  stay ":         "  blanks  stay ",
		"\n\na\x1b[1m b\n\tc\n":   "a^[[1m b c",
		"of Windows\r\nand\r\n":   "of Windows and",
		"a bare return\rover":     "a bare return^Mover",
		"feeds\v\f":               "feeds^K^L",
		"a separator\u2028\u0085": "a separator<U+2028><U+0085>",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

// JSON is the same text, and nothing in it commands a terminal.
func TestJSON(t *testing.T) {
	for _, text := range []string{"plain", "\x1b[2J\x07\x7f", "\u009b31m\u0085", "\u202eevil\u2066", "tag \U000e0041", "line\nand\ttab", "می\u200cخواهم 👩‍👧 ä", "\u2028\u2029\ufeff"} {
		var b bytes.Buffer
		if err := json.NewEncoder(JSON(&b)).Encode(text); err != nil {
			t.Fatal(err)
		}
		if out := strings.TrimSuffix(b.String(), "\n"); Text(out) != out {
			t.Errorf("%q is written as %q", text, out)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != text {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	}
}

// Nothing that commands a terminal passes, all else does unchanged, and pieces come out
// as the whole does.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"Hello", "\x1b]8;;http://x\x1b\\link", "\u009b2J", "a\r\nb\r", "\xff\xfe\xed\xa0\x80", "\u061c\u200f\ufeff", "\U000e0001", "👩‍👧\u200c"} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		got, line := Text(text), Line(text)
		for _, out := range []string{got, line} {
			if !utf8.ValidString(out) {
				t.Errorf("%q became %q, which is no UTF-8", text, out)
			}
			for _, r := range out {
				if r == '\n' || r == '\t' || r == 0x200c || r == 0x200d {
					continue
				}
				if r < ' ' || r >= 0x7f && r < 0xa0 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
					t.Errorf("%q became %q, which has %U", text, out, r)
				}
			}
		}
		if strings.ContainsAny(line, "\n\t") {
			t.Errorf("Line(%q) = %q is no line", text, line)
		}
		if again := Text(got); again != got {
			t.Errorf("Text(%q) = %q, and again %q", text, got, again)
		}
		if again := Line(line); again != line {
			t.Errorf("Line(%q) = %q, and again %q", text, line, again)
		}
		if cut > 0 && cut < len(text) && utf8.RuneStart(text[cut]) && utf8.ValidString(text) {
			if pieces := Text(text[:cut]) + Text(text[cut:]); pieces != got {
				t.Errorf("in pieces %q, whole %q", pieces, got)
			}
		}
		// Every character that is seen comes out, in its order.
		rest := got
		for _, r := range text {
			if !unicode.IsGraphic(r) {
				continue
			}
			at := strings.IndexRune(rest, r)
			if at < 0 {
				t.Fatalf("Text(%q) = %q lost %q", text, got, r)
			}
			rest = rest[at+utf8.RuneLen(r):]
		}
	})
}
