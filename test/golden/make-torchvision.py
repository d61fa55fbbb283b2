"""Makes torchvision.json with torchvision (pip install torch torchvision): what its networks make of weights that both sides fill by one formula. Whole
networks are too large to store: of states there is a digest of their names and shapes, and of tensors their norm and their product with other numbers of the
formula. Read by test/models/torchvision.test.ts, whose other half is test/models/filled.ts."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models
from torchvision.ops import StochasticDepth

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def numbers(key, shape):
    """float64 numbers in [-1, 1): a hash of their place, begun with a hash (FNV-1a) of the key."""
    seed = 2166136261
    for byte in key.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(seed)
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35)]:
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return torch.from_numpy(x / 2**31 - 1).reshape(shape)


def fill(state):
    """Matrices and kernels that keep variances, scales and variances about 1, all else about 0; integers stay."""
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        value = numbers(name, tensor.shape)
        if tensor.dim() > 1 and name.endswith("weight"):
            value *= (3 / tensor[0].numel()) ** 0.5
        elif name.endswith(("weight", "_var", "layer_scale")):
            value = 1 + value / 2
        else:
            value /= 2
        tensor.copy_(value)


def digest(name, tensor):
    """Two numbers that hardly any other tensor has."""
    product = (tensor.detach() * numbers(name + " digest", tensor.shape)).sum()
    return [float(f"{x.item():.9g}") for x in (tensor.detach().double().norm(), product)]


def listed(model):
    """How many numbers are trained, a digest of the names and shapes of the state, epsilon and momentum of norms,
    and the sum of all probabilities of being dropped."""
    lines = sorted(f"{name} {list(x.shape)}" for name, x in model.state_dict().items())
    sha = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    norms = {(m.eps, getattr(m, "momentum", 0)) for m in model.modules() if hasattr(m, "eps")}
    dropped = sum(m.p for m in model.modules() if isinstance(m, (nn.Dropout, StochasticDepth)))
    return [sum(p.numel() for p in model.parameters()), sha, sorted(norms), round(dropped, 9)]


def initial(model):
    """Mean and deviation of what parameters begin with."""
    return {
        name: [float(f"{x.item():.7g}") for x in (p.mean(), p.std(correction=0))] for name, p in model.named_parameters()
    }


def results(model, size):
    begin = initial(model)
    constants = {name: digest(name, b) for name, b in model.named_buffers() if "relative" in name}
    for module in model.modules():
        if isinstance(module, (nn.Dropout, StochasticDepth)):
            module.p = 0.0
    fill(model.state_dict())
    x = numbers("images", [3, 3, *size])
    logits = model.eval()(x).detach()
    loss = F.cross_entropy(model.train()(x), torch.arange(3))
    loss.backward()
    return {
        "size": size,
        "initial": begin,
        "constants": constants,
        "logits": [[float(f"{v:.9g}") for v in row] for row in logits.tolist()],
        "loss": loss.item(),
        "gradients": {name: digest(name, p.grad) for name, p in model.named_parameters()},
        "statistics": {name: digest(name, b) for name, b in model.named_buffers() if "running" in name},
    }


# Names are those of torchvision, followed by a factor of the width.
variants = ["mobilenet_v2", "mobilenet_v2 0.35", "mobilenet_v2 1.4", "mobilenet_v3_small", "mobilenet_v3_small 0.75"]
variants += ["mobilenet_v3_large", "mobilenet_v3_large 1.25"]
variants += [f"efficientnet_{each}" for each in "b0 b1 b2 b3 b4 b5 b6 b7 v2_s v2_m v2_l".split()]
variants += [f"convnext_{each}" for each in "tiny small base large".split()]
variants += [f"swin_{each}" for each in "t s b v2_t v2_s v2_b".split()]
variants += "resnet34 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2".split()
# With the height and width of images.
compared = {name: [40, 48] for name in "mobilenet_v2 mobilenet_v3_small mobilenet_v3_large efficientnet_b0 efficientnet_v2_s".split()}
# Heights and widths that windows have to be filled up for, of which one axis is rolled.
compared |= {"convnext_tiny": [32, 64], "swin_t": [68, 36], "swin_v2_t": [68, 36], "resnext50_32x4d": [40, 48]}


def make(variant, **options):
    name, *width = variant.split()
    return models.get_model(name, **({"width_mult": float(width[0])} if width else {}), **options).double()


with torch.device("meta"):
    states = {variant: listed(make(variant)) for variant in variants}
found = {name: results(make(name, num_classes=10), size) for name, size in compared.items()}
text = json.dumps({"states": states, "results": found}, separators=(",", ":"))
Path(__file__).with_name("torchvision.json").write_text(text.replace("],\"", "],\n\"").replace("},\"", "},\n\"") + "\n")
