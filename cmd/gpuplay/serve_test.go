package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// The server measures what it is asked to, and Ctrl-C keeps what was measured until then.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent Ctrl-C on Windows")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	cmd := &exec.Cmd{Path: self, Args: []string{"gpuplay", "serve"}, Env: append(os.Environ(), "GPUPLAY_DATA="+data)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	parts := regexp.MustCompile(`^(http://127\.0\.0\.1:\d+)/#token=(\w{26})\n$`).FindStringSubmatch(line)
	if err != nil || parts == nil {
		t.Fatalf("%v: %q", err, line)
	}
	ask := func(method, path, body string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, parts[1]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+parts[2])
		r.Header.Set("Content-Type", "application/json")
		return http.DefaultClient.Do(r)
	}
	events, err := ask("GET", "/api/v1/events", "")
	if err != nil || events.StatusCode != 200 {
		t.Fatal(err, events)
	}
	defer events.Body.Close()
	res, err := ask("POST", "/api/v1/runs", `{"kind":"race","settings":{"size":1024,"seconds":120}}`)
	if err != nil || res.StatusCode != 202 {
		t.Fatal(err, res)
	}
	var run struct{ ID string }
	if err := json.NewDecoder(res.Body).Decode(&run); err != nil || run.ID == "" {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(events.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && !strings.Contains(lines.Text(), `"type":"sample"`) {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, events.Body) //nolint:errcheck // the server cuts it
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 130 {
		t.Errorf("%v, %s", err, &stderr)
	}
	list := &exec.Cmd{Path: self, Args: []string{"gpuplay", "results", "list"}, Env: append(os.Environ(), "GPUPLAY_DATA="+data)}
	if text, err := list.Output(); err != nil || !strings.Contains(string(text), "1024³ float32") {
		t.Errorf("%v: %s", err, text)
	}
}

// A browser may call the server by these names alone.
func TestServeHosts(t *testing.T) {
	for listen, want := range map[string][]string{
		"127.0.0.1":    {"127.0.0.1:8", "localhost:8", "[::1]:8"},
		"localhost":    {"127.0.0.1:8", "localhost:8", "[::1]:8"},
		"192.168.1.20": {"127.0.0.1:8", "localhost:8", "[::1]:8", "192.168.1.20:8"},
	} {
		f := serveFlags{listen: listen}
		if got := f.hosts("8"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", listen, got, want)
		}
	}
}
