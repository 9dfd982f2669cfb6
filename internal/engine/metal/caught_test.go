//go:build linux && (amd64 || arm64)

package metal

import (
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
)

// send sends a message that is not declared, with markers in the registers behind its
// arguments, and returns an integer or object.
func send(receiver id, selector string, args ...any) id {
	l, err := dl.Open(standin.file)
	if err != nil {
		panic(err)
	}
	var register func(string) objc.SEL
	var message func(id, objc.SEL, ...any) id
	for symbol, f := range map[string]any{"sel_registerName": &register, "objc_msgSend": &message} {
		if err := l.Register(f, symbol); err != nil {
			panic(err)
		}
	}
	floats := 0
	for _, a := range args {
		if _, ok := a.(float64); ok {
			floats++
		}
	}
	for range 12 - (len(args) - floats) {
		args = append(args, uintptr(objc.Marker))
	}
	for ; floats < 8; floats++ {
		args = append(args, math.Float64frombits(objc.Marker))
	}
	return message(receiver, register(selector), args...)
}

// TestCaught makes sure that the stand-in notices mistakes: what it does not object to in
// the other tests is right.
func TestCaught(t *testing.T) {
	standinOnly(t)
	pool := func(f func()) { _ = objc.WithPool(func() error { f(); return nil }) }
	const length = 4096
	var u *gpu
	var b buffer
	matrixOf := func(rows, columns int) id {
		d := matrixDescriptor(objc.Class("MPSMatrixDescriptor"), uint(rows), uint(columns), uint(columns*4), dataFloat32)
		return initMatrix(alloc(objc.Class("MPSMatrix")), b.object, 0, d)
	}
	product := func(k uint) id {
		return initProduct(alloc(objc.Class("MPSMatrixMultiplication")), u.device, false, false, 4, 4, k, 1, 0)
	}
	const initLong = "initWithDevice:transposeLeft:transposeRight:resultRows:resultColumns:interiorColumns:alpha:beta:"
	var fault string // what the stand-in says of an address that could not be read
	for _, c := range []struct {
		name, want string
		noPool     bool
		run        func()
	}{
		{name: "misspelt selector", want: "unrecognized selector; nearest: newCommandQueue", run: func() { send(u.device, "newComandQueue") }},
		{name: "selector of another class", want: "Apple declares it as -[MTLBuffer contents]", run: func() { send(u.device, "contents") }},
		{name: "message to nil", want: "message commandBuffer sent to nil", run: func() { commandBuffer(0) }},
		{name: "no object", want: "which is no object", run: func() { commandBuffer(12345) }},
		{name: "argument missing", want: "argument 2 (Q) is missing", run: func() { send(u.device, "newBufferWithLength:options:", uint(64)) }},
		{name: "argument too many", want: "more than the 1 arguments Apple declares", run: func() { send(u.device, "supportsFamily:", 1007, 0) }},
		{name: "integer for a double", want: "argument 7 must be a double", run: func() {
			o := alloc(objc.Class("MPSMatrixMultiplication"))
			send(o, initLong, u.device, false, false, uint(4), uint(4), uint(4), 1, 0)
			objc.Release(o)
		}},
		{name: "another object", want: "argument 1 must be a MTLBuffer, got StandinDevice", run: func() {
			o := alloc(objc.Class("MPSMatrix"))
			initMatrix(o, u.device, 0, matrixDescriptor(objc.Class("MPSMatrixDescriptor"), 4, 4, 16, dataFloat32))
			objc.Release(o)
		}},
		{name: "nil for an object", want: "argument 3 is nil, but MPSMatrixDescriptor is required", run: func() {
			o := alloc(objc.Class("MPSMatrix"))
			initMatrix(o, b.object, 0, 0)
			objc.Release(o)
		}},
		{name: "structure as separate words", want: "{MTLSize}", run: func() {
			e := computeEncoder(commandBuffer(u.queue))
			send(e, "dispatchThreadgroups:threadsPerThreadgroup:", uint(1), uint(1), uint(1), uint(128), uint(1), uint(1))
			endEncoding(e)
		}},
		{name: "empty grid", want: "with a zero: {0 1 1}", run: func() {
			e := computeEncoder(commandBuffer(u.queue))
			dispatch(e, mtlSize{Width: 0, Height: 1, Depth: 1}, mtlSize{Width: 128, Height: 1, Depth: 1})
			endEncoding(e)
		}},
		{name: "released twice", want: "over-release of StandinBuffer", run: func() {
			x := newBuffer(u.device, 64, storageShared)
			objc.Release(x, x)
		}},
		{name: "release of what the pool owns", want: "only the autorelease pool owns it", run: func() {
			pool(func() { objc.Release(commandBuffer(u.queue)) })
		}},
		{name: "use after release", want: "message to deallocated StandinBuffer", run: func() {
			x := newBuffer(u.device, 64, storageShared)
			objc.Release(x)
			contents(x)
		}},
		{name: "leak", want: "leak: StandinBuffer", run: func() { newBuffer(u.device, 64, storageShared) }},
		{name: "no pool", want: "no autorelease pool on this thread", noPool: true, run: func() { objc.Release(commandBuffer(u.queue)) }},
		{name: "never initialised", want: "was allocated but never initialised", run: func() {
			o := alloc(objc.Class("MPSMatrixMultiplication"))
			encodeProduct(o, commandBuffer(u.queue), o, o, o)
			objc.Release(o)
		}},
		{name: "no commit", want: "never committed", run: func() { wait(commandBuffer(u.queue)) }},
		{name: "no wait", want: "committed but never waited for: waitUntilCompleted is missing", run: func() {
			pool(func() { commit(commandBuffer(u.queue)) })
		}},
		{name: "time before the end", want: "GPUEndTime] of StandinCommandBuffer", run: func() {
			c := commandBuffer(u.queue)
			commit(c)
			gpuEnd(c)
			wait(c)
		}},
		{name: "encoder left open", want: "endEncoding is missing", run: func() {
			c := commandBuffer(u.queue)
			e := computeEncoder(c)
			commit(c)
			endEncoding(e)
			commit(c)
			wait(c)
		}},
		{name: "matrix too small", want: "the right matrix is 4 x 4, 8 x 4 needed", run: func() {
			m, wide, p := matrixOf(4, 4), matrixOf(4, 8), product(8)
			encodeProduct(p, commandBuffer(u.queue), wide, m, m)
			objc.Release(m, wide, p)
		}},
		{name: "matrix beyond its buffer", want: "buffer of 4096 bytes, 16384 needed", run: func() { objc.Release(matrixOf(64, 64)) }},
		{name: "range beyond its buffer", want: "range 0+8192 of 4096 bytes", run: func() {
			c := commandBuffer(u.queue)
			e := blitEncoder(c)
			fillBuffer(e, b.object, nsRange{Length: 8192}, 1)
			endEncoding(e)
		}},
		{name: "offset beyond its buffer", want: "offset 4096 in 4096 bytes", run: func() {
			e := computeEncoder(commandBuffer(u.queue))
			setBuffer(e, b.object, length, 0)
			endEncoding(e)
		}},
		{name: "bfloat16 for MPS", want: "MPSMatrixMultiplication has no bfloat16", run: func() {
			matrixDescriptor(objc.Class("MPSMatrixDescriptor"), 4, 4, 8, dataBFloat16)
		}},
		{name: "rows that overlap", want: "rowBytes 12 for 4 columns of 4 bytes", run: func() {
			matrixDescriptor(objc.Class("MPSMatrixDescriptor"), 4, 4, 12, dataFloat32)
		}},
		{name: "keys and values swapped", want: "cannot be copied: keys and objects swapped?", run: func() {
			dictionary([]id{b.object}, []id{shape(1, 1)})
		}},
		{name: "read before the end", want: "while a committed command buffer writes it: waitUntilCompleted is missing", run: func() {
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			c := commandBuffer(u.queue)
			e := blitEncoder(c)
			fillBuffer(e, b.object, nsRange{Length: 64}, 7)
			endEncoding(e)
			commit(c)
			defer wait(c)
			defer func() {
				if f, ok := recover().(interface{ Addr() uintptr }); ok {
					address := f.Addr()
					fault = said(func(text unsafe.Pointer, size int32) int32 {
						return standin.explain(*(*unsafe.Pointer)(unsafe.Pointer(&address)), text, size)
					})
				}
			}()
			sink = b.bytes[3]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !*mark && (strings.Contains(c.name, "argument") || strings.Contains(c.name, "double")) {
				t.Skip("is noticed by markers")
			}
			runtime.LockOSThread() // which pools belong to
			defer runtime.UnlockOSThread()
			standin.reset()
			fault = ""
			f := standin.file
			var err error
			if u, err = openGPU(files{f, f, f, f, f, f}); err != nil {
				t.Fatal(err)
			}
			pool(func() { b, err = u.newBuffer(length) })
			if err != nil {
				t.Fatal(err)
			}
			if c.noPool {
				c.run()
			} else {
				pool(c.run)
			}
			objc.Release(b.object, u.queue, u.device)
			if got := said(standin.report) + fault + said(standin.leaks); !strings.Contains(got, c.want) {
				t.Errorf("want %q, got:\n%s", c.want, got)
			}
		})
	}
}

var sink byte

// A blit encoder is what these tests write with; the engine needs none.
type nsRange struct{ Location, Length uint }

func blitEncoder(commands id) id { return send(commands, "blitCommandEncoder") }

func fillBuffer(e, buffer id, r nsRange, value uint8) {
	send(e, "fillBuffer:range:value:", buffer, r.Location, r.Length, uint(value))
}
