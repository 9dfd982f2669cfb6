package metal

import (
	"fmt"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// files are the libraries that are loaded.
type files struct {
	runtime, foundation, graphics, metal, mps, graph string
}

// apple are macOS' own. They are files only in the cache of its dynamic loader.
var apple = files{
	runtime:    "/usr/lib/libobjc.A.dylib",
	foundation: framework("Foundation"),
	// Without it, MTLCreateSystemDefaultDevice returns nil in a command-line program (its
	// documentation).
	graphics: framework("CoreGraphics"),
	metal:    framework("Metal"),
	mps:      framework("MetalPerformanceShaders"),
	graph:    framework("MetalPerformanceShadersGraph"),
}

func framework(name string) string {
	return "/System/Library/Frameworks/" + name + ".framework/" + name
}

// functions are those of C that the frameworks have.
type functions struct {
	defaultDevice func() id // the caller owns it, and the array
	allDevices    func() id
	mpsSupports   func(device id) bool
}

// load opens the libraries, the runtime first.
func load(f files) (functions, error) {
	var c functions
	if err := objc.Load(f.runtime); err != nil {
		return c, err
	}
	for _, file := range []string{f.foundation, f.graphics} {
		if _, err := dl.Open(file); err != nil {
			return c, err
		}
	}
	metal, err := dl.Open(f.metal)
	if err != nil {
		return c, err
	}
	mps, err := dl.Open(f.mps)
	if err != nil {
		return c, err
	}
	if _, err := dl.Open(f.graph); err != nil {
		return c, err
	}
	for _, r := range []struct {
		library dl.Library
		fptr    any
		symbol  string
	}{{metal, &c.defaultDevice, "MTLCreateSystemDefaultDevice"}, {metal, &c.allDevices, "MTLCopyAllDevices"}, {mps, &c.mpsSupports, "MPSSupportsMTLDevice"}} {
		if err := r.library.Register(r.fptr, r.symbol); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Verify compares the messages of this package with the frameworks of this Mac, and returns
// how many agree and what differs. It sends none.
func Verify() (agree int, problems []error, err error) {
	if _, err := load(apple); err != nil {
		return 0, nil, err
	}
	agree, problems = objc.Verify()
	return agree, problems, nil
}

// gpu is the GPU, and what it can do. It lasts as long as the process.
type gpu struct {
	device, queue id
	name          string // as Metal has it: "Apple M2"
	system        osVersion
	mps           bool  // Metal Performance Shaders support it
	simdgroups    bool  // it has simdgroup matrices
	memory        int64 // bytes that it can use without a loss of speed; 0: not known
	largest       int64 // bytes of a buffer
	pipelines     map[matrix.DType]id
}

// openGPU loads the frameworks, checks the messages and opens the default GPU.
func openGPU(f files) (*gpu, error) {
	c, err := load(f)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "Metal cannot be loaded: %v", err)
	}
	if _, problems := objc.Verify(); len(problems) > 0 { // arguments of other types would corrupt memory
		return nil, fault.Errorf(fault.Unavailable, "Metal on this macOS differs from the one that gpuplay was written for: %v", problems[0]).
			With(fault.Run("{} lists all differences", "gpuplay", "doctor"))
	}
	g := &gpu{pipelines: map[matrix.DType]id{}}
	err = objc.WithPool(func() error {
		if g.device = c.defaultDevice(); g.device == 0 {
			g.device = first(c.allDevices())
		}
		if g.device == 0 {
			return fault.Errorf(fault.Unavailable, "Metal lists no GPU")
		}
		if g.queue = newQueue(g.device); g.queue == 0 {
			objc.Release(g.device)
			return fault.Errorf(fault.Unavailable, "Metal has no command queue for a GPU that it lists")
		}
		g.name = text(deviceName(g.device))
		g.system = systemVersion(processInfo(objc.Class("NSProcessInfo")))
		// The GPU of a virtual Mac has a part of Metal, of which not even the sizes that it
		// reports can be relied on.
		g.mps = c.mpsSupports(g.device) && !strings.Contains(g.name, "Paravirtual")
		g.simdgroups = supportsFamily(g.device, familyApple7)
		g.memory, g.largest = int64(workingSet(g.device)), int64(maxBuffer(g.device))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// first returns the first of an array's objects and gives the array up; 0 if there is none.
func first(array id) id {
	if array == 0 {
		return 0
	}
	defer objc.Release(array)
	if arrayCount(array) == 0 {
		return 0
	}
	return retain(arrayAt(array, 0))
}

// failure makes an error of an NSError, which may be nil.
func failure(what string, e id) error {
	if e == 0 {
		return fault.Errorf(fault.Internal, "%s failed, and Metal gives no reason", what)
	}
	domain, code := text(errorDomain(e)), errorCode(e)
	says := fmt.Sprintf("%s: %s (%s, code %d)", what, text(errorText(e)), domain, code)
	switch {
	case domain == errorDomainOfCommand && code == errorOutOfMemory:
		return fault.Errorf(fault.OutOfMemory, "%s", says).With(fault.Change("size", "a smaller {}"))
	case domain == errorDomainOfCommand && code == errorTimeout:
		return fault.Errorf(fault.Internal, "macOS ended it because it took too long: %s", says).With(fault.Change("size", "a smaller {}"))
	}
	return fault.Errorf(fault.Internal, "%s", says)
}
