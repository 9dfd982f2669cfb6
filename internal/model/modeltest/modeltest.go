// Package modeltest makes small model files, for tests.
package modeltest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
)

// A Pair is a key of GGUF's metadata with its value: a string, uint32, bool or
// []uint32.
type Pair struct {
	Key   string
	Value any
}

// A Tensor is a tensor of float16 (type 1 in ggml.h) with that many elements.
type Tensor struct {
	Name  string
	Shape []uint64
}

// GGUF returns a GGUF file as
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md has it.
func GGUF(pairs []Pair, tensors []Tensor) []byte {
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	text := func(s string) { put(uint64(len(s))); b.WriteString(s) }
	b.WriteString("GGUF")
	put(uint32(3))
	put(uint64(len(tensors)))
	put(uint64(len(pairs)))
	for _, p := range pairs {
		text(p.Key)
		switch v := p.Value.(type) {
		case uint32:
			put(uint32(4))
			put(v)
		case []uint32:
			put(uint32(9))
			put(uint32(4))
			put(uint64(len(v)))
			put(v)
		case bool:
			put(uint32(7))
			put(v)
		case string:
			put(uint32(8))
			text(v)
		}
	}
	offset := uint64(0)
	for _, t := range tensors {
		text(t.Name)
		put(uint32(len(t.Shape)))
		size := uint64(2)
		for _, n := range t.Shape {
			put(n)
			size *= n
		}
		put(uint32(1))
		put(offset)
		offset += (size + 31) / 32 * 32
	}
	for b.Len()%32 != 0 {
		b.WriteByte(0)
	}
	b.Write(make([]byte, offset))
	return b.Bytes()
}

// Safetensors returns a file of the format of
// https://github.com/huggingface/safetensors#format with tensors of float16, whose bytes
// are all that value.
func Safetensors(tensors []Tensor, value byte) []byte {
	type entry struct {
		DType   string    `json:"dtype"`
		Shape   []uint64  `json:"shape"`
		Offsets [2]uint64 `json:"data_offsets"`
	}
	header := map[string]entry{}
	end := uint64(0)
	for _, t := range tensors {
		size := uint64(2)
		for _, n := range t.Shape {
			size *= n
		}
		header[t.Name] = entry{"F16", t.Shape, [2]uint64{end, end + size}}
		end += size
	}
	text, err := json.Marshal(header)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
	return append(b, bytes.Repeat([]byte{value}, int(end))...)
}
