// Package iokit reads what macOS' drivers say of themselves in the I/O registry, through
// IOKit and CoreFoundation (Apple's documentation of IOKitLib.h, CFDictionary.h and
// CFNumber.h). It has been tested with a library in their place, and has not been run on a
// Mac.
package iokit

import (
	"errors"
	"runtime"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// ErrMissing is the error of a system without IOKit.
var ErrMissing = errors.New("this is not a Mac")

// A Library is IOKit with CoreFoundation. Its references are of objects of theirs, 0 for
// none.
type Library struct {
	serviceMatching     func(name string) uintptr                                          // is released by matchingServices
	matchingServices    func(port uint32, matching uintptr, iterator *uint32) int32        // 0: no error
	iteratorNext        func(iterator uint32) uint32                                       // 0: the end
	createProperty      func(entry uint32, key, allocator uintptr, options uint32) uintptr // to be released
	objectRelease       func(object uint32) int32
	stringCreate        func(allocator uintptr, text string, encoding uint32) uintptr // to be released
	dictionaryGetValue  func(dictionary, key uintptr) uintptr                         // borrowed
	numberGetValue      func(number uintptr, kind int64, value *int64) bool
	typeID              func(object uintptr) uint64
	dictionaryGetTypeID func() uint64
	numberGetTypeID     func() uint64
	release             func(object uintptr)
}

const (
	utf8   = 0x08000100 // kCFStringEncodingUTF8
	sint64 = 4          // kCFNumberSInt64Type
)

// Open loads the frameworks.
func Open() (*Library, error) {
	if runtime.GOOS != "darwin" {
		return nil, ErrMissing
	}
	return open("/System/Library/Frameworks/IOKit.framework/IOKit", "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation")
}

// open loads the frameworks from files.
func open(kit, foundation string) (*Library, error) {
	var l Library
	for _, x := range []struct {
		name    string
		symbols map[string]any
	}{
		{kit, map[string]any{
			"IOServiceMatching": &l.serviceMatching, "IOServiceGetMatchingServices": &l.matchingServices, "IOIteratorNext": &l.iteratorNext,
			"IORegistryEntryCreateCFProperty": &l.createProperty, "IOObjectRelease": &l.objectRelease,
		}},
		{foundation, map[string]any{
			"CFStringCreateWithCString": &l.stringCreate, "CFDictionaryGetValue": &l.dictionaryGetValue, "CFNumberGetValue": &l.numberGetValue,
			"CFGetTypeID": &l.typeID, "CFDictionaryGetTypeID": &l.dictionaryGetTypeID, "CFNumberGetTypeID": &l.numberGetTypeID, "CFRelease": &l.release,
		}},
	} {
		lib, err := dl.Open(x.name)
		if err != nil {
			return nil, err
		}
		for symbol, fptr := range x.symbols {
			if err := lib.Register(fptr, symbol); err != nil {
				return nil, err
			}
		}
	}
	return &l, nil
}

// Numbers returns the numbers with these keys in a dictionary that is a property of the
// first service of a class; what is not there, or is no number, is left out.
func (l *Library) Numbers(class, property string, keys ...string) map[string]int64 {
	found := map[string]int64{}
	var iterator uint32
	if l.matchingServices(0, l.serviceMatching(class), &iterator) != 0 {
		return found
	}
	defer l.objectRelease(iterator)
	service := l.iteratorNext(iterator)
	if service == 0 {
		return found
	}
	defer l.objectRelease(service)
	name := l.stringCreate(0, property, utf8)
	if name == 0 {
		return found
	}
	defer l.release(name)
	dictionary := l.createProperty(service, name, 0, 0)
	if dictionary == 0 {
		return found
	}
	defer l.release(dictionary)
	if l.typeID(dictionary) != l.dictionaryGetTypeID() {
		return found
	}
	for _, k := range keys {
		key := l.stringCreate(0, k, utf8)
		if key == 0 {
			continue
		}
		var v int64
		if n := l.dictionaryGetValue(dictionary, key); n != 0 && l.typeID(n) == l.numberGetTypeID() && l.numberGetValue(n, sint64, &v) {
			found[k] = v
		}
		l.release(key)
	}
	return found
}
