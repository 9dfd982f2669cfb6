// Package dl loads shared libraries at run time and calls their C functions.
//
// It is the only importer of purego. Where purego panics, for example because of a
// missing symbol, dl returns an error. Libraries are never unloaded: many start
// threads, and few of those survive the unloading of their code.
package dl

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/ebitengine/purego"
)

// A Library is a loaded shared library. The zero value is not usable.
type Library struct {
	handle uintptr
	name   string
}

// Open loads a library, given a path or a file name that the system looks up in its
// own folders. All symbols of the library are resolved at once, and other libraries
// do not see them. A second Open of the same file returns the same library under
// another name. The error is the system's and names the file.
func Open(name string) (Library, error) {
	handle, err := open(name)
	if err != nil {
		return Library{}, err
	}
	return Library{handle, name}, nil
}

// OpenFirst opens the first library that exists of several, by their names as for Open; found is
// false if none does. One that exists and cannot be loaded is an error.
func OpenFirst(names []string) (l Library, found bool, err error) {
	for _, name := range names {
		l, err := Open(name)
		if err == nil {
			return l, true, nil
		}
		if !Absent(name, err) {
			return Library{}, false, err
		}
	}
	return Library{}, false, nil
}

// Absent reports whether err, from opening a library by name, says no more than that it does
// not exist; a library that it depends on may be missing instead. Each system has its own
// words for that; here they are those for a library that surely does not exist.
func Absent(name string, err error) bool {
	const nowhere = "gpuplay-no-such-library"
	_, want := Open(nowhere)
	return want != nil && err.Error() == strings.ReplaceAll(want.Error(), nowhere, name)
}

// Name returns the name with which the library was opened.
func (l Library) Name() string { return l.name }

// Sym returns the address of a function or variable. On Linux and macOS the
// libraries that l depends on are searched after l itself.
func (l Library) Sym(symbol string) (uintptr, error) {
	addr, err := lookup(l.handle, symbol)
	if err != nil { // the system's message adds nothing, and not every system names the library in it
		return 0, fmt.Errorf("%s: no symbol %s", l.name, symbol)
	}
	return addr, nil
}

// Path returns the file that contains the symbol, as the system reports it. It is
// empty when the system does not know.
func (l Library) Path(symbol string) string {
	addr, err := l.Sym(symbol)
	if err != nil {
		return ""
	}
	return path(l.handle, addr)
}

// Has reports whether the library has all of the symbols.
func (l Library) Has(symbols ...string) bool {
	for _, s := range symbols {
		if _, err := l.Sym(s); err != nil {
			return false
		}
	}
	return true
}

// Register sets the function variable at fptr to a C function, like
// purego.RegisterFunc: the variable's type must match the C declaration. On error
// the variable is unchanged.
func (l Library) Register(fptr any, symbol string) (err error) {
	addr, err := l.Sym(symbol)
	if err != nil {
		return err
	}
	defer func() { // purego panics on types that it cannot pass
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %s as %T: %v", l.name, symbol, fptr, p)
		}
	}()
	purego.RegisterFunc(fptr, addr)
	return nil
}

// RegisterFields sets the exported fields of the structure at p to the C functions that their tags
// name, as in `cu:"cuInit"` with "cu" as the key; see Register. A field that has a tag named
// since as well stays nil in a library without its function.
func (l Library) RegisterFields(p any, key string) error {
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		symbol, tagged := f.Tag.Lookup(key)
		if !tagged || f.Tag.Get("since") != "" && !l.Has(symbol) {
			continue
		}
		if err := l.Register(v.Field(i).Addr().Interface(), symbol); err != nil {
			return err
		}
	}
	return nil
}

// Call calls the C function at address fn with up to 32 integers or pointers. It
// takes about 0.1 µs, where a function made by Register takes 1 to 2 µs. Functions
// that take or return floating-point numbers need Register.
//
// A pointer that is converted to uintptr in the call expression stays valid during
// the call.
//
//go:uintptrescapes
func Call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}
