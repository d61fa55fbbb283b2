"""The PyTorch side of bench/cuda.ts, on one GPU: eager, and compiled where that is faster. Prints one JSON line for each workload."""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from peer import GPT, ResNet

BFLOAT16 = torch.bfloat16
ROWS, WIDTH, VOCABULARY = 8192, 4096, 50_304


def cast(*shape):
    return torch.randn(*shape).to(BFLOAT16)


def gemm(n, dtype):
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    return lambda: a @ b


def with_gradient(f, gradient, *leaves):
    """One step of forward and backward."""
    for x in leaves:
        x.requires_grad_()

    def step():
        for x in leaves:
            x.grad = None
        f().backward(gradient)

    return step


def layer_norm():
    x, g = cast(ROWS, WIDTH), cast(ROWS, WIDTH)
    w, b = torch.ones(WIDTH, dtype=BFLOAT16), torch.ones(WIDTH, dtype=BFLOAT16)
    return lambda: F.layer_norm(x, [WIDTH], w, b), g, x, w, b


def softmax():
    x, g = cast(ROWS, WIDTH), cast(ROWS, WIDTH)
    return lambda: F.softmax(x, -1), g, x


def cross_entropy():
    x, y = cast(ROWS, VOCABULARY), torch.randint(0, VOCABULARY, [ROWS])
    return lambda: F.cross_entropy(x, y), None, x


def attention(d, t):
    q, k, v, g = (cast(4, 16, t, d) for _ in range(4))
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), g, q, k, v


def convolution(layout=torch.contiguous_format):
    shapes = [(64, 256, 28, 28), (256, 256, 3, 3), (64, 256, 28, 28)]
    x, w, g = (cast(*shape).to(memory_format=layout) for shape in shapes)
    return lambda: F.conv2d(x, w, padding=1), g, x, w


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


def resnet50(compiled):
    model = ResNet([3, 4, 6, 3]).to(memory_format=torch.channels_last)
    x = torch.randn(64, 3, 224, 224).to(memory_format=torch.channels_last)
    y = torch.randint(0, 1000, [64])
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)

    def loss():
        with torch.autocast("cuda", BFLOAT16):
            return F.cross_entropy(run(x), y)

    return trained(optimizer, loss)


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


BOTH = {
    "layer norm": layer_norm,
    "softmax": softmax,
    "cross entropy": cross_entropy,
    "causal attention d64 t4096": lambda: attention(64, 4096),
    "causal attention d128 t4096": lambda: attention(128, 4096),
    "convolution 3×3, 256 channels, 64 × 28 × 28": convolution,
    "convolution 3×3, 256 channels, 64 × 28 × 28, channels last": lambda: convolution(torch.channels_last),
}


def compiled(parts):
    f, *rest = parts
    return torch.compile(f), *rest


# Several for one name: the fastest counts. What is compiled comes last, since that takes long.
WORKLOADS = [
    ("add, 2²⁷ bfloat16", add),
    ("gemm 8192³ bfloat16", lambda: gemm(8192, BFLOAT16)),
    ("gemm 4096³ bfloat16", lambda: gemm(4096, BFLOAT16)),
    ("gemm 4096³ float32", lambda: gemm(4096, torch.float32)),
    *((name, lambda make=make: make()[0]) for name, make in BOTH.items()),
    *((f"{name}, with gradient", lambda make=make: with_gradient(*make())) for name, make in BOTH.items()),
    ("AdamW, 124 million", adamw),
    ("MLP step, batch 64", mlp),
    ("GPT-2 124M step, bfloat16, 16 × 1024", lambda: gpt2(False)),
    ("ResNet-50 step, autocast bfloat16, 64 × 224 × 224", lambda: resnet50(False)),
    ("sort, 2²⁴ float32", sort),
    ("cumulative sum, 4096 × 4096 float32", cumulative_sum),
    ("cat of 8, 2²⁵ float32", concatenate),
    *((name, lambda make=make: compiled(make())[0]) for name, make in list(BOTH.items())[:3]),
    *((f"{name}, with gradient", lambda make=make: with_gradient(*compiled(make()))) for name, make in list(BOTH.items())[:3]),
    ("GPT-2 124M step, bfloat16, 16 × 1024", lambda: gpt2(True)),
    ("ResNet-50 step, autocast bfloat16, 64 × 224 × 224", lambda: resnet50(True)),
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
