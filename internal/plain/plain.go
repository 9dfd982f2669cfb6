// Package plain makes text that comes from elsewhere, a model's answer, a driver's name
// or a program's log, harmless on a terminal: what would move its cursor, change its
// title, turn the direction of writing or not be seen at all is shown instead of done.
//
// It knows nothing of columns and colours. Package term passes all text of others
// through it; JSON, CSV and Markdown keep such text as it came.
package plain

import (
	"fmt"
	"strings"
	"unicode"
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
