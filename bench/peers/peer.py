"""The PyTorch side of the benches. Reads one JSON request per line and answers each with one JSON line.

{"setup": name}          builds the workload: {"check": [numbers that hadal must agree with]}
{"run": iterations}      {"seconds": for all of them}
Inputs and parameters come from formulas that bench/harness.ts shares, so that both sides compute the same.
"""

import json
import math
import os
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(int(os.environ.get("HADAL_NUM_THREADS", "2")))


def wave(shape, seed, scale=1.0):
    count = math.prod(shape)
    values = scale * numpy.sin(0.7 * numpy.arange(count, dtype=numpy.float64) + seed)
    return torch.from_numpy(values.astype(numpy.float32).reshape(shape))


def classes(count, number):
    return torch.from_numpy((numpy.arange(count) * 7 % number).astype(numpy.int64))


def fill(model):
    """The same start on both sides: waves for weights, scaled by the fan-in, zeros for biases, ones for norms."""
    with torch.no_grad():
        for i, (name, p) in enumerate(model.named_parameters()):
            if p.dim() >= 2:
                p.copy_(wave(list(p.shape), i, 1 / math.sqrt(p[0].numel())))
            else:
                p.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)


class Workload:
    def __init__(self, step, check):
        self.step = step
        self.check = check


def op(f, *inputs):
    with torch.no_grad():
        y = f(*inputs)
    flat = y.flatten().double()
    absolute = flat.abs().sum().item()
    check = [flat.sum().item() / absolute, absolute / flat.numel(), flat[flat.numel() // 3].item()]

    def step():
        with torch.no_grad():
            f(*inputs)

    return Workload(step, check)


def training(model, optimizer, loss_of):
    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss

    return Workload(step, [step().item() for _ in range(3)])


def mlp():
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    fill(model)
    x, y = wave([64, 784], 1), classes(64, 10)
    return training(model, torch.optim.Adam(model.parameters(), lr=1e-3), lambda: F.cross_entropy(model(x), y))


def lenet():
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )
    fill(model)
    x, y = wave([64, 1, 28, 28], 1), classes(64, 10)
    return training(model, torch.optim.Adam(model.parameters(), lr=1e-3), lambda: F.cross_entropy(model(x), y))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.reshape(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(self.norm1(x)).split(c, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c)
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, vocabulary, layers, width, heads, context):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, index):
        x = self.tokens(index) + self.positions(torch.arange(index.shape[1]))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


def gpt():
    vocabulary, context, batch = 65, 256, 8
    model = GPT(vocabulary, 6, 384, 6, context)
    fill(model)
    index = classes(batch * context, vocabulary).reshape(batch, context)
    target = (index + 1) % vocabulary
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1, fused=True)
    return training(model, optimizer, lambda: F.cross_entropy(model(index).flatten(0, 1), target.flatten()))


def product(m, k, n):
    return op(torch.matmul, wave([m, k], 1), wave([k, n], 2))


def linear(rows, inner, out):
    return op(F.linear, wave([rows, inner], 1), wave([out, inner], 2), wave([out], 3))


def add(requires_grad):
    a = wave([8, 8], 1).requires_grad_(requires_grad)
    b = wave([8, 8], 2)
    return Workload(lambda: a + b, [(a + b).sum().item()])


WORKLOADS = {
    "add 8×8": lambda: add(False),
    "add 8×8 recorded": lambda: add(True),
    "gemm 256³": lambda: product(256, 256, 256),
    "gemm 512³": lambda: product(512, 512, 512),
    "gemm 1024³": lambda: product(1024, 1024, 1024),
    "gemm 2048³": lambda: product(2048, 2048, 2048),
    "linear 4096×768×768": lambda: linear(4096, 768, 768),
    "linear 4096×768×3072": lambda: linear(4096, 768, 3072),
    "mlp": mlp,
    "lenet": lenet,
    "gpt": gpt,
    "softmax 8192×768": lambda: op(lambda x: torch.softmax(x, -1), wave([8192, 768], 1)),
    "layer norm 8192×768": lambda: op(lambda x: F.layer_norm(x, [768]), wave([8192, 768], 1)),
    "exp 32k": lambda: op(torch.exp, wave([32768], 1)),
    "tanh 32k": lambda: op(torch.tanh, wave([32768], 1)),
    "gelu 32k": lambda: op(F.gelu, wave([32768], 1)),
    "sum 64 MB": lambda: op(torch.sum, wave([4096, 4096], 1)),
    "attention B4 H12 T1024 d64": lambda: op(
        lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), wave([4, 12, 1024, 64], 1)
    ),
}

workload = None
for line in sys.stdin:
    request = json.loads(line)
    if "setup" in request:
        workload = WORKLOADS[request["setup"]]()
        print(json.dumps({"check": workload.check}), flush=True)
    else:
        start = time.perf_counter()
        for _ in range(request["run"]):
            workload.step()
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
