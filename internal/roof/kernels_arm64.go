//go:build !noasm

package roof

var kernels = neon

var neon = kernelSet{"NEON", triadNEON, total(sumNEON)}

// chain runs the given number of rounds of 64 additions, each of which depends on
// the one before.
var chain = chainADD

func chainADD(rounds int)

//go:noescape
func triadNEON(a, b, c *float64, n int, s float64, passes int)

//go:noescape
func sumNEON(x *float64, n, passes int, sums *[8]float64)
