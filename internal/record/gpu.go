package record

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A GPU is one as an engine reaches it, with what was measured of it. A card that several
// engines reach is there once for each.
type GPU struct {
	Engine string          `json:"engine"`
	Device hardware.Device `json:"device"`
	hardware.Description
	// Launch is the seconds from launching a product of 1×1×1 until this process knows that
	// it is done, one value per sample.
	Launch []float64 `json:"launch,omitempty"`
	// Launches is the seconds of each of many such products, launched in succession with one
	// wait in the end, one value per sample.
	Launches  []float64    `json:"launches,omitempty"`
	Notes     []string     `json:"notes,omitempty"`     // of the engine about the product and its launches
	Published []Published  `json:"published,omitempty"` // none: nothing is known of such a card
	Fastest   *Fastest     `json:"fastest,omitempty"`   // of the card, through whichever engine; of the first engine of a card that several reach
	Error     *fault.Error `json:"error,omitempty"`     // why something is not there
}

// Fastest is a search for the product that a GPU computes fastest: its maximum achievable
// matmul FLOPS (MAMF).
type Fastest struct {
	DType  matrix.DType    `json:"dtype,omitempty"`  // of the products, as bench.Square means it
	Sizes  []int           `json:"sizes,omitempty"`  // each of M, N and K is one of them
	Tried  []Tried         `json:"tried,omitempty"`  // in order
	Finals []*bench.Result `json:"finals,omitempty"` // the fastest of them, in turns; none: the search did not end
	Took   time.Duration   `json:"took_ns"`
	Error  *fault.Error    `json:"error,omitempty"` // why the search ended early
}

// Tried is a product that was measured once, to choose those that are measured in turns.
type Tried struct {
	Engine string       `json:"engine"`
	DType  matrix.DType `json:"dtype"`
	M      int          `json:"m"`
	N      int          `json:"n"`
	K      int          `json:"k"`
	Speed  float64      `json:"speed,omitempty"` // FLOP/s, of integers OP/s; the product was checked
	Error  *fault.Error `json:"error,omitempty"` // why there is none
}

// Best returns the fastest verified product that was measured in turns; nil: there is none.
func (f *Fastest) Best() *bench.Result {
	var best *bench.Result
	fastest := 0.0
	for _, r := range f.Finals {
		if speed, ok := r.Speed(); ok && r.Verified() && speed.Value > fastest {
			best, fastest = r, speed.Value
		}
	}
	return best
}

// Published is a peak that the maker of a GPU publishes.
type Published struct {
	DType  matrix.DType `json:"dtype"`
	Ops    float64      `json:"ops"`    // FLOP/s, of integers OP/s, of dense products
	Source string       `json:"source"` // the document that says so
}
