package gemm

import (
	"context"
	"time"
)

// Peak measures how many floating-point operations a second all threads of the
// pool reach together with nothing but independent multiply-adds in registers,
// of float64 (bits 64) or float32 (bits 32, which serves the 16-bit types too):
// the best of three runs of 10 ms. ok is false where that is not known: in
// portable Go, for other bits and for a closed pool.
func (p *Pool) Peak(bits int) (flops float64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	job := peakJob{team: &p.driver.team, rates: make([]float64, len(p.wake))}
	switch bits {
	case 64:
		job.rounds, job.flop = p.set.float64s.peak, p.set.float64s.peakOps
	case 32:
		job.rounds, job.flop = p.set.float32s.peak, p.set.float32s.peakOps
	}
	if job.rounds == nil || p.closed {
		return 0, false
	}
	for range 3 {
		p.driver.team.reset(context.Background(), len(p.wake))
		p.run(len(p.wake), &job)
		sum := 0.0
		for _, rate := range job.rates {
			sum += rate
		}
		flops = max(flops, sum)
	}
	return flops, true
}

type peakJob struct {
	team   *team
	rounds func(int)
	flop   int
	rates  []float64
}

func (j *peakJob) work(thread int) {
	const some = 5000 // rounds: short enough for the collector, which cannot interrupt them
	j.rounds(some)
	j.team.wait()
	start, done := time.Now(), 0
	elapsed := time.Duration(0)
	for elapsed < 10*time.Millisecond {
		j.rounds(some)
		done += some
		elapsed = time.Since(start)
	}
	j.rates[thread] = float64(done) * float64(j.flop) / elapsed.Seconds()
}
