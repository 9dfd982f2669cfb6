// Package playground computes what chapters Touch and Train of the page show: the loss of a
// small network over a plane of its weights, tile by tile, and a training step by step. It
// measures no speed for a record: what it tells of time is how long each tile and each slice
// of a training really took.
package playground

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// Lane is the lane of this program's own engine.
const Lane = "gocpu/cpu"

// CSV is the name of the data set that is given as text.
const CSV = "csv"

// Points are a data set, made or given.
type Points struct {
	Set  string `json:"set"`           // one of network.Sets, network.Digits or CSV
	CSV  string `json:"csv,omitempty"` // x, y and a label a line: network.ReadCSV
	Rows int    `json:"rows,omitempty"`
	Seed uint64 `json:"data_seed,omitempty"`
}

// read returns the data.
func (p Points) read() (*network.Data, error) {
	if p.Set == CSV {
		d, err := network.ReadCSV(strings.NewReader(p.CSV))
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "the points: %v", err)
		}
		return d, nil
	}
	if p.Set == network.Digits {
		return network.ReadDigits(), nil
	}
	rows := cmp.Or(p.Rows, 240)
	if rows < 2 || rows > network.MaxRows {
		return nil, fault.Errorf(fault.Invalid, "%d points: 2 to %d", rows, network.MaxRows)
	}
	d, err := network.Make(p.Set, rows, cmp.Or(p.Seed, 3))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%v", err)
	}
	return d, nil
}

// newPool returns a pool of one thread of the fastest instruction set. The products of such
// networks are too small for several.
func newPool() (*gemm.Pool, error) { return gemm.NewPool(gemm.ISAs()[0], 1) }

// A Check is what the comparison of gradients with differences came to, before anything is
// shown: the largest difference, relative to the largest element.
type Check struct {
	Worst float64 `json:"worst"`
	Limit float64 `json:"limit"`
	OK    bool    `json:"ok"`
}

func checked(worst, limit float64) Check {
	if math.IsNaN(worst) || math.IsInf(worst, 0) {
		return Check{Worst: -1, Limit: limit} // JSON has no NaN
	}
	return Check{worst, limit, worst <= limit}
}

// bytesOf returns numbers as little-endian float32, which JSON writes in base64.
func bytesOf(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// single returns numbers as float32.
func single(x []float64) []byte {
	s := make([]float32, len(x))
	for i, v := range x {
		s[i] = float32(v)
	}
	return bytesOf(s)
}

// Drawn is a network with its data, as a page draws them.
type Drawn struct {
	Shape   network.Shape    `json:"shape"`
	Tensors []network.Tensor `json:"tensors"`
	Weights int              `json:"weights"` // their number
	Loss    network.Loss     `json:"loss"`
	Set     string           `json:"set"`
	Classes int              `json:"classes"`
	Labels  []string         `json:"labels,omitempty"`
	Rows    int              `json:"rows"`           // to learn from
	Held    int              `json:"held,omitempty"` // kept out of the training
	// X and Y are the rows to learn from, or if some are held out, the first of those.
	X []byte `json:"x"` // float32, rows × inputs
	Y []byte `json:"y"` // float32
}

// heldDrawn is how many of the rows that are held out a page draws.
const heldDrawn = 60

func drawn(s network.Shape, d *network.Data) Drawn {
	kind, _ := d.Loss()
	from, to := 0, d.Rows()
	if d.Held > 0 {
		from, to = to, to+min(heldDrawn, d.Held)
	}
	return Drawn{
		s, s.Tensors(), s.Weights(), kind, d.Name, d.Classes, slices.Clone(d.Labels), d.Rows(), d.Held,
		single(d.X[from*d.Inputs : to*d.Inputs]), single(d.Y[from:to]),
	}
}

// A Plane tells of the surface that is about to be computed.
type Plane struct {
	Drawn
	Directions network.Directions `json:"directions"`
	Center     []float64          `json:"center"`
	U          []float64          `json:"u"`
	V          []float64          `json:"v"`
	Scale      float64            `json:"scale"`
	Marks      [][2]float64       `json:"marks"`
	Columns    int                `json:"columns"` // of tiles
	Rows       int                `json:"rows"`
	Points     int                `json:"points"` // of a tile along each side; neighbours share their edges
	Left       float64            `json:"left"`   // coordinates of the first point
	Top        float64            `json:"top"`
	Step       float64            `json:"step"`     // from one point to the next
	Low        float64            `json:"low"`      // about the lowest loss, for a scale of colours
	High       float64            `json:"high"`     // about the highest one but for the corners
	Products   int                `json:"products"` // matrix products for the loss of one point
	Threads    int                `json:"threads"`
	Check      Check              `json:"check"`
	Found      int64              `json:"found_ns"` // time that finding the plane took
	// At is a point with the loss and the gradient that this program computes there, for
	// comparison with what a page computes.
	At         [2]float64 `json:"at"`
	LossAt     float64    `json:"loss_at"`
	GradientAt [2]float64 `json:"gradient_at"`
}

// A Tile is a part of the surface.
type Tile struct {
	Index  int    `json:"index"`
	Losses []byte `json:"losses"` // float32, points × points
	Took   int64  `json:"took_ns"`
}

// The types of the events of this package. Only the page gets them: docs/PAGE.md describes
// their form.
const (
	TypePlane   event.Type = "plane"   // Plane: a surface is about to be computed
	TypeTile    event.Type = "tile"    // Tile: a part of it is known
	TypeNetwork event.Type = "network" // Started: a training begins or goes on
	TypeLearned event.Type = "learned" // Learned: what it has learned so far
	// Check: what the gradients of a lane are found to be before its first step. A lane whose
	// gradients are wrong takes no further part.
	TypeGradient event.Type = "gradient"
	TypeJoin     event.Type = "join" // Join, Turn, Left: to and of the page that takes part
	TypeTurn     event.Type = "turn"
	TypeLeft     event.Type = "left"
)

func (Check) EventType() event.Type { return TypeGradient }
func (Plane) EventType() event.Type { return TypePlane }
func (Tile) EventType() event.Type  { return TypeTile }
