//go:build darwin || linux

package dl

import (
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

func open(name string) (uintptr, error) {
	// dlerror returns the last failure on the calling thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func lookup(handle uintptr, symbol string) (uintptr, error) {
	return purego.Dlsym(handle, symbol)
}

// dlInfo is Dl_info of <dlfcn.h>, the same on Linux and macOS.
type dlInfo struct {
	file   *byte
	base   uintptr
	symbol *byte
	addr   uintptr
}

func path(_, addr uintptr) string {
	dladdr, err := lookup(purego.RTLD_DEFAULT, "dladdr")
	if err != nil {
		return ""
	}
	var info dlInfo
	if Call(dladdr, addr, uintptr(unsafe.Pointer(&info))) == 0 {
		return ""
	}
	return unix.BytePtrToString(info.file)
}
