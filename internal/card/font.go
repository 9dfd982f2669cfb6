package card

import (
	_ "embed"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"github.com/gpuplay/gpuplay/internal/plain"
)

// The fonts are cut down to the characters of Latin scripts; fonts/README.md says where
// they are from.
var (
	//go:embed fonts/Inter-Medium.ttf
	interMedium []byte
	//go:embed fonts/Inter-Bold.ttf
	interBold []byte
	//go:embed fonts/JetBrainsMono-Medium.ttf
	monoMedium []byte
)

// A face is a font at any size: its outlines are in units of its em.
type face struct {
	font *sfnt.Font
	em   fixed.Int26_6
}

var (
	medium = sync.OnceValue(func() face { return parse(interMedium) })
	bold   = sync.OnceValue(func() face { return parse(interBold) })
	mono   = sync.OnceValue(func() face { return parse(monoMedium) })
)

func parse(ttf []byte) face {
	f, err := sfnt.Parse(ttf)
	if err != nil {
		panic(err) // it is embedded, and every test would fail
	}
	return face{f, fixed.I(int(f.UnitsPerEm()))}
}

// A style is how a text is drawn.
type style struct {
	face     func() face
	size     float64 // height of an em
	tracking float64 // added behind each character, in ems
	least    float64 // the smallest size to which the text may be shrunk for its room; 0: size
}

// longest is how many characters of a text are looked at: more have no room.
const longest = 300

// clean makes a text harmless, and short enough to be measured.
func clean(t string) string {
	if runes := []rune(t); len(runes) > longest {
		t = string(runes[:longest]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == '\u200c' || r == '\u200d' { // joiners, which this font does not heed
			return -1
		}
		return r
	}, plain.Line(t))
}

// glyphs calls each with the glyphs of a text and where they begin, in ems, and returns
// where the text ends. A character that the font lacks is shown as a box.
func (s style) glyphs(text string, each func(f face, g sfnt.GlyphIndex, at float64)) float64 {
	f := s.face()
	var b sfnt.Buffer
	at, before := 0.0, sfnt.GlyphIndex(0)
	ems := func(x fixed.Int26_6) float64 { return float64(x) / float64(f.em) }
	for i, r := range []rune(text) {
		g, err := f.font.GlyphIndex(&b, r)
		if err != nil {
			g = 0
		}
		if i > 0 {
			if k, err := f.font.Kern(&b, before, g, f.em, font.HintingNone); err == nil {
				at += ems(k)
			}
			at += s.tracking
		}
		if each != nil {
			each(f, g, at)
		}
		advance, err := f.font.GlyphAdvance(&b, g, f.em, font.HintingNone)
		if err == nil {
			at += ems(advance)
		}
		before = g
	}
	return at
}

// width returns how wide a text is.
func (s style) width(text string) float64 { return s.glyphs(text, nil) * s.size }

// fit returns a text, and the style to draw it in, so that it is no wider than room:
// smaller where the style allows that, then cut off.
func (s style) fit(text string, room float64) (string, style) {
	wide := s.glyphs(text, nil)
	if wide*s.size <= room {
		return text, s
	}
	if s.least > 0 {
		s.size = max(s.least, 0.999*room/wide)
		if wide*s.size <= room {
			return text, s
		}
	}
	runes := []rune(text)
	low, high := 0, len(runes) // the first low characters fit
	for low < high {
		mid := (low + high + 1) / 2
		if s.width(cut(runes, mid)) <= room {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return cut(runes, low), s
}

// cut returns the first n characters of a text, and that there were more.
func cut(runes []rune, n int) string { return strings.TrimSpace(string(runes[:n])) + "…" }

// wrap breaks a text into lines no wider than room, the last of which is cut off where
// there is more.
func (s style) wrap(text string, room float64, most int) []string {
	var lines []string
	line := ""
	words := strings.Fields(text)
	for i, w := range words {
		next := strings.TrimSpace(line + " " + w)
		if line == "" || s.width(next) <= room {
			line = next
			continue
		}
		if len(lines) == most-1 {
			line = strings.Join(append([]string{line}, words[i:]...), " ")
			break
		}
		lines, line = append(lines, line), w
	}
	return append(lines, line)
}

// outline adds the outlines of a text, which begins at x on a baseline.
func (s style) outline(p *path, text string, x, baseline float64) {
	var b sfnt.Buffer
	s.glyphs(text, func(f face, g sfnt.GlyphIndex, at float64) {
		segments, err := f.font.LoadGlyph(&b, g, f.em, nil)
		if err != nil {
			return
		}
		scale := s.size / float64(f.em)
		place := func(q fixed.Point26_6) point {
			return point{x + at*s.size + float64(q.X)*scale, baseline + float64(q.Y)*scale}
		}
		for _, seg := range segments {
			switch a := seg.Args; seg.Op {
			case sfnt.SegmentOpMoveTo:
				p.move(place(a[0]))
			case sfnt.SegmentOpLineTo:
				p.line(place(a[0]))
			case sfnt.SegmentOpQuadTo:
				p.quad(place(a[0]), place(a[1]))
			case sfnt.SegmentOpCubeTo:
				p.cube(place(a[0]), place(a[1]), place(a[2]))
			}
		}
	})
}
