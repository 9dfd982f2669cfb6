package gemm

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// An ISA is an instruction set that the package has micro-kernels for.
type ISA string

// The instruction sets. Portable is Go code that runs anywhere.
const (
	AVX512   ISA = "avx512" // AVX-512F
	AVX2     ISA = "avx2"   // with FMA and F16C
	NEON     ISA = "neon"
	Portable ISA = "portable"
)

// String returns the name in its usual spelling.
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

// ISAs returns the instruction sets that this CPU can run, the best first.
func ISAs() []ISA {
	var isas []ISA
	for _, set := range instructionSets {
		isas = append(isas, set.isa)
	}
	return isas
}

// ParseISA returns the instruction set with the given name: avx512, avx2, neon or
// portable. An empty name means the best that this CPU can run; one that it cannot
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
	return nil, fmt.Errorf("gemm: instruction set %q is unknown or not supported by this CPU: use %s", string(isa), strings.Join(have, " or "))
}

type number interface{ float32 | float64 | int32 }

// An instructionSet is everything that depends on the instruction set.
type instructionSet struct {
	isa ISA

	float64s, float32s, float16s, bfloat16s, int8s kernel
	// These convert between the 16-bit types and float32, for the caller's
	// matrices.
	float16, bfloat16 converter
}

// A kernel says how products of one element type are computed: the micro-kernels,
// the layout they read, and the constants that suit them.
//
// k advances in steps. A step covers group consecutive elements of a row of A,
// which make up one word, and group rows of B, which packing interleaves so that
// each vector lane holds the elements of one column. A sum takes one word as well.
type kernel struct {
	tiles tiles
	lanes int  // columns in a vector
	whole bool // the micro-kernels need packed B and full tiles; see wholeTiles
	masks bool // the micro-kernels do not read columns of B that are not in use

	elem  int // bytes of an element of A and B in memory
	out   int // bytes of an element of C
	group int // elements per step of k: 1, or 2 or 4 for dot-product instructions
	word  int // bytes of a word: one step in a row of A, one lane of B, or one sum
	steps int // a block of k should have a multiple of this many steps
	dense int // how many times as fast the micro-kernels are as vector instructions of the type; 0 for 1

	// widenA and widenB convert n elements, of a row of A and of a row of B
	// transposed, to words and pad the last group with zeros. They are nil where
	// the elements need no conversion.
	widenA, widenB func(dst, src unsafe.Pointer, n int)
	// narrow rounds n sums to elements of C; nil where sums and elements have the
	// same type.
	narrow func(dst, src unsafe.Pointer, n int)
	// copyRows copies rows whose length is a multiple of 32 bytes from one stride
	// to another and prefetches those ahead; nil where there is only the Go
	// version.
	copyRows func(dst, src unsafe.Pointer, ld, stride, rows, bytes, ahead int)
	// accumulate adds n sums to n others.
	accumulate func(dst, src unsafe.Pointer, n int)
	// interleave packs rows of B whose elements are not words yet; nil where widenB
	// is used instead.
	interleave packFunc
	// start writes the initial values of a tile's sums into the row before a packed
	// panel of k steps; nil where they are zeros.
	start func(panel unsafe.Pointer, k, lanes int)

	// note is a caveat for the readers of a measurement; empty for none.
	note string

	vectors
	blocking
	// peak executes the given number of rounds of nothing but multiply-adds; a
	// round is peakOps operations. It is nil where that would measure the compiler.
	peak    func(rounds int)
	peakOps int
}

// tiles holds the micro-kernels of a kernel, indexed by the vectors and the rows of
// a tile. Entries are nil where there is no micro-kernel.
type tiles [maxVecs + 1][]tileFunc

const maxVecs = 3

// vectors holds the kernels for matrix-vector products, which run at the speed of
// memory; they are nil where tiles are used instead. Strides are in bytes, lengths
// in elements.
type vectors struct {
	// dot4 sets out[r], for each r < 4, to the sum of m[r*ld+p]·x[p] over p < n.
	dot4 func(out, m unsafe.Pointer, ld int, x unsafe.Pointer, n int)
	// axpy4 and axpy1 set y[j], for each j < n, to the sum of x[r]·m[r*ld+j] over
	// four rows or one, plus the old y[j] if add is set.
	axpy4, axpy1 func(y, x, m unsafe.Pointer, ld, n int, add bool)
}

// A blocking says how a large product is divided, in BLIS's letters: mc rows of A,
// kc steps long, stay in the second-level cache; kc rows of B, nc columns wide, are
// shared by all threads. A panel of B, kc steps long and one tile wide, should stay
// in the first-level cache. vecs is the width of a tile in vectors, where C is wide
// enough. B is read in place up to a size of small bytes. The numbers in the tables
// are for large caches.
type blocking struct {
	vecs, mc, kc, nc, small int
	// Set by fit.
	slim int // a B of at most this many tiles in width is read in place, whatever its length
	near int // bytes that fit into the second-level cache beside the rest of the working set
	far  int // bytes above which a matrix does not stay in the second-level cache between uses
	ways int // associativity of the first-level cache
}

// fit reduces the blocks to the caches of a machine: half of the second level for
// the block of A; a quarter of the third level, which all threads share and other
// programs may use, for the block of B; and an eighth of it for a B that is read in
// place. Caches of unknown size are assumed to be large.
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

// A converter converts between a 16-bit type and float32. Both slices must have the
// same length.
type converter struct {
	widen  func(dst []float32, src []uint16)
	narrow func(dst []uint16, src []float32)
	pack   packFunc // widens rows of B; nil where widen is used instead
}

// plain completes a kernel whose elements, words and sums all have type T.
func plain[T number](k kernel) kernel {
	size := int(unsafe.Sizeof(T(0)))
	k.elem, k.out, k.group, k.word, k.steps = size, size, 1, size, 1
	k.accumulate = accumulate[T]
	return k
}

// dots completes a kernel whose micro-kernels use dot-product instructions: words
// of 32 bits with a group of elements each, summed in T.
func dots[T number](k kernel) kernel {
	k.word, k.steps = 4, max(1, k.steps)
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

// converted derives a kernel for a 16-bit type from one for float32: elements are
// widened while packing, and sums rounded at the end.
func (k kernel) converted(conv converter) kernel {
	k.elem, k.out = 2, 2
	k.kc = min(k.kc, 512) // measured: longer rows of A evict the sums of C; the cost is reading A once more
	k.widenA = func(dst, src unsafe.Pointer, n int) {
		conv.widen(unsafe.Slice((*float32)(dst), n), unsafe.Slice((*uint16)(src), n))
	}
	k.widenB, k.interleave = k.widenA, conv.pack
	k.narrow = conv.narrowWords
	k.note = "converted to float32 while packing"
	return k
}

// narrowWords has the type of kernel.narrow.
func (c converter) narrowWords(dst, src unsafe.Pointer, n int) {
	c.narrow(unsafe.Slice((*uint16)(dst), n), unsafe.Slice((*float32)(src), n))
}

// widened derives a kernel for int8 from one for int32.
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

// fit returns the set with its blocks reduced to the caches of a machine.
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
