package process

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// Kill takes along what the process has started.
func TestKillEndsTheGroup(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh on Windows")
	}
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	Detach(cmd)
	grandchild := started(t, cmd)
	if err := Kill(cmd.Process); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	p, err := os.FindProcess(grandchild)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	ends(t, grandchild)
}

// started starts a command and returns the number of the process that it has
// started itself, which it prints.
func started(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// ends waits until a process has ended.
func ends(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); running(pid); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("process %d, started by the one that was killed, lives", pid)
		}
	}
}

// running reports whether a process exists and is no zombie.
func running(pid int) bool {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return false
	}
	status, err := p.Status()
	return err == nil && len(status) > 0 && status[0] != process.Zombie
}

// Output returns what a program has written, its end where that is very much, and ends
// one that its context ends with all that it has started.
func TestOutputIsBounded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh on Windows")
	}
	out, complaint, err := Output(t.Context(), exec.Command("sh", "-c", "echo yes; echo no >&2; exit 3"))
	if out != "yes\n" || complaint != "no\n" || err == nil {
		t.Errorf("%q, %q, %v", out, complaint, err)
	}
	out, _, err = Output(t.Context(), exec.Command("sh", "-c", "head -c 5000000 /dev/zero; echo end"))
	if err != nil || len(out) > 3*tailSize || !strings.HasSuffix(out, "end\n") {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if _, _, err := Output(t.Context(), exec.Command("/no/such/program")); err == nil {
		t.Error("a program that is not there runs")
	}
}

// A detached process has no terminal: it leads a session of its own.
func TestDetach(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("no python3 that knows sessions")
	}
	cmd := exec.Command(python, "-c", "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())")
	Detach(cmd)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "True" {
		t.Errorf("%q, %v", out, err)
	}
}
