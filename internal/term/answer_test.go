package term

import (
	"bytes"
	"testing"

	"github.com/gpuplay/gpuplay/internal/screen"
)

// An answer comes in pieces, may begin with blanks, be wider than the terminal, and
// hold what would command one.
func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		indent int
		style  Style
		texts  [][]string
		want   string
	}{
		{"pieces", 4, Style{Width: 24, Unicode: true}, [][]string{
			{"\n\n ", "Hei", ", maa", "ilma!", " Tämä on 你好\n\n", "\x1b[2J\x1b]0;owned\a", "x\r", " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", " b"},
			{"ends\n"},
			{" \n"}, // nothing to be seen
		}, `    Hei, maailma! Tämä
    on 你好

    ^[[2J^[]0;owned^Gx^M
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    b
    ends
`},
		{"code keeps its blanks", 2, Style{Width: 40, Unicode: true}, [][]string{{"def f():\n", "    return  1\n\ttab"}},
			"  def f():\n      return  1\n   tab\n"},
		{"no blanks to break at", 0, Style{Width: 12, Unicode: true}, [][]string{{"春眠不觉晓，处", "处闻啼鸟。", "👩\u200d👧!"}},
			"春眠不觉晓\n，处处闻啼\n鸟。👩\u200d👧!\n"},
		{"a family at the edge", 0, Style{Width: 12, Unicode: true}, [][]string{{"春眠不觉👩\u200d👧 b"}}, "春眠不觉👩\u200d👧\nb\n"},
		{"a word that grows over the edge", 1, Style{Width: 15, Unicode: true}, [][]string{{"one two thr", "ee ", "four", "teen"}}, " one two\n three\n fourteen\n"},
		{"a blank at the edge", 0, Style{Width: 8, Unicode: true}, [][]string{{"abcdef ghi  jkl"}}, "abcdef\nghi \njkl\n"},
		{"ASCII", 0, Style{Width: 40}, [][]string{{"“naïve” → 3 × 4…"}}, "\"na?ve\" -> 3 x 4...\n"},
		{"as it is", 0, Style{Unicode: true}, [][]string{{" two\n", " lines that are longer than any terminal would show \x1b[1m"}, {"whole\n"}},
			" two\n lines that are longer than any terminal would show ^[[1m\nwhole\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, live := range []bool{false, true} {
				var out bytes.Buffer
				a := NewAnswer(&out, live, tt.indent, tt.style)
				for _, text := range tt.texts {
					for _, piece := range text {
						a.Text(piece)
					}
					a.End()
					a.End() // says nothing more
				}
				if !live {
					if got := out.String(); got != tt.want {
						t.Errorf("got\n%q\nwant\n%q", got, tt.want)
					}
					continue
				}
				got, want := screen.New(max(60, tt.style.Width), 12), screen.New(max(60, tt.style.Width), 12)
				got.Write(out.Bytes())
				want.Write([]byte(tt.want))
				if got.Text() != want.Text() {
					t.Errorf("on a terminal:\n%s\nwant\n%s", got.Text(), want.Text())
				}
			}
		})
	}
}
