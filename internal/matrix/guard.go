package matrix

import (
	"context"
	"unsafe"
)

// GuardBytes is the size of each zone around a Guarded matrix: a page, so that a tile
// that is stored whole at an edge of C, the most likely mistake, ends within it.
const GuardBytes = 4096

// A Guarded is a matrix in main memory between two zones that nothing may write to.
// It begins at a cache line, which wide vectors prefer.
type Guarded[S any] struct {
	Elements      []S
	before, after []byte // zones, in the memory of the elements
}

// NewGuarded allocates n zeros, at least one, with their zones. S is a number.
func NewGuarded[S any](n int) *Guarded[S] {
	const line = 64
	size := int(unsafe.Sizeof(*new(S)))
	memory := make([]S, n+(2*GuardBytes+line)/size)
	unaligned := int(uintptr(unsafe.Pointer(&memory[0])) % line)
	start := (GuardBytes + (line-unaligned)%line) / size
	g := &Guarded[S]{memory[start:][:n:n], bytesOf(memory[:start]), bytesOf(memory[start+n:])}
	for _, zone := range [][]byte{g.before, g.after} {
		for i := range zone {
			zone[i] = GuardByte(i)
		}
	}
	return g
}

func bytesOf[S any](s []S) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// GuardByte returns byte i of a zone. It differs from byte to byte: neither zeros, nor one
// number stored many times, nor a row that was moved leaves the zone as it was.
func GuardByte(i int) byte { return byte(i*181 + i>>8*59 + 91) }

// Overwritten says on which side of the matrix something was written, "past the end" or
// "before the start"; it is empty if both zones are as they were.
func (g *Guarded[S]) Overwritten() string {
	for i, b := range g.after {
		if b != GuardByte(i) {
			return "past the end"
		}
	}
	for i, b := range g.before {
		if b != GuardByte(i) {
			return "before the start"
		}
	}
	return ""
}

// alone is up to how many elements one thread writes at once. Go's threads look for
// further work for some tens of microseconds after they shared some, which a product
// that is timed next would notice if it is small.
const alone = 1 << 20

// Poison sets all elements to a value that no product has.
func Poison[S any](ctx context.Context, c []S, none S) error {
	fill := func(part []S, _ int) {
		for i := range part {
			part[i] = none
		}
	}
	if len(c) <= alone {
		fill(c, 0)
		return ctx.Err()
	}
	return Fill(ctx, c, fill)
}

// Swap exchanges the elements of two matrices of the same size. It is not ended early,
// since they would be mixed then.
func Swap[S any](a, b []S) {
	swap := func(part []S, from int) {
		other := b[from:][:len(part)]
		for i := range part {
			part[i], other[i] = other[i], part[i]
		}
	}
	if len(a) <= alone {
		swap(a, 0)
		return
	}
	_ = Fill(context.Background(), a, swap) // which fails only if its context ends
}
