"""Gradients where functions bend or divide by 0: equal elements, ties, constant lines, zero vectors, single elements."""

import math

import torch

from recorder import FLOATS, Family, Fixed


def cases():
    f = Family("degenerate")
    for dtype in FLOATS:

        def of(*rows):
            return torch.tensor(rows, dtype=dtype)

        constant, zeros = of([2.0, 2, 2], [0, 0, 0], [1, 2, 3]), of([0.0, 0, 0], [1, -2, 0], [0, 0, 3])
        for op in ["std", "variance", "varMean"]:
            f.case(op, constant, 1)
            f.case(op, Fixed(of([3.0], [4])), 1)
            f.case(op, of([3.0], [4]), 1, correction=0)
        for p in [1, 2, 3, 0.5, math.inf, -math.inf]:
            if p > 0.5:
                f.case("norm", zeros, 1, p=p)
            f.case("norm", of([1.0, -1, 1], [2, 2, -2]), 1, p=p)
        for p in [-1, -2.5]:
            f.case("norm", zeros, 1, p=p)
        for p in [1, 2, 3, math.inf]:
            a = of([1.0, 2], [0, 0], [1, 2])
            f.case("cdist", a, of([1.0, 2], [3, 1]), p=p)
            f.case("normalize", zeros, p=p, epsilon=0.01)
        for op in ["layerNorm", "rmsNorm"]:
            f.case(op, constant, [3], None, *([] if op == "rmsNorm" else [None]), epsilon=1e-3)
        f.case("cosineSimilarity", zeros, constant, epsilon=0.01)
        if dtype != torch.float16:  # 1 / ε overflows there
            f.case("pairwiseDistance", constant, constant)
        f.case("batchNorm", constant.flip(0)[1:], Fixed(of(0.0, 0, 0)), Fixed(of(1.0, 1, 1)), None, None, training=True)
        tied = of([1.0, 3, 3, 2], [5, 5, 5, 5], [0, -1, 0, -1])
        for op in ["amax", "amin", "logSumExp", "prod", "softmax", "logSoftmax", "cumprod"]:
            f.case(op, tied, 1)
        for op in ["cummax", "cummin", "logCumSumExp"]:
            f.case(op, tied, 1)
        for op in ["sort", "argsort"]:
            f.case(op, tied, axis=1)
        f.case("argmax", tied, 1)
        f.case("argmin", tied, 1)
        f.case("amax", tied)
        for op in ["maxPool1d", "maxPool1dWithIndices"]:
            f.case(op, tied.unsqueeze(0), 2)
        f.case("adaptiveMaxPool1d", tied.unsqueeze(0), 2)
        f.case("lpPool1d", zeros.unsqueeze(0), 2, 3)
        for op in ["maximum", "minimum", "hypot", "atan2"]:
            f.case(op, tied, of([1.0, 3, -3, 2]))
        for op in ["abs", "sign", "relu", "relu6", "elu", "selu", "leakyRelu", "softsign", "hardswish", "hardsigmoid", "hardtanh", "softshrink", "hardshrink", "sqrt"]:
            f.case(op, of([0.0, -0.0, 1, -1], [3, -3, 6, 0.5], [-0.5, 2, -2, 4]) if op != "sqrt" else of([0.0, 1]))
        f.case("clamp", of([0.0, 1, -1, 2]), 0, 1)
        f.case("prelu", of([[0.0, 1, -1]]), of(0.25))
        for reduction in ["none", "mean"]:
            r = {"reduction": reduction}
            f.case("l1Loss", tied, tied.flip(1), **r)
            f.case("smoothL1Loss", tied, Fixed(tied.flip(1)), **r)
            f.case("huberLoss", tied, Fixed(tied.flip(1)), **r)
            f.case("marginRankingLoss", of(1.0, 2, 3), of(1.0, 1, 4), Fixed(of(1.0, 1, -1)), **r)
            f.case("hingeEmbeddingLoss", of(1.0, 0, 3), Fixed(of(-1.0, -1, 1)), **r)
            f.case("tripletMarginLoss", zeros, zeros, constant, **r)
            f.case("cosineEmbeddingLoss", zeros, constant, Fixed(of(1.0, -1, -1)), **r)
            f.case("multiMarginLoss", of([1.0, 2, 1]), torch.tensor([1]), **r)
        infinite = of([0.0, -math.inf, 1], [2, -math.inf, -math.inf])
        for op in ["softmax", "logSumExp"]:
            f.case(op, infinite, 1)
        f.case("pow", of(0.0, 0, 2, -1), of(0.0, 1, 0, 2))
        for exponent in [0, 1, 2, 3]:
            f.case("pow", of(0.0, -2, 3), exponent)
    return f
