package gpt

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Coriolanus is Shakespeare's play, of 1608 or so, in the form in which Andrej Karpathy's
// collection of Shakespeare for character-level models begins with it
// (github.com/karpathy/char-rnn, data/tinyshakespeare). The text is in the public domain.
//
//go:embed coriolanus.txt
var Coriolanus []byte

// Limits of a text.
const (
	MinText       = 1000    // characters
	MaxText       = 4 << 20 // bytes
	MaxCharacters = 1000    // different ones
)

// A Text is what a network learns to write.
type Text struct {
	Characters []rune  // all that occur, in order; a token is the index of one
	Tokens     []int32 // the text
	// learned is how many tokens are learned: nine tenths. The others are for evaluation.
	learned int
}

// ReadText makes tokens of a text in UTF-8. Its errors say what is wrong with the text. The ends
// of lines become those of Unix.
func ReadText(b []byte) (*Text, error) {
	if len(b) > MaxText {
		return nil, fmt.Errorf("the text has more than %d bytes", MaxText)
	}
	b = bytes.ReplaceAll(bytes.TrimPrefix(b, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, fmt.Errorf("this is not a text in UTF-8")
	}
	text := []rune(string(b))
	if len(text) < MinText {
		return nil, fmt.Errorf("the text has %d characters: it needs at least %d", len(text), MinText)
	}
	t := &Text{learned: len(text) * 9 / 10, Tokens: make([]int32, len(text))}
	t.Characters = slices.Compact(slices.Sorted(slices.Values(text)))
	if n := len(t.Characters); n < 2 || n > MaxCharacters {
		return nil, fmt.Errorf("the text has %d different characters: must be between 2 and %d", n, MaxCharacters)
	}
	for i, c := range text {
		token, _ := slices.BinarySearch(t.Characters, c)
		t.Tokens[i] = int32(token)
	}
	return t, nil
}

// begin returns the token that a written text continues: the end of a line, or else the one that
// the text begins with.
func (t *Text) begin() int32 {
	if token, ok := slices.BinarySearch(t.Characters, '\n'); ok {
		return int32(token)
	}
	return t.Tokens[0]
}
