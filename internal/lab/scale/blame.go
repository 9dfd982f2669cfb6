package scale

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// A failure is what a rank has left that did not end as it should.
type failure struct {
	Rank    int    `json:"rank"`
	Exit    *int   `json:"exit"`    // its exit code, minus the signal that ended it; nil: it was ended because of another
	Message string `json:"message"` // of the exception that it ended with; empty: none
	Stderr  string `json:"stderr"`  // the end of it
}

// peers are what a rank says whose connection to another one broke, or that waited for it:
// the other one is to blame.
var peers = regexp.MustCompile(`(?i)connection (reset|closed|refused|was closed)|broken pipe|timed out|timeout|remote process exited|socket closed|connectFullMesh|store.*(closed|reset)|DistNetworkError|RendezvousConnectionError|ncclRemoteError|NCCL.*(remote|abort)`)

// memory is what PyTorch says when a device has too little memory.
var memory = regexp.MustCompile(`(?i)out of memory|DefaultCPUAllocator: can't allocate`)

// late is what a rank says that waited for another one in vain.
var late = regexp.MustCompile(`(?i)timed out|timeout`)

// killed reports whether a rank was ended by SIGKILL.
func (f failure) killed() bool {
	return f.Exit != nil && *f.Exit == -int(syscall.SIGKILL) && f.Message == ""
}

// guilt orders failures by how likely they are the cause: torchrun reports the first that
// it sees, which may be a rank that another one has let down.
func (f failure) guilt() int {
	switch {
	case memory.MatchString(f.Message):
		return 5
	case f.Message != "" && !peers.MatchString(f.Message):
		return 4
	case f.Exit != nil && *f.Exit < 0 && *f.Exit != -int(syscall.SIGTERM) && !peers.MatchString(f.Stderr):
		return 3
	case f.Exit != nil && *f.Exit != 0 && f.Message == "" && !peers.MatchString(f.Stderr):
		return 2
	case f.Message == "" && f.Exit == nil: // it said nothing and was ended: did the others wait for it?
		return 1
	}
	return 0
}

// blame returns the error of a world whose ranks failed, from all that they have left.
func blame(failures []failure, phase string) *fault.Error {
	if len(failures) == 0 {
		return fault.Errorf(fault.Crashed, "the ranks ended during %s and left no reason", phase)
	}
	failures = slices.Clone(failures)
	if slices.ContainsFunc(failures, func(f failure) bool { return !f.killed() && late.MatchString(f.Message+f.Stderr) }) {
		// Nobody waits for a rank that has ended: it was torchrun that killed one which hung and
		// did not end when it was told to.
		for i := range failures {
			if failures[i].killed() {
				failures[i].Exit = nil
			}
		}
	}
	slices.SortStableFunc(failures, func(a, b failure) int { return b.guilt() - a.guilt() })
	f := failures[0]
	var e *fault.Error
	switch f.guilt() {
	case 5:
		e = fault.Errorf(fault.OutOfMemory, "rank %d ran out of memory during %s: %s", f.Rank, phase, firstLine(f.Message)).
			With(fault.Change("batch", "fewer sequences"), fault.Change("layers", "a smaller model"))
	case 4, 2:
		reason := firstLine(f.Message)
		if reason == "" {
			reason = fmt.Sprintf("exit code %d", *f.Exit)
			if line := lastLine(f.Stderr); line != "" {
				reason += ": " + line
			}
		}
		e = fault.Errorf(fault.Crashed, "rank %d failed during %s: %s", f.Rank, phase, reason)
	case 3:
		signal := syscall.Signal(-*f.Exit)
		e = fault.Errorf(fault.Crashed, "rank %d was ended by signal %d (%s) during %s", f.Rank, int(signal), signal, phase)
		if signal == syscall.SIGKILL {
			e.With(fault.Advice("the system ends processes so when memory runs out: see its log")...)
		} else if line := lastLine(f.Stderr); line != "" {
			e.Message += ": " + line
		}
	case 1:
		e = fault.Errorf(fault.Timeout, "rank %d did not answer during %s", f.Rank, phase)
		if line := where(f.Stderr); line != "" {
			e.Message += "; it was in " + line
		}
		e.With(fault.Change("timeout", "{} allows more time"))
	default:
		e = fault.Errorf(fault.Lost, "the ranks lost each other during %s: rank %d says %s", phase, f.Rank, firstLine(f.Message+f.Stderr)).
			With(fault.Change("timeout", "{} allows more time"))
	}
	return e
}

// where returns the innermost function in a stack that faulthandler has written.
func where(stderr string) string {
	_, stack, ok := strings.Cut(stderr, "(most recent call first):\n")
	if i := strings.LastIndex(stderr, "Current thread"); i >= 0 { // the main thread is the one that the signal reached
		_, stack, ok = strings.Cut(stderr[i:], "(most recent call first):\n")
	}
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(stack, "\n")
	return strings.TrimSpace(line)
}

const longest = 300

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > longest {
		line = strings.ToValidUTF8(line[:longest], "") + " …"
	}
	return line
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return firstLine(lines[len(lines)-1])
}
