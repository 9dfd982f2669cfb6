package scaling

// An Op is a collective operation, or a message from one rank to another.
type Op string

const (
	AllReduce     Op = "all_reduce"
	AllGather     Op = "all_gather"
	ReduceScatter Op = "reduce_scatter"
	SendRecv      Op = "send_recv"
)

// Ops are all operations.
var Ops = []Op{AllReduce, AllGather, ReduceScatter, SendRecv}

// Steps returns how many messages follow each other in a ring of p ranks.
func (o Op) Steps(p int) float64 {
	switch o {
	case AllReduce:
		return 2 * float64(p-1)
	case AllGather, ReduceScatter:
		return float64(p - 1)
	}
	return 1
}

// Share returns how many bytes each rank sends for each byte of the whole buffer. The bus
// bandwidth of nccl-tests is bytes·Share/seconds
// (https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md).
func (o Op) Share(p int) float64 {
	switch n := float64(p); o {
	case AllReduce:
		return 2 * (n - 1) / n
	case AllGather, ReduceScatter:
		return (n - 1) / n
	}
	return 1
}

// A Link is what messages between ranks cost.
type Link struct {
	Alpha float64 // seconds of each step of a ring before the first byte
	Beta  float64 // seconds per byte: one over the bus bandwidth
	// Flat: Alpha is paid once by each operation, however many ranks there are. Inside one
	// host, NCCL's time for a small message is that of starting a kernel.
	Flat bool
}

// Seconds returns how long an operation on a buffer of n bytes takes over p ranks, in a
// ring: Steps·α + Share·n·β. The buffer is the whole one, of which all_gather and
// reduce_scatter have a p-th on each rank.
func (l Link) Seconds(o Op, p int, n float64) float64 {
	if p < 2 && o != SendRecv {
		return 0
	}
	steps := o.Steps(p)
	if l.Flat {
		steps = 1
	}
	return steps*l.Alpha + o.Share(p)*n*l.Beta
}
