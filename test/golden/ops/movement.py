"""Ops that move, pick and scatter elements."""

import torch

from recorder import FLOATS, NULL, Family, Fixed

DTYPES = [*FLOATS, torch.int64, torch.uint8, torch.bool]


def cases():
    f = Family("movement")
    for dtype in DTYPES:
        x = f.uniform(dtype, [2, 3, 4], -9, 9)
        row = f.uniform(dtype, [6], -9, 9)
        single = f.uniform(dtype, [2, 1, 3, 1], -9, 9)
        for shape in [[6, 4], [-1, 2], [2, 3, 2, 2], [24]]:
            f.case("reshape", x, shape)
        f.case("view", x, [4, 6])
        f.case("flatten", x)
        f.case("flatten", x, 1)
        f.case("flatten", x, 0, -2)
        f.case("unflatten", x, 2, [2, -1])
        for axis in [None, 1, -1, 0]:
            f.case("squeeze", single, axis)
        for axis in [0, 2, -1]:
            f.case("unsqueeze", x, axis)
        f.case("transpose", x)
        f.case("transpose", x, 0, 1)
        f.case("permute", x, [2, 0, 1])
        f.case("permute", x, [-1, 1, 0])
        f.case("moveAxis", x, 0, -1)
        f.case("moveAxis", x, [0, 1], [2, 0])
        f.case("expand", single, [2, 4, 3, 2])
        f.case("expand", single, [5, -1, -1, 3, -1])
        f.case("repeat", x, [2, 1, 3])
        f.case("repeat", row, [2, 2])
        f.case("tile", x, [2])
        f.case("tile", row, [2, 1, 2])
        f.case("repeatInterleave", x, 2)
        f.case("repeatInterleave", x, 3, axis=1)
        f.case("repeatInterleave", x, torch.tensor([2, 0, 1]), axis=1)
        for axis in [0, 1, -1]:
            f.case("cat", [x, x.flip(0), x], axis)
            f.case("stack", [x, x.flip(2)], axis)
        f.case("cat", [x, f.uniform(dtype, [2, 0, 4], -9, 9), f.uniform(dtype, [2, 2, 4], -9, 9)], 1)
        f.case("split", x, 3, 2)
        f.case("split", x, [1, 0, 3], -1)
        f.case("chunk", x, 3, 2)
        f.case("chunk", x, 2, 1)
        f.case("unbind", x)
        f.case("unbind", x, -1)
        f.case("narrow", x, 2, 1, 2)
        f.case("select", x, 1, -1)
        for span in [(1, 3), (-3, None), (None, None, 2), (3, 0), (1, 9)]:
            f.case("slice", x, -1, *span)
        f.case("flip", x)
        f.case("flip", x, [0, -1])
        f.case("roll", x, 2)
        f.case("roll", x, -1, 1)
        f.case("roll", x, [1, -3], [0, 2])
        for times in [1, 2, 3, -1]:
            f.case("rot90", x, times)
        f.case("rot90", x, 1, [1, 2])
        for offset in [0, 1, -1]:
            f.case("diagonal", x, offset=offset)
            f.case("tril", x, offset)
            f.case("triu", x, offset)
            f.case("diag", row, offset)
            f.case("diag", x[0], offset)
        f.case("diagonal", x, offset=1, axes=[2, 0])
        for index in [
            [1],
            [-1, "1:3"],
            ["...", 0],
            [NULL, 0, "...", NULL],
            ["::2", "1:", ":-1"],
            [{"start": 1}, {"stop": -1, "step": 2}],
            [[0, 1, 1]],
            [torch.tensor([[1, 0], [1, 1]])],
            ["...", torch.tensor([3, -1, 0])],
            [torch.tensor([1, 0]), ":", torch.tensor([2, 3])],
            [":", torch.tensor([2, 0]), torch.tensor([[3], [1]])],
            [0, torch.tensor([2, 0])],
            [torch.tensor([True, False])],
            [":", torch.tensor([[True, False, True, True], [False, False, True, False], [True, True, False, False]])],
            [torch.tensor([1, 1]), torch.tensor([0, 2]), NULL],
        ]:
            f.case("at", x, *index)
        f.case("pixelShuffle", f.uniform(dtype, [2, 8, 2, 3], -9, 9), 2)
        f.case("pixelUnshuffle", f.uniform(dtype, [1, 2, 4, 6], -9, 9), 2)
        pads = [[[1, 2]], [[2, 0], [1, 1]], [[1, 0], [0, 2], [1, 1]]]
        image = f.uniform(dtype, [2, 3, 4, 3, 4], -9, 9)
        for count, padding in enumerate(pads, 1):
            f.case("pad", x, padding)
            if dtype.is_floating_point:
                f.case("pad", x, padding, value=1.5)
                # PyTorch's other modes want one or two axes in front of the padded ones.
                inner = image.flatten(0, 3 - count)[:2]
                for mode in ["reflect", "replicate", "circular"]:
                    f.case("pad", inner, padding, mode=mode)
    return f


def indexing():
    f = Family("indexing")
    for dtype in DTYPES:
        summed = dtype != torch.bool
        x = f.uniform(dtype, [3, 4, 2], -9, 9)
        index = f.index([2, 4, 2], 3)
        for axis, shape in [(0, [2, 4, 2]), (1, [3, 5, 2]), (-1, [3, 2, 1])]:
            f.case("gather", x, axis, f.index(shape, x.shape[axis]))
        f.case("indexSelect", x, 1, torch.tensor([3, 0, 0]))
        f.case("indexSelect", x, 0, torch.tensor([2, 1], dtype=torch.int32))
        distinct = torch.stack([torch.stack([torch.randperm(3, generator=f.generator) for _ in range(4)]) for _ in range(2)]).permute(2, 1, 0)[:2]
        f.case("scatter", x, 0, distinct.contiguous(), f.uniform(dtype, [2, 4, 2], -9, 9))
        if dtype.is_floating_point:
            f.case("scatter", x, 0, index, 1.5)
        f.case("indexCopy", x, 1, torch.tensor([2, 0]), f.uniform(dtype, [3, 2, 2], -9, 9))
        f.case("take", x, f.index([2, 3], 24))
        f.case("takeAlongAxis", x, f.index([3, 1, 2], 4), 1)
        f.case("takeAlongAxis", x, f.index([5], 24))
        places = torch.tensor([[[0, 1], [2, 3]], [[2, 3], [1, 0]]])
        f.case("gatherNd", x, places)
        mask = f.uniform(torch.bool, [3, 4, 2])
        f.case("maskedSelect", x, mask)
        f.case("maskedSelect", x, mask[:, :, :1])
        f.case("maskedFill", x, mask, torch.tensor(True) if dtype == torch.bool else 2)
        f.case("maskedFill", x, mask[0], torch.tensor(True) if dtype == torch.bool else 3)
        f.case("maskedScatter", x, mask, f.uniform(dtype, [24], -9, 9))
        f.case("nonzero", Fixed(f.uniform(dtype, [3, 4], 0, 3).round() if dtype.is_floating_point else f.uniform(dtype, [3, 4], 0, 3)))
        f.case("setAt", x, [1, "::2"], f.uniform(dtype, [2, 2], -9, 9))
        f.case("setAt", x, ["...", torch.tensor([1, 0])], f.uniform(dtype, [4, 2], -9, 9))
        f.case("setAt", x, [torch.tensor([0, 2]), torch.tensor([1, 3])], f.uniform(dtype, [2], -9, 9))
        f.case("setAt", x, [torch.tensor([True, False, True])], f.uniform(dtype, [2, 1, 2], -9, 9))
        if summed:
            f.case("setAt", x, [torch.tensor([1, 1, 0])], f.uniform(dtype, [3, 4, 2], -9, 9), accumulate=True)
            f.case("scatterAdd", x, 0, index, f.uniform(dtype, [2, 4, 2], -9, 9))
            f.case("indexAdd", x, 1, torch.tensor([3, 0, 3]), f.uniform(dtype, [3, 3, 2], -9, 9))
            f.case("scatterNd", places, f.uniform(dtype, [2, 2, 2], -9, 9), [3, 4, 2])
            # PyTorch shares the gradient of a maximum with an equal element of x even where x is left out.
            apart = f.distinct(dtype, [3, 4]) - (1 / 16 if dtype.is_floating_point else 0)
            for reduction in ["sum", "prod", "mean", "amax", "amin"]:
                for include in [True, False]:
                    if reduction != "mean" or dtype.is_floating_point:
                        f.case("scatterReduce", apart, 0, f.index([4, 4], 3), f.distinct(dtype, [4, 4]), reduction, includeSelf=include)
        if dtype.is_floating_point:
            f.case("embedding", f.uniform(dtype, [5, 3]), f.index([2, 4], 5))
            f.case("embedding", f.uniform(dtype, [5, 3]), f.index([2, 4], 5), paddingIndex=2)
    for dtype in [torch.int64, torch.int32]:
        f.case("oneHot", f.index([2, 3], 4, dtype), 5)
    for dtype in [torch.float64, torch.int32]:
        f.case("meshgrid", [f.uniform(dtype, [3], -9, 9), f.uniform(dtype, [2], -9, 9), f.uniform(dtype, [1], -9, 9)])
    for name in ["float64", "float32", "float16", "bfloat16", "int64", "int32"]:
        f.case("arange", 7, dtype=name)
        f.case("arange", -3, 8, 2, dtype=name)
        f.case("linspace", -2, 6, 5, dtype=name)
        if "float" in name:
            f.case("arange", 0.5, 2, 0.25, dtype=name)
            f.case("linspace", -1, 1, 7, dtype=name)
            f.case("logspace", -2, 2, 5, dtype=name)
            f.case("logspace", 0, 4, 5, base=2, dtype=name)
        f.case("eye", 3, 4, dtype=name)
    return f
