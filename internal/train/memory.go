package train

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/llm"
)

// Estimate returns about how many bytes a training takes, the weights among them.
//
// What an adapter trains is kept in float32 with its gradient and Adam's two means.
// Of the blocks that have an adapter the backward pass needs what the forward pass
// computed: 34 bytes a token and unit of width in 16 bits, and 5 a pair of tokens
// and head (Korthikanti et al., arXiv 2205.05198, section 4.1). The largest part of
// a small model is often the last: a score for each token of the vocabulary, with
// its softmax and its gradient, in float32.
func Estimate(about llm.About, p Plan, batch int) int64 {
	width := 2.0
	if about.DType == "float32" {
		width = 4
	}
	length := float64(p.Padded)
	tokens := float64(batch) * length
	adapter := 4 * 4 * float64(p.Trainable)
	blocks := float64(p.Layers) * tokens * (34*float64(about.Hidden) + 5*float64(about.Heads)*length) * width / 2
	scores := tokens * float64(about.Vocabulary) * (width + 3*4)
	return about.Bytes + int64(adapter+blocks+scores)
}

// Floor returns how much memory, in bytes, must stay free on a machine with total
// bytes: below it a system begins to swap, and a training on it never ends.
func Floor(total int64) int64 { return min(max(total/16, 256<<20), 2<<30) }

// watchEvery is how often free memory is looked at: a training takes seconds to
// fill it.
const watchEvery = 250 * time.Millisecond

// watch returns a context that ends when ctx does or when less than floor bytes are
// free, and what says how many were left in that case. free returns 0 when the
// system does not say.
func watch(ctx context.Context, floor int64, free func() int64) (inner context.Context, left func() (int64, bool), stop func()) {
	inner, cancel := context.WithCancel(ctx)
	low := make(chan int64, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			if n := free(); n > 0 && n < floor {
				low <- n
				cancel()
				return
			}
			select {
			case <-tick.C:
			case <-inner.Done():
				return
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	left = func() (int64, bool) {
		select {
		case n := <-low:
			return n, true
		default:
			return 0, false
		}
	}
	return inner, left, stop
}
