"""The PyTorch side of the benches. Reads one JSON request per line and answers each with one JSON line.

{"setup": [name, ...]}   builds the workload, eager and by torch.compile, and keeps the faster:
                         {"check": [numbers that hadal must agree with], "compiled": whether it was the compiled one}
{"run": iterations}      {"seconds": for all of them}
Inputs and parameters come from formulas that bench/harness.ts shares, so that both sides compute the same. With --eager nothing is
compiled.
"""

import json
import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

from call import call
from programs import PROGRAMS
from workload import Workload, classes, faster, filled, kernel, summary, training, wave

torch.set_num_threads(int(os.environ.get("HADAL_NUM_THREADS", "2")))


def classifier(make):
    y = classes(64, 10)
    x = wave([64, 784], 1) if make is mlp_model else wave([64, 1, 28, 28], 1)
    return training(
        lambda: filled(make()),
        lambda model: torch.optim.Adam(model.parameters(), lr=1e-3, fused=True),
        lambda run: F.cross_entropy(run(x), y),
    )


def mlp_model():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet_model():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


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
        x = self.tokens(index) + self.positions(torch.arange(index.shape[1], device=index.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


def gpt(vocabulary, layers, width, heads, context, batch, dtype):
    index = classes(batch * context, vocabulary).reshape(batch, context)
    target = (index + 1) % vocabulary
    return training(
        lambda: filled(GPT(vocabulary, layers, width, heads, context), DTYPES[dtype]),
        lambda model: torch.optim.AdamW(model.parameters(), lr=3e-5, weight_decay=0.1, fused=True),
        lambda run: F.cross_entropy(run(index).flatten(0, 1), target.flatten()),
    )


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(256, 256, num_layers=2)
        self.out = nn.Linear(256, 10)

    def forward(self, x):
        return self.out(self.lstm(x)[0])


def lstm():
    x, y = wave([64, 32, 256], 1), classes(64 * 32, 10)
    return training(
        lambda: filled(Tagger()),
        lambda model: torch.optim.Adam(model.parameters(), lr=1e-3, fused=True),
        lambda run: F.cross_entropy(run(x).flatten(0, 1), y),
    )


class CifarBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.added = stride, (width - channels) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.added > 0:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], [0, 0, 0, 0, self.added, self.added])
        return F.relu(y + x)


class CifarResNet(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i, (channels, width) in enumerate([(16, 16), (16, 32), (32, 64)]):
            blocks = [CifarBlock(channels, width, width // channels)]
            blocks += [CifarBlock(width, width, 1) for _ in range(count - 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.layer3(self.layer2(self.layer1(y)))
        return self.linear(y.mean([-2, -1]))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for i, count in enumerate(counts):
            width, blocks = 64 * 2**i, []
            for j in range(count):
                blocks.append(Bottleneck(channels, width, 2 if i > 0 and j == 0 else 1))
                channels = 4 * width
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, 1000)

    def forward(self, x):
        y = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        y = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return self.fc(y.mean([-2, -1]))


def resnet(make_model, batch, size, number, dtype):
    layout = {"memory_format": torch.channels_last}
    x, y = wave([batch, 3, size, size], 1).to(DTYPES[dtype], **layout), classes(batch, number)
    return training(
        lambda: filled(make_model(), DTYPES[dtype], **layout),
        lambda model: torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, fused=True),
        lambda run: F.cross_entropy(run(x), y),
    )


def answers(make_model, *given):
    """A network in evaluation mode."""

    def build(wrap):
        model = make_model().eval()
        run = wrap(model)

        def step():
            with torch.no_grad():
                return run(*given)

        return Workload(step, summary(step()))

    workload = build(lambda model: model)
    workload.fresh = build
    return workload


def resnet50_answers(dtype):
    layout = {"memory_format": torch.channels_last}
    x = wave([1, 3, 224, 224], 1).to(DTYPES[dtype], **layout)
    return answers(lambda: filled(ResNet([3, 4, 6, 3]), DTYPES[dtype], **layout), x)


def encoder_answers(dtype):
    layer = lambda: nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
    x = wave([1, 128, 768], 1).to(DTYPES[dtype])
    return answers(lambda: filled(nn.Sequential(*(layer() for _ in range(12))), DTYPES[dtype]), x)


class CachingBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x, cache):
        b, t, c = x.shape
        q, k, v = (z.reshape(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(self.norm1(x)).split(c, -1))
        if cache:
            k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
        cache[:] = [k, v]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1).transpose(1, 2).reshape(b, t, c)
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class CachingGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(50257, 768)
        self.positions = nn.Embedding(1024, 768)
        self.blocks = nn.ModuleList(CachingBlock(768, 12) for _ in range(12))
        self.norm = nn.LayerNorm(768)

    def forward(self, index, caches):
        past = caches[0][0].shape[2] if caches[0] else 0
        x = self.tokens(index) + self.positions(torch.arange(past, past + index.shape[1], device=index.device))
        for block, cache in zip(self.blocks, caches):
            x = block(x, cache)
        return F.linear(self.norm(x), self.tokens.weight)


def gpt2_continuation(prompt, made, dtype):
    model = filled(CachingGPT(), DTYPES[dtype])
    tokens = classes(prompt + made, 50257).reshape(1, -1)

    def step():
        with torch.no_grad():
            caches = [[] for _ in model.blocks]
            logits = model(tokens[:, :prompt], caches)
            for i in range(prompt, prompt + made):
                logits = model(tokens[:, i : i + 1], caches)
            return logits

    return Workload(step, summary(step()))


def convolution(batch, channels, out, size, window, stride, padding, dtype, backward):
    return kernel(
        lambda x, weight: F.conv2d(x, weight, None, stride, padding),
        [[batch, channels, size, size], [out, channels, window, window]],
        DTYPES[dtype],
        backward,
        channels_last=True,
    )


def pointwise(name, count):
    f = {"exp": torch.exp, "tanh": torch.tanh, "gelu": F.gelu, "sigmoid": torch.sigmoid, "log": torch.log}[name]
    x = wave([count], 1)
    if name == "log":
        x = x.abs() + 0.5

    def build(wrap):
        g = wrap(f)

        def step():
            with torch.no_grad():
                g(x)

        return Workload(step, summary(f(x)))

    workload = build(lambda f: f)
    workload.fresh = build
    return workload


def rows(name, count, width, backward):
    f = {
        "softmax": lambda x: torch.softmax(x, -1),
        "layer_norm": lambda x: F.layer_norm(x, [width]),
        "gelu": F.gelu,
        "sum": torch.sum,
    }[name]
    return kernel(f, [[count, width]], backward=backward)


def cross_entropy(count, number, backward):
    targets = classes(count, number)
    x = wave([count, 1], 1) + wave([1, number], 2)
    return kernel(lambda x: F.cross_entropy(x, targets), [x], backward=backward)


def linear_cross_entropy(count, width, number):
    targets = classes(count, number)
    inputs = [wave([count, width], 1), wave([number, width], 2, 0.02)]
    # Quicker than linear_cross_entropy, with and without its chunks.
    return kernel(lambda x, w: F.cross_entropy(F.linear(x, w), targets), inputs, backward=True)


def adamw(count, size):
    parameters = [nn.Parameter(wave([size, size], i)) for i in range(count)]
    for i, p in enumerate(parameters):
        p.grad = wave([size, size], i + 1)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, fused=True)
    optimizer.step()
    return Workload(optimizer.step, summary(parameters[3]))


def attention(batch, heads, length, width, dtype, backward):
    shape = [batch, heads, length, width]
    return kernel(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [shape] * 3, DTYPES[dtype], backward
    )


def add(requires_grad):
    a = wave([8, 8], 1).requires_grad_(requires_grad)
    b = wave([8, 8], 2)
    return Workload(lambda: a + b, [(a + b).sum().item()])


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WORKLOADS = {
    "add": add,
    "call": call,
    "product": lambda m, k, n, dtype: kernel(torch.matmul, [[m, k], [k, n]], DTYPES[dtype]),
    "linear": lambda rows, inner, out, dtype: kernel(
        F.linear, [[rows, inner], [out, inner], [out]], DTYPES[dtype]
    ),
    "convolution": convolution,
    "pointwise": pointwise,
    "rows": rows,
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "adamw": adamw,
    "attention": attention,
    "mlp": lambda: classifier(mlp_model),
    "lenet": lambda: classifier(lenet_model),
    "lstm": lstm,
    "gpt": gpt,
    "resnet20": lambda dtype: resnet(lambda: CifarResNet(3), 128, 32, 10, dtype),
    "resnet50_answers": resnet50_answers,
    "encoder_answers": encoder_answers,
    "gpt2_continuation": gpt2_continuation,
    "resnet50": lambda dtype: resnet(lambda: ResNet([3, 4, 6, 3]), 16, 224, 1000, dtype),
    **PROGRAMS,
}

workload = None
for line in sys.stdin:
    request = json.loads(line)
    if "setup" in request:
        workload = None  # its memory goes first
        name, *arguments = request["setup"]
        workload, compiled = faster(WORKLOADS[name](*arguments))
        print(json.dumps({"check": workload.check, "compiled": compiled}), flush=True)
    else:
        print(json.dumps({"seconds": workload.seconds(request["run"])}), flush=True)
