"""Reductions, scans, and what sorting gives."""

import math

import torch

from recorder import FLOATS, INTS, Family, Fixed

SHAPES = [([2, 3, 4], None), ([2, 3, 4], 1), ([2, 3, 4], [0, -1]), ([5], 0), ([], None), ([3, 0, 2], 1)]
AXES = [([2, 3, 4], 1), ([2, 3, 4], -1), ([7], 0)]


def cases():
    f = Family("reduce")
    for dtype in FLOATS:
        infinite = torch.tensor([[1, math.inf, 2], [math.nan, 0, -1], [-math.inf, math.inf, 3], [-math.inf, -math.inf, -math.inf]], dtype=dtype)
        for shape, axes in SHAPES:
            empty = 0 in shape
            keep = {"keepDims": True} if axes == 1 else {}
            for op in ["sum", "mean", "prod", "logSumExp", "countNonzero", "any", "all", "norm"]:
                if op != "countNonzero":
                    f.case(op, f.uniform(dtype, shape), axes, **keep)
                else:
                    f.case(op, f.uniform(dtype, shape).round(), axes)
            if not empty:
                for op in ["amax", "amin"]:
                    f.case(op, f.distinct(dtype, shape), axes, **keep)
                for p in [1, 3, 0.5, 0, math.inf, -math.inf, -1]:
                    f.case("norm", f.uniform(dtype, shape, 0.1, 2), axes, p=p, **keep)
            if shape and not empty:
                for op in ["variance", "std", "varMean"]:
                    f.case(op, f.uniform(dtype, shape), axes, **keep)
                    f.case(op, f.uniform(dtype, shape), axes, correction=0)
        for op in ["sum", "mean", "prod", "logSumExp", "amax", "amin", "norm", "any", "all", "countNonzero", "variance"]:
            f.case(op, Fixed(infinite), 1)
        f.case("amax", torch.tensor([[1.0, 2, 2], [3, 3, 3]], dtype=dtype), 1)
        f.case("amin", torch.tensor([[1.0, 2, 1], [3, 3, 3]], dtype=dtype), 1)
        f.case("prod", torch.tensor([[0.0, 2, 1.5], [0, 0, 3]], dtype=dtype), 1)
        for shape, axis in AXES:
            for op in ["cumsum", "cumprod", "logCumSumExp"]:
                f.case(op, f.uniform(dtype, shape), axis)
            f.case("cumsum", f.uniform(dtype, shape), axis, reverse=True)
            for op in ["cummax", "cummin"]:
                f.case(op, f.distinct(dtype, shape), axis)
        f.case("cumprod", torch.tensor([1.5, 0, 2, 0.5], dtype=dtype), 0)
        for op in ["cumsum", "cumprod", "cummax", "cummin", "logCumSumExp"]:
            f.case(op, Fixed(infinite), 1)
    for dtype in INTS + [torch.bool]:
        for shape, axes in SHAPES:
            for op in ["sum", "prod", "any", "all", "countNonzero"]:
                if op != "prod" or dtype != torch.bool:
                    f.case(op, f.uniform(dtype, shape, -3, 4), axes)
            if 0 not in shape and dtype != torch.bool:
                for op in ["amax", "amin"]:
                    f.case(op, f.uniform(dtype, shape, -9, 9), axes)
        for shape, axis in AXES:
            f.case("cumsum", f.uniform(dtype, shape, -3, 4), axis)
            if dtype != torch.bool:
                f.case("cumprod", f.uniform(dtype, shape, -3, 4), axis)
                f.case("cummax", f.distinct(dtype, shape), axis)
                f.case("cummin", f.distinct(dtype, shape), axis)
    return f


def sorting():
    f = Family("sorting")
    for dtype in FLOATS + INTS:
        floating = dtype.is_floating_point
        for shape, axis in AXES:
            x = f.distinct(dtype, shape)
            for op in ["argmax", "argmin"]:
                f.case(op, x, axis, **({"keepDims": True} if axis == 1 else {}))
            for descending in [False, True]:
                f.case("sort", x, axis=axis, descending=descending)
                f.case("argsort", f.uniform(dtype, shape, -2, 3).round() if floating else f.uniform(dtype, shape, -2, 3), axis=axis, descending=descending)
            for largest in [True, False]:
                f.case("topk", x, 2, axis=axis, largest=largest)
            for k in [1, 3]:
                f.case("kthValue", x, k, axis=axis, **({"keepDims": True} if k == 3 else {}))
            f.case("median", x, axis)
            f.case("median", x, axis, keepDims=True)
        f.case("argmax", f.distinct(dtype, [3, 4]))
        f.case("median", f.distinct(dtype, [3, 4]))
        repeated = f.uniform(dtype, [4, 5], -2, 3)
        repeated = repeated.round() if floating else repeated
        f.case("argmax", repeated, 1)
        f.case("argmin", repeated, 0)
        f.case("unique", Fixed(repeated))
        f.case("unique", Fixed(repeated.flatten()), consecutive=True)
        f.case("unique", Fixed(repeated[[0, 2, 0, 1, 3]]), axis=0)
        edges = torch.tensor([0, 1, 1, 3], dtype=dtype)
        for right in [False, True]:
            f.case("searchSorted", Fixed(edges), Fixed(f.uniform(dtype, [3, 4], 0, 5).round() if floating else f.uniform(dtype, [3, 4], 0, 5)), right=right)
            f.case("searchSorted", Fixed(torch.stack([edges, edges + 1])), Fixed(f.uniform(dtype, [2, 3], 0, 5)), right=right)
            f.case("bucketize", Fixed(f.uniform(dtype, [6], 0, 5)), Fixed(edges), right=right)
        if floating:
            odd = torch.tensor([[3, math.nan, -math.inf, 0.5, math.inf], [-0.0, 1.5, -1, math.inf, 2]], dtype=dtype)
            for descending in [False, True]:
                f.case("sort", Fixed(odd), axis=1, descending=descending)
            f.case("argmax", odd, 1)
            f.case("argmin", odd, 1)
            f.case("topk", Fixed(odd), 3)
            f.case("median", Fixed(odd), 1)
            f.case("kthValue", Fixed(odd), 2)
        else:
            counted = f.uniform(dtype, [9], 0, 6)
            f.case("bincount", counted)
            f.case("bincount", counted, minLength=8)
            f.case("bincount", counted, weights=Fixed(f.uniform(torch.float32, [9])))
    for dtype in FLOATS[:2]:
        for interpolation in ["linear", "lower", "higher", "midpoint", "nearest"]:
            f.case("quantile", f.distinct(dtype, [3, 5]), 0.35, 1, interpolation=interpolation)
            f.case("quantile", f.distinct(dtype, [3, 5]), [0, 0.2, 0.9, 1], 0, interpolation=interpolation)
        f.case("quantile", f.distinct(dtype, [7]), 0.5)
        f.case("quantile", f.distinct(dtype, [2, 3]), [0.25, 0.75], -1, keepDims=True)
        f.case("quantile", Fixed(torch.tensor([[1, math.nan, 2], [1, 2, 3]], dtype=dtype)), 0.5, 1)
        x = f.uniform(dtype, [40])
        f.case("histogram", Fixed(x), 5)
        f.case("histogram", Fixed(x), 4, range=[-1, 1.5])
        f.case("histogram", Fixed(x), 4, range=[-1, 1.5], density=True)
        f.case("histogram", Fixed(x), 4, range=[-2, 2], weights=Fixed(f.uniform(dtype, [40], 0, 1)))
        f.case("histogram", Fixed(x), Fixed(torch.tensor([-2, -0.5, 0, 2], dtype=dtype)))
    return f
