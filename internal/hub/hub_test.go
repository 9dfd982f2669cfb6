package hub

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hub/hubtest"
)

// noise returns n bytes that are the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < n; i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

const ggufRepo, mlxRepo = "Qwen/Small-GGUF", "mlx-community/Small-4bit"

// stocked returns a Hub with a repository of each kind.
func stocked(t *testing.T) *hubtest.Server {
	h := hubtest.New(t)
	h.Models[ggufRepo] = map[string][]byte{
		"README.md":                         []byte("---\nlicense: apache-2.0\n---\n"),
		"small-q4_k_m.gguf":                 noise(300_000),
		"small-q8_0.gguf":                   noise(500_000),
		"small-q4_k_s.gguf":                 noise(200_000),
		"mmproj-small-f16.gguf":             noise(1000),
		"big/small-f16-00001-of-00002.gguf": noise(2000),
		"big/small-f16-00002-of-00002.gguf": noise(1000),
		"a folder/with space-q6_k.gguf":     noise(3000),
	}
	h.Models[mlxRepo] = map[string][]byte{
		"README.md": []byte("card"), "config.json": []byte("{}"), "tokenizer.json": []byte("{ }"), "empty.txt": {},
		"model.safetensors": noise(50_000), "run.py": []byte("import os"), "onnx/model.onnx": noise(9), ".gitattributes": []byte("x"),
	}
	return h
}

// client returns a client of a server, with a cache of its own, that does not wait
// between attempts.
func client(t *testing.T, h *hubtest.Server) *Client {
	c := New(h.URL, "", t.TempDir())
	c.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

// ranges are the Range headers that the content server has seen.
func ranges(h *hubtest.Server) []string {
	var all []string
	for _, r := range h.Requests() {
		all = append(all, r.Header.Get("Range"))
	}
	return all
}

func get(t *testing.T, c *Client, word string) (string, error) {
	t.Helper()
	p, err := c.Plan(t.Context(), word)
	if err != nil {
		t.Fatal(err)
	}
	return c.Get(t.Context(), p)
}

func TestGet(t *testing.T) {
	h := stocked(t)
	c := client(t, h)
	var last Progress
	c.Observe = func(p Progress) { last = p }
	p, err := c.Plan(t.Context(), "https://huggingface.co/"+ggufRepo)
	if err != nil {
		t.Fatal(err)
	}
	if p.Missing != 300_000 || p.Bytes != 300_000 || p.License != "apache-2.0" || p.ID != ggufRepo {
		t.Errorf("%+v", p)
	}
	path, err := c.Get(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(c.Cache, "models--Qwen--Small-GGUF", "snapshots", h.Commit, "small-q4_k_m.gguf"); path != want || c.Path(p) != want {
		t.Errorf("it is in %s, want %s", path, want)
	}
	want := h.Models[ggufRepo]["small-q4_k_m.gguf"]
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if ref, _ := os.ReadFile(filepath.Join(c.Cache, "models--Qwen--Small-GGUF", "refs", "main")); string(ref) != h.Commit {
		t.Errorf("refs/main is %q", ref)
	}
	if last.Done != 300_000 || last.Total != 300_000 || last.File != "small-q4_k_m.gguf" {
		t.Errorf("the last progress is %+v", last)
	}
	ranges(h)
	if p, _ = c.Plan(t.Context(), ggufRepo); p.Missing != 0 {
		t.Errorf("%d bytes are missing of what is there", p.Missing)
	}
	if again, err := c.Get(t.Context(), p); err != nil || again != path || len(ranges(h)) > 0 {
		t.Errorf("again: %s, %v; something was downloaded twice", again, err)
	}
}

func TestChoose(t *testing.T) {
	h := stocked(t)
	c := client(t, h)
	for word, want := range map[string]string{
		ggufRepo:                        "small-q4_k_m.gguf",
		ggufRepo + ":Q8_0":              "small-q8_0.gguf",
		ggufRepo + ":q4_k_s":            "small-q4_k_s.gguf",
		ggufRepo + ":small-q4_k_s.gguf": "small-q4_k_s.gguf",
		ggufRepo + ":F16":               "big/small-f16-00001-of-00002.gguf big/small-f16-00002-of-00002.gguf",
		ggufRepo + ":Q6_K":              "a folder/with space-q6_k.gguf",
		mlxRepo:                         "README.md config.json empty.txt model.safetensors tokenizer.json",
		"hf.co/" + mlxRepo + "/":        "README.md config.json empty.txt model.safetensors tokenizer.json",
	} {
		p, err := c.Plan(t.Context(), word)
		if err != nil {
			t.Error(err)
			continue
		}
		var names []string
		for _, f := range p.Files {
			names = append(names, f.Path)
		}
		if len(p.Open) == 0 {
			slices.Sort(names)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s is %s, want %s", word, got, want)
		}
		path, err := c.Get(t.Context(), p)
		if err != nil {
			t.Errorf("%s: %v", word, err)
		}
		for _, f := range p.Files {
			if data, err := os.ReadFile(c.pointer(p, f)); err != nil || !bytes.Equal(data, h.Models[p.ID][f.Path]) {
				t.Errorf("%s: %s has %d bytes, %v", word, f.Path, len(data), err)
			}
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() != (p.Open == "") {
			t.Errorf("%s: %s, %v", word, path, err)
		}
	}
}

func TestNoPlan(t *testing.T) {
	h := stocked(t)
	h.Models["meta/Gated-1B"] = map[string][]byte{"model.safetensors": noise(10)}
	h.Gated["meta/Gated-1B"] = true
	h.Models["someone/bert"] = map[string][]byte{"pytorch_model.bin": noise(10)}
	offline := client(t, h)
	offline.Offline = "TRANSFORMERS_OFFLINE"
	nowhere := client(t, h)
	nowhere.Endpoint = "http://nowhere.invalid"
	closed := httptest.NewServer(nil)
	closed.Close()
	deaf := client(t, h)
	deaf.Endpoint = closed.URL
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>Log in")) }))
	defer page.Close()
	portal := client(t, h)
	portal.Endpoint = page.URL
	stranger := client(t, h)
	stranger.Token, stranger.TokenFrom = "wrong", "/home/a/token"
	for _, tt := range []struct {
		client *Client
		word   string
		says   string
		hint   string
	}{
		{client(t, h), "small", `"small" is no model's name on Hugging Face`, "names have an owner: Qwen/"},
		{client(t, h), "a/../b", `is no model's name`, ""},
		{client(t, h), "Qwen/Smal-GGUF", "there is no model Qwen/Smal-GGUF on Hugging Face, or it is private", "private models need HF_TOKEN"},
		{client(t, h), "Qwen/Small-GGUF-2", "there is no model Qwen/Small-GGUF-2", "did you mean Qwen/Small-GGUF?"},
		{client(t, h), "mlx-community/Small-mlx", "there is no model", "did you mean mlx-community/Small-4bit or Qwen/Small-GGUF?"},
		{stranger, "Qwen/None", "there is no model Qwen/None", "HF_TOKEN"},
		{client(t, h), ggufRepo + ":Q4_K", ggufRepo + " has no Q4_K", "small-q4_k_m.gguf"},
		{client(t, h), mlxRepo + ":Q4_0", mlxRepo + " has no Q4_0: it has safetensors files, and no GGUF files", "gpuplay models get " + mlxRepo},
		{client(t, h), "someone/bert", "someone/bert has neither GGUF nor safetensors files", "gpuplay models get"},
		{client(t, h), "meta/Gated-1B", "meta/Gated-1B is gated", "accept its terms at https://huggingface.co/meta/Gated-1B, then set HF_TOKEN"},
		{offline, ggufRepo, "is not on this machine, and TRANSFORMERS_OFFLINE is set", "unset it"},
		{nowhere, ggufRepo, "nowhere.invalid cannot be reached: its name is not known here", "when this machine is online"},
		{deaf, ggufRepo, "cannot be reached: dial tcp", "HF_ENDPOINT names a mirror"},
		{portal, ggufRepo, "does not answer as Hugging Face does", "a page to log in"},
	} {
		_, err := tt.client.Plan(t.Context(), tt.word)
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
			t.Errorf("%s: %v (%+v), want %q, %q", tt.word, err, e, tt.says, tt.hint)
		}
	}
	p, err := stranger.Plan(t.Context(), "meta/Gated-1B")
	if err != nil {
		t.Fatal(err)
	}
	var e *fault.Error
	if _, err := stranger.Get(t.Context(), p); !errors.As(err, &e) || !strings.Contains(e.Message, "is gated") || !strings.Contains(e.Remedies.String(), "with the account that the token in /home/a/token is of") {
		t.Errorf("error %#v with a token that has not accepted", err)
	}
	stranger.Token = "good"
	if _, err := stranger.Get(t.Context(), p); err != nil {
		t.Error(err)
	}
}

// What the Hub says becomes names of files: nothing may lead out of the cache.
func TestFilesThatLeadElsewhere(t *testing.T) {
	h := hubtest.New(t)
	for name, change := range map[string]func(){
		"a path": func() { h.Models["a/b"] = map[string][]byte{"../../../../evil.gguf": noise(9)} },
		"a root": func() { h.Models["a/b"] = map[string][]byte{"/evil.gguf": noise(9)} },
		"a commit": func() {
			h.Models["a/b"] = map[string][]byte{"good.gguf": noise(9)}
			h.Commit = "../../../../evil"
		},
	} {
		change()
		if p, err := client(t, h).Plan(t.Context(), "a/b"); err == nil || !strings.Contains(err.Error(), "the Hub says of a/b") {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// The token goes to the Hub and to no other host, and into no error.
func TestToken(t *testing.T) {
	h := stocked(t)
	c := client(t, h)
	c.Token = "hf_secret"
	if _, err := get(t, c, ggufRepo); err != nil {
		t.Fatal(err)
	}
	requests := h.Requests()
	if len(requests) == 0 {
		t.Fatal("nothing was fetched from the other host")
	}
	for _, r := range requests {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("the other host got %q", got)
		}
	}
}

func TestNoRoom(t *testing.T) {
	h := stocked(t)
	c := client(t, h)
	c.Cache = filepath.Join(c.Cache, "not", "yet")
	c.Free = func(folder string) (uint64, error) {
		if _, err := os.Stat(folder); err != nil {
			t.Errorf("asked for the space of %s", folder)
		}
		return 1000, nil
	}
	_, err := get(t, c, ggufRepo)
	if err == nil || !strings.Contains(err.Error(), "needs 300 kB in "+c.Cache+", 1.00 kB is free") {
		t.Errorf("error %v", err)
	}
	d := &download{Client: c, plan: &Plan{ID: ggufRepo}}
	var e *fault.Error
	if !errors.As(d.disk(syscall.ENOSPC), &e) || !strings.Contains(e.Remedies.String(), "what has come is kept") {
		t.Errorf("a full disk: %+v", e)
	}
	if os.Getuid() != 0 {
		c.Cache, c.Free = filepath.Join(t.TempDir(), "closed"), disk.Free
		os.Mkdir(c.Cache, 0o500)
		if _, err := get(t, c, ggufRepo); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("a folder that cannot be written to: %v", err)
		}
	}
}

// Two at once: the second waits, and downloads nothing.
func TestTwoAtOnce(t *testing.T) {
	h := stocked(t)
	first, second := client(t, h), client(t, h)
	second.Cache = first.Cache
	p, err := first.Plan(t.Context(), ggufRepo)
	if err != nil {
		t.Fatal(err)
	}
	path := first.lock(p, p.Files[0])
	os.MkdirAll(filepath.Dir(path), 0o755)
	held := flock.New(path)
	if ok, err := held.TryLock(); !ok {
		t.Fatal(err)
	}
	waits := make(chan struct{}, 1)
	second.Observe = func(p Progress) {
		if p.Waiting == "another program downloads it" {
			waits <- struct{}{}
		}
	}
	result := make(chan error)
	go func() {
		_, err := second.Get(t.Context(), p)
		result <- err
	}()
	<-waits
	if len(ranges(h)) > 0 {
		t.Error("it does not wait")
	}
	held.Unlock()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if _, err := first.Get(t.Context(), p); err != nil || len(ranges(h)) != 1 {
		t.Errorf("%v, or it was downloaded twice", err)
	}
}

func TestNamed(t *testing.T) {
	for word, want := range map[string]bool{
		"Qwen/Qwen2.5-0.5B-Instruct-GGUF": true, "a/b:Q4_K_M": true, "https://huggingface.co/a/b": true,
		"qwen2.5:0.5b": false, "./models/x.gguf": false, "a/b/c": false, "../x": false, "/abs/x": false, "x.gguf": false, "": false,
		"models/gemma-3-270m": false, "datasets/a": false, "modelscope/a": true,
	} {
		if got := Named(word); got != want {
			t.Errorf("Named(%q) = %t", word, got)
		}
	}
	for _, d := range Defaults {
		if !Named(d.Name) || DefaultFor(d.Runtime) != d {
			t.Errorf("%+v", d)
		}
	}
}
