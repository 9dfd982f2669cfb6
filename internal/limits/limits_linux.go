package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tooLittle says what this process is allowed too little of; empty if it can work.
func tooLittle() string {
	addresses, few := limit(unix.RLIMIT_AS)
	switch {
	case few && addresses < leastAddresses:
		return fmt.Sprintf("this shell allows %d MB of address space, at least %d are needed: see ulimit -v", addresses>>20, leastAddresses>>20)
	case few: // it may be reached later on; a crash has one line then
		debug.SetTraceback("none")
	}
	if n, few := limit(unix.RLIMIT_NOFILE); few && n < leastFiles {
		return fmt.Sprintf("this shell allows %d open files, at least %d are needed: see ulimit -n", n, leastFiles)
	}
	// Root is not limited. Where many are allowed, it is not worth counting those that
	// there are.
	if n, few := limit(unix.RLIMIT_NPROC); few && n < 1000 && os.Getuid() != 0 {
		if used := threads(os.Getuid()); n < uint64(used+leastThreads) {
			return fmt.Sprintf("this shell allows %d processes and threads, at least %d are needed in addition to the %d running: see ulimit -u", n, leastThreads, used)
		}
	}
	return ""
}

// limit returns what is allowed of a resource, if it is limited.
func limit(resource int) (n uint64, limited bool) {
	var r unix.Rlimit
	err := unix.Getrlimit(resource, &r)
	return r.Cur, err == nil && r.Cur != unix.RLIM_INFINITY
}

// threads returns how many threads a user has beside those of this process, by
// proc_pid_status(5).
func threads(user int) int {
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	own := fmt.Sprintf("/proc/%d/status", os.Getpid())
	count := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || name == own { // it has ended, or is this one
			continue
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			first, _, _ := strings.Cut(strings.TrimSpace(value), "\t")
			fields[key] = first
		}
		if n, err := strconv.Atoi(fields["Threads"]); err == nil && fields["Uid"] == strconv.Itoa(user) {
			count += n
		}
	}
	return count
}
