package report

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

func TestLadder(t *testing.T) {
	whole := &Ladder{CPU: chip, Size: 1024, Rungs: []Rung{
		{"naive", "a row of A times a column of B, as the textbook has it", 1, []float64{4.3}, nil},
		{"loop order", "the same sums in another order, so that memory is read along its lines", 1, []float64{0.7, 0.8, 0.72}, nil},
		{"vector", "AVX2: several multiplications and additions an instruction, in assembly", 1, []float64{0.024, 0.023, 0.025}, ptr(100e9)},
		{"threads", "every core takes a share of the rows", 16, []float64{0.002, 0.0021}, ptr(1500e9)},
	}}
	alone := &Ladder{CPU: chip, Size: 1024, Rungs: append(slices.Clone(whole.Rungs[:3]), Rung{"threads", "every core takes a share of the rows", 1, []float64{0.024}, ptr(100e9)})}
	part := &Ladder{CPU: chip, Size: 512, Rungs: whole.Rungs[:1], Interrupted: true}
	for name, l := range map[string]*Ladder{"whole": whole, "alone": alone, "interrupted": part, "nothing": {CPU: chip, Size: 64, Interrupted: true}} {
		for _, width := range []int{80, 40} {
			var b bytes.Buffer
			if err := LadderTable(&b, l, Style{Width: width, Unicode: width == 80}); err != nil {
				t.Fatal(err)
			}
			golden(t, fmt.Sprintf("ladder.%s.%d.txt", name, width), b.Bytes())
		}
	}
}
