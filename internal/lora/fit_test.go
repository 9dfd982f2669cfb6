package lora

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
)

// base is a model of some layers with matrices of width×width, with one value in its
// weights.
func base(t *testing.T, prefix string, layers int, width uint64, value byte) model.Model {
	t.Helper()
	tensors := []modeltest.Tensor{{Name: prefix + "embed_tokens.weight", Shape: []uint64{100, width}}}
	for i := range layers {
		tensors = append(tensors, modeltest.Tensor{Name: prefix + "layers." + string(rune('0'+i)) + ".self_attn.q_proj.weight", Shape: []uint64{width, width}})
		tensors = append(tensors, modeltest.Tensor{Name: prefix + "layers." + string(rune('0'+i)) + ".mlp.up_proj.weight", Shape: []uint64{3 * width, width}})
	}
	m, err := model.Open(folder(t, map[string]string{
		"config.json":       `{"architectures":["LlamaForCausalLM"],"model_type":"llama"}`,
		"model.safetensors": string(modeltest.Safetensors(tensors, value)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// halves are the two matrices of an adapter for one that maps in to out.
func halves(peft bool, name string, in, out uint64) []modeltest.Tensor {
	const rank = 4
	if peft {
		return []modeltest.Tensor{{Name: "base_model.model." + name + ".lora_A.weight", Shape: []uint64{rank, in}}, {Name: "base_model.model." + name + ".lora_B.weight", Shape: []uint64{out, rank}}}
	}
	return []modeltest.Tensor{{Name: name + ".lora_a", Shape: []uint64{in, rank}}, {Name: name + ".lora_b", Shape: []uint64{rank, out}}}
}

// An adapter is refused for a model whose matrices have other shapes, whoever made it, with
// both shapes.
func TestFitsByShape(t *testing.T) {
	for _, peft := range []bool{true, false} {
		adapter := func(tensors ...[]modeltest.Tensor) string {
			var all []modeltest.Tensor
			for _, t := range tensors {
				all = append(all, t...)
			}
			name := map[bool]string{true: "adapter_model.safetensors", false: "adapters.safetensors"}[peft]
			return folder(t, map[string]string{name: string(modeltest.Safetensors(all, 0))})
		}
		q, up := halves(peft, "model.layers.1.self_attn.q_proj", 64, 64), halves(peft, "model.layers.1.mlp.up_proj", 64, 192)
		for name, tt := range map[string]struct {
			adapter string
			model   model.Model
			says    string // "": it fits
		}{
			"its own":                     {adapter(q, up), base(t, "model.", 2, 64, 1), ""},
			"another prefix":              {adapter(q, up), base(t, "language_model.model.", 2, 64, 1), ""},
			"a matrix that is not there":  {adapter(q, halves(peft, "model.layers.1.mlp.fused", 5, 5)), base(t, "model.", 2, 64, 1), ""},
			"other names throughout":      {adapter(halves(peft, "decoder.q", 5, 5)), base(t, "model.", 2, 64, 1), ""},
			"another width":               {adapter(q, up), base(t, "model.", 2, 128, 1), "layers.1.mlp.up_proj is 192×64 in the adapter, 384×128 in the model"},
			"another width of one matrix": {adapter(q, halves(peft, "model.layers.1.mlp.up_proj", 64, 128)), base(t, "model.", 2, 64, 1), "layers.1.mlp.up_proj is 128×64 in the adapter, 192×64 in the model"},
			"fewer layers":                {adapter(q), base(t, "model.", 1, 64, 1), "it changes layers.1.self_attn.q_proj (64×64), of whose layers the model has 1"},
		} {
			err := Fits(tt.adapter, tt.model)
			if tt.says == "" && err == nil {
				continue
			}
			if err == nil || tt.says == "" || !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "the adapter in "+tt.adapter+" does not fit "+tt.model.Path+": ") || !strings.HasSuffix(err.Error(), tt.says) || len(fault.From(err).Remedies) == 0 {
				t.Errorf("peft %t, %s: error %v", peft, name, err)
			}
		}
	}
}

// An adapter of gpuplay's is refused for other weights of the same shapes, and taken for
// its own wherever they lie.
func TestFitsByWeights(t *testing.T) {
	own, other := base(t, "model.", 2, 64, 1), base(t, "model.", 2, 64, 2)
	if own.Bytes != other.Bytes {
		t.Fatal("the models differ in size")
	}
	print, err := model.Fingerprint(own.Path)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.CopyFS(moved, os.DirFS(own.Path)); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := model.Open(moved)
	if err != nil {
		t.Fatal(err)
	}
	smaller := base(t, "model.", 1, 64, 1)
	for name, tt := range map[string]struct {
		base  string
		model model.Model
		says  string
	}{
		"its own":                      {print, own, ""},
		"its own, elsewhere":           {print, elsewhere, ""},
		"another of the same size":     {print, other, "was trained on the weights of /models/own (sha256:"},
		"of an earlier gpuplay":        {"", own, ""},
		"of an earlier one, of a size": {"", smaller, "was trained on /models/own, not on " + smaller.Path},
	} {
		text, err := json.Marshal(State{Schema: StateSchema, Runtime: "mlx_lm", Model: "/models/own", Weights: own.Bytes, Base: tt.base, Iterations: 3, Layers: 1, Rank: 4})
		if err != nil {
			t.Fatal(err)
		}
		adapter := folder(t, map[string]string{"gpuplay.json": string(text), "adapters.safetensors": string(modeltest.Safetensors(halves(false, "model.layers.0.self_attn.q_proj", 64, 64), 0))})
		if err := Fits(adapter, tt.model); (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
