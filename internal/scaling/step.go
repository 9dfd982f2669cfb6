package scaling

// Pipeline returns the seconds of m microbatches through stages, each of which takes the given
// seconds for the forward and the backward pass of one, with hop seconds for each message between
// two of them: (m + p − 1)·t + 2·(p − 1)·hop for p equal stages, with GPipe and with 1F1B
// alike. Unequal stages wait for the slowest one.
func Pipeline(stages []float64, m int, hop float64) float64 {
	sum, slowest := 0.0, 0.0
	for _, t := range stages {
		sum += t
		slowest = max(slowest, t)
	}
	return sum + float64(m-1)*slowest + 2*float64(len(stages)-1)*hop
}

// Exposed returns how much of comm seconds of communication a step waits for, where up to
// room seconds of it could be hidden behind computing, and this share of them is, from 0
// to 1.
func Exposed(comm, room, hidden float64) float64 { return comm - hidden*min(comm, room) }

// MFU returns the model FLOP/s utilization of a step (Chowdhery et al. 2022,
// arXiv:2204.02311, appendix B): the work of the model over what all devices could do at
// their peak.
func MFU(flops, seconds float64, devices int, peak float64) float64 {
	return flops / (seconds * float64(devices) * peak)
}
