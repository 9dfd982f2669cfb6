package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// everything returns a kernel of every design that computes p on the card.
func everything(c Card, p Problem) []Kernel {
	var out []Kernel
	for _, v := range fitting(c, p) {
		out = append(out, generate(v.design, c, p))
	}
	return out
}

// memory encodes numbers as a type.
func memory(d matrix.DType, x []float64) []byte {
	out := make([]byte, len(x)*d.Size())
	for i, v := range x {
		b := out[i*d.Size():]
		switch d {
		case matrix.Float64:
			binary.LittleEndian.PutUint64(b, math.Float64bits(v))
		case matrix.Float32:
			binary.LittleEndian.PutUint32(b, math.Float32bits(float32(v)))
		case matrix.Int8:
			b[0] = byte(int8(v))
		default:
			binary.LittleEndian.PutUint16(b, d.Bits16(v))
		}
	}
	return out
}

func number(d matrix.DType, b []byte, i int) float64 {
	b = b[i*d.Size():]
	switch d {
	case matrix.Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case matrix.Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case matrix.Int32:
		return float64(int32(binary.LittleEndian.Uint32(b)))
	}
	return d.From16(binary.LittleEndian.Uint16(b))
}

// compute runs a kernel in the interpreter and compares every element of C.
func compute(k Kernel, p Problem) error {
	// Small integers, whose products and sums are exact in every type.
	a, b := make([]float64, p.M*p.K), make([]float64, p.K*p.N)
	for i := range a {
		a[i] = float64(i*7%11 - 5)
	}
	for i := range b {
		b[i] = float64(i*5%7 - 3)
	}
	at := map[ParamKind]uint64{A: 1 << 40, B: 2 << 40, C: 3 << 40, Work: 4 << 40}
	c := make([]byte, p.M*p.N*p.Out.Size())
	work := make([]byte, k.Workspace)
	for i := range c {
		c[i] = 0xff
	}
	for i := range work {
		work[i] = 0xff
	}
	in := interpreter{base: at, regions: []region{{at[A], memory(p.In, a)}, {at[B], memory(p.In, b)}, {at[C], c}, {at[Work], work}}}
	for _, l := range k.Launches {
		if err := in.launch(k.Text, l); err != nil {
			return fmt.Errorf("%s: %w", l.Entry, err)
		}
	}
	for i := range p.M {
		for j := range p.N {
			var want float64
			for k := range p.K {
				x, y := i*p.K+k, k*p.N+j
				if p.TransA {
					x = k*p.M + i
				}
				if p.TransB {
					y = j*p.K + k
				}
				want += a[x] * b[y]
			}
			if got := number(p.Out, c, i*p.N+j); got != p.Out.Round(want) {
				return fmt.Errorf("C[%d, %d] is %g, not %g", i, j, got, p.Out.Round(want))
			}
		}
	}
	return nil
}

// Every kernel computes right: with rows that are multiples of 16 bytes and rows that are
// not, with more tiles than blocks, and so deep that K is divided and that all stages are
// used again. One case in eight is tried, chosen by a seed that is printed; one in three where
// GPUPLAY_REQUIRE names cases, as in CI.
func TestKernels(t *testing.T) {
	all, few := enginetest.AllCases(), 8
	if all {
		few = 3
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	shapes := [][3]int{{72, 80, 48}, {70, 133, 35}, {16, 24, 1040}}
	for _, c := range []Card{
		{CC: 61, SMs: 2, ISA: 60, Shared: 48 << 10},
		{CC: 75, SMs: 2, ISA: 65, Shared: 64 << 10},
		{CC: 80, SMs: 2, ISA: 70, Shared: 163 << 10},
		{CC: 90, SMs: 2, ISA: 80, Shared: 227 << 10},
	} {
		for _, s := range supported {
			if s.acc == matrix.TF32 && c.CC < 80 {
				continue
			}
			for i, shape := range shapes {
				for layout := range 4 {
					p := Problem{M: shape[0], N: shape[1], K: shape[2], In: s.in, Acc: s.acc, Out: s.out, TransA: layout&1 > 0, TransB: layout&2 > 0}
					deep := i == 2
					for _, k := range everything(c, p) {
						if k.ISA != c.ISA { // a kernel of an older card
							continue
						}
						chosen := chance.IntN(few) == 0
						if deep && layout > 0 || !chosen || !all && deep && !k.divides() {
							continue // it takes long, and layouts are not about depth
						}
						t.Run(fmt.Sprintf("%d %s %s %s %v", c.CC, s.in, k.Name, p.Layout(), shape), func(t *testing.T) {
							t.Parallel()
							if err := compute(k, p); err != nil {
								t.Error(err)
							}
						})
					}
				}
			}
		}
	}
}

// divides reports whether a kernel divides K.
func (k Kernel) divides() bool { return strings.Contains(k.Name, "split-K") }

// The rungs of the ladder compute right products too.
func TestLadder(t *testing.T) {
	c := Card{CC: 90, SMs: 2, ISA: 80, Shared: 227 << 10}
	p := Problem{M: 72, N: 72, K: 328} // so deep that every stage is used again
	for _, r := range Ladder {
		p.In, p.Acc, p.Out = r.DType, matrix.Float32, r.DType
		kernels, err := r.Kernels(c, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := compute(kernels[0], p); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	if _, err := Ladder[len(Ladder)-1].Kernels(Card{CC: 89, ISA: 88, Shared: 99 << 10}, p); !errors.Is(err, fault.Unsupported) {
		t.Errorf("clusters on 8.9: %v", err)
	}
}
