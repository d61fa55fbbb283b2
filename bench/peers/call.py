"""The other side of bench/functions.ts: an expression of PyTorch with inputs by the formulas there."""

import math

import numpy
import torch
import torch.nn.functional as F

from workload import kernel


def chirp(count, seed):
    j = numpy.arange(count, dtype=numpy.float64)
    return (1 + numpy.sin(0.7 * j * j + seed)) / 2


def make(kind, shape, first, low=0.0, high=0.0):
    count = math.prod(shape)
    if kind == "places":
        j = numpy.arange(count, dtype=numpy.int64)
        return torch.from_numpy((31 * j * j + 7 * j) % first).reshape(shape)
    if kind == "steps":
        return torch.from_numpy((first + low * numpy.arange(count)).astype(numpy.float32))
    values = chirp(count, first)
    if kind == "mask":
        return torch.from_numpy(values.astype(numpy.float32) > 0.5).reshape(shape)
    if kind == "signs":
        return torch.from_numpy(numpy.where(values < 0.5, -1, 1).astype(numpy.float32)).reshape(shape)
    return torch.from_numpy((low + (high - low) * values).astype(numpy.float32)).reshape(shape)


def call(expression, inputs, backward):
    tensors = {name: make(*formula) for name, formula in inputs.items()}
    names = [name for name, (kind, *_) in inputs.items() if backward and kind == "chirp"]
    code = compile(expression, expression, "eval")
    known = {"torch": torch, "F": F, **tensors}
    workload = kernel(
        lambda *given: eval(code, {**known, **dict(zip(names, given))}),
        [tensors[name] for name in names],
        backward=backward,
    )
    workload.fresh = None  # one call gains nothing by being compiled
    return workload
