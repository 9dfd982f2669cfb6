package objc

import (
	"math"
	"reflect"
	"runtime"
)

var marked bool

// Mark has every message carry a marker in each register that it does not use, for tests: a
// runtime that knows it can tell how many arguments were passed, and of which kind. It
// comes before the first message.
func Mark() { marked = true }

// Marker is what unused registers hold after [Mark].
const Marker = 0x5AFE5AFE5AFE5AFE

// integerRegisters and floatRegisters hold arguments (System V ABI; AAPCS64).
var integerRegisters = map[string]int{"amd64": 6, "arm64": 8}[runtime.GOARCH]

const floatRegisters = 8

// mark returns the arguments of a message, followed by markers.
func (m *message) mark(in []reflect.Value) []any {
	integers, floats := 2, 0 // the receiver and the selector
	if m.inMemory() {
		integers++
	}
	var args []any
	for _, v := range in {
		args = append(args, v.Interface())
		switch v.Kind() {
		case reflect.Float32, reflect.Float64:
			floats++
		case reflect.Struct:
			size := int(v.Type().Size())
			switch {
			case size <= 16:
				integers += (size + 7) / 8
			case runtime.GOARCH == "arm64": // the address of a copy
				integers++
			}
		default:
			integers++
		}
	}
	const onStack = 4 // markers there as well
	for range max(0, integerRegisters-integers) + onStack {
		args = append(args, uintptr(Marker))
	}
	for ; floats < floatRegisters; floats++ {
		args = append(args, math.Float64frombits(Marker))
	}
	return args
}
