package llm

import (
	"fmt"
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/event"
)

// A Check compares a lane's greedy tokens with another lane's, the base's.
type Check struct {
	Base       string      `json:"base"`                 // the lane that counts as right
	Agree      int         `json:"agree"`                // tokens at the beginning that are the same
	Of         int         `json:"of"`                   // tokens that could be compared
	Difference *Difference `json:"difference,omitempty"` // nil: all are the same
	Passed     bool        `json:"passed"`
	Reason     string      `json:"reason,omitempty"` // why it did not pass
}

// EventType says that a check is told of as one.
func (Check) EventType() event.Type { return event.TypeCheck }

// A Difference is the first position at which two lanes chose another token.
type Difference struct {
	At          int      `json:"at"`                     // position, from 0
	Base        string   `json:"base"`                   // the base's token there
	Lane        string   `json:"lane"`                   // the lane's
	BaseLogProb *float64 `json:"base_logprob,omitempty"` // of the base's token, by the base, natural logarithm
	LaneLogProb *float64 `json:"lane_logprob,omitempty"` // of the lane's token, by the base too; nil: not among its candidates
	Among       int      `json:"candidates,omitempty"`   // how many of the base's most probable tokens were known
}

const (
	// Candidates is how many of the most probable tokens a checked generation reports.
	Candidates = 10
	// nearTie is how far apart, in natural logarithms of probability, two tokens may
	// be for rounding to decide between them: one is e times as probable as the other.
	// Backends sum in another order, in other widths, and some quantise activations;
	// their logits differ by hundredths to tenths. What computes something else picks
	// a token that is not among the most probable at all.
	nearTie = 1.0
)

// Agree checks a lane's greedy tokens against a base's. As long as they are the
// same, both models have read the same text, so that at the first difference the
// base's candidates say whether the lane's choice was as good: it passes when its
// token is among the base's candidates and less than nearTie apart from
// the base's own. What comes after the first difference continues another text and
// says nothing. A probability that is no number, in either, never passes. Without
// candidates a difference proves nothing either way and passes only after at least one
// equal token.
func Agree(base string, want, got []Token) *Check {
	c := &Check{Base: base, Of: min(len(want), len(got)), Passed: true}
	for c.Agree < c.Of && want[c.Agree].ID == got[c.Agree].ID {
		c.Agree++
	}
	if c.Of == 0 {
		c.Passed, c.Reason = false, "no tokens to compare"
		return c
	}
	if at := senseless(got, c.Agree+1); at > 0 {
		c.Passed, c.Reason = false, fmt.Sprintf("the probabilities of token %d are no numbers", at)
	}
	if at := senseless(want, c.Agree+1); at > 0 {
		c.Passed, c.Reason = false, fmt.Sprintf("the probabilities of token %d on the %s lane are no numbers", at, base)
	}
	if c.Agree == c.Of {
		return c
	}
	w, g := want[c.Agree], got[c.Agree]
	d := &Difference{At: c.Agree, Base: w.Text, Lane: g.Text, Among: len(w.Candidates)}
	c.Difference = d
	d.BaseLogProb, d.LaneLogProb = logprob(w, w.ID), logprob(w, g.ID)
	switch {
	case !c.Passed:
	case len(w.Candidates) == 0:
		if c.Agree == 0 {
			c.Passed, c.Reason = false, "not even the first token is the same"
		}
	case d.BaseLogProb == nil || d.LaneLogProb == nil:
		c.Passed, c.Reason = false, fmt.Sprintf("token %d, %q, is not among the %d most probable tokens of the %s lane", d.At+1, g.Text, d.Among, base)
	default:
		if gap := math.Abs(*d.BaseLogProb - *d.LaneLogProb); gap >= nearTie {
			c.Passed, c.Reason = false, fmt.Sprintf("token %d, %q, is %.0f times less probable than %q to the %s lane", d.At+1, g.Text, math.Exp(gap), w.Text, base)
		}
	}
	return c
}

// logprob returns what a position's model thinks of a token; nil when that is not
// among what it reported.
func logprob(at Token, id int) *float64 {
	for _, c := range at.Candidates {
		if c.ID == id {
			return c.LogProb
		}
	}
	return nil
}

// senseless returns the first position, from 1, of the first n tokens at which a
// probability is no number; 0 if there is none. Greedy tokens of such logits are the same
// in every lane, and prove nothing.
func senseless(tokens []Token, n int) int {
	for i, t := range tokens[:min(n, len(tokens))] {
		if slices.ContainsFunc(t.Candidates, func(c Candidate) bool { return c.LogProb == nil }) {
			return i + 1
		}
	}
	return 0
}
