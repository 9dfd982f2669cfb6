package dl

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// TestLoop calls a function with the largest number of arguments, in registers and
// on the stack.
func TestLoop(t *testing.T) {
	if runtime.GOOS != "linux" { // other ABIs pass variadic arguments differently
		t.Skip("needs the C library of Linux")
	}
	libc, _ := always(t)
	snprintf, err := open1(t, libc).Sym("snprintf")
	if err != nil {
		t.Fatal(err)
	}
	var out [256]byte
	format := []byte("%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %g %g\x00")
	l := &Loop{Func: snprintf, Floats: [2]uint64{math.Float64bits(0.5), math.Float64bits(-3)}}
	l.Args = [15]uintptr{uintptr(unsafe.Pointer(&out)), uintptr(len(out)), uintptr(unsafe.Pointer(&format[0])), 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&out)
	pin.Pin(&format[0])
	want := "11 12 13 14 15 16 17 18 19 20 21 22"
	if HasFloats {
		want += " 0.5 -3"
	}
	for _, times := range []int{1, 3} {
		out = [256]byte{}
		got := l.Run(times)
		text, _, _ := strings.Cut(string(out[:]), "\x00")
		if !strings.HasPrefix(text, want) || HasFloats && int(got) != len(want) {
			t.Errorf("%d times: wrote %q and returned %d, want %q", times, text, got, want)
		}
	}
}

// TestLoopTimes counts the calls.
func TestLoopTimes(t *testing.T) {
	libc, _ := always(t)
	lib := open1(t, libc)
	strncat, err := lib.Sym("strncat")
	if err != nil {
		t.Fatal(err)
	}
	abs, err := lib.Sym("labs")
	if err != nil {
		t.Fatal(err)
	}
	text, x := make([]byte, 300), []byte("x\x00")
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&text[0])
	pin.Pin(&x[0])
	l := &Loop{Func: strncat, Args: [15]uintptr{uintptr(unsafe.Pointer(&text[0])), uintptr(unsafe.Pointer(&x[0])), 1}}
	want := 0
	for _, times := range []int{1, 2, 100, 0} {
		l.Run(times)
		want += max(1, times)
		if got := strings.Count(string(text), "x"); got != want {
			t.Fatalf("%d calls, want %d", got, want)
		}
	}
	zero := &Loop{Func: abs}
	if got := zero.Run(5); got != 0 {
		t.Errorf("labs(0) is %d", got)
	}
	if got := (&Loop{Func: abs, Args: [15]uintptr{6}}).Run(5); got != 6 {
		t.Errorf("labs(6) is %d", got)
	}
	if allocs := testing.AllocsPerRun(100, func() { zero.Run(2) }); HasFloats && allocs != 0 {
		t.Errorf("%v allocations a run", allocs)
	}
}

// Garbage collections and preemption requests during a loop do no harm.
func TestLoopAndCollector(t *testing.T) {
	libc, _ := always(t)
	abs, err := open1(t, libc).Sym("labs")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		l := &Loop{Func: abs, Args: [15]uintptr{1}}
		for range 20 {
			l.Run(1_000_000)
		}
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		default:
			runtime.GC()
		}
	}
}

// BenchmarkLoop measures the cost of a call inside a loop.
func BenchmarkLoop(b *testing.B) {
	abs := labs(b)
	b.ReportAllocs()
	(&Loop{Func: abs, Args: [15]uintptr{42}}).Run(b.N)
}
