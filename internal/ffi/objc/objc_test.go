package objc

import (
	"reflect"
	"slices"
	"strings"
	"structs"
	"testing"
	"unsafe"
)

// What the messages of real frameworks look like, and what the engine's tests load, is
// tested in package metal.

type size struct {
	_             structs.HostLayout
	Width, Height uint
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		function any
		encoding string
		want     string
	}{
		{func(ID) {}, "v16@0:8", ""},
		{func(ID) ID { return 0 }, "@16@0:8", ""},
		{func(ID, uint, bool, float64) ID { return 0 }, "@40@0:8Q16B24d28", ""},
		{func(ID, unsafe.Pointer, *ID) bool { return false }, "c32@0:8r^v16o^@24", ""},
		{func(ID, ID) {}, `v24@0:8@"NSString"16`, ""},
		{func(ID, ID) {}, "v24@0:8@?16", ""},
		{func(ID, size) string { return "" }, "r*32@0:8{?=QQ}16", ""},
		{func(ID, unsafe.Pointer) {}, "v24@0:8^{?=[4Q]}16", ""},
		{func(ID, uint) {}, "v16@0:8", "has 0 arguments, the Go type 1"},
		{func(ID) {}, "Q16@0:8", "returns Q, the Go type nothing"},
		{func(ID) float64 { return 0 }, "f16@0:8", "returns f, the Go type float64"},
		{func(ID, uint) {}, "v20@0:8I16", "argument 1 is I, the Go type has uint"},
		{func(ID, size) {}, "v24@0:8{?=QQQ}16", "argument 1 is {?=QQQ}"},
		{func(ID, size) {}, "v24@0:8^{?=QQ}16", "argument 1 is ^{?=QQ}"},
		{func(ID, size) {}, "v24@0:8{?=dd}16", "argument 1 is {?=dd}"},
		{func(ID, SEL) {}, "v24@0:8:16", ""},
		{func(ID) {}, "v16@0:8{", "is no type encoding"},
		{func(ID) {}, `v16@0:8@"`, "is no type encoding"},
		{func(ID) {}, "v16@0:8^", "is no type encoding"},
		{func(ID) {}, "", "is not the encoding of a method"},
	} {
		err := compare(reflect.TypeOf(c.function), c.encoding)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%T as %s: %v, want %q", c.function, c.encoding, err, c.want)
		}
	}
}

func TestParseMessage(t *testing.T) {
	for _, c := range []struct {
		declaration string
		function    any
		want        string
	}{
		{"-[A b:c:]", func(ID, ID, uint) ID { return 0 }, ""},
		{"+[A new]", func(ID) ID { return 0 }, ""},
		{"-[A b:c:]", func(ID, ID) {}, "takes 2 arguments, its Go type 1"},
		{"-[A b", func(ID) {}, "is no message"},
		{"[A b]", func(ID) {}, "is no message"},
		{"-[b]", func(ID) {}, "is no message"},
		{"-[A b]", func(uint) {}, "is no type of a message"},
		{"-[A b]", 1, "is no type of a message"},
	} {
		_, err := parseMessage(c.declaration, reflect.TypeOf(c.function))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s as %T: %v, want %q", c.declaration, c.function, err, c.want)
		}
	}
}

// Encodings come from whatever framework is loaded.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"v16@0:8", "@40@0:8Q16B24d28", "{?=[4^{_A=QQ}]}", `@"NSString"`, "^", "^r", "{", "@?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		types, err := split(s)
		if err == nil && slices.Contains(types, "") {
			t.Errorf("%q: %q", s, types)
		}
	})
}

func TestNotLoaded(t *testing.T) {
	if err := Load("gpuplay-no-such-library"); err == nil || !strings.Contains(err.Error(), "gpuplay-no-such-library") {
		t.Errorf("a runtime that is not there: %v", err)
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "-[NSObject release] was sent before Load") {
			t.Errorf("a message before Load: %v", p)
		}
	}()
	Release(1)
}
