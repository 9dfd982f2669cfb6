package monitor

import (
	"math"
	"time"
)

// A ring keeps readings at a fixed distance of time, the latest of each slot or the mean of
// several, for as long as its chunks last. Readings are kept as float32, which is more
// precise than any sensor, in chunks that are made as they are needed.
type ring struct {
	width  time.Duration // of a slot
	chunk  int           // slots in a chunk
	chunks [][]float32
	last   int // the slot of the latest reading; -1: none
	count  int // of the readings that its mean is of
}

func newRing(width time.Duration, chunk, chunks int) ring {
	return ring{width: width, chunk: chunk, chunks: make([][]float32, chunks), last: -1}
}

// place returns where a slot is.
func (r *ring) place(slot int) (chunk, at int) {
	return slot / r.chunk % len(r.chunks), slot % r.chunk
}

// first returns the first slot that is still kept.
func (r *ring) first() int { return max(0, (r.last/r.chunk-len(r.chunks)+1)*r.chunk) }

// add adds a reading. One of a time before the latest, by a clock that was set back, counts
// as one of the latest. merge says what stands for the n readings of a slot and one more.
func (r *ring) add(at time.Duration, v float64, merge func(old, v float64, n int) float64) {
	slot := max(int(at/r.width), r.last, 0)
	if slot > r.last {
		r.clear(slot)
		r.last, r.count = slot, 0
	}
	chunk, i := r.place(slot)
	if r.count > 0 {
		v = merge(float64(r.chunks[chunk][i]), v, r.count)
	}
	r.chunks[chunk][i] = float32(v)
	r.count++
}

// clear makes the chunks between the latest slot and a new one, without readings.
func (r *ring) clear(slot int) {
	from := slot/r.chunk - len(r.chunks) + 1
	if r.last >= 0 {
		from = max(from, r.last/r.chunk+1)
	}
	for c := max(0, from); c <= slot/r.chunk; c++ {
		k := c % len(r.chunks)
		if r.chunks[k] == nil {
			r.chunks[k] = make([]float32, r.chunk)
		}
		for i := range r.chunks[k] {
			r.chunks[k][i] = float32(math.NaN())
		}
	}
}

// between returns the mean and the highest of the readings in a stretch of time; NaN where
// there are none.
func (r *ring) between(from, to time.Duration) (mean, high float64) {
	sum, n := 0.0, 0
	high = math.NaN()
	if r.last < 0 {
		return high, high
	}
	a, b := max(int((from+r.width-1)/r.width), r.first()), min(int((to-1)/r.width), r.last)
	for slot := a; slot <= b; slot++ {
		chunk, i := r.place(slot)
		if v := float64(r.chunks[chunk][i]); !math.IsNaN(v) {
			sum, n = sum+v, n+1
			if !(v <= high) {
				high = v
			}
		}
	}
	if n == 0 {
		return math.NaN(), high
	}
	return sum / float64(n), high
}

// before returns the latest reading until a time, and when its slot began; NaN where there
// is none within a limit.
func (r *ring) before(at, limit time.Duration) (v float64, when time.Duration) {
	if r.last < 0 {
		return math.NaN(), 0
	}
	for slot := min(int(at/r.width), r.last); slot >= r.first() && at-time.Duration(slot)*r.width <= limit+r.width; slot-- {
		chunk, i := r.place(slot)
		if v := float64(r.chunks[chunk][i]); !math.IsNaN(v) {
			return v, time.Duration(slot) * r.width
		}
	}
	return math.NaN(), 0
}

// size returns the bytes that the readings take.
func (r *ring) size() int {
	n := 0
	for _, c := range r.chunks {
		n += 4 * len(c)
	}
	return n
}
