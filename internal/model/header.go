package model

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// A header is what a GGUF file says before its weights:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
//
// It is read here because no library does: gguf-parser-go (0.28) reserves as much
// memory as a number in the file says, which no caller can survive, panics on
// others, does not know the types since MXFP4, and links an SSH client; Ollama's
// own reader trusts every length. Nothing here is believed before it is compared
// with the size of the file.
type header struct {
	values  map[string]any // numbers as uint64, int64 or float64, bools, strings; of arrays only short ones, as []uint64
	tensors []ggmlTensor
	start   int64 // where the weights begin
}

// A ggmlTensor is a matrix of a GGUF file.
type ggmlTensor struct {
	name       string
	dimensions int
	parameters int64
	kind       uint32 // key of ggmlTypes
	offset     int64  // from the header's start
	bytes      int64  // as its type takes; up to the next tensor where the type is not known
}

// Versions of GGUF that are known. The first was dropped by llama.cpp in 2023.
const (
	oldestGGUF = 2
	newestGGUF = 3
)

// Types of values.
const (
	valueUint8 = iota
	valueInt8
	valueUint16
	valueInt16
	valueUint32
	valueInt32
	valueFloat32
	valueBool
	valueString
	valueArray
	valueUint64
	valueInt64
	valueFloat64
)

// valueSizes are the bytes of a value of a type, 0 for those without a fixed size.
var valueSizes = [...]int64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// longestName is more than a key may take (65535) or a tensor's name (64).
const longestName = 1 << 16

// A reader reads a header and stops at the first error.
type reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	at    int64
	size  int64 // of the file
	err   error
}

var errEnds = errors.New("the file ends in its header")

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// bytes reads n bytes, which are there or are an error before anything is reserved.
func (r *reader) bytes(n int64) []byte {
	if r.err == nil && (n < 0 || n > r.size-r.at) {
		r.err = errEnds
	}
	if r.err != nil {
		return make([]byte, 8)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.in, b); err != nil {
		r.err = err
		return make([]byte, 8)
	}
	r.at += n
	return b
}

func (r *reader) skip(n int64) {
	if r.err == nil && (n < 0 || n > r.size-r.at) {
		r.err = errEnds
	}
	for r.err == nil && n > 0 {
		step, err := r.in.Discard(int(min(n, 1<<30)))
		n, r.at, r.err = n-int64(step), r.at+int64(step), err
	}
}

func (r *reader) uint32() uint32 { return r.order.Uint32(r.bytes(4)) }
func (r *reader) uint64() uint64 { return r.order.Uint64(r.bytes(8)) }

// count reads how many things follow that take at least a number of bytes each.
func (r *reader) count(what string, each int64) int64 {
	n := r.uint64()
	if r.err == nil && n > uint64((r.size-r.at)/each) {
		r.fail("it claims %d %s, more than fit into %d bytes", n, what, r.size)
	}
	if r.err != nil {
		return 0
	}
	return int64(n)
}

func (r *reader) text(what string, limit int64) string {
	n := r.count("bytes of "+what, 1)
	if n > limit {
		r.fail("%s of %d bytes", what, n)
		return ""
	}
	return string(r.bytes(n))
}

// value reads a value, nil for an array that is passed over.
func (r *reader) value(kind uint32) any {
	switch kind {
	case valueUint8:
		return uint64(r.bytes(1)[0])
	case valueInt8:
		return int64(int8(r.bytes(1)[0]))
	case valueUint16:
		return uint64(r.order.Uint16(r.bytes(2)))
	case valueInt16:
		return int64(int16(r.order.Uint16(r.bytes(2))))
	case valueUint32:
		return uint64(r.uint32())
	case valueInt32:
		return int64(int32(r.uint32()))
	case valueFloat32:
		return float64(math.Float32frombits(r.uint32()))
	case valueBool:
		return r.bytes(1)[0] != 0
	case valueString:
		return r.text("a text", r.size)
	case valueUint64:
		return r.uint64()
	case valueInt64:
		return int64(r.uint64())
	case valueFloat64:
		return math.Float64frombits(r.uint64())
	case valueArray:
		if list := r.array(); list != nil {
			return list
		}
	default:
		r.fail("a value of the unknown type %d", kind)
	}
	return nil
}

// mostBlocks is more blocks than any model has, each of which may have a number of its own.
const mostBlocks = 1024

// array reads an array of as many counts as a model may have blocks, and passes over
// others: they are vocabularies, of a hundred thousand words.
func (r *reader) array() (list []uint64) {
	kind := r.uint32()
	switch {
	case kind == valueString:
		for n := r.count("texts", 8); n > 0 && r.err == nil; n-- {
			r.skip(int64(min(r.uint64(), math.MaxInt64)))
		}
	case int(kind) < len(valueSizes) && valueSizes[kind] > 0:
		n := r.count("numbers", valueSizes[kind])
		if n > mostBlocks || kind != valueUint32 && kind != valueInt32 {
			r.skip(valueSizes[kind] * n)
			return nil
		}
		for range n {
			list = append(list, uint64(max(int32(r.uint32()), 0)))
		}
	default: // llama.cpp refuses arrays of arrays
		r.fail("an array of the type %d", kind)
	}
	return list
}

// readHeader reads the header of a GGUF file.
func readHeader(path string) (header, error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return header{}, cause(err)
	}
	return parseHeader(f, info.Size())
}

// parseHeader reads the header of a GGUF file of that size, and little more of it.
func parseHeader(in io.Reader, size int64) (header, error) {
	r := &reader{in: bufio.NewReaderSize(in, 1<<16), order: binary.LittleEndian, size: size}
	if string(r.bytes(4)[:4]) != "GGUF" {
		r.fail("it does not begin with GGUF")
	}
	if r.uint32() > newestGGUF {
		r.order = binary.BigEndian
	}
	h := header{values: map[string]any{}}
	tensors := r.count("tensors", 24)
	for n := r.count("values", 13); n > 0 && r.err == nil; n-- {
		key := r.text("a key", longestName)
		if v := r.value(r.uint32()); v != nil {
			h.values[key] = v
		}
	}
	for ; tensors > 0 && r.err == nil; tensors-- {
		h.tensors = append(h.tensors, r.tensor())
	}
	if r.err != nil {
		return header{}, r.err
	}
	alignment := int64(h.number("general.alignment"))
	if alignment == 0 {
		alignment = 32
	}
	if alignment > 1<<20 {
		return header{}, fmt.Errorf("an alignment of %d bytes", alignment)
	}
	h.start = (r.at + alignment - 1) / alignment * alignment
	return h, h.place(size)
}

// tensor reads one entry in the list of tensors.
func (r *reader) tensor() ggmlTensor {
	t := ggmlTensor{name: r.text("a tensor's name", longestName), parameters: 1}
	n := r.uint32()
	if n > 4 { // GGML_MAX_DIMS
		r.fail("the tensor %s has %d dimensions", t.name, n)
		return t
	}
	t.dimensions = int(n)
	for range n {
		d := r.uint64()
		if d > 0 && uint64(t.parameters) > math.MaxInt64/1024/d { // no type takes 1024 bytes per element
			r.fail("the tensor %s is too large", t.name)
			return t
		}
		t.parameters *= int64(d)
	}
	t.kind = r.uint32()
	offset := r.uint64()
	if offset > math.MaxInt64/2 {
		r.fail("the tensor %s begins at %d", t.name, offset)
	}
	t.offset = int64(offset)
	return t
}

// place says how many bytes each tensor takes and wants all to be in the file.
func (h *header) place(size int64) error {
	order := make([]*ggmlTensor, len(h.tensors))
	for i := range h.tensors {
		order[i] = &h.tensors[i]
	}
	slices.SortFunc(order, func(a, b *ggmlTensor) int { return int(min(max(a.offset-b.offset, -1), 1)) })
	for i, t := range order {
		next := max(size-h.start, 0)
		if i+1 < len(order) {
			next = order[i+1].offset
		}
		t.bytes = max(next-t.offset, 0)
		if known, ok := ggmlTypes[t.kind]; ok {
			t.bytes = t.parameters / known.block * known.bytes
		}
		if end := h.start + t.offset + t.bytes; end > size {
			return fmt.Errorf("its weights end at %d bytes, the file at %d", end, size)
		}
	}
	return nil
}

// text returns a value that is a string, "" when there is none.
func (h *header) text(key string) string {
	s, _ := h.values[key].(string)
	return strings.TrimSpace(s)
}

// number returns a value that is a count, 0 when there is none.
func (h *header) number(key string) uint64 {
	switch v := h.values[key].(type) {
	case uint64:
		return v
	case int64:
		return uint64(max(v, 0))
	}
	return 0
}

// perBlock returns a count for each of a model's blocks, of which the file says one for all
// of them or a list.
func (h *header) perBlock(key string, blocks uint64) []uint64 {
	if list, ok := h.values[key].([]uint64); ok {
		return list[:min(uint64(len(list)), blocks)]
	}
	return slices.Repeat([]uint64{h.number(key)}, int(min(blocks, mostBlocks)))
}
