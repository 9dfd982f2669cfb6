package gpt

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/network"
)

// WeightsFile is the name of the file that the programs of Code read.
const WeightsFile = "gpt.safetensors"

// WriteSafetensors writes the weights as a safetensors file, with the names and shapes that they
// have in the programs of Code, and in float32: MLX reads no float64.
func (n *Network[T]) WriteSafetensors(w io.Writer) error {
	single := make([]float32, len(n.Weights))
	for i, weight := range n.Weights {
		single[i] = float32(weight)
	}
	return network.WriteSafetensors(w, n.at.all, single)
}

// Code returns a Python program with the same network in a framework, torch or mlx. It reads the
// weights from WeightsFile beside it, and writes as Trainer.Write does, with random numbers of
// its framework.
func Code(framework string, shape Shape, t *Text) (string, error) {
	text, ok := map[string]string{"torch": torchCode, "mlx": mlxCode}[framework]
	if !ok {
		return "", fmt.Errorf("no code for %q: there is some for torch and mlx", framework)
	}
	return strings.NewReplacer(
		"{block}", blockLayers,
		"{weights}", WeightsFile,
		"{characters}", strconv.QuoteToASCII(string(t.Characters)), // whose escapes are Python's as well
		"{context}", strconv.Itoa(shape.Context), "{layers}", strconv.Itoa(shape.Layers),
		"{heads}", strconv.Itoa(shape.Heads), "{width}", strconv.Itoa(shape.Width),
		"{begin}", strconv.Itoa(int(t.begin())), "{temperature}", strconv.FormatFloat(temperature, 'g', -1, 64),
	).Replace(text), nil
}

// blockLayers begins the class of a block, in both frameworks.
const blockLayers = `        super().__init__()
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
`

const torchCode = `"""A GPT that writes text, character by character, with the weights of {weights} beside it.

It needs PyTorch 2.1 or newer and safetensors: pip install torch safetensors
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

characters = {characters}
context, layers, heads, width = {context}, {layers}, {heads}, {width}


class Block(nn.Module):
    def __init__(self):
{block}
    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(characters), width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)

    def forward(self, tokens):
        """The logits of the character after each one, for a batch of texts."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


model = GPT()
model.load_state_dict(load_file(Path(__file__).with_name("{weights}")))

tokens = [{begin}]  # the text begins after this character
with torch.no_grad():
    for _ in range(500):
        logits = model(torch.tensor([tokens[-context:]]))[0, -1]
        tokens.append(torch.multinomial((logits / {temperature}).softmax(0), 1).item())
        print(characters[tokens[-1]], end="", flush=True)
print()
`

const mlxCode = `"""A GPT that writes text, character by character, with the weights of {weights} beside it.

It needs MLX: pip install mlx
"""

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

characters = {characters}
context, layers, heads, width = {context}, {layers}, {heads}, {width}


class Block(nn.Module):
    def __init__(self):
{block}
    def __call__(self, x):
        q, k, v = self.qkv(self.norm1(x)).reshape(*x.shape[:2], 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
        mask = nn.MultiHeadAttention.create_additive_causal_mask(x.shape[1])
        heard = mx.fast.scaled_dot_product_attention(q, k, v, scale=(width // heads) ** -0.5, mask=mask)
        x = x + self.proj(heard.swapaxes(1, 2).flatten(2))
        return x + self.down(nn.gelu_approx(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(characters), width)
        self.positions = nn.Embedding(context, width)
        self.blocks = [Block() for _ in range(layers)]
        self.norm = nn.LayerNorm(width, bias=False)

    def __call__(self, tokens):
        """The logits of the character after each one, for a batch of texts."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.tokens.as_linear(self.norm(x))


model = GPT()
model.load_weights(str(Path(__file__).with_name("{weights}")))

tokens = [{begin}]  # the text begins after this character
for _ in range(500):
    logits = model(mx.array([tokens[-context:]]))[0, -1]
    tokens.append(mx.random.categorical(logits / {temperature}).item())
    print(characters[tokens[-1]], end="", flush=True)
print()
`
