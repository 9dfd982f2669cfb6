package record

import (
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
	Error     *fault.Error `json:"error,omitempty"`     // why something is not there
}

// Published is a peak that the maker of a GPU publishes.
type Published struct {
	DType  matrix.DType `json:"dtype"`
	Ops    float64      `json:"ops"`    // FLOP/s, of integers OP/s, of dense products
	Source string       `json:"source"` // the document that says so
}
