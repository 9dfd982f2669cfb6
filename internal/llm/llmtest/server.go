package llmtest

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Serve starts the real llama-server with a model on one thread, until the test ends, and
// returns the address of its interface like OpenAI's. An error means that there is no
// llama-server, or that it does not start.
func Serve(t *testing.T, model string, args ...string) (url string, err error) {
	t.Helper()
	program := LlamaCPP()
	if info, err := os.Stat(program); err == nil && info.IsDir() {
		program = filepath.Join(program, "llama-server")
	}
	if program == "" {
		return "", errors.New("no llama-server in GPUPLAY_LLAMA_CPP or on the path")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	cmd := exec.Command(program, append([]string{"-m", model, "--host", "127.0.0.1", "--port", port, "-np", "1", "-t", "1", "--no-webui"}, args...)...)
	if err := cmd.Start(); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r, err := http.Get("http://" + address + "/health"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return "http://" + address + "/v1", nil
			}
		}
	}
	t.Fatalf("%s does not become ready", program)
	return "", nil
}
