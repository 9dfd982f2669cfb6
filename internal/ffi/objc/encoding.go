package objc

import (
	"fmt"
	"reflect"
	"strings"
	"structs"
)

// compare returns an error if a function cannot send a message of that type encoding. An
// encoding is of the result, the receiver, the selector and the arguments, see "Type
// Encodings" in Apple's Objective-C Runtime Programming Guide.
func compare(f reflect.Type, encoding string) error {
	types, err := split(encoding)
	if err != nil {
		return err
	}
	if len(types) < 3 {
		return fmt.Errorf("%q is not the encoding of a method", encoding)
	}
	if len(types) != f.NumIn()+2 {
		return fmt.Errorf("encoding %s has %d arguments, the Go type %d", encoding, len(types)-3, f.NumIn()-1)
	}
	switch {
	case f.NumOut() == 0 && types[0] != "v":
		return fmt.Errorf("encoding %s returns %s, the Go type nothing", encoding, types[0])
	case f.NumOut() == 1 && !fits(f.Out(0), types[0]):
		return fmt.Errorf("encoding %s returns %s, the Go type %s", encoding, types[0], f.Out(0))
	}
	for i := 1; i < f.NumIn(); i++ {
		if !fits(f.In(i), types[i+2]) {
			return fmt.Errorf("encoding %s: argument %d is %s, the Go type has %s", encoding, i, types[i+2], f.In(i))
		}
	}
	return nil
}

// split cuts an encoding into types, without qualifiers and the offsets in the stack's
// frame.
func split(encoding string) (types []string, err error) {
	for s := encoding; ; {
		s = strings.TrimLeft(s, "rnNoORVA0123456789+-")
		if s == "" {
			return types, nil
		}
		n := length(s)
		if n <= 0 || n > len(s) {
			return nil, fmt.Errorf("%q is no type encoding", encoding)
		}
		types, s = append(types, s[:n]), s[n:]
	}
}

// length returns how long the first type of an encoding is; 0 if it has no end.
func length(s string) int {
	switch s[0] {
	case '^':
		n := 1
		for n < len(s) && s[n] == 'r' {
			n++
		}
		if n == len(s) {
			return 0
		}
		rest := length(s[n:])
		if rest == 0 {
			return 0
		}
		return n + rest
	case '{', '[', '(':
		return closing(s)
	case '@':
		switch {
		case strings.HasPrefix(s, "@?"): // a block
			return 2
		case strings.HasPrefix(s, `@"`): // with the name of a class
			end := strings.IndexByte(s[2:], '"')
			if end < 0 {
				return 0
			}
			return 2 + end + 1
		}
	}
	return 1
}

// closing returns the length of what is in brackets; 0 if they are not closed.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// codes are the encodings of numbers and C strings. BOOL is a signed char on amd64.
var codes = map[reflect.Kind]string{
	reflect.Uint: "QL", reflect.Uint64: "QL", reflect.Uintptr: "QL", reflect.Int: "ql", reflect.Int64: "ql",
	reflect.Uint32: "I", reflect.Int32: "i", reflect.Uint8: "C", reflect.Bool: "Bc",
	reflect.Float64: "d", reflect.Float32: "f", reflect.String: "*",
}

// fits reports whether a Go type is passed as the encoded C type is.
func fits(t reflect.Type, encoding string) bool {
	switch t {
	case reflect.TypeFor[ID]():
		return encoding[0] == '@' || encoding == "#"
	case reflect.TypeFor[SEL]():
		return encoding == ":"
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.UnsafePointer:
		return encoding[0] == '^' || encoding == "*"
	case reflect.Struct:
		return fieldsFit(t, encoding)
	}
	return len(encoding) == 1 && strings.Contains(codes[t.Kind()], encoding)
}

func fieldsFit(t reflect.Type, encoding string) bool {
	_, body, named := strings.Cut(strings.TrimSuffix(encoding, "}"), "=")
	fields, err := split(body)
	if encoding[0] != '{' || !named || err != nil {
		return false
	}
	var types []reflect.Type
	for i := range t.NumField() {
		if f := t.Field(i).Type; f != reflect.TypeFor[structs.HostLayout]() {
			types = append(types, f)
		}
	}
	if len(types) != len(fields) {
		return false
	}
	for i, f := range types {
		if !fits(f, fields[i]) {
			return false
		}
	}
	return true
}
