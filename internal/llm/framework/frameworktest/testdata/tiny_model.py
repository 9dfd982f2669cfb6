"""Makes a random Llama of two layers that takes bytes for tokens: a model of 400 KB
that every framework loads, generates nonsense with and can train.

    python tiny_model.py FOLDER [--chat] [--float16] [--no-dtype] [--nan] [--wide] [--seed]

--wide makes its vectors twice as long, --seed draws other weights.

Needs numpy, safetensors and tokenizers, which mlx-lm and transformers bring along.
"""

import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS = 128 if "--wide" in sys.argv else 64, 192, 2, 4, 2
BEGIN, END = "<s>", "</s>"
CHAT = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"


def tokenizer(folder, chat):
    pieces = [BEGIN, END, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    t = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(BEGIN, special=True), AddedToken(END, special=True)])
    t.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BEGIN, "eos_token": END, "model_max_length": 512}
    if chat:
        config["chat_template"] = CHAT
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    return len(pieces)


def weights(vocabulary):
    random = np.random.default_rng(2 if "--seed" in sys.argv else 1)

    def matrix(rows, columns):
        return (random.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    kv = HIDDEN // HEADS * KV_HEADS
    made = {"model.embed_tokens.weight": matrix(vocabulary, HIDDEN), "model.norm.weight": np.ones(HIDDEN, np.float32), "lm_head.weight": matrix(vocabulary, HIDDEN)}
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        for name, rows, columns in (
            ("self_attn.q_proj", HIDDEN, HIDDEN), ("self_attn.k_proj", kv, HIDDEN), ("self_attn.v_proj", kv, HIDDEN), ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", INNER, HIDDEN), ("mlp.up_proj", INNER, HIDDEN), ("mlp.down_proj", HIDDEN, INNER),
        ):
            made[f"{layer}{name}.weight"] = matrix(rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            made[f"{layer}{name}.weight"] = np.ones(HIDDEN, np.float32)
    return made


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer(folder, "--chat" in sys.argv)
    made = weights(vocabulary)
    if "--float16" in sys.argv:
        made = {name: w.astype(np.float16) for name, w in made.items()}
    if "--nan" in sys.argv:
        made["model.norm.weight"][:] = np.nan
    save_file(made, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": vocabulary, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_traditional": False,
        "max_position_embeddings": 512, "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu",
    }
    if "--no-dtype" not in sys.argv:
        config["torch_dtype"] = str(made["lm_head.weight"].dtype)
    (folder / "config.json").write_text(json.dumps(config, indent=2))


main()
