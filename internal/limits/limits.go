// Package limits ends the program with an error in place of a crash where the shell that
// started it allows too little: of address space (ulimit -v), open files (-n), or
// processes and threads (-u). Programs import it for its init function alone, which runs
// before those of packages that open files.
//
// Go's runtime itself needs about 700 MB of address space, up to 1.6 GB depending on
// what lies where, and four threads. Where not even that is allowed, it ends with its own
// words before any code of this program runs.
package limits

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// What a process of this program needs.
const (
	leastAddresses = 2 << 30 // bytes: the runtime, and 8 MB and more for the stack of each thread
	leastFiles     = 16
	leastThreads   = 12
)

// aborting is the signal of abort(3).
const aborting = syscall.SIGABRT

func init() {
	if words := tooLittle(); words != "" {
		fmt.Fprintln(os.Stderr, "gpuplay: "+words)
		os.Exit(1)
	}
	// A C library that cannot go on, such as one that was refused a thread, says so and
	// aborts. Go's runtime would add the stacks of all goroutines; with the signal taken,
	// abort(3) ends the process when it raises it again.
	aborted := make(chan os.Signal, 1)
	signal.Notify(aborted, aborting)
	go func() {
		<-aborted
		time.Sleep(time.Second) // it was not abort(3)
		os.Exit(128 + int(aborting))
	}()
}
