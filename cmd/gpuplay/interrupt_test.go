package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
)

// Ctrl-C, SIGTERM and SIGHUP keep what was measured, end every child and exit with 128
// and the number of the signal.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent Ctrl-C on Windows")
	}
	// What ignores SIGHUP, such as nohup, has its children ignore it; what handles it does
	// not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	hangs := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(hangs, []byte("#!/bin/sh\nsleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		when string // the line on stderr at which to interrupt
		want string // in the output
		sent syscall.Signal
	}{
		{"while it starts", []string{"race", "--engines", "gocpu"}, "starting gocpu", "", syscall.SIGINT},
		{"while a framework starts", []string{"race", "--engines", "gocpu,torch", "--python", hangs}, "starting torch", "Not raced: torch: interrupted while it started", syscall.SIGINT},
		{"while the only one starts", []string{"matmul", "--engine", "torch", "--python", hangs}, "starting torch", "", syscall.SIGINT},
		{"after the first figure", []string{"race", "--engines", "gocpu", "--size", "8000"}, "measuring", "matrix multiply 1024³", syscall.SIGINT},
		{"in mid-race", []string{"race", "--engines", "gocpu", "--size", "512", "--time", "10m", "--repeat", "1000000"}, "measuring 512³", "GFLOP/s", syscall.SIGINT},
		{"in one lane", []string{"matmul", "--size", "512", "--repeat", "1000000", "--output", "r.json"}, "measuring", `"interrupted": true`, syscall.SIGINT},
		{"by SIGTERM", []string{"matmul", "--size", "512", "--repeat", "1000000", "--output", "r.json"}, "measuring", `"interrupted": true`, syscall.SIGTERM},
		{"by SIGHUP", []string{"matmul", "--size", "512", "--repeat", "1000000", "--output", "r.json"}, "measuring", `"interrupted": true`, syscall.SIGHUP},
		{"in a sweep", []string{"sweep", "--engines", "gocpu", "--sizes", "32,8000", "--threads", "1", "--dtype", "float64", "--repeat", "100"}, "measuring 8000³", "32³", syscall.SIGINT},
		{"while it measures the CPU", []string{"cpu"}, "measuring caches", "Interrupted", syscall.SIGINT},
		{"on the ladder", []string{"learn", "matmul", "--size", "1500"}, "multiplying", "Interrupted", syscall.SIGINT},
		{"while a GPT learns", []string{"learn", "gpt", "--threads", "1", "--steps", "1000000"}, "training for", "A GPT of 409856 weights", syscall.SIGINT},
		{"in a long product", []string{"matmul", "--size", "12000", "--threads", "1", "--dtype", "float64", "--format", "line"}, "measuring", "interrupted", syscall.SIGINT},
	}
	if dir, gguf := llmtest.LlamaCPP(), llmtest.GGUF(); dir != "" && gguf != "" {
		tests = append(tests, tests[0])
		tt := &tests[len(tests)-1]
		tt.name, tt.when, tt.want = "in a model's rounds", "CPU: measuring", `"interrupted": true`
		tt.args = []string{"llm", gguf, "--llama-cpp", dir, "--ngl", "0", "--tokens", "2", "--repeat", "1000000", "--output", "r.json"}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			cmd := &exec.Cmd{Path: self, Args: append([]string{"gpuplay"}, tt.args...), Dir: t.TempDir(), Stdout: &out}
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
			var children []*process.Process
			said := bufio.NewScanner(stderr)
			for said.Scan() {
				if strings.Contains(said.Text(), "context canceled") {
					t.Errorf("it said %q", said.Text())
				}
				if strings.HasPrefix(said.Text(), tt.when) {
					if p, err := process.NewProcess(int32(cmd.Process.Pid)); err == nil {
						children, _ = p.Children()
					}
					cmd.Process.Signal(tt.sent)
				}
			}
			err = cmd.Wait()
			var exit *exec.ExitError
			if want := 128 + int(tt.sent); !errors.As(err, &exit) || exit.ExitCode() != want {
				t.Errorf("ended with %v, want exit code %d", err, want)
			}
			text := out.String()
			if file, err := os.ReadFile(cmd.Dir + "/r.json"); err == nil {
				text += string(file)
			}
			if !strings.Contains(text, tt.want) || strings.Contains(text, "context canceled") {
				t.Errorf("printed %q, want %q", text, tt.want)
			}
			for _, c := range children {
				if status, err := c.Status(); err == nil && len(status) > 0 && status[0] != process.Zombie {
					t.Errorf("child %d is left behind: %s", c.Pid, status[0])
				}
			}
		})
	}
}

// A worker has nothing to keep: it ends at once.
func TestWorkerIsEnded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal on Windows")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"gpuplay", "worker", "gocpu"}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	io.WriteString(in, "not a request\n")
	bufio.NewScanner(out).Scan() // it answers, so it has begun
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("ended with %v", err)
	}
}

// A gpuplay that is killed leaves no llama-server behind, where the system can see to
// that.
func TestKilled(t *testing.T) {
	dir, gguf := llmtest.LlamaCPP(), llmtest.GGUF()
	switch {
	case runtime.GOOS != "linux":
		t.Skip("only Linux ends a child with its parent")
	case dir == "" || gguf == "":
		enginetest.Require(t, "llama.cpp", "no llama.cpp, or no model to run with it")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"gpuplay", "llm", gguf, "--llama-cpp", dir, "--ngl", "0", "--tokens", "2", "--repeat", "1000000"}}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	var children []*process.Process
	for said := bufio.NewScanner(stderr); said.Scan(); {
		if strings.HasPrefix(said.Text(), "CPU: measuring") {
			if p, err := process.NewProcess(int32(cmd.Process.Pid)); err == nil {
				children, _ = p.Children()
			}
			cmd.Process.Kill()
			break
		}
	}
	cmd.Wait()
	if len(children) == 0 {
		t.Fatal("it had no child")
	}
	for _, c := range children {
		for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
			status, err := c.Status()
			if err != nil || len(status) == 0 || status[0] == process.Zombie {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("child %d is left behind: %s", c.Pid, status[0])
				break
			}
		}
	}
}
