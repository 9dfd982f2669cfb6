package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Tiny returns a GGUF file of 115 kB with which a runtime can show that it computes
// on this machine at all: a Llama of one layer with random weights, whose tokens
// are bytes. Its output is meaningless.
func Tiny() []byte {
	const (
		embedding, hidden, heads = 32, 64, 4
		specials, bytesTokens    = 3, 256
		vocabulary               = specials + bytesTokens
	)
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	text := func(s string) { put(uint64(len(s))); b.WriteString(s) }
	values := 0
	value := func(key string, kind uint32, v func()) { text(key); put(kind); v(); values++ }
	word := func(key, s string) { value(key, valueString, func() { text(s) }) }
	number := func(key string, n uint32) { value(key, valueUint32, func() { put(n) }) }
	array := func(key string, kind uint32, each func(i int)) {
		value(key, valueArray, func() {
			put(kind)
			put(uint64(vocabulary))
			for i := range vocabulary {
				each(i)
			}
		})
	}
	word("general.architecture", "llama")
	word("general.name", "Tiny")
	number("llama.block_count", 1)
	number("llama.context_length", 1024)
	number("llama.embedding_length", embedding)
	number("llama.feed_forward_length", hidden)
	number("llama.attention.head_count", heads)
	value("llama.attention.layer_norm_rms_epsilon", valueFloat32, func() { put(float32(1e-5)) })
	word("tokenizer.ggml.model", "llama")
	names := []string{"<unk>", "<s>", "</s>"}
	array("tokenizer.ggml.tokens", valueString, func(i int) {
		if i < specials {
			text(names[i])
		} else {
			text(fmt.Sprintf("<0x%02X>", i-specials))
		}
	})
	array("tokenizer.ggml.scores", valueFloat32, func(int) { put(float32(0)) })
	array("tokenizer.ggml.token_type", valueInt32, func(i int) { // llama_token_type: unknown, control, byte
		put([]int32{2, 3, 3, 6}[min(i, specials)])
	})
	number("tokenizer.ggml.bos_token_id", 1)
	number("tokenizer.ggml.eos_token_id", 2)
	number("tokenizer.ggml.unknown_token_id", 0)

	tensors := []struct {
		name string
		n    []uint64
	}{
		{"token_embd.weight", []uint64{embedding, vocabulary}},
		{"output_norm.weight", []uint64{embedding}},
		{"output.weight", []uint64{embedding, vocabulary}},
		{"blk.0.attn_norm.weight", []uint64{embedding}},
		{"blk.0.attn_q.weight", []uint64{embedding, embedding}},
		{"blk.0.attn_k.weight", []uint64{embedding, embedding}},
		{"blk.0.attn_v.weight", []uint64{embedding, embedding}},
		{"blk.0.attn_output.weight", []uint64{embedding, embedding}},
		{"blk.0.ffn_norm.weight", []uint64{embedding}},
		{"blk.0.ffn_gate.weight", []uint64{embedding, hidden}},
		{"blk.0.ffn_up.weight", []uint64{embedding, hidden}},
		{"blk.0.ffn_down.weight", []uint64{hidden, embedding}},
	}
	offset := uint64(0)
	for _, t := range tensors {
		text(t.name)
		put(uint32(len(t.n)))
		size := uint64(4)
		for _, n := range t.n {
			put(n)
			size *= n
		}
		put(uint32(0)) // F32
		put(offset)
		offset += size // a multiple of 32, which is where the next one has to begin
	}
	head := append(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(
		binary.LittleEndian.AppendUint32([]byte("GGUF"), newestGGUF), uint64(len(tensors))), uint64(values)), b.Bytes()...)
	for len(head)%32 != 0 {
		head = append(head, 0)
	}
	random := rand.New(rand.NewPCG(1, 1))
	weights := make([]float32, offset/4)
	for i := range weights {
		weights[i] = random.Float32() - 0.5
	}
	// A row of zeros in the output makes a token's score 0, which is never the largest,
	// so that only printable characters are generated: a server may refuse an answer
	// that is not valid UTF-8.
	output := weights[embedding*vocabulary+embedding:][:embedding*vocabulary]
	for i := range vocabulary {
		if b := i - specials; b < ' ' || b > '~' {
			clear(output[i*embedding:][:embedding])
		}
	}
	file, err := binary.Append(head, binary.LittleEndian, weights)
	if err != nil {
		panic(err) // a slice of float32 has a fixed size
	}
	return file
}
