"""Options and operands that the other families leave out, and ops that came later."""

import math

import torch

from recorder import FLOATS, INTS, Family, Fixed


def cases():
    f = Family("special")
    for dtype in FLOATS:
        for axis in [0, 1, -1]:
            f.case("cosineSimilarity", f.uniform(dtype, [1, 2, 3]), f.uniform(dtype, [2, 1, 3]), axis=axis)
        index = f.index([3, 5], 10)
        f.case("embeddingBag", f.uniform(dtype, [10, 4], -90, 90), index, perSampleWeights=f.uniform(dtype, [3, 5]), mode="sum")
        f.case("diff", f.uniform(dtype, [2, 3]), n=0, prepend=f.uniform(dtype, [2, 1]))
        f.case("addcmul", f.uniform(dtype, [2, 3]), f.uniform(dtype, [3]), f.uniform(dtype, [2, 1]), value=-2.5)
    for dtype in [torch.float64, torch.bfloat16, torch.int64]:
        for mode in ["constant", "reflect", "replicate", "circular"]:
            for padding in [[[0, 0], [-2, 1]], [[1, -1], [-1, -2]], [[-1, 1], [2, -3]], [[-3, 0], [0, -1]], [[0, 0], {"constant": [-4, 5], "circular": [1, -3]}.get(mode, [3, -4])]] + [[[0, 0], [-5, 3]]] * (mode == "replicate"):
                f.case("pad", f.uniform(dtype, [1, 2, 4, 5]), padding, mode=mode)
        f.case("pad", f.uniform(dtype, [3, 4]), [[-1, -2]], value=1)
    for dtype in FLOATS:
        f.case("ndtr", torch.tensor([-12.0, -5, -1, -0.25, 0, 1, 4, -math.inf, math.inf, math.nan], dtype=dtype))
        for p in [1, 1.5, 2, 3, math.inf]:
            f.case("pdist", f.uniform(dtype, [5, 3]), p=p)
        for op, low, high in [("erfcx", -5, 60), ("ndtri", 1e-3, 0.999), ("i0", -9, 9), ("i0e", -90, 90), ("i1", -9, 9), ("i1e", -90, 90), ("logNdtr", -60, 6)]:
            f.case(op, f.uniform(dtype, [4, 5], low, high))
            f.case(op, Fixed(torch.tensor([-1, -0.0, 0, 0.5, 1, math.nan] + [math.inf, -math.inf] * (op not in ["i0", "i1"]), dtype=dtype)))
        for a, x in [(2, 5), (40, 60), (300, 900), (0.8, 0.9)]:
            for op in ["gammainc", "gammaincc"]:
                f.case(op, Fixed(f.uniform(dtype, [4, 5], 0.01, a)), f.uniform(dtype, [4, 5], 0.01, x))
        for op in ["gammainc", "gammaincc"]:
            for a in [1e5, 1e6] if dtype == torch.float64 else []:
                f.case(op, Fixed(torch.tensor([a], dtype=dtype)), Fixed(a + math.sqrt(a) * torch.arange(-6.0, 7, dtype=dtype)))
            ends = torch.tensor([0, 1e-3, 1, math.inf, math.nan, -1], dtype=dtype)
            f.case(op, Fixed(ends[[0, 1, 2, 3, 5], None]), Fixed(ends[[0, 1, 2, 3, 5]]))
        f.case("zeta", Fixed(f.uniform(dtype, [4, 5], 1.1, 9)), f.uniform(dtype, [4, 5], 0.1, 30))
        f.case("zeta", Fixed(torch.tensor([[1.0], [0.5], [2], [3]], dtype=dtype)), Fixed(torch.tensor([1, 0, -1, -2.5, 0.25], dtype=dtype)))
    for dtype in [torch.float64, torch.float32]:
        x, y = (torch.tensor(v, dtype=dtype) for v in ([1, -1, 0, -0.0, 1e-300, 3, math.inf, math.nan, 1], [2, -2, -1, 1, 0, 3, 0, 1, math.nan]))
        f.case("nextAfter", Fixed(x), Fixed(y))
        f.case("matrixExp", f.uniform(dtype, [2, 4, 4], -1, 1))
        f.case("matrixExp", f.uniform(dtype, [5, 5], -4, 4) if dtype == torch.float64 else f.uniform(dtype, [5, 5], -0.5, 0.5))
        f.case("matrixExp", f.uniform(dtype, [3, 3], -0.01, 0.01))
        for n, space in [(2, [7, 9]), (3, [5, 6, 7])]:
            for end in ["", "WithIndices"]:
                samples = Fixed(f.uniform(dtype, [2, 3, n], 0, 1))
                f.case(f"fractionalMaxPool{n}d{end}", f.distinct(dtype, [2, 3, *space]), 2, samples=samples, outputSize=[3, 4, 2][:n])
                f.case(f"fractionalMaxPool{n}d{end}", f.distinct(dtype, [2, 3, *space]), [2, 3, 1][:n], samples=samples, outputRatio=[0.5, 0.4, 0.3][:n])
    for dtype in INTS:
        for op in ["gcd", "lcm"]:
            f.case(op, f.uniform(dtype, [4, 5], -10, 10), f.uniform(dtype, [5], -10, 10))
            f.case(op, f.uniform(dtype, [4, 1], 0, 3), f.uniform(dtype, [5], 0, 3))
        for n, space in [(1, [9]), (2, [5, 6]), (3, [3, 4, 3])] if dtype != torch.int16 else []:
            f.case(f"maxPool{n}dWithIndices", f.distinct(dtype, [1, 2, *space]), 2, stride=1, padding=1)
    truths = f.uniform(torch.bool, [4, 5])
    for op in ["sort", "argsort"]:
        f.case(op, truths, axis=0, **({} if op == "sort" else {}))
        f.case(op, truths, descending=True)
    for op in ["cummax", "cummin", "cumprod"]:
        f.case(op, truths, 1)
    f.case("prod", truths, 0)
    f.case("prod", truths | True)
    f.case("squeeze", f.uniform(torch.float32, [1, 2, 1, 1]), [0, -1])
    f.case("squeeze", f.uniform(torch.float32, [1, 2, 1, 1]), [1, 2])
    for dtype in [torch.float64, torch.float32]:
        f.case("embedding", f.uniform(dtype, [5, 3]), f.index([2, 4], 5), paddingIndex=-2)
        f.case("embeddingBag", f.uniform(dtype, [5, 3]), f.index([3, 4], 5), paddingIndex=-1)
        for target, variance in [([2, 3], [2]), ([1], [2, 1]), ([2, 1], [2, 3]), ([3], [1, 3])]:
            f.case("gaussianNllLoss", f.uniform(dtype, [2, 3]), f.uniform(dtype, target), f.uniform(dtype, variance, 0.5, 2), full=True)
        f.case("gaussianNllLoss", f.uniform(dtype, [3, 3]), f.uniform(dtype, [3, 3]), f.uniform(dtype, [3], 0.5, 2), reduction="none")
        for target in [[1, 1], [1, 3], [2, 1]]:
            f.case("marginRankingLoss", f.uniform(dtype, [2, 3]), f.uniform(dtype, [2, 3]), Fixed(f.uniform(dtype, target).sign()), margin=0.5)
    for dtype in [torch.float64, torch.float32]:
        f.case("pdist", f.uniform(dtype, [40, 2]))
        f.case("multiDot", [f.uniform(dtype, s) for s in ([4, 3], [3, 5], [5, 2], [2, 6])])
        f.case("multiDot", [f.uniform(dtype, s) for s in ([3], [3, 4], [4, 2], [2])])
        positive = f.uniform(dtype, [2, 3, 3])
        f.case("logdet", positive @ positive.mT + torch.eye(3, dtype=dtype))
        f.case("logdet", Fixed(torch.tensor([[[1.0, 2], [2, 4]], [[0, 1], [1, 0]], [[2, 0], [0, 3]]], dtype=dtype)))
    for dtype in [torch.float64, torch.float32, *INTS]:
        for axis, keep in [(0, False), (1, True), (-1, False)]:
            f.case("mode", f.uniform(torch.int64, [5, 7], 0, 3).to(dtype), axis, keepDims=keep)
    for sizes in [[3], [2, 4], [4, 2], [0, 3], [3, 0]]:
        for offset in [-5, -1, 0, 1, 3, 6]:
            f.case("trilIndices", *sizes, *([] if len(sizes) == 2 else [sizes[0]]), offset=offset)
            f.case("triuIndices", *sizes, *([] if len(sizes) == 2 else [sizes[0]]), offset=offset)
    for dtype in INTS:
        f.case("addcmul", f.uniform(dtype, [2, 3], -50, 50), f.uniform(dtype, [3], -50, 50), f.uniform(dtype, [2, 1], -50, 50), value=3)
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 11, [2, 5], 2.0, True)
    state = {key: f.uniform(torch.float32, list(x.shape), -1, 1) for key, x in module.state_dict().items()}
    target = torch.tensor([0, 2, 10, 1, 4, 5])
    f.case("nn.AdaptiveLogSoftmaxWithLoss", [8, 11, [2, 5], {"divValue": 2, "headBias": True}], state, [f.uniform(torch.float32, [6, 8]), target], True)
    return f
