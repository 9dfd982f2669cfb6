package cuda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
)

// A graph is several products that are launched at once, so that a GPU which is done with one
// in a few microseconds need not wait for the next call. The zero value is none.
type graph struct {
	length int // products
	graph  cuda.Graph
	exec   cuda.GraphExec
}

const (
	// launchTime is about how long a launch takes: of a product that takes several times as
	// long, the GPU is always busy.
	launchTime = 20 * time.Microsecond
	// graphLength is how many products are in a graph.
	graphLength = 32
)

// capture makes a graph of a small product, if that is faster, and notes how long a product
// takes without.
func (t *task) capture(ctx context.Context) error {
	if t.seconds > launchTime.Seconds() || t.gpu.lib.GraphInstantiate == nil {
		return nil
	}
	return t.do(ctx, func() error {
		plain, err := t.fastest(ctx)
		if err != nil {
			return err
		}
		if err := t.record(); err != nil {
			return err
		}
		together, err := t.fastest(ctx)
		if err != nil {
			return err
		}
		if together >= plain {
			return t.graph.destroy(t.gpu)
		}
		t.seconds = together
		t.notes = append(t.notes, fmt.Sprintf("launched %d at a time as a CUDA graph: %s a product; launched one by one it takes %s", graphLength, micro(together), micro(plain)))
		return nil
	})
}

// fastest returns the seconds of a product in the fastest of three samples by the clock of
// this process.
func (t *task) fastest(ctx context.Context) (float64, error) {
	least := 0.0
	for i := range 3 {
		s, err := t.time(ctx, 10*graphLength)
		if err != nil {
			return 0, err
		}
		if i == 0 || s.Seconds() < least {
			least = s.Seconds()
		}
	}
	return least, nil
}

func micro(seconds float64) string { return fmt.Sprintf("%.1f µs", 1e6*seconds) }

// record captures the products of a graph from the stream.
func (t *task) record() (err error) {
	lib, stream := t.gpu.lib, t.gpu.stream
	if err := t.gpu.check("StreamBeginCapture", lib.StreamBeginCapture(stream, cuda.STREAM_CAPTURE_MODE_THREAD_LOCAL)); err != nil {
		return err
	}
	for range graphLength {
		err = errors.Join(err, t.product.enqueue(stream))
	}
	// The capture has to end whatever happened in it.
	err = errors.Join(err, t.gpu.check("StreamEndCapture", lib.StreamEndCapture(stream, &t.graph.graph)))
	if err == nil {
		err = t.gpu.check("GraphInstantiateWithFlags", lib.GraphInstantiate(&t.graph.exec, t.graph.graph, 0))
	}
	if err != nil {
		return errors.Join(err, t.graph.destroy(t.gpu))
	}
	t.graph.length = graphLength
	return nil
}

// destroy frees a graph, which is none afterwards.
func (g *graph) destroy(gpu *gpu) error {
	var err error
	if g.exec != 0 {
		err = gpu.check("GraphExecDestroy", gpu.lib.GraphExecDestroy(g.exec))
	}
	if g.graph != 0 {
		err = errors.Join(err, gpu.check("GraphDestroy", gpu.lib.GraphDestroy(g.graph)))
	}
	*g = graph{}
	return err
}
