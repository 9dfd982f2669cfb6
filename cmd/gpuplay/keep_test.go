package main

import "testing"

// A file that Windows PowerShell has redirected is read like any other.
func TestInUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"\xff":                       "\xff",
		"{\"µ\"}":                    "{\"µ\"}",
		"\xef\xbb\xbf{\"µ\"}":        "{\"µ\"}",
		"\xff\xfe{\x00\xb5\x00}\x00": "{µ}",
		"\xfe\xff\x00{\x00\xb5\x00}": "{µ}",
		"\xff\xfe\x3d\xd8\x00\xde":   "😀",
		"\xff\xfe":                   "",
		"\xff\xfe{\x00\xb5":          "{",
		"\xff\xfe\x00\xd8":           "\ufffd",
	} {
		if got := string(inUTF8([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
