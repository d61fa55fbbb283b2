"""What the PyTorch side of every bench is made of: inputs and parameters by the formulas of bench/harness.ts, and an iteration with its checks."""

import math
import sys
import time

import numpy
import torch


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
                j = numpy.arange(p.numel(), dtype=numpy.float64)
                chirp = numpy.sin(0.7 * j * j + i) / math.sqrt(p[0].numel())
                p.copy_(torch.from_numpy(chirp.astype(numpy.float32).reshape(p.shape)))
            else:
                p.fill_(1.0 if name.endswith("weight") else 0.0)


def summary(y):
    flat = y.detach().float().flatten()
    absolute = flat.abs().sum().item()
    return [flat.sum().item() / absolute, absolute / flat.numel(), flat[flat.numel() // 3].item()]


class Workload:
    """One iteration and its checks; `fresh` builds the same with another form of what torch.compile takes."""

    def __init__(self, step, check, fresh=None):
        self.step = step
        self.check = check
        self.fresh = fresh

    def seconds(self, iterations):
        start = time.perf_counter()
        for _ in range(iterations):
            self.step()
        return time.perf_counter() - start


def faster(workload):
    """The better of eager and compiled."""
    if workload.fresh is None or "--eager" in sys.argv:
        return workload, False
    torch._dynamo.reset()
    compiled = workload.fresh(torch.compile)
    times = []
    for one in (workload, compiled):
        count = max(1, min(100, int(0.2 / max(1e-6, one.seconds(1)))))
        times.append(sorted(one.seconds(count) for _ in range(3))[1] / count)
    return (compiled, True) if times[1] < times[0] else (workload, False)


def kernel(f, given, dtype=torch.float32, backward=False, channels_last=False):
    layout = {"memory_format": torch.channels_last} if channels_last else {}
    tensors = [x if isinstance(x, torch.Tensor) else wave(x, i + 1) for i, x in enumerate(given)]
    inputs = [x.to(dtype, **layout).requires_grad_(backward) for x in tensors]

    def build(wrap):
        g = wrap(f)
        if not backward:
            with torch.no_grad():
                check = summary(g(*inputs))

            def step():
                with torch.no_grad():
                    g(*inputs)

            return Workload(step, check)
        with torch.no_grad():
            y = f(*inputs)
        gradient = wave(list(y.shape), 9).to(dtype)
        if channels_last:
            gradient = gradient.to(**layout)

        def step():
            for x in inputs:
                x.grad = None
            g(*inputs).backward(gradient)

        step()
        return Workload(step, sum((summary(t) for t in [y] + [x.grad for x in inputs]), []))

    workload = build(lambda f: f)
    workload.fresh = build
    return workload


def training(make_model, make_optimizer, loss_of):
    def build(wrap):
        model = make_model()
        optimizer = make_optimizer(model)
        run = wrap(model)

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(run)
            loss.backward()
            optimizer.step()
            return loss

        return Workload(step, [step().item() for _ in range(5)])

    workload = build(lambda model: model)
    workload.fresh = build
    return workload


def filled(model, dtype=torch.float32, **layout):
    fill(model)
    return model.to(dtype=dtype, **layout)
