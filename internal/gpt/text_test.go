package gpt

import (
	"strings"
	"testing"
)

func TestReadText(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string // want: in the error
	}{
		{"empty", "", "the text has 0 characters: it needs at least 1000"},
		{"short", strings.Repeat("é", 999), "the text has 999 characters"},
		{"binary", strings.Repeat("a\x00", 1000), "not a text in UTF-8"},
		{"another encoding", strings.Repeat("a\xe9", 1000), "not a text in UTF-8"},
		{"large", strings.Repeat("ab", MaxText/2+1), "the text has more than 4194304 bytes"},
		{"one character", strings.Repeat("a", 1000), "the text has 1 different characters"},
		{"as short as can be", strings.Repeat("ab", 500), ""},
		{"Chinese", strings.Repeat("天地玄黃宇宙洪荒", 200), ""},
	} {
		text, err := ReadText([]byte(tt.text))
		switch {
		case tt.want == "":
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if context := Usual.Context; text.learned <= context || len(text.Tokens)-text.learned <= context {
				t.Errorf("%s: %d characters are learned, of %d", tt.name, text.learned, len(text.Tokens))
			}
		case err == nil || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	all := make([]rune, MaxCharacters+1)
	for i := range all {
		all[i] = rune(0x4e00 + i)
	}
	if _, err := ReadText([]byte(string(all))); err == nil || !strings.Contains(err.Error(), "1001 different characters") {
		t.Errorf("too many characters: %v", err)
	}
}

// A mark of the byte order and the line ends of Windows are no part of a text.
func TestLineEnds(t *testing.T) {
	text, err := ReadText([]byte("\ufeff" + strings.Repeat("ab\r\n", 500)))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text.Characters); got != "\nab" || len(text.Tokens) != 1500 || text.begin() != 0 {
		t.Errorf("characters %q, %d tokens, begins with %d", got, len(text.Tokens), text.begin())
	}
}

// Coriolanus leaves room for other data sets of the page.
func TestCoriolanus(t *testing.T) {
	text := readText(t)
	if len(Coriolanus) > 160_000 || len(text.Characters) != 61 {
		t.Errorf("%d bytes, %d characters", len(Coriolanus), len(text.Characters))
	}
}

func FuzzReadText(f *testing.F) {
	f.Add([]byte("\ufeffa\r\n"))
	f.Add(Coriolanus[:2000])
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := ReadText(b)
		if err != nil {
			return
		}
		for _, token := range text.Tokens {
			if int(token) >= len(text.Characters) {
				t.Fatalf("token %d of %d characters", token, len(text.Characters))
			}
		}
	})
}
