"""Converts the GGUF file of a Gemma 3 text model to a folder in the Hugging Face
format, which mlx-lm and transformers can load. So the tests get a real model from a
package index.

    python gemma_from_gguf.py FILE.gguf FOLDER

Needs gguf, numpy, safetensors and tokenizers. Weights become float32, the fastest
type on most CPUs.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

# The names of the tensors of a layer, in llama.cpp and in Hugging Face models.
IN_LAYER = {
    "attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # token types in a GGUF file


def name_of(tensor):
    stem = tensor.removesuffix(".weight")
    if stem in OUTSIDE:
        return OUTSIDE[stem] + ".weight"
    _, layer, part = stem.split(".", 2)
    return f"model.layers.{layer}.{IN_LAYER[part]}.weight"


def weights(reader):
    made = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if tensor.name.endswith("norm.weight"):
            values = values - 1  # Gemma multiplies by 1 + w; llama.cpp stores that sum
        made[name_of(tensor.name)] = np.ascontiguousarray(values)
    return made


def config(value, embedding, tied):
    heads = value("gemma3.attention.key_length")
    return {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "torch_dtype": "float32",
        "hidden_size": value("gemma3.embedding_length"), "intermediate_size": value("gemma3.feed_forward_length"), "num_hidden_layers": value("gemma3.block_count"),
        "num_attention_heads": value("gemma3.attention.head_count"), "num_key_value_heads": value("gemma3.attention.head_count_kv"),
        "head_dim": heads, "query_pre_attn_scalar": heads,  # the same in all Gemma 3 models except 27B
        "rms_norm_eps": round(value("gemma3.attention.layer_norm_rms_epsilon"), 9), "rope_theta": value("gemma3.rope.freq_base"),
        "sliding_window": value("gemma3.attention.sliding_window"), "max_position_embeddings": value("gemma3.context_length"),
        # Not in the GGUF file; constant in Gemma 3.
        "rope_local_base_freq": 10000.0, "sliding_window_pattern": 6,
        "vocab_size": len(embedding), "tie_word_embeddings": tied,
        "bos_token_id": value("tokenizer.ggml.bos_token_id"), "eos_token_id": value("tokenizer.ggml.eos_token_id"), "pad_token_id": value("tokenizer.ggml.padding_token_id"),
    }


def tokenizer(value, folder):
    """Builds the BPE merges. The file contains the pieces with their scores.
    SentencePiece joins the two neighbours whose union has the highest score, so the
    merges are all ways to split a piece into two pieces, ordered by the score of the
    whole."""
    pieces, scores, kinds = (value("tokenizer.ggml." + key) for key in ("tokens", "scores", "token_type"))
    number = {piece: i for i, piece in enumerate(pieces)}
    normal = {piece for piece, kind in zip(pieces, kinds) if kind == NORMAL}
    merges = []
    for i, piece in enumerate(pieces):
        if kinds[i] == NORMAL:
            cuts = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
            merges += [(-scores[i], number[a], number[b], a, b) for a, b in cuts if a in normal and b in normal]
    merges.sort()
    special = {key: pieces[value(f"tokenizer.ggml.{key}_token_id")] for key in ("bos", "eos", "padding", "unknown")}
    t = Tokenizer(models.BPE(vocab=number, merges=[m[3:] for m in merges], unk_token=special["unknown"], fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    if value("tokenizer.ggml.add_bos_token"):
        bos = special["bos"]
        t.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, number[bos])])
    t.add_special_tokens([AddedToken(p, special=True, normalized=False) for p, kind in zip(pieces, kinds) if kind == CONTROL])
    t.add_tokens([AddedToken(p, special=False, normalized=False) for p, kind in zip(pieces, kinds) if kind == USER_DEFINED])
    t.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": special["bos"], "eos_token": special["eos"], "pad_token": special["padding"], "unk_token": special["unknown"],
        "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False, "model_max_length": value("gemma3.context_length"),
    }, indent=2))


def main(file, folder):
    reader = gguf.GGUFReader(file)

    def value(key):
        field = reader.get_field(key)
        if field is None:
            sys.exit(f"{file}: has no {key}")
        return field.contents()

    if value("general.architecture") != "gemma3":
        sys.exit(f"{file}: is {value('general.architecture')}, not gemma3")
    folder.mkdir(parents=True, exist_ok=True)
    made = weights(reader)
    tokenizer(value, folder)
    save_file(made, str(folder / "model.safetensors"), metadata={"format": "pt"})
    settings = config(value, made["model.embed_tokens.weight"], "lm_head.weight" not in made)
    (folder / "config.json").write_text(json.dumps(settings, indent=2))  # written last: a folder that has it is complete


main(sys.argv[1], pathlib.Path(sys.argv[2]))
