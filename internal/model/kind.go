package model

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
)

// another is the error for a whole file or folder that holds something else than a model
// that generates text.
type another struct {
	err  *fault.Error
	path string
	what string
}

func (a *another) Error() string { return a.err.Error() }
func (a *another) Unwrap() error { return a.err }

// holds returns the error for a path that holds something else: "an adapter".
func holds(path, what, advice string) error {
	return &another{fault.Errorf(fault.Invalid, "%s is no language model but %s", path, what).With(fault.Advice(advice)...), path, what}
}

// Another returns what an error of Open or Find says that a path holds in the place of a
// language model, such as "an embedding model", and whether it says that at all.
func Another(err error) (what string, ok bool) {
	var a *another
	if errors.As(err, &a) {
		return a.what, true
	}
	return "", false
}

// pooling are the values of pooling_type, PoolingType in gguf-py/gguf/constants.py: how a
// model makes one vector, or one figure, of a text. Those that generate text have none.
var pooling = map[uint64]string{1: "an embedding model", 2: "an embedding model", 3: "an embedding model", 4: "a model that ranks texts"}

// encoders are architectures of llama.cpp that do not continue a text, beside those that
// metadata and the word "bert" in their names tell: MODEL_ARCH_NAMES in
// gguf-py/gguf/constants.py. llama-server does not run those of T5 either.
var encoders = map[string]string{
	"t5": "an encoder with a decoder (t5)", "t5encoder": "an encoder (t5encoder)", "gemma-embedding": "an embedding model", "llama-embed": "an embedding model",
	"clip": "a projector for images or sound", "wavtokenizer-dec": "a decoder of sound", "dream": "a diffusion model (dream)", "llada": "a diffusion model (llada)",
	"llada-moe": "a diffusion model (llada-moe)", "rnd1": "a diffusion model (rnd1)",
}

// instead returns what a GGUF file holds that does not generate text, "" if it does, by
// its metadata: its name may say anything. general.type is "model" where it is left out.
func instead(h header) string {
	kind, architecture := h.text("general.type"), h.text("general.architecture")
	causal, said := h.values[architecture+".attention.causal"].(bool)
	switch what := pooling[h.number(architecture+".pooling_type")]; {
	case kind == "adapter" || architecture != "" && h.text("adapter.type") != "":
		return "an adapter"
	case kind != "" && kind != "model":
		return "of the type " + strconv.Quote(kind)
	case architecture == "":
		return "of no architecture"
	case encoders[architecture] != "":
		return encoders[architecture]
	case what != "":
		return what
	case strings.Contains(architecture, "bert") || said && !causal:
		return "an encoder (" + architecture + ")"
	case len(h.tensors) == 0:
		return "a vocabulary without weights"
	}
	return ""
}

// decoders are classes of Transformers whose name ends in ForCausalLM and that are the
// decoder of a translator, or an encoder made into one: none continues a text by itself.
var decoders = []string{
	"Bart", "BigBirdPegasus", "Blenderbot", "BlenderbotSmall", "Camembert", "Data2VecText", "Electra", "Ernie", "Git", "MBart", "Marian", "MegatronBert", "Mvp", "PLBart", "Pegasus",
	"ProphetNet", "QDQBert", "RemBert", "RoCBert", "Roberta", "RobertaPreLayerNorm", "RoFormer", "Speech2Text2", "TrOCR", "Whisper", "XLMRoberta", "XLMRobertaXL", "XLMProphetNet", "Xmod",
}

// conditional are the classes named ForConditionalGeneration whose text part a framework
// loads alone: those of the model types that AutoModelForCausalLM of Transformers 5 has
// (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES), and those that mlx-lm 0.32 has (mlx_lm/models).
// All others translate, listen or only describe images.
var conditional = map[string][]string{
	"Gemma3": {MLX, Torch}, "Gemma3n": {MLX, Torch}, "Gemma4": {MLX, Torch}, "Gemma4Unified": {MLX, Torch}, "Llama4": {MLX, Torch}, "Qwen3_5": {MLX, Torch}, "Qwen3_5Moe": {MLX, Torch},
	"Mllama": {Torch}, "Mistral3": {MLX}, "Llava": {MLX}, "Qwen2VL": {MLX}, "Qwen2_5_VL": {MLX}, "Qwen3VL": {MLX}, "Qwen3VLMoe": {MLX}, "KimiVL": {MLX}, "Lfm2Vl": {MLX},
}

// generates returns the runtimes that load a class of Transformers as a model that
// generates text, none for other classes.
func generates(class string) []string {
	if name, ok := strings.CutSuffix(class, "ForCausalLM"); ok && !slices.Contains(decoders, name) {
		return []string{MLX, Torch}
	}
	if name, ok := strings.CutSuffix(class, "ForConditionalGeneration"); ok {
		return conditional[name]
	}
	if slices.Contains([]string{"GPT2LMHeadModel", "OpenAIGPTLMHeadModel", "CTRLLMHeadModel"}, class) {
		return []string{MLX, Torch}
	}
	return nil
}

// folderInstead returns what a folder holds that does not generate text, and else the
// runtimes that load it.
func folderInstead(path string, c config) (what string, runtimes []string) {
	// What Sentence Transformers has written is an embedding model, whatever its class.
	for _, name := range []string{"config_sentence_transformers.json", "sentence_bert_config.json"} {
		if disk.Exists(filepath.Join(path, name)) {
			return "an embedding model", nil
		}
	}
	for _, class := range c.Architectures {
		if runtimes := generates(class); len(runtimes) > 0 {
			return "", slices.Clone(runtimes)
		}
	}
	if len(c.Architectures) == 0 {
		return "of no architecture", nil
	}
	return strings.Join(c.Architectures, ", "), nil
}
