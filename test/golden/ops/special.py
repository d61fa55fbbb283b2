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
