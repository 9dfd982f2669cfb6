package verdict_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// A noise is recorded times of one product after the other, as multiples of their median.
type noise struct {
	name   string
	kind   hardware.Kind
	values []float64
	whole  bool // long enough to be played as it is; else in pieces of a few neighbours
}

// recorded are the times in testdata, of a CPU that other programs used, and the samples of
// the cards of the kept reference records.
func recorded(t *testing.T) []noise {
	t.Helper()
	var list []noise
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		n := noise{name: strings.TrimSuffix(filepath.Base(name), ".txt"), kind: hardware.CPU, whole: true}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if ns, err := strconv.ParseFloat(lines.Text(), 64); err == nil {
				n.values = append(n.values, ns)
			}
		}
		list = append(list, n.relative())
	}
	files, err = filepath.Glob("../reference/records/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, noise{name: strings.TrimSuffix(filepath.Base(name), ".json"), kind: hardware.GPU, values: r.Results[0].Seconds()}.relative())
	}
	return list
}

func (n noise) relative() noise {
	m := stats.Median(n.values)
	for i := range n.values {
		n.values[i] /= m
	}
	return n
}

// calmer returns the noise with its logarithm multiplied by share: the same bursts and
// shifts, smaller.
func (n noise) calmer(share float64) noise {
	c := n
	c.name += fmt.Sprintf(" × %g", share)
	c.values = nil
	for _, x := range n.values {
		c.values = append(c.values, math.Pow(x, share))
	}
	return c
}

// A tape plays a noise from a random place on, and on from there.
type tape struct {
	noise
	random   *rand.Rand
	at, left int
}

func (p *tape) next() float64 {
	const piece = 5
	if p.left == 0 {
		p.left = piece
		if p.whole {
			p.left = len(p.values)
		}
		p.at = p.random.IntN(len(p.values))
	}
	x := p.values[p.at%len(p.values)]
	p.at, p.left = p.at+1, p.left-1
	return x
}

// measured races one lane on the scripted clock, as gpuplay measures, and returns its
// samples. Each product takes 25 ms times the noise times slower.
func measured(t *testing.T, p *tape, slower float64) []float64 {
	clock := &fake.Clock{}
	d := fake.NewDevice("d", p.kind, 1)
	d.Time = func(bench.GEMM, int) time.Duration { return time.Duration(slower * p.next() * 25e6) }
	runner := bench.Runner{Sink: event.Discard(func() time.Duration { return clock.Now().Sub(time.Time{}) })}
	results := runner.Race(t.Context(), []bench.Lane{{ID: "d", Engine: fake.New("fake", clock, nil, d), Device: d.Device, GEMM: bench.Square(4, matrix.Float32)}}, 1, bench.Stop{Budget: 10 * time.Second})
	if results[0].Error != nil {
		t.Fatal(results[0].Error)
	}
	return results[0].Seconds()
}

// trials compares a lane with itself, slowed down and measured again after a number of
// products, and returns the share of each verdict.
func trials(t *testing.T, p *tape, n, apart int, slower float64) map[verdict.Word]float64 {
	share := map[verdict.Word]float64{}
	for range n {
		p.left = 0
		a := measured(t, p, 1)
		for range apart {
			p.next()
		}
		b := measured(t, p, slower)
		share[verdict.Of(a, b, verdict.Threshold).Word] += 1 / float64(n)
	}
	return share
}

// A lane that is compared with itself, measured again right after, is called faster or
// slower in at most one of a hundred comparisons: 10,000 of them, on a scripted clock with
// recorded noise, as it was and calmer. A lane that is 10 % slower is found where the noise
// lets anything be found. What is far apart in time is only shown: how a machine changes
// meanwhile cannot be seen in two runs.
func TestRuleSameIsSame(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 1500
	}
	var list []noise
	for _, x := range recorded(t) {
		list = append(list, x)
		if x.whole {
			list = append(list, x.calmer(0.1), x.calmer(0.03))
		}
	}
	each := (n + len(list) - 1) / len(list)
	const later = 400 // products, of 25 ms
	wrong, total, found := 0.0, 0, 0
	for i, x := range list {
		p := &tape{noise: x, random: rand.New(rand.NewPCG(uint64(i), 7))}
		same := trials(t, p, each, 0, 1)
		far := trials(t, p, each/5, later, 1)
		slow := trials(t, p, each/5, 0, 1.1)
		bad := func(share map[verdict.Word]float64) float64 { return share[verdict.Faster] + share[verdict.Slower] }
		t.Logf("%-26s false %4.1f %%, 10 s apart %4.1f %%, same %3.0f %%; 10 %% slower: found %3.0f %%", x.name, 100*bad(same), 100*bad(far), 100*same[verdict.Same], 100*slow[verdict.Slower])
		if bad(same) > 0.025 {
			t.Errorf("%s: %.1f %% of the verdicts are false", x.name, 100*bad(same))
		}
		if slow[verdict.Faster]+slow[verdict.Same] > 0 {
			t.Errorf("%s: a lane that is 10 %% slower: %v", x.name, slow)
		}
		if slow[verdict.Slower] > 0.85 {
			found++
		}
		wrong += bad(same) * float64(each)
		total += each
	}
	t.Logf("%.0f false verdicts in %d comparisons of a lane with itself: %.2f %%", wrong, total, 100*wrong/float64(total))
	if wrong > 0.01*float64(total) {
		t.Errorf("%.0f false verdicts in %d comparisons: more than 1 %%", wrong, total)
	}
	if found < 8 {
		t.Errorf("a lane that is 10 %% slower is found with %d of %d recordings", found, len(list))
	}
}
