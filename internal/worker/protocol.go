// Package worker runs an engine in a process of its own and speaks to it: JSON
// lines over stdin and stdout, stderr for its log. Client is the parent's end
// and an Engine itself; Serve is the child's end for engines written in Go.
// docs/ADDING-AN-ENGINE.md has the protocol for other languages.
//
// A GPU driver can crash or hang, two frameworks in one process fight over
// OpenMP, and what a driver does cannot be cancelled: a process can be ended.
package worker

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Protocol is the version that both ends must have.
const Protocol = 1

// maxLine bounds a line: C·x of 2^20 rows takes 11 MB.
const maxLine = 16 << 20

// A Hello is the first request: what the worker must know before it starts.
type Hello struct {
	Protocol int    `json:"protocol"`
	Threads  int    `json:"threads"` // CPU threads to compute with; 0: the engine's own choice
	CPU      string `json:"cpu"`     // this machine's CPU, as its maker writes it
}

// A request is one line to the worker. Op is hello, prepare, run, mulvec or
// close, or what a Link is for; the fields that the operation does not need are
// absent. Stop has the id of the request that is to end early, and no answer of its
// own.
type request struct {
	ID int    `json:"id"`
	Op string `json:"op"`
	*Hello
	Device string      `json:"device,omitempty"` // prepare: the device's id
	GEMM   *bench.GEMM `json:"gemm,omitempty"`   // prepare
	Seed   uint64      `json:"seed,omitempty"`   // prepare
	N      *int        `json:"n,omitempty"`      // run
	X      vector      `json:"x,omitempty"`      // mulvec
	Args   any         `json:"args,omitempty"`   // the operations of a Link
}

// A response is one line from the worker: the request's id with a result or an
// error, or before these with an event, of which there may be many.
type response struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *fault.Error    `json:"error,omitempty"`
	Event  json.RawMessage `json:"event,omitempty"`
}

// welcome is hello's result.
type welcome struct {
	Protocol int    `json:"protocol"`
	Engine   string `json:"engine"`
	hardware.Inventory
}

// product is mulvec's result.
type product struct {
	Y vector `json:"y"`
}

// parseResponse returns the response in a line; ok is false for anything else,
// such as what a library prints.
func parseResponse(line []byte) (r response, ok bool) {
	line = bytes.TrimSpace(line)
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &r) != nil || r.ID <= 0 {
		return response{}, false
	}
	says := 0
	for _, has := range []bool{r.Result != nil, r.Error != nil, r.Event != nil} {
		if has {
			says++
		}
	}
	return r, says == 1
}

// A vector travels as base64 of little-endian float64s: JSON has no NaN, and
// digits would cost more than the product.
type vector []float64

func (v vector) MarshalText() ([]byte, error) {
	raw := make([]byte, 8*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(x))
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

func (v *vector) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("vector: %w", err)
	}
	if len(raw)%8 != 0 {
		return fmt.Errorf("vector: %d bytes are no whole number of float64s", len(raw))
	}
	*v = make(vector, len(raw)/8)
	for i := range *v {
		(*v)[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return nil
}
