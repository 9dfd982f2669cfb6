package record

import "github.com/gpuplay/gpuplay/internal/fault"

// An Explanation says of every lane of a run how it stands and why. It follows from
// the run alone.
type Explanation struct {
	Subject string    `json:"subject"` // what was measured on what
	Fair    float64   `json:"fair"`    // share of its peak, or of the fastest other lane, below which a lane is called slow
	Lanes   []Verdict `json:"lanes"`
	Missing []Missing `json:"missing,omitempty"` // devices that engines looked for and did not find
}

// A Verdict is what can be said of one lane.
type Verdict struct {
	Lane     string  `json:"lane"`            // its id
	Label    string  `json:"label"`           // what computes, for people
	Speed    float64 `json:"speed,omitempty"` // operations per second; 0: not measured
	Op       string  `json:"op"`              // what Speed counts: "FLOP", or "OP" of integers
	Standing string  `json:"standing"`        // against its peak and the other lanes
	Slow     bool    `json:"slow"`
	Causes   []Cause `json:"causes,omitempty"` // the most likely first
}

// A Cause is a reason for being slow, with the evidence for it in the run.
type Cause struct {
	Code     string         `json:"code"`
	Claim    string         `json:"claim"`
	Evidence string         `json:"evidence"`
	Remedies fault.Remedies `json:"remedies,omitempty"`
	Factor   float64        `json:"factor"` // how many times as fast the lane might be without it: a rough estimate, for the order
}
