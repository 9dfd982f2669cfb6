package worker

import "time"

// rest waits until this process uses no CPU time any more. Many libraries'
// threads spin for a while after a call (OpenBLAS 25 ms, Intel's OpenMP 200 ms)
// and would take their cores from the next lane. What the clock of a sample has
// seen is over by then. It reports whether the process became idle; one that spins on
// for longer than the limit takes time from whatever is measured next.
func rest() bool {
	const (
		window = 5 * time.Millisecond // a running thread's time is brought up to date at ticks, 4 ms apart
		idle   = window / 5
		limit  = 500 * time.Millisecond // spinning on purpose
	)
	before, ok := cpuTime()
	for end := time.Now().Add(limit); ok && time.Now().Before(end); {
		time.Sleep(window)
		var now time.Duration
		now, ok = cpuTime()
		if now-before < idle {
			return true
		}
		before = now
	}
	return !ok // without a clock of the process nothing is known
}
