// Package ollamatest starts a real Ollama for tests. .ci/ollama builds one.
package ollamatest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/process"
)

// Program returns the ollama that GPUPLAY_TEST_OLLAMA names, or the one on the path;
// "" if there is none.
func Program() string {
	path := os.Getenv("GPUPLAY_TEST_OLLAMA")
	if path == "" {
		path, _ = exec.LookPath("ollama")
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// A Server is an Ollama with nothing in it but a tiny model, which it calls tiny.
type Server struct {
	Host string // for OLLAMA_HOST

	cmd *exec.Cmd
	log logged
}

// Models is where a server with that home folder keeps its models.
func Models(home string) string { return filepath.Join(home, "models") }

// Serve starts a server that keeps all it has below a folder.
func Serve(program, home string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Host: l.Addr().String(), cmd: exec.Command(program, "serve")}
	l.Close()
	s.cmd.Env = append(os.Environ(), "OLLAMA_HOST="+s.Host, "OLLAMA_MODELS="+Models(home), "HOME="+home)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	process.Detach(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.fill(); err != nil {
		s.Close()
		return nil, fmt.Errorf("%w: %s", err, s.Log())
	}
	return s, nil
}

// Close ends the server.
func (s *Server) Close() {
	process.Kill(s.cmd.Process)
	s.cmd.Wait()
}

// Log is what it has said.
func (s *Server) Log() string { return s.log.String() }

// fill waits for the server and gives it the model.
func (s *Server) fill() error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := http.Get("http://" + s.Host + "/api/version")
		if err == nil {
			r.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			return err
		}
	}
	data := model.Tiny()
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if err := s.post("/api/blobs/"+digest, data); err != nil {
		return err
	}
	create, err := json.Marshal(map[string]any{"model": "tiny", "files": map[string]string{"tiny.gguf": digest}})
	if err != nil {
		return err
	}
	return s.post("/api/create", create)
}

func (s *Server) post(path string, body []byte) error {
	r, err := http.Post("http://"+s.Host+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode >= 300 || bytes.Contains(text, []byte(`"error"`))) {
		err = fmt.Errorf("%s: %s %s", path, r.Status, text)
	}
	return err
}

// logged is a log that may be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
