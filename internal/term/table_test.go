package term

import (
	"fmt"
	"strings"
	"testing"
)

// draw returns a table as lines.
func draw(t table, s Style) []string {
	p := &page{Style: s}
	p.table(t)
	return strings.Split(strings.TrimSuffix(p.text.String(), "\n"), "\n")
}

func same(t *testing.T, what string, got []string, want string) {
	t.Helper()
	text, want := strings.Trim(strings.Join(got, "\n"), "\n"), strings.Trim(want, "\n")
	if text != want {
		t.Errorf("%s:\n%s\nwant\n%s", what, text, want)
	}
}

// What has the largest rank goes first, then names are shortened, then heads.
func TestDropsByRank(t *testing.T) {
	x := table{
		columns: []column{{head: "figure", key: true}, {head: "second", rank: 1}, {head: "third", rank: 3}, {head: "wide only", rank: 2, from: 70}},
		bars:    bars{on: true, rank: 4, from: 50},
		groups: []group{{"Device", []row{
			{name: "the first lane", cells: []string{"12.5", "2 s", "a", "w"}, bar: 1, best: true},
			{name: "the second lane", cells: []string{"1.25", "20 ms", "b", "w"}, bar: 0.1},
		}}},
	}
	for _, tt := range []struct {
		width int
		want  string
	}{
		{76, `
  Device                                 figure   second   third   wide only
    the first lane   █████████████████    12.5       2 s       a           w
    the second lane  █▊                    1.25    20 ms       b           w`},
		{62, `
  Device                               figure   second   third
    the first lane   ███████████████    12.5       2 s       a
    the second lane  █▌                  1.25    20 ms       b`},
		{49, `
  Device              figure   second   third
    the first lane     12.5       2 s       a
    the second lane     1.25    20 ms       b`},
		{42, `
  Device             figure  second  third
    the first lane    12.5      2 s      a
    the second lane    1.25   20 ms      b`},
		{41, `
  Device              figure   second
    the first lane     12.5       2 s
    the second lane     1.25    20 ms`},
		{33, `
  Device              figure
    the first lane     12.5
    the second lane     1.25`},
		{25, `
  Device           figure
    the first la~   12.5
    the second l~    1.25`},
		{23, `
  Device          figu~
    the first l~  12.5
    the second ~   1.25`},
	} {
		got := draw(x, Style{Width: tt.width, Unicode: true})
		same(t, fmt.Sprintf("at %d columns", tt.width), got[1:], tt.want)
	}
}

func TestTitles(t *testing.T) {
	x := table{columns: []column{{head: "figure"}}, groups: []group{
		{"A device of a long name", []row{{name: "one", cells: []string{"1"}}}},
		{"Another device of an even longer name", []row{{name: "two", cells: []string{"2"}}}},
	}}
	same(t, "with room", draw(x, Style{Width: 60}), `
  A device of a long name   figure
    one                          1

  Another device of an even longer name
    two                          2`)
	same(t, "without", draw(x, Style{Width: 24}), `

          figure
  A device of a long
  name
    one        1

  Another device of an
  even longer name
    two        2`)
}

// The same note has one number, in the order in which notes are met.
func TestNotes(t *testing.T) {
	rows := []row{
		{name: "a", cells: []string{"1"}, notes: []string{"slow", "odd"}},
		{name: "b", cells: []string{"2"}, notes: []string{"very slow", "slow"}},
		{name: "c", cells: []string{"3"}},
	}
	same(t, "notes", draw(table{corner: "lane", columns: []column{{head: "x"}}, groups: []group{{rows: rows}}}, Style{Width: 40, Unicode: true}), `

  lane    x
  a ¹ ²   1
  b ¹ ³   2
  c       3

  ¹ slow
  ² odd
  ³ very slow`)
	var many []string
	for _, c := range "abcdefghij" {
		many = append(many, string(c))
	}
	got := draw(table{columns: []column{{head: "x"}}, groups: []group{{rows: []row{{name: "a name", cells: []string{"1"}, notes: many}}}}}, Style{Width: 80, Unicode: true})
	if want := "  a name ¹ ² ³ ⁴ ⁵ ⁶ ⁷ ⁸ ⁹ [10]   1"; got[2] != want {
		t.Errorf("%q, want %q", got[2], want)
	}
	got = draw(table{columns: []column{{head: "x"}}, groups: []group{{rows: rows}}}, Style{Width: 40})
	if want := "  b [1] [3]   2"; got[3] != want {
		t.Errorf("in ASCII %q, want %q", got[3], want)
	}
}

func TestFailures(t *testing.T) {
	x := table{columns: []column{{head: "figure"}}, groups: []group{{"Device", []row{
		{name: "one", cells: []string{"1"}},
		{name: "a lane with a name", failure: "it broke, and this says why at some length"},
	}}}}
	same(t, "beside", draw(x, Style{Width: 50}), `
  Device                 figure
    one                       1
    a lane with a name  it broke, and this says
                        why at some length`)
	same(t, "below", draw(x, Style{Width: 30}), `

  Device                figure
    one                      1
    a lane with a name
      it broke, and this says
      why at some length`)
}

// Bars are to scale, and there for two lanes or more.
func TestBars(t *testing.T) {
	one := []row{{name: "one", cells: []string{"1"}, bar: 1}}
	two := append(one[:1:1], row{name: "two", cells: []string{"0"}, bar: 0.001}, row{name: "three", cells: []string{"9"}, bar: 2}, row{name: "none", cells: []string{"–"}})
	lay := func(rows []row) []string {
		return draw(table{columns: []column{{head: "x"}}, bars: bars{on: true}, groups: []group{{rows: rows}}}, Style{Width: 80})[2:]
	}
	if got := lay(one); got[0] != "  one   1" {
		t.Errorf("one lane: %q", got)
	}
	same(t, "bars", lay(two), `
  one    ########################   1
  two    .                          0
  three  ########################   9
  none                              -`)
}

func TestNumber(t *testing.T) {
	for _, tt := range []struct {
		cell, whole, part string
		ok                bool
	}{
		{"12.5", "12", ".5", true},
		{"12", "12", "", true},
		{"79.0*", "79", ".0*", true},
		{"79*", "79", "*", true},
		{"–", "–", "", true},
		{"-", "-", "", true},
		{"", "", "", false},
		{"*", "", "", false},
		{"wrong", "", "", false},
		{"0.2 %", "", "", false},
		{"1.08 (1.06–1.10)", "", "", false},
	} {
		if whole, part, ok := number(tt.cell); whole != tt.whole || part != tt.part || ok != tt.ok {
			t.Errorf("%q: %q, %q, %v", tt.cell, whole, part, ok)
		}
	}
}

// The best row is bold by its name and its key figure, secondary columns are dim,
// single cells can have looks of their own, and a failure is red.
func TestLooks(t *testing.T) {
	x := table{columns: []column{{head: "a", look: dim}, {head: "b", key: true}}, groups: []group{{rows: []row{
		{name: "best", cells: []string{"1", "2"}, best: true},
		{name: "own", cells: []string{"3", "4"}, looks: map[int]look{1: red}},
		{name: "failed", failure: "why"},
	}}}}
	got := draw(x, Style{Width: 40, Color: true})
	for i, want := range []string{
		"",
		"\x1b[2m        \x1b[m\x1b[2m   a   b\x1b[m",
		"  \x1b[1mbest  \x1b[m\x1b[2m   1\x1b[m\x1b[1m   2\x1b[m",
		"  own   \x1b[2m   3\x1b[m\x1b[31m   4\x1b[m",
		"  failed  \x1b[31mwhy\x1b[m",
	} {
		if got[i] != want {
			t.Errorf("line %d: %q, want %q", i, got[i], want)
		}
	}
}
