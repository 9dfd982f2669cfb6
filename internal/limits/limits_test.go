package limits

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// With too little, the program ends with one line before anything else happens.
func TestTooLittle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux counts what a shell limits")
	}
	for limit, want := range map[string]string{
		"-v 1800000": "gpuplay: this shell allows 1757 MB of address space, at least 2048 are needed: see ulimit -v\n",
		"-n 7":       "gpuplay: this shell allows 7 open files, at least 16 are needed: see ulimit -n\n",
		"-n 15":      "gpuplay: this shell allows 15 open files, at least 16 are needed: see ulimit -n\n",
	} {
		var out bytes.Buffer
		cmd := exec.Command("sh", "-c", "ulimit "+limit+" && exec \"$0\" -test.run '^$'", os.Args[0])
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || out.String() != want {
			t.Errorf("ulimit %s: %v, %q, want %q", limit, err, &out, want)
		}
	}
	if out, err := exec.Command("sh", "-c", "ulimit -n 64 && exec \"$0\" -test.run '^$'", os.Args[0]).CombinedOutput(); err != nil {
		t.Errorf("with enough: %v, %q", err, out)
	}
}

// abort(3) of a C library ends the process without the stacks of Go.
func TestAbort(t *testing.T) {
	if os.Getenv("GPUPLAY_TEST_ABORT") != "" {
		p, _ := os.FindProcess(os.Getpid())
		p.Signal(aborting)
		select {}
	}
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals on Windows")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAbort$")
	cmd.Env = append(os.Environ(), "GPUPLAY_TEST_ABORT=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(aborting) || strings.Contains(string(out), "goroutine") {
		t.Errorf("%v, %q", err, out)
	}
}
