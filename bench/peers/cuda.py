"""The PyTorch side of bench/cuda.ts, on one GPU: eager, and compiled where that is faster. Prints one JSON line for each workload."""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from peer import GPT

BFLOAT16 = torch.bfloat16
ROWS, WIDTH, VOCABULARY = 8192, 4096, 50_304


def cast(*shape):
    return torch.randn(*shape).to(BFLOAT16)


def leaf(x):
    return x.requires_grad_()


def gemm(n, dtype):
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    return lambda: a @ b


def backward(loss, *leaves):
    def step():
        for x in leaves:
            x.grad = None
        loss().backward()

    return step


def layer_norm(recorded):
    x, g, w, b = cast(ROWS, WIDTH), cast(ROWS, WIDTH), torch.ones(WIDTH, dtype=BFLOAT16), torch.ones(WIDTH, dtype=BFLOAT16)
    if not recorded:
        return lambda: F.layer_norm(x, [WIDTH], w, b)
    return backward(lambda: (F.layer_norm(leaf(x), [WIDTH], leaf(w), leaf(b)) * g).sum(), x, w, b)


def softmax(recorded):
    x, g = cast(ROWS, WIDTH), cast(ROWS, WIDTH)
    return backward(lambda: (F.softmax(leaf(x), -1) * g).sum(), x) if recorded else lambda: F.softmax(x, -1)


def cross_entropy(recorded):
    x, y = cast(ROWS, VOCABULARY), torch.randint(0, VOCABULARY, [ROWS])
    return backward(lambda: F.cross_entropy(leaf(x), y), x) if recorded else lambda: F.cross_entropy(x, y)


def attention(d, t, recorded):
    q, k, v = (cast(4, 16, t, d) for _ in range(3))
    if not recorded:
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    g = cast(4, 16, t, d)

    def step():
        for x in (q, k, v):
            x.grad = None
        F.scaled_dot_product_attention(leaf(q), leaf(k), leaf(v), is_causal=True).backward(g)

    return step


def adamw():
    parameters = [nn.Parameter(torch.randn(1000, 1000)) for _ in range(124)]
    for p in parameters:
        p.grad = torch.randn(1000, 1000)
    return torch.optim.AdamW(parameters, lr=1e-4, fused=True).step


def trained(optimizer, loss):
    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def mlp():
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = torch.randn(64, 784), torch.randint(0, 10, [64])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    return trained(optimizer, lambda: F.cross_entropy(model(x), y))


def gpt2(compiled):
    model = GPT(VOCABULARY, 12, 768, 12, 1024).to(BFLOAT16)
    if compiled:
        model = torch.compile(model)
    index, target = torch.randint(0, VOCABULARY, [16, 1024]), torch.randint(0, VOCABULARY, [16 * 1024])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    return trained(optimizer, lambda: F.cross_entropy(model(index).flatten(0, 1), target))


def convolution():
    x, w, g = cast(64, 256, 28, 28), cast(256, 256, 3, 3), cast(64, 256, 28, 28)

    def step():
        x.grad = w.grad = None
        F.conv2d(leaf(x), leaf(w), padding=1).backward(g)

    return step


def add():
    a, b = torch.ones(2**27, dtype=BFLOAT16), torch.ones(2**27, dtype=BFLOAT16)
    return lambda: a + b


def sort():
    x = torch.randn(2**24)
    return lambda: x.sort()


def cumulative_sum():
    x = torch.randn(4096, 4096)
    return lambda: x.cumsum(-1)


def concatenate():
    parts = [torch.randn(2**12, 2**10) for _ in range(8)]
    return lambda: torch.cat(parts, 1)


# Several for one name: the fastest counts.
WORKLOADS = [
    ("add, 2²⁷ bfloat16", add),
    ("gemm 8192³ bfloat16", lambda: gemm(8192, BFLOAT16)),
    ("gemm 4096³ bfloat16", lambda: gemm(4096, BFLOAT16)),
    ("gemm 4096³ float32", lambda: gemm(4096, torch.float32)),
    ("layer norm", lambda: layer_norm(False)),
    ("layer norm", lambda: torch.compile(layer_norm(False))),
    ("layer norm, with gradient", lambda: layer_norm(True)),
    ("softmax", lambda: softmax(False)),
    ("softmax", lambda: torch.compile(softmax(False))),
    ("softmax, with gradient", lambda: softmax(True)),
    ("cross entropy", lambda: cross_entropy(False)),
    ("cross entropy", lambda: torch.compile(cross_entropy(False))),
    ("cross entropy, with gradient", lambda: cross_entropy(True)),
    ("causal attention d64 t4096", lambda: attention(64, 4096, False)),
    ("causal attention d64 t4096, with gradient", lambda: attention(64, 4096, True)),
    ("causal attention d128 t4096", lambda: attention(128, 4096, False)),
    ("causal attention d128 t4096, with gradient", lambda: attention(128, 4096, True)),
    ("AdamW, 124 million", adamw),
    ("MLP step, batch 64", mlp),
    ("GPT-2 124M step, bfloat16, 16 × 1024", lambda: gpt2(False)),
    ("convolution 3×3, 256 channels, 64 × 28 × 28, with gradient", convolution),
    ("sort, 2²⁴ float32", sort),
    ("cumulative sum, 4096 × 4096 float32", cumulative_sum),
    ("cat of 8, 2²⁵ float32", concatenate),
    ("GPT-2 124M step, bfloat16, 16 × 1024", lambda: gpt2(True)),
]


def measure(step):
    """Seconds of one iteration: the median of five rounds of some 50 ms."""
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    rounds, count = [], 1
    while len(rounds) < 5:
        begin = time.perf_counter()
        for _ in range(count):
            step()
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - begin) / count
        if count == 1 and seconds < 0.05:
            count = max(2, min(1000, round(0.05 / seconds)))
        else:
            rounds.append(seconds)
    return sorted(rounds)[2]


def main():
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device")
    torch.set_default_device("cuda")
    print(json.dumps({"peer": f"PyTorch {torch.__version__}"}), flush=True)
    for name, prepare in WORKLOADS:
        try:
            print(json.dumps({"name": name, "seconds": measure(prepare())}), flush=True)
        except Exception as error:  # the next workload may still run
            print(json.dumps({"name": name, "error": str(error)[:300]}), flush=True)
        torch.cuda.empty_cache()


main()
