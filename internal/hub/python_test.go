package hub

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/hub/hubtest"
)

// huggingfaceHub returns a Python that has the Hub's own client.
func huggingfaceHub(t *testing.T) string {
	t.Helper()
	for _, interpreter := range []string{"../../.venv-mlx/bin/python", "../../.venv-torch/bin/python", "python3"} {
		if path, err := filepath.Abs(interpreter); err == nil && strings.Contains(interpreter, "/") {
			interpreter = path
		}
		if exec.Command(interpreter, "-c", "import huggingface_hub").Run() == nil {
			return interpreter
		}
	}
	enginetest.Require(t, "huggingface_hub", "no Python with huggingface_hub was found: pip install huggingface_hub into .venv-mlx")
	return ""
}

// run runs a program with the cache and the server, and returns what it prints.
func run(t *testing.T, interpreter, cache, endpoint, program string) string {
	t.Helper()
	cmd := exec.Command(interpreter, "-c", program)
	cmd.Env = append(os.Environ(), "HF_HUB_CACHE="+cache, "HF_ENDPOINT="+endpoint, "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HOME="+filepath.Join(cache, "home"))
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			t.Fatalf("%v: %s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// layout is a model's folder in a cache: files with their sizes, links with where
// they lead.
func layout(t *testing.T, cache string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(cache, path)
		if !strings.HasPrefix(name, "models--") || strings.Contains(name, "/trees/") { // locks; a list that snapshot_download keeps
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			found[name], err = os.Readlink(path)
			return err
		}
		data, err := os.ReadFile(path)
		found[name] = hubtest.SHA256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The Hub's own client downloads from the same server into a cache of its own:
// both caches are the same.
func TestLayoutIsTheHubs(t *testing.T) {
	interpreter := huggingfaceHub(t)
	h := stocked(t)
	c := client(t, h)
	for _, word := range []string{ggufRepo, mlxRepo} {
		if _, err := get(t, c, word); err != nil {
			t.Fatal(err)
		}
	}
	theirs := t.TempDir()
	run(t, interpreter, theirs, h.URL, `from huggingface_hub import hf_hub_download, snapshot_download
hf_hub_download("`+ggufRepo+`", "small-q4_k_m.gguf")
snapshot_download("`+mlxRepo+`", allow_patterns=["*.json", "*.safetensors", "*.txt", "README.md"])`)
	if d := cmp.Diff(layout(t, theirs), layout(t, c.Cache)); d != "" {
		t.Error(d)
	}
}

// The Hub's own client finds, offline, what was downloaded here, and its tool
// that looks through the cache has nothing to complain about.
func TestOthersUseTheCache(t *testing.T) {
	interpreter := huggingfaceHub(t)
	h := stocked(t)
	c := client(t, h)
	path, err := get(t, c, ggufRepo)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := get(t, c, mlxRepo)
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, interpreter, c.Cache, "http://nowhere.invalid", `from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
print(hf_hub_download("`+ggufRepo+`", "small-q4_k_m.gguf", local_files_only=True))
print(snapshot_download("`+mlxRepo+`", local_files_only=True))
info = scan_cache_dir()
for repo in sorted(info.repos, key=lambda r: r.repo_id):
    print(repo.repo_id, repo.size_on_disk, *sorted(repo.refs))
print(info.warnings)`)
	want := strings.Join([]string{path, folder, ggufRepo + " 300000 main", mlxRepo + " 50009 main", "[]"}, "\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
