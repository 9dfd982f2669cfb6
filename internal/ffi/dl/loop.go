package dl

// A Loop is a C function with its arguments, to be called many times in a single
// transition from Go to C, which takes as long as a small matrix product. It must
// not be copied to a stack: assembly code keeps its address.
type Loop struct {
	Func    uintptr
	times   uintptr
	Floats  [2]uint64   // bit patterns of floating-point arguments, in order; only where HasFloats
	Args    [15]uintptr // integers and pointers, in order
	results uintptr
	self    [1]uintptr // this Loop's address, so that running it allocates nothing
}

// Run calls the function the given number of times, at least once, and returns the
// bitwise OR of all results: 0 if each of them was 0. The caller keeps alive what
// the arguments point to.
func (l *Loop) Run(times int) uint32 {
	l.times = uintptr(max(1, times))
	l.run()
	return uint32(l.results)
}
