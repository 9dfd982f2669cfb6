// Package worker runs an engine in a process of its own and speaks to it: JSON lines
// over stdin and stdout, vectors as bytes behind them, stderr for its log. Client is
// the parent's end and an Engine itself; Serve is the child's end for engines written
// in Go. docs/ADDING-AN-ENGINE.md has the protocol for other languages.
//
// A GPU driver can crash or hang, two frameworks in one process fight over OpenMP, and
// what a driver does cannot be cancelled: a process can be ended.
package worker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
)

// Protocol is the version that both ends must have.
const Protocol = 2

// A request is one line to the worker, with Bytes of a frame behind it.
type request struct {
	ID    int             `json:"id"` // counts from 1
	Op    string          `json:"op"`
	Args  json.RawMessage `json:"args"`
	Bytes int64           `json:"bytes,omitempty"`
}

// A response is one line from the worker: the request's id with a result, which Bytes
// of a frame may follow, with an error, or before these with an event, of which there
// may be many.
type response struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Bytes  int64           `json:"bytes,omitempty"`
	Error  *fault.Error    `json:"error,omitempty"`
	Event  *told           `json:"event,omitempty"`
}

// told is an event as it travels.
type told struct {
	Type event.Type      `json:"type"`
	Data json.RawMessage `json:"data"`
}

// parseResponse returns the response in a line; ok is false for anything else, such as
// what a library prints.
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

// maxLine bounds a line. Vectors are not in lines, and nothing else grows with the
// size of a product.
const maxLine = 16 << 20

var errLine = fmt.Errorf("a line is longer than %d bytes", maxLine)

// A wire is what one end of a pipe reads: lines, with frames behind some of them.
type wire struct{ in *bufio.Reader }

func newWire(in io.Reader) wire { return wire{bufio.NewReaderSize(in, 64<<10)} }

// line returns the next line without its end; at the end of the input what was left,
// and then io.EOF. It is valid until the next call.
func (w wire) line() ([]byte, error) {
	part, err := w.in.ReadSlice('\n')
	if err == nil {
		return part[:len(part)-1], nil
	}
	whole := bytes.Clone(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(whole) > maxLine {
			return nil, errLine
		}
		part, err = w.in.ReadSlice('\n')
		whole = append(whole, part...)
	}
	switch {
	case err == nil:
		return whole[:len(whole)-1], nil
	case errors.Is(err, io.EOF) && len(whole) > 0:
		return whole, nil
	}
	return nil, err
}

// frame returns the n bytes behind a line.
func (w wire) frame(n int64) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(w.in, b)
	return b, err
}

// skip passes over n bytes.
func (w wire) skip(n int64) error {
	_, err := io.CopyN(io.Discard, w.in, n)
	return err
}

// elementSize is that of a vector's elements: a vector travels as little-endian float64s.
const elementSize = 8

func pack(v []float64) []byte {
	b := make([]byte, elementSize*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint64(b[elementSize*i:], math.Float64bits(x))
	}
	return b
}

func unpack(b []byte) []float64 {
	v := make([]float64, len(b)/elementSize)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[elementSize*i:]))
	}
	return v
}
