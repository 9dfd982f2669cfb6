// Package hubtest is a Hugging Face Hub on this machine, for tests.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Server answers as the Hub does, as far as downloads need it:
//
//   - /api/models/ID/revision/main?blobs=true: ModelInfo with files_metadata, in
//     hf_api.py of https://github.com/huggingface/huggingface_hub;
//   - /api/models/ID/tree/COMMIT: list_repo_tree in the same file;
//   - /api/models?search=: https://huggingface.co/docs/hub/api;
//   - /ID/resolve/REVISION/FILE: get_hf_file_metadata in file_download.py: a file
//     in Git LFS is a redirect to another host with X-Linked-Etag and
//     X-Linked-Size, others are sent at once with Git's hash as ETag, both with
//     X-Repo-Commit;
//   - errors with X-Error-Code: hf_raise_for_status in utils/_http.py; without a
//     token what is not there is a 401.
//
// The other host stands for the content delivery network; faults are its.
type Server struct {
	*httptest.Server
	Commit string                       // of every model
	Models map[string]map[string][]byte // files by model and path
	Gated  map[string]bool              // models that only the token "good" may read
	// Fault, if any, answers instead of the content server and returns true, or
	// returns false.
	Fault func(w http.ResponseWriter, r *http.Request, data []byte) (done bool)

	content  *httptest.Server
	mu       sync.Mutex
	requests []*http.Request // to the content server
}

// New starts a server without models.
func New(t testing.TB) *Server {
	h := &Server{Commit: strings.Repeat("ab", 20), Models: map[string]map[string][]byte{}, Gated: map[string]bool{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	h.content = httptest.NewServer(http.HandlerFunc(h.serveContent))
	t.Cleanup(h.Server.Close)
	t.Cleanup(h.content.Close)
	return h
}

func inLFS(path string) bool {
	return strings.HasSuffix(path, ".gguf") || strings.HasSuffix(path, ".safetensors")
}

// GitHash returns the hash by which Git knows a file.
func GitHash(data []byte) string {
	s := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(s[:])
}

// SHA256 returns the hash by which Git LFS knows a file.
func SHA256(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Error-Code", code)
	w.WriteHeader(status)
}

func (h *Server) serve(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	rest, api := strings.CutPrefix(r.URL.Path, "/api/models")
	if api && rest == "" {
		found := []map[string]string{}
		for id := range h.Models {
			if strings.Contains(strings.ToLower(id), strings.ToLower(r.URL.Query().Get("search"))) {
				found = append(found, map[string]string{"id": id})
			}
		}
		json.NewEncoder(w).Encode(found)
		return
	}
	words := strings.SplitN(strings.TrimPrefix(rest, "/"), "/", 5)
	if len(words) < 3 {
		refuse(w, http.StatusNotFound, "")
		return
	}
	id := words[0] + "/" + words[1]
	files, there := h.Models[id]
	if !there {
		status := http.StatusNotFound
		if token == "" {
			status = http.StatusUnauthorized
		}
		refuse(w, status, "RepoNotFound")
		return
	}
	if api {
		h.info(w, id, words[2], files)
		return
	}
	path := strings.Join(words[4:], "/")
	data, there := files[path]
	w.Header().Set("X-Repo-Commit", h.Commit)
	switch {
	case h.Gated[id] && token != "good":
		refuse(w, http.StatusForbidden, "GatedRepo")
	case !there:
		refuse(w, http.StatusNotFound, "EntryNotFound")
	case inLFS(path):
		w.Header().Set("X-Linked-Etag", `"`+SHA256(data)+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
		http.Redirect(w, r, h.content.URL+"/"+id+"/"+(&url.URL{Path: path}).EscapedPath()+"?Signature=x", http.StatusFound)
	default:
		w.Header().Set("ETag", `"`+GitHash(data)+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
	}
}

func (h *Server) info(w http.ResponseWriter, id, what string, files map[string][]byte) {
	type lfs struct {
		OID     string `json:"oid,omitempty"`
		SHA256  string `json:"sha256,omitempty"`
		Size    int    `json:"size"`
		Pointer int    `json:"pointerSize"`
	}
	var siblings, tree []map[string]any
	for path, data := range files {
		s := map[string]any{"rfilename": path, "size": len(data), "blobId": GitHash(data)}
		e := map[string]any{"type": "file", "path": path, "size": len(data), "oid": GitHash(data)}
		if inLFS(path) {
			s["lfs"] = lfs{SHA256: SHA256(data), Size: len(data), Pointer: 134}
			e["lfs"] = lfs{OID: SHA256(data), Size: len(data), Pointer: 134}
		}
		siblings, tree = append(siblings, s), append(tree, e)
	}
	if what == "tree" {
		json.NewEncoder(w).Encode(tree)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{
		"id": id, "sha": h.Commit, "gated": map[bool]any{true: "auto", false: false}[h.Gated[id]],
		"cardData": map[string]any{"license": "apache-2.0"}, "siblings": siblings,
	})
}

func (h *Server) serveContent(w http.ResponseWriter, r *http.Request) {
	words := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	data := h.Models[words[0]+"/"+words[1]][words[2]]
	h.mu.Lock()
	h.requests = append(h.requests, r.Clone(r.Context()))
	fault := h.Fault
	h.mu.Unlock()
	if fault != nil && fault(w, r, data) {
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
}

// Requests returns the requests that the content server has seen since it was
// last asked.
func (h *Server) Requests() []*http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := h.requests
	h.requests = nil
	return seen
}
