package verdict_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// benchstat compares series of seconds, as gpuplay exports them, and returns what it prints
// as the change of each: "~", or a percentage of the time.
func benchstat(t *testing.T, a, b [][]float64) []string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for i, side := range [][][]float64{a, b} {
		r := recordtest.Run(record.Race)
		for k, series := range side {
			x := recordtest.Result(recordtest.BuiltIn, 1e12)
			x.Lane, x.Samples = fmt.Sprintf("lane%03d", k), nil
			for _, s := range series {
				x.Samples = append(x.Samples, bench.Sample{Iters: 1, Wall: time.Duration(s * 1e9)})
			}
			r.Results = append(r.Results, x)
		}
		var text bytes.Buffer
		if err := encode.Write(&text, r, "benchfmt", nil); err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(dir, fmt.Sprintf("%d.txt", i)))
		if err := os.WriteFile(files[i], text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "tool", "benchstat", "-format", "csv", files[0], files[1])
	var said, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &trouble
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, trouble.String())
	}
	var changes []string
	rows := csv.NewReader(&said)
	rows.FieldsPerRecord = -1
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(row[0], "/lane=lane") && len(changes) < len(a) { // the times come before the speeds
			changes = append(changes, row[5])
		}
	}
	if len(changes) != len(a) {
		t.Fatalf("benchstat compared %d of %d series:\n%s", len(changes), len(a), said.String())
	}
	return changes
}

// Where benchstat sees no difference there is none by this package either; where a
// difference beyond the threshold is significant to it, this package says the same or, as
// its bar is higher, nothing.
func TestAgreesWithBenchstat(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	var a, b [][]float64
	for i := range 60 {
		n, m := 6+random.IntN(14), 6+random.IntN(14)
		factor := []float64{1, 1, 1.01, 1.03, 0.95, 1.1, 0.5}[i%7]
		noise := []float64{0.002, 0.01, 0.03}[i%3]
		draw := func(n int, factor float64) []float64 {
			list := make([]float64, n)
			for i := range list {
				list[i] = factor * 0.025 * (1 + noise*random.NormFloat64())
			}
			return list
		}
		a, b = append(a, draw(n, 1)), append(b, draw(m, factor))
	}
	for _, x := range recorded(t) {
		p := &tape{noise: x, random: random}
		a, b = append(a, measured(t, p, 1)), append(b, measured(t, p, 1.2))
	}
	count := map[string]int{}
	for i, change := range benchstat(t, a, b) {
		v := verdict.Of(a[i], b[i], verdict.Threshold)
		count[string(v.Word)]++
		if change == "~" {
			count["~"]++
			if v.Word == verdict.Faster || v.Word == verdict.Slower {
				t.Errorf("series %d: %s, where benchstat sees no difference: %+v", i, v.Word, v)
			}
			continue
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(change, "%"), 64)
		if err != nil {
			t.Fatal(change)
		}
		switch {
		case percent > 100*verdict.Threshold && (v.Word == verdict.Faster || v.Word == verdict.Same),
			percent < -100*verdict.Threshold && (v.Word == verdict.Slower || v.Word == verdict.Same):
			t.Errorf("series %d: %s, where benchstat sees %s: %+v", i, v.Word, change, v)
		}
	}
	for _, w := range []string{"faster", "slower", "same", "undecided", "~"} {
		if count[w] < 3 {
			t.Errorf("only %d are %q: %v", count[w], w, count)
		}
	}
	t.Log(count)
}
