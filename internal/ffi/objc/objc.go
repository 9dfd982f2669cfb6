// Package objc sends Objective-C messages without cgo.
//
// Each message is declared once, with [Declare], and is then a Go function of that type.
// [Verify] compares all declarations with the type encodings of the loaded runtime, without
// sending a message. Nothing here depends on macOS: tests on other systems load a library
// with the same functions. The package has not been run on a Mac.
//
// The rules of the calls were read in purego v0.11.3 (func.go, struct_arm64.go) and in
// Apple's documentation "Writing ARM64 code for Apple platforms": a message has at most six
// integer or pointer arguments, no variable ones, and structures of integers.
package objc

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"structs"
	"sync"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// ID is an object or a class, SEL a selector.
type (
	ID  uintptr
	SEL uintptr
)

// description is struct objc_method_description of <objc/runtime.h>.
type description struct {
	_     structs.HostLayout
	name  SEL
	types *byte
}

// The functions of the runtime, and what has been made of objc_msgSend.
var (
	mu      sync.Mutex
	library dl.Library
	senders map[reflect.Type]reflect.Value

	getClass       func(name string) ID
	getProtocol    func(name string) uintptr
	registerName   func(name string) SEL
	poolPush       func() unsafe.Pointer
	poolPop        func(pool unsafe.Pointer)
	instanceMethod func(class ID, sel SEL) uintptr
	classMethod    func(class ID, sel SEL) uintptr
	typeEncoding   func(method uintptr) string
	protocolMethod func(protocol uintptr, sel SEL, required, instance bool) description
)

// Load opens the runtime: /usr/lib/libobjc.A.dylib on macOS. A process has one; Load with
// another file is an error.
func Load(file string) error {
	mu.Lock()
	defer mu.Unlock()
	if senders != nil {
		if library.Name() != file {
			return fmt.Errorf("%s: this process has the Objective-C runtime of %s", file, library.Name())
		}
		return nil
	}
	l, err := dl.Open(file)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		function any
		symbol   string
	}{
		{&getClass, "objc_getClass"}, {&getProtocol, "objc_getProtocol"}, {&registerName, "sel_registerName"},
		{&poolPush, "objc_autoreleasePoolPush"}, {&poolPop, "objc_autoreleasePoolPop"},
		{&instanceMethod, "class_getInstanceMethod"}, {&classMethod, "class_getClassMethod"}, {&typeEncoding, "method_getTypeEncoding"},
		{&protocolMethod, "protocol_getMethodDescription"},
	} {
		if err := l.Register(f.function, f.symbol); err != nil {
			return err
		}
	}
	library, senders = l, map[reflect.Type]reflect.Value{}
	return nil
}

// A message is one that was declared.
type message struct {
	declaration, class, selector string
	static                       bool         // sent to the class: "+"
	function                     reflect.Type // the receiver and the arguments
	sel                          SEL
	send                         reflect.Value // receiver, selector, arguments
}

var declared []*message

// Declare names a message, such as "-[MTLDevice newCommandQueue]", and returns the function
// that sends it. F's first parameter is the receiver, the others are the arguments. It is
// for variables of a package: it panics if the declaration makes no sense. The function
// that it returns panics before [Load].
func Declare[F any](declaration string) F {
	m, err := parseMessage(declaration, reflect.TypeFor[F]())
	if err != nil {
		panic(err)
	}
	declared = append(declared, m)
	return reflect.MakeFunc(m.function, m.call).Interface().(F)
}

func parseMessage(declaration string, f reflect.Type) (*message, error) {
	m := &message{declaration: declaration, function: f}
	body, closed := strings.CutSuffix(declaration, "]")
	kind, body, opened := strings.Cut(body, "[")
	class, selector, named := strings.Cut(body, " ")
	if !closed || !opened || !named || kind != "+" && kind != "-" {
		return nil, fmt.Errorf("objc: %q is no message", declaration)
	}
	if f.Kind() != reflect.Func || f.NumIn() == 0 || f.In(0) != reflect.TypeFor[ID]() || f.NumOut() > 1 {
		return nil, fmt.Errorf("objc: %s: %s is no type of a message", declaration, f)
	}
	if want := strings.Count(selector, ":"); want != f.NumIn()-1 {
		return nil, fmt.Errorf("objc: %s takes %d arguments, its Go type %d", declaration, want, f.NumIn()-1)
	}
	m.class, m.selector, m.static = class, selector, kind == "+"
	return m, nil
}

// call sends the message.
func (m *message) call(in []reflect.Value) []reflect.Value {
	m.bind()
	if marked {
		return m.send.CallSlice([]reflect.Value{in[0], reflect.ValueOf(m.sel), reflect.ValueOf(m.mark(in[1:]))})
	}
	args := make([]reflect.Value, 0, 10)
	args = append(args, in[0], reflect.ValueOf(m.sel))
	return m.send.Call(append(args, in[1:]...))
}

// bind makes a function of objc_msgSend, one for all messages of a type.
func (m *message) bind() {
	mu.Lock()
	defer mu.Unlock()
	if m.send.IsValid() {
		return
	}
	if senders == nil {
		panic("objc: " + m.declaration + " was sent before Load")
	}
	in := []reflect.Type{reflect.TypeFor[ID](), reflect.TypeFor[SEL]()}
	if marked {
		in = append(in, reflect.TypeFor[[]any]())
	} else {
		for i := 1; i < m.function.NumIn(); i++ {
			in = append(in, m.function.In(i))
		}
	}
	var out []reflect.Type
	if m.function.NumOut() == 1 {
		out = append(out, m.function.Out(0))
	}
	t := reflect.FuncOf(in, out, marked)
	send, known := senders[t]
	if !known {
		p := reflect.New(t)
		symbol := "objc_msgSend"
		if m.inMemory() {
			symbol = "objc_msgSend_stret"
		}
		if err := library.Register(p.Interface(), symbol); err != nil {
			panic(err)
		}
		send = p.Elem()
		senders[t] = send
	}
	m.sel, m.send = registerName(m.selector), send
}

// inMemory reports whether the result comes back through memory that the caller passes as
// an argument, which only amd64 has a function of its own for.
func (m *message) inMemory() bool {
	return runtime.GOARCH == "amd64" && m.function.NumOut() == 1 && m.function.Out(0).Kind() == reflect.Struct && m.function.Out(0).Size() > 16
}

// Class returns a class, 0 if there is none of that name.
func Class(name string) ID { return getClass(name) }

// WithPool calls f in an autorelease pool, which belongs to a thread, and f stays on one.
// What f gets from messages whose names do not begin with alloc, new, copy or init is gone
// afterwards, unless f retains it.
func WithPool(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pool := poolPush()
	defer poolPop(pool)
	return f()
}

var release = Declare[func(ID)]("-[NSObject release]")

// Release gives objects up that the caller owns. It skips 0.
func Release(objects ...ID) {
	for _, o := range objects {
		if o != 0 {
			release(o)
		}
	}
}

// Verify compares all declarations with the type encodings of the loaded runtime. It
// returns how many agree, and an error for each of the others: the framework may lack the
// message, or its arguments have other types. No message is sent.
func Verify() (agree int, problems []error) {
	for _, m := range declared {
		if err := m.verify(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", m.declaration, err))
		} else {
			agree++
		}
	}
	return agree, problems
}

func (m *message) verify() error {
	encoding, err := m.encoding()
	if err != nil {
		return err
	}
	return compare(m.function, encoding)
}

// encoding asks the runtime for the types of the message.
func (m *message) encoding() (string, error) {
	sel := registerName(m.selector)
	if class := getClass(m.class); class != 0 {
		method := instanceMethod(class, sel)
		if m.static {
			method = classMethod(class, sel)
		}
		if method == 0 {
			return "", errors.New("the class has no such method")
		}
		return typeEncoding(method), nil
	}
	protocol := getProtocol(m.class)
	if protocol == 0 {
		return "", errors.New("there is no such class or protocol")
	}
	for _, required := range []bool{true, false} {
		if d := protocolMethod(protocol, sel, required, !m.static); d.name != 0 && d.types != nil {
			return text(d.types), nil
		}
	}
	return "", errors.New("the protocol has no such method")
}

// text copies a C string.
func text(p *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return strings.Clone(unsafe.String(p, n))
}
