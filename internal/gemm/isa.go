package gemm

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// An ISA is an instruction set that there is a micro-kernel for.
type ISA string

// The instruction sets. Portable is Go code that runs anywhere.
const (
	AVX512   ISA = "avx512" // AVX-512F
	AVX2     ISA = "avx2"   // with FMA and F16C
	NEON     ISA = "neon"
	Portable ISA = "portable"
)

// String returns the name as people write it.
func (i ISA) String() string {
	switch i {
	case AVX512:
		return "AVX-512"
	case AVX2:
		return "AVX2"
	case NEON:
		return "NEON"
	case Portable:
		return "portable Go"
	}
	return string(i)
}

// ISAs returns what this CPU can run, the best first.
func ISAs() []ISA {
	var isas []ISA
	for _, set := range instructionSets {
		isas = append(isas, set.isa)
	}
	return isas
}

// ParseISA returns the instruction set of that name: avx512, avx2, neon or
// portable. An empty name is the best that this CPU can run; one that it cannot
// run is an error.
func ParseISA(name string) (ISA, error) {
	set, err := findSet(ISA(strings.ToLower(name)))
	if err != nil {
		return "", err
	}
	return set.isa, nil
}

func findSet(isa ISA) (*instructionSet, error) {
	for i := range instructionSets {
		if set := &instructionSets[i]; isa == "" || set.isa == isa {
			return set, nil
		}
	}
	var have []string
	for _, isa := range ISAs() {
		have = append(have, string(isa))
	}
	return nil, fmt.Errorf("gemm: instruction set %q is not known or not one of this CPU's: use %s", string(isa), strings.Join(have, " or "))
}

type number interface{ float32 | float64 | int32 }

// An instructionSet is everything that depends on the instruction set.
type instructionSet struct {
	isa ISA

	float64s, float32s, float16s, bfloat16s, int8s kernel
	// Between the 16-bit types and float32, for matrices of the caller's.
	float16, bfloat16 converter
}

// A kernel is how products of one element type are computed: the micro-kernels,
// what they want to read, and the constants that suit them.
//
// A step of k is group elements of A's row, word bytes, times group rows of B,
// whose elements packing interleaves so that a lane of a vector, word bytes, has
// those of one column. Sums are word bytes as well.
type kernel struct {
	tiles tiles
	lanes int  // columns in a vector
	whole bool // the micro-kernels know packed B and whole tiles only, see wholeTiles
	masks bool // the micro-kernels read no more of B than they use

	elem  int // bytes of an element of A and B in memory
	out   int // and of C
	group int // elements in a step of k: 1, or 2 or 4 for instructions that add up products
	word  int // bytes of a step in a row of A or in a lane of B, and of a sum

	// widenA and widenB convert n elements of a row of A, and of B transposed, to
	// words, and fill up the last group with zeros; nil where they are words already.
	widenA, widenB func(dst, src unsafe.Pointer, n int)
	// narrow rounds n sums to elements of C; nil where they are the same.
	narrow func(dst, src unsafe.Pointer, n int)
	// copyRows copies rows of a multiple of 32 bytes from one stride to another and
	// fetches what lies ahead; nil where Go has to do.
	copyRows func(dst, src unsafe.Pointer, ld, stride, rows, bytes, ahead int)
	// accumulate adds n sums to others.
	accumulate func(dst, src unsafe.Pointer, n int)
	// interleave packs rows of B that are no words yet; nil where widenB has to do.
	interleave packFunc
	// start writes what a tile's sums start from, instead of zeros, into the row
	// before a packed panel of k steps; nil where they start from zeros.
	start func(panel unsafe.Pointer, k, lanes int)

	// note says what a reader of a measurement should know of the way.
	note string

	vectors
	blocking
	// peak makes so many rounds of nothing but multiply-adds, of peakOps
	// operations each. It is nil where that would measure the compiler.
	peak    func(rounds int)
	peakOps int
}

// tiles are a kernel's micro-kernels, by the vectors and the rows of a tile. nil
// where there is none.
type tiles [maxVecs + 1][]tileFunc

const maxVecs = 3

// vectors are the kernels of matrix-vector products, which are as fast as memory;
// nil where tiles have to do. Strides are in bytes, lengths in elements.
type vectors struct {
	// dot4 sets out[r] for r < 4 to the sum of m[r*ld+p]·x[p] over p < n.
	dot4 func(out, m unsafe.Pointer, ld int, x unsafe.Pointer, n int)
	// axpy4 and axpy1 set y[j] for j < n to the sum of x[r]·m[r*ld+j] over four
	// rows, or one, and add what it was before.
	axpy4, axpy1 func(y, x, m unsafe.Pointer, ld, n int, add bool)
}

// A blocking says how a large product is cut up, in BLIS's letters: mc rows of A,
// kc steps long, that stay in the second-level cache; kc rows of B, nc columns
// wide, that all threads share. A panel of B, kc steps and a tile's width, is to
// stay in the first-level cache. vecs is how many vectors wide tiles are, if C is.
// B is read in place up to small bytes of it. The tables have the numbers for
// large caches.
type blocking struct {
	vecs, mc, kc, nc, small int
	// What fit adds.
	slim int // B is read in place up to so many tiles wide, however long it is
	near int // bytes that find room in the second-level cache beside what else is there
	far  int // a matrix of more bytes is not in it anyhow
	ways int // of the first-level cache
}

// fit makes blocks small enough for the caches of a machine: half of the second
// level for A's, a quarter of the third for B's, which every thread shares and
// which other programs may want, and an eighth of it for a B that is read in place.
// Sizes that are not known are taken to be large.
func (b blocking) fit(word int, machine topology.Topology) blocking {
	b.slim, b.near, b.far, b.ways = 4, 384<<10, 1<<20, 8
	if cache, ok := machine.Cache(1); ok && cache.Ways != nil {
		b.ways = *cache.Ways
	}
	if cache, ok := machine.Cache(2); ok {
		b.near, b.far = cache.Size*3/8, cache.Size
		b.kc = min(b.kc, max(128, cache.Size/2/(b.mc*word)))
	}
	if cache, ok := machine.Cache(3); ok {
		b.nc = min(b.nc, max(256, cache.Size/4/(b.kc*word)))
		b.small = min(b.small, cache.Size/8)
	}
	return b
}

// A converter goes between a 16-bit type and float32. Both slices are equally long.
type converter struct {
	widen  func(dst []float32, src []uint16)
	narrow func(dst []uint16, src []float32)
	pack   packFunc // widens rows of B; nil where widen has to do
}

// plain makes a kernel of micro-kernels whose elements, words and sums are all of T.
func plain[T number](k kernel) kernel {
	size := int(unsafe.Sizeof(T(0)))
	k.elem, k.out, k.group, k.word = size, size, 1, size
	k.accumulate = accumulate[T]
	return k
}

// dots makes a kernel of micro-kernels that sum up, in T, products of groups of
// elements: 32 bits at a time.
func dots[T number](k kernel) kernel {
	k.word = 4
	if k.out == 0 {
		k.out = k.word
	}
	k.accumulate = accumulate[T]
	return k
}

func accumulate[T number](dst, src unsafe.Pointer, n int) {
	sums, more := unsafe.Slice((*T)(dst), n), unsafe.Slice((*T)(src), n)
	for i, x := range more {
		sums[i] += x
	}
}

// converted makes a kernel for a 16-bit type of one for float32: elements are
// widened while packing, and sums rounded at the end.
func (k kernel) converted(conv converter) kernel {
	k.elem, k.out = 2, 2
	k.kc = min(k.kc, 512) // measured: rows of A are read once more, and longer ones crowd C's sums out
	k.widenA = func(dst, src unsafe.Pointer, n int) {
		conv.widen(unsafe.Slice((*float32)(dst), n), unsafe.Slice((*uint16)(src), n))
	}
	k.widenB, k.interleave = k.widenA, conv.pack
	k.narrow = conv.narrowWords
	k.note = "converted to float32 while packing"
	return k
}

// narrowWords is a kernel's narrow.
func (c converter) narrowWords(dst, src unsafe.Pointer, n int) {
	c.narrow(unsafe.Slice((*uint16)(dst), n), unsafe.Slice((*float32)(src), n))
}

// widened makes a kernel for int8 of one for int32.
func (k kernel) widened() kernel {
	k.elem = 1
	k.note = "converted to int32 while packing"
	k.widenA = func(dst, src unsafe.Pointer, n int) {
		to := unsafe.Slice((*int32)(dst), n)
		for i, x := range unsafe.Slice((*int8)(src), n) {
			to[i] = int32(x)
		}
	}
	k.widenB = k.widenA
	return k
}

// fit returns the set with its blocks cut to a machine's caches.
func (s instructionSet) fit(machine topology.Topology) instructionSet {
	for _, k := range []*kernel{&s.float64s, &s.float32s, &s.float16s, &s.bfloat16s, &s.int8s} {
		k.blocking = k.blocking.fit(k.word, machine)
	}
	return s
}

// complete derives the kernels of the narrow types that have none of their own.
func (s instructionSet) complete() instructionSet {
	if s.float16s.lanes == 0 {
		s.float16s = s.float32s.converted(s.float16)
	}
	if s.bfloat16s.lanes == 0 {
		s.bfloat16s = s.float32s.converted(s.bfloat16)
	}
	if s.int8s.lanes == 0 {
		s.int8s = plain[int32](kernel{
			tiles: portableTiles(portableTile[int32]), lanes: portableLanes, masks: true,
			blocking: blocking{vecs: 1, mc: 128, kc: 256, nc: 2048},
		}).widened()
	}
	return s
}

var portable = instructionSet{
	isa: Portable,
	float64s: plain[float64](kernel{
		tiles: portableTiles(portableTile[float64]), lanes: portableLanes, masks: true,
		blocking: blocking{vecs: 1, mc: 128, kc: 256, nc: 2048, small: 64 << 10},
	}),
	float32s: plain[float32](kernel{
		tiles: portableTiles(portableTile[float32]), lanes: portableLanes, masks: true,
		blocking: blocking{vecs: 1, mc: 128, kc: 256, nc: 2048, small: 64 << 10},
	}),
	float16:  converter{widenFloat16, narrowFloat16, nil},
	bfloat16: converter{widenBFloat16, narrowBFloat16, nil},
}.complete()

func portableTiles(f tileFunc) tiles { return tiles{1: {1: f, 2: f, 3: f, 4: f}} }
