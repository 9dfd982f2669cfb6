package network

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteSafetensors writes the weights as a safetensors file, with the names and shapes of
// PyTorch's nn.Sequential.
func (n *Network[T]) WriteSafetensors(w io.Writer) error {
	return WriteSafetensors(w, n.Shape.Tensors(), n.Weights)
}

// WriteSafetensors writes tensors among some weights as a safetensors file: the length of the
// header, the header in JSON, and the numbers in little-endian order
// (https://github.com/huggingface/safetensors#format).
func WriteSafetensors[T Real](w io.Writer, tensors []Tensor, weights []T) error {
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"` // bytes
	}
	dtype, size := "F32", 4
	if _, double := any(weights).([]float64); double {
		dtype, size = "F64", 8
	}
	header := map[string]entry{}
	for _, t := range tensors {
		header[t.Name] = entry{dtype, t.Shape, [2]int{size * t.From, size * (t.From + t.Len())}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(text)%8 != 0 { // so that the numbers are aligned
		text = append(text, ' ')
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, weights)
}

// Code returns a Python program that trains the same network on the same data with the same
// settings in a framework, torch or mlx, and prints its loss. Its random numbers are the
// framework's own, so that its losses are similar, not equal.
func Code(framework string, s Settings, d *Data, steps int) (string, error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	kind, _ := d.Loss()
	shape := s.Shape(d)
	if err := shape.Check(); err != nil {
		return "", err
	}
	templates := map[string]string{"torch": torchCode, "mlx": mlxCode}
	text, ok := templates[framework]
	if !ok {
		return "", fmt.Errorf("no code for %q: there is some for torch and mlx", framework)
	}
	names := codeNames[framework]
	var layers []string
	widths := shape.widths()
	for l := range len(widths) - 1 {
		layers = append(layers, fmt.Sprintf("nn.Linear(%d, %d)", widths[l], widths[l+1]))
		if a := names[string(s.Activation)]; a != "" && l < len(widths)-2 {
			layers = append(layers, a)
		}
	}
	right := ""
	if kind != Squares {
		right = names[string(kind)+" right"]
	}
	held := ""
	if d.Held > 0 {
		held = fmt.Sprintf("\nx, y, test_x, test_y = x[:%[1]d], y[:%[1]d], x[%[1]d:], y[%[1]d:]", d.Rows())
		right += names[string(kind)+" held"]
	}
	text = strings.NewReplacer(
		"{layers}", strings.Join(layers, ",\n    "), "{optimizer}", names[string(s.Optimizer)],
		"{loss}", names[string(kind)], "{target}", names[string(kind)+" target"], "{held}", held, "{right}", right,
		"{batch}", strconv.Itoa(min(s.Batch, d.Rows())), "{steps}", strconv.Itoa(steps), "{seed}", strconv.FormatUint(s.Seed, 10),
	).Replace(text)
	text = strings.ReplaceAll(text, "{rate}", strconv.FormatFloat(s.Rate, 'g', -1, 64))
	return strings.Replace(text, "{rows}", codeRows(d), 1), nil
}

// codeRows writes data as a Python list of lists: inputs, and the target.
func codeRows(d *Data) string {
	var b strings.Builder
	if d.Name == Digits {
		b.WriteString("[  # handwritten digits by E. Alpaydin and C. Kaynak, https://doi.org/10.24432/C50P49, CC BY 4.0\n" +
			"    [(ord(c) - ord(\"a\")) / 16 for c in row[:-1]] + [float(row[-1])]  # a letter for each pixel, and the digit\n    for row in \"\"\"\n")
		for i, y := range d.Y {
			for _, x := range d.X[i*d.Inputs : (i+1)*d.Inputs] {
				b.WriteByte('a' + byte(16*x))
			}
			fmt.Fprintf(&b, "%.0f\n", y)
		}
		b.WriteString("\"\"\".split()\n]")
		return b.String()
	}
	b.WriteString("[  # inputs, and the target\n")
	for i, y := range d.Y {
		b.WriteString("    (")
		for _, x := range d.X[i*d.Inputs : (i+1)*d.Inputs] {
			b.WriteString(strconv.FormatFloat(x, 'g', 6, 32) + ", ")
		}
		b.WriteString(strconv.FormatFloat(y, 'g', 6, 32) + "),\n")
	}
	b.WriteString("]")
	return b.String()
}

const torchCode = `import torch
from torch import nn

torch.manual_seed({seed})
data = torch.tensor({rows})
x, y = data[:, :-1], data[:, -1]{target}{held}

model = nn.Sequential(
    {layers},
)
loss_of = {loss}
{optimizer}

order, next = torch.randperm(len(x)), 0
for step in range({steps}):
    if next + {batch} > len(x):
        order, next = torch.randperm(len(x)), 0
    rows, next = order[next : next + {batch}], next + {batch}
    loss = loss_of(model(x[rows]), y[rows])
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()

with torch.no_grad():
    out = model(x)
    print(f"loss {loss_of(out, y).item():.4f}"){right}
`

const mlxCode = `import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

mx.random.seed({seed})
data = mx.array({rows})
x, y = data[:, :-1], data[:, -1]{target}{held}

model = nn.Sequential(
    {layers},
)


def loss_of(model, x, y):
    return {loss}


{optimizer}
step_of = nn.value_and_grad(model, loss_of)

order, next = mx.random.permutation(len(x)), 0
for step in range({steps}):
    if next + {batch} > len(x):
        order, next = mx.random.permutation(len(x)), 0
    rows, next = order[next : next + {batch}], next + {batch}
    loss, grads = step_of(model, x[rows], y[rows])
    optimizer.update(model, grads)
    mx.eval(model.parameters(), optimizer.state)

print(f"loss {loss_of(model, x, y).item():.4f}"){right}
`

// codeNames says how each framework writes activations, losses and optimizers.
var codeNames = map[string]map[string]string{
	"torch": {
		"tanh": "nn.Tanh()", "relu": "nn.ReLU()", "sigmoid": "nn.Sigmoid()",
		"logistic": "nn.BCEWithLogitsLoss()", "logistic target": ".unsqueeze(1)",
		"logistic right": "\n    print(f\"right {((out > 0) == (y > 0.5)).float().mean().item():.1%}\")",
		"softmax":        "nn.CrossEntropyLoss()", "softmax target": ".long()",
		"softmax right": "\n    print(f\"right {(out.argmax(1) == y).float().mean().item():.1%}\")",
		"softmax held":  "\n    print(f\"test accuracy {(model(test_x).argmax(1) == test_y).float().mean().item():.1%}\")",
		"squares":       "nn.MSELoss()", "squares target": ".unsqueeze(1)",
		"sgd":      "optimizers = [torch.optim.SGD(model.parameters(), lr={rate})]",
		"momentum": "optimizers = [torch.optim.SGD(model.parameters(), lr={rate}, momentum=0.9)]",
		"nesterov": "optimizers = [torch.optim.SGD(model.parameters(), lr={rate}, momentum=0.9, nesterov=True)]",
		"rmsprop":  "optimizers = [torch.optim.RMSprop(model.parameters(), lr={rate})]",
		"adam":     "optimizers = [torch.optim.Adam(model.parameters(), lr={rate})]",
		"muon": `optimizers = [  # Muon is for matrices; Adam moves the biases. Needs PyTorch 2.9.
    torch.optim.Muon([p for p in model.parameters() if p.ndim == 2], lr={rate}, weight_decay=0),
    torch.optim.Adam([p for p in model.parameters() if p.ndim != 2], lr={rate}),
]`,
	},
	"mlx": {
		"tanh": "nn.Tanh()", "relu": "nn.ReLU()", "sigmoid": "nn.Sigmoid()",
		"logistic": `nn.losses.binary_cross_entropy(model(x), y, with_logits=True, reduction="mean")`, "logistic target": ".reshape(-1, 1)",
		"logistic right": "\nprint(f\"right {((model(x) > 0) == (y > 0.5)).mean().item():.1%}\")",
		"softmax":        `nn.losses.cross_entropy(model(x), y, reduction="mean")`, "softmax target": ".astype(mx.int32)",
		"softmax right": "\nprint(f\"right {(model(x).argmax(1) == y).mean().item():.1%}\")",
		"softmax held":  "\nprint(f\"test accuracy {(model(test_x).argmax(1) == test_y).mean().item():.1%}\")",
		"squares":       `nn.losses.mse_loss(model(x), y, reduction="mean")`, "squares target": ".reshape(-1, 1)",
		"sgd":      "optimizer = optim.SGD({rate})",
		"momentum": "optimizer = optim.SGD({rate}, momentum=0.9)",
		"nesterov": "optimizer = optim.SGD({rate}, momentum=0.9, nesterov=True)",
		"rmsprop":  "optimizer = optim.RMSprop({rate}, alpha=0.99)",
		"adam":     "optimizer = optim.Adam({rate}, bias_correction=True)",
		"muon": `optimizer = optim.MultiOptimizer(  # Muon is for matrices; Adam moves the biases
    [optim.Muon({rate}, weight_decay=0), optim.Adam({rate}, bias_correction=True)],
    [lambda path, weight: weight.ndim == 2],
)`,
	},
}
