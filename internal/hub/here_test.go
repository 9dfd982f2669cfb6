package hub

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gpuplay/gpuplay/internal/hub/hubtest"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
)

// What is in the cache in full is found there, whatever the server says meanwhile; what is
// not, or is not what would be downloaded, is not taken for it.
func TestHere(t *testing.T) {
	gguf := func(name string) []byte {
		return modeltest.GGUF([]modeltest.Pair{{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: name}}, []modeltest.Tensor{{Name: "token_embd.weight", Shape: []uint64{32, 10}}})
	}
	h := hubtest.New(t)
	h.Models["a/M-GGUF"] = map[string][]byte{"m-Q8_0.gguf": gguf("8"), "m-UD-Q4_K_XL.gguf": gguf("xl"), "m-Q4_K_M.gguf": gguf("4"), "M-F16.GGUF": gguf("upper case")}
	weights := modeltest.Safetensors([]modeltest.Tensor{{Name: "model.embed_tokens.weight", Shape: []uint64{4, 4}}}, 1)
	h.Models["a/M"] = map[string][]byte{
		"config.json": []byte(`{"architectures":["LlamaForCausalLM"],"model_type":"llama"}`), "tokenizer.json": []byte("{}"), "model.safetensors": weights, "README.md": []byte("x"),
	}
	c := client(t, h)
	here := func(word string, other bool) string {
		path, ok := c.Here(word, other)
		if ok != (path != "") {
			t.Errorf("%s is %q, %t", word, path, ok)
		}
		return path
	}
	for _, word := range []string{"a/M-GGUF", "a/M-GGUF:Q8_0", "a/M", "small", "a/../b"} {
		if path := here(word, true); path != "" {
			t.Errorf("an empty cache has %s in %s", word, path)
		}
	}
	for _, tt := range []struct{ get, is, as string }{
		{"a/M-GGUF:Q8_0", "a/M-GGUF:Q8_0", "m-Q8_0.gguf"},
		{"", "https://huggingface.co/a/M-GGUF:q8_0", "m-Q8_0.gguf"},
		{"", "a/M-GGUF", ""}, // the usual one would be downloaded
		{"", "a/M-GGUF:Q4_K_M", ""},
		{"a/M-GGUF:UD-Q4_K_XL", "a/M-GGUF:UD-Q4_K_XL", "m-UD-Q4_K_XL.gguf"},
		{"", "a/M-GGUF:Q4_K_XL", "m-UD-Q4_K_XL.gguf"},
		{"a/M-GGUF", "a/M-GGUF", "m-Q4_K_M.gguf"},
		{"a/M-GGUF:F16", "a/M-GGUF:F16", "M-F16.GGUF"},
		{"a/M", "a/M", h.Commit},
	} {
		want := ""
		if tt.get != "" {
			path, err := get(t, c, tt.get)
			if err != nil {
				t.Fatal(err)
			}
			want = path
		}
		got := here(tt.is, false)
		if got != "" && filepath.Base(got) != tt.as || got == "" && tt.as != "" || want != "" && got != want {
			t.Errorf("%s is %q, want %s (downloaded to %q)", tt.is, got, tt.as, want)
		}
	}
	one := client(t, h)
	if _, err := get(t, one, "a/M-GGUF:Q8_0"); err != nil {
		t.Fatal(err)
	}
	if path, ok := one.Here("a/M-GGUF", true); !ok || filepath.Base(path) != "m-Q8_0.gguf" {
		t.Errorf("where any will do: %q, %t", path, ok)
	}
	folder := here("a/M", false)
	if err := os.Remove(filepath.Join(folder, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if path := here("a/M", true); path != "" {
		t.Errorf("without a vocabulary it is %s", path)
	}
}
