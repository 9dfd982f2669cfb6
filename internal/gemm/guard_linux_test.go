package gemm

import (
	"context"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestGuardPages places every operand at the very end, and at the very beginning,
// of accessible memory: a kernel that reads or writes one byte too many crashes the
// test, even if that byte would not have affected the result.
func TestGuardPages(t *testing.T) {
	const pages = 16
	size := unix.Getpagesize() * pages
	shapes := [][3]int{{1, 1, 1}, {1, 17, 3}, {17, 1, 5}, {3, 5, 7}, {13, 49, 31}, {31, 33, 64}, {25, 97, 66}, {64, 64, 64}, {9, 48, 129}}
	eachISA(t, func(t *testing.T, isa ISA) {
		p := newPool(t, isa, 1, false)
		for _, atEnd := range []bool{true, false} {
			var a, b, c edge
			for _, e := range []*edge{&a, &b, &c} {
				e.memory, e.atEnd = between(t, size), atEnd
			}
			for _, s := range shapes {
				for _, g := range transposes {
					g.M, g.N, g.K = s[0], s[1], s[2]
					ctx := context.Background()
					for i, err := range []error{
						p.Float64(ctx, 1, g, at[float64](&a, g.M*g.K), at[float64](&b, g.K*g.N), at[float64](&c, g.M*g.N)),
						p.Float32(ctx, 1, g, at[float32](&a, g.M*g.K), at[float32](&b, g.K*g.N), at[float32](&c, g.M*g.N)),
						p.Float16(ctx, 1, g, at[uint16](&a, g.M*g.K), at[uint16](&b, g.K*g.N), at[uint16](&c, g.M*g.N)),
						p.BFloat16(ctx, 1, g, at[uint16](&a, g.M*g.K), at[uint16](&b, g.K*g.N), at[uint16](&c, g.M*g.N)),
						p.Int8(ctx, 1, g, at[int8](&a, g.M*g.K), at[int8](&b, g.K*g.N), at[int32](&c, g.M*g.N)),
					} {
						if err != nil {
							t.Fatalf("%s %+v: %v", lanes[i].name, g, err)
						}
					}
				}
			}
		}
	})
}

// An edge is memory at whose end or beginning operands are placed.
type edge struct {
	memory []byte
	atEnd  bool
}

// between returns memory of whole pages between two inaccessible pages.
func between(t *testing.T, size int) []byte {
	page := unix.Getpagesize()
	all, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Skipf("no memory to guard: %v", err)
	}
	t.Cleanup(func() { _ = unix.Munmap(all) })
	if err := unix.Mprotect(all[page:page+size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	return all[page : page+size : page+size]
}

// at returns n elements at the edge.
func at[T any](e *edge, n int) []T {
	bytes := n * int(unsafe.Sizeof(*new(T)))
	start := 0
	if e.atEnd {
		start = len(e.memory) - bytes
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&e.memory[start])), n)
}

// TestCallerIsFree checks that the caller's thread may still run on all the CPUs
// that it could use before.
func TestCallerIsFree(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	p := newPool(t, "", 2, false)
	exact{}.test(t, p, &lanes[0], Problem{M: 50, N: 50, K: 50})
	p.Close()
	if err := unix.SchedGetaffinity(0, &after); err != nil || before != after {
		t.Errorf("the caller's CPUs were %v and are %v, %v", before, after, err)
	}
}
