// Package plain makes text that comes from elsewhere, a model's answer, a driver's name
// or a program's log, harmless on a terminal: what would move its cursor, change its
// title, turn the direction of writing or not be seen at all is shown instead of done.
//
// It knows nothing of columns and colours. All text of others passes through it before it
// is shown or written. JSON loses nothing thereby, since it can name every character.
package plain

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns t with every character that commands a terminal made visible: ESC as
// ^[, other control characters likewise, what has no such name as <U+202E>. Line
// breaks (LF) and tabs stay, and so do the two joiners that shape letters and emoji. A
// byte that is no UTF-8, such as those of half a surrogate pair, becomes U+FFFD. Each
// character is replaced by itself, so a text may be passed in pieces that end between
// characters.
func Text(t string) string {
	if !strings.ContainsFunc(t, commands) && utf8.ValidString(t) {
		return t
	}
	var b strings.Builder
	for _, r := range t { // a broken byte is ranged over as U+FFFD
		switch {
		case !commands(r):
			b.WriteRune(r)
		case r < ' ':
			b.WriteString("^" + string(r+'@')) // caret notation, as cat -v and terminals have it
		case r == 0x7f:
			b.WriteString("^?")
		default:
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// Line is Text for what must stay on one line: line breaks, those of Windows too, and
// tabs become one space each, several in a row together one, none at either end.
func Line(t string) string {
	t = Text(strings.ReplaceAll(t, "\r\n", "\n"))
	return strings.Join(strings.FieldsFunc(t, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}

// JSON returns a writer for texts of JSON, each in one write, in which characters that
// command a terminal are written by their numbers (\u009b): it is the same JSON, and may
// be looked at.
func JSON(w io.Writer) io.Writer { return escaper{w} }

type escaper struct{ w io.Writer }

func (e escaper) Write(p []byte) (int, error) {
	text := p
	if bytes.ContainsFunc(p, commands) {
		var b bytes.Buffer
		for _, r := range string(p) {
			switch {
			case !commands(r):
				b.WriteRune(r)
			case r > 0xffff:
				high, low := utf16.EncodeRune(r)
				fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
			default:
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
		text = b.Bytes()
	}
	if _, err := e.w.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// joiners are the format characters that shape letters and emoji and do nothing
// else.
const joiners = "\u200c\u200d"

// commands reports whether a character does something instead of being shown:
// controls (Cc), formats (Cf, of which some turn the direction of writing and others
// have no width), and the separators of lines and paragraphs (Zl, Zp).
func commands(r rune) bool {
	if r == '\n' || r == '\t' || strings.ContainsRune(joiners, r) {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
