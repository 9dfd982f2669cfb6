"""Trains networks in PyTorch, in float64, from given weights on given rows, and prints the losses.

Reads a list of trainings from stdin, in JSON, and writes a list of lists of losses.
"""

import json
import sys

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)  # such small products are slower on several


def optimizers(rule, rate, model):
    p = list(model.parameters())
    if rule == "muon":
        return [
            torch.optim.Muon([q for q in p if q.ndim == 2], lr=rate, weight_decay=0),
            torch.optim.Adam([q for q in p if q.ndim != 2], lr=rate),
        ]
    return [
        {
            "sgd": lambda: torch.optim.SGD(p, lr=rate),
            "momentum": lambda: torch.optim.SGD(p, lr=rate, momentum=0.9),
            "nesterov": lambda: torch.optim.SGD(p, lr=rate, momentum=0.9, nesterov=True),
            "rmsprop": lambda: torch.optim.RMSprop(p, lr=rate),
            "adam": lambda: torch.optim.Adam(p, lr=rate),
        }[rule]()
    ]


def train(job):
    widths = [job["inputs"], *job["hidden"], job["outputs"]]
    layers = []
    for i, o in zip(widths, widths[1:]):
        layers += [nn.Linear(i, o), {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "identity": nn.Identity}[job["activation"]]()]
    model = nn.Sequential(*layers[:-1])
    nn.utils.vector_to_parameters(torch.tensor(job["weights"], dtype=torch.float64), model.parameters())
    x = torch.tensor(job["x"], dtype=torch.float64).reshape(-1, job["inputs"])
    y = torch.tensor(job["y"], dtype=torch.float64)
    loss_of = {"logistic": nn.BCEWithLogitsLoss(), "softmax": nn.CrossEntropyLoss(), "squares": nn.MSELoss()}[job["loss"]]
    y = y.long() if job["loss"] == "softmax" else y.unsqueeze(1)
    steps = optimizers(job["rule"], job["rate"], model)
    losses = []
    for _ in range(job["steps"]):
        loss = loss_of(model(x), y)
        losses.append(loss.item())
        for s in steps:
            s.zero_grad()
        loss.backward()
        for s in steps:
            s.step()
    return losses


json.dump([train(job) for job in json.load(sys.stdin)], sys.stdout)
