package fault

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// close is the similarity from which a word is taken for a mistyped one.
const close = 0.5

// Nearest returns those of the options that a mistyped word is close to, the closest
// first and at most three of them.
func Nearest(word string, options []string) []string {
	type match struct {
		option string
		by     float64
	}
	var matches []match
	for _, o := range options {
		if by := levenshtein.Similarity(strings.ToLower(word), strings.ToLower(o), nil); by > close {
			matches = append(matches, match{o, by})
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int {
		switch {
		case a.by > b.by:
			return -1
		case a.by < b.by:
			return 1
		}
		return 0
	})
	var out []string
	for _, m := range matches[:min(len(matches), 3)] {
		out = append(out, m.option)
	}
	return out
}

// DidYouMean returns the remedy for a mistyped word: the nearest option, and the whole
// choice.
func DidYouMean(word string, options []string) Remedy {
	all := "there are: " + strings.Join(options, ", ")
	if near := Nearest(word, options); len(near) > 0 {
		return Remedy{Text: fmt.Sprintf("did you mean %s? %s", near[0], all)}
	}
	return Remedy{Text: all}
}
