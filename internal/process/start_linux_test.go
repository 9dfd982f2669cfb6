package process

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// A parent that is killed takes along what it has started, and threads that end in
// a living one do not.
func TestStartedEndsWithItsParent(t *testing.T) {
	if os.Getenv("GPUPLAY_TEST_PARENT") != "" {
		parent()
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "GPUPLAY_TEST_PARENT=1")
	child := started(t, cmd)
	if !running(child) {
		t.Error("it ended before its parent")
	}
	cmd.Process.Kill()
	cmd.Wait()
	ends(t, child)
}

// parent starts a child, ends threads, and waits to be killed.
func parent() {
	cmd := exec.Command("sleep", "1000")
	Detach(cmd)
	wait, err := Start(cmd)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for range 20 {
		ended := make(chan struct{})
		go func() {
			runtime.LockOSThread() // a thread ends with a goroutine that has locked it
			close(ended)
		}()
		<-ended
	}
	fmt.Println(cmd.Process.Pid)
	wait()
}

func TestStartFails(t *testing.T) {
	cmd := exec.Command("/no/such/program")
	Detach(cmd)
	if wait, err := Start(cmd); err == nil || wait != nil {
		t.Errorf("started: %v", err)
	}
}

func TestStartWaits(t *testing.T) {
	cmd := exec.Command("sh", "-c", "exit 3")
	Detach(cmd)
	wait, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := wait(); err == nil || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v, state %v", err, cmd.ProcessState)
	}
}
