//go:build (darwin || linux) && (amd64 || arm64)

package dl

import (
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// HasFloats reports whether a Loop can pass floating-point arguments here.
const HasFloats = true

func (l *Loop) run() {
	l.self[0] = uintptr(unsafe.Pointer(l))
	purego.SyscallN(loopAddress(), l.self[:]...)
	runtime.KeepAlive(l)
}

// loopAddress returns the address of the C function in assembly.
func loopAddress() uintptr
