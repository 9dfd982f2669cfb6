package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/gpuplay/gpuplay/internal/plain"
)

// commandLine is the wording of remedies on a command line: a parameter is a flag,
// and what is copied into a shell arrives there as it is meant.
type commandLine struct {
	// folder is the working folder: a path below it is written from there on. Empty:
	// paths stay as they are.
	folder string
}

// Param returns a flag, with its value if there is one.
func (c commandLine) Param(name, value string) string {
	if value == "" {
		return "--" + name
	}
	return "--" + name + " " + quote(c.short(value))
}

// Command returns a command line.
func (c commandLine) Command(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(c.short(w))
	}
	return strings.Join(quoted, " ")
}

// short returns a path below the working folder as it is typed there.
func (c commandLine) short(word string) string {
	if c.folder == "" || !filepath.IsAbs(word) {
		return word
	}
	rel, err := filepath.Rel(c.folder, word)
	if err != nil || !filepath.IsLocal(rel) || strings.HasPrefix(rel, "-") {
		return word
	}
	return rel
}

// quote returns a word so that a shell of this system takes it for one word.
func quote(word string) string {
	if runtime.GOOS == "windows" {
		return quoteWindows(word)
	}
	return quotePOSIX(word)
}

// bare are words that no shell reads anything into; the set is that of Python's
// shlex.quote.
var bare = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// quotePOSIX quotes for sh and its descendants, where nothing within single quotes
// means anything but the next single quote. What no terminal is to be sent is written by
// its bytes, in the $'…' of POSIX.1-2024, which bash and zsh have long had.
func quotePOSIX(word string) string {
	switch {
	case bare.MatchString(word):
		return word
	case plain.Line("."+word+".") != "."+word+".":
		var b strings.Builder
		for _, c := range []byte(word) {
			if c < ' ' || c >= 0x7f || c == '\'' || c == '\\' {
				fmt.Fprintf(&b, `\%03o`, c)
				continue
			}
			b.WriteByte(c)
		}
		return "$'" + b.String() + "'"
	}
	return "'" + strings.ReplaceAll(word, "'", `'"'"'`) + "'"
}

// quoteWindows quotes for cmd.exe and PowerShell, which share double quotes. Names of
// files cannot hold them.
func quoteWindows(word string) string {
	if bare.MatchString(strings.ReplaceAll(word, `\`, "/")) {
		return word
	}
	return `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
}
