"""Promotion of dtypes, conversions, and what fills tensors."""

import math

import torch

from recorder import FLOATS, INTS, Family, Fixed

ALL = [*FLOATS, *INTS, torch.bool]


def cases():
    f = Family("dtypes")
    values = {dtype: f.uniform(dtype, [4], 1, 7) for dtype in ALL}
    for a in ALL:
        x = Fixed(values[a])
        for b in ALL:
            y = Fixed(values[b])
            for op in ["add", "mul", "div", "maximum", "less"]:
                f.case(op, x, y)
            f.case("where", torch.tensor([True, False, True, False]), x, y)
            f.case("cat", [x, y])
            f.case("add", x, Fixed(values[b][0]))  # a tensor without axes does not widen one with axes of its kind
            f.attempt("pow", x, y)
            if b != torch.bool or a == torch.bool:
                f.attempt("sub", x, y)
        for number in [2, 2.5]:
            for op in ["add", "mul", "div", "less", "equalTo", "maximum", "pow", "remainder"]:
                f.attempt(op, x, number)
        for b in ALL:
            source = [0, 1, 2, 3, 100, 127]
            if a != torch.bool:
                f.case("cast", Fixed(torch.tensor(source, dtype=a)), str(b)[6:])
            if a not in [torch.bool, torch.uint8] and b != torch.uint8:
                f.case("cast", Fixed(torch.tensor([-1, -2, -100, -128], dtype=a)), str(b)[6:])
            if a in FLOATS:
                f.case("cast", Fixed(torch.tensor([0.5, 1.5, 2.5, 3.999, 0.001], dtype=a)), str(b)[6:])
                if b in FLOATS:
                    info = torch.finfo(b)
                    edges = torch.tensor(
                        [math.inf, -math.inf, math.nan, -0.0, info.max, info.max * 1.0001, -info.max, 1 + info.eps, 1 + info.eps / 2, 1 + info.eps * 1.5,
                         info.smallest_normal, info.smallest_normal * info.eps, info.smallest_normal * info.eps / 2, info.smallest_normal * info.eps * 0.75,
                         1 / 3, 65519, 65520, 1e-8, 6e-8], dtype=torch.float64,
                    ).to(a)  # fmt: skip
                    f.case("cast", Fixed(edges), str(b)[6:])
                    f.case("cast", f.uniform(a, [3]), str(b)[6:])
                f.case("cast", Fixed(torch.tensor([math.nan, -0.0, 0.1], dtype=a)), "bool")
            elif a in INTS and b in INTS:  # wraps around
                info = torch.iinfo(a)
                f.case("cast", Fixed(torch.tensor([info.min, info.max, info.max - 200, 300 % info.max], dtype=a)), str(b)[6:])
            elif a in INTS and b in FLOATS:  # rounds to even
                x = torch.tensor([2049, 2051, 257, 259, 16777217, 16777219], dtype=torch.int64)
                f.case("cast", Fixed(x[x <= torch.iinfo(a).max].to(a)), str(b)[6:])
        name = str(a)[6:]
        f.case("zeros", [2, 3], dtype=name)
        f.case("ones", [2], dtype=name)
        f.case("full", [2, 2], 1 if a == torch.bool else 3, dtype=name)
        f.case("zerosLike", Fixed(values[a]))
        f.case("onesLike", Fixed(values[a]))
        f.case("equalSync", Fixed(values[a]), Fixed(values[a]))
        f.case("equalSync", Fixed(values[a]), Fixed(values[a].flip(0)))
    for dtype in FLOATS:
        x = f.uniform(dtype, [5])
        for y in [x, x + 1, torch.where(torch.arange(5) == 2, math.nan, x).to(dtype)]:
            if dtype in FLOATS[:2]:
                f.case("allCloseSync", Fixed(x), Fixed(y))
        index = torch.tensor([2, 0, 2, 2, 1])
        for op in ["segmentSum", "segmentMean", "segmentMax", "segmentSoftmax"]:
            f.case(op, f.distinct(dtype, [5, 2]), index, 4 if op != "segmentSoftmax" else 3)
        f.case("sumTo", f.uniform(dtype, [2, 3, 4]), [3, 1])
    return f


def larger():
    """Sizes that fill vectors and tiles, without gradients, which would be as large as the input."""
    f = Family("larger")
    for dtype in [torch.float64, torch.float32, torch.bfloat16]:
        x = Fixed(f.uniform(dtype, [3, 1100]))
        for op in ["sum", "mean", "logSumExp", "amax", "amin", "norm", "variance", "std", "argmax", "argmin", "any", "all", "countNonzero", "median"]:
            f.case(op, x, 1)
        if dtype != torch.bfloat16:  # where many are equal
            f.case("kthValue", x, 700)
            f.case("topk", x, 5)
        for op in ["sum", "mean", "norm", "logSumExp", "amax"]:
            f.case(op, x)
        f.case("norm", x, 1, p=3)
        f.case("matmul", x, Fixed(f.uniform(dtype, [1100, 2])))
        if dtype != torch.float64:
            f.case("matmul", Fixed(f.uniform(dtype, [40, 65])), Fixed(f.uniform(dtype, [65, 50])))
            f.case("conv2d", Fixed(f.uniform(dtype, [1, 8, 14, 14])), Fixed(f.uniform(dtype, [16, 8, 3, 3], -0.3, 0.3)), None, padding=1)
            f.case("scaledDotProductAttention", *[Fixed(f.uniform(dtype, [1, 2, 40, 16])) for _ in range(3)], causal=True)
            f.case("softmax", Fixed(f.uniform(dtype, [2, 300], -9, 9)), 1)
            f.case("layerNorm", Fixed(f.uniform(dtype, [2, 300])), [300])
    for dtype in [torch.float32, torch.bfloat16]:
        odd = f.uniform(dtype, [3, 4])
        odd[0, 1], odd[1, 2], odd[2, 0] = math.inf, math.nan, -math.inf
        f.case("matmul", Fixed(odd), Fixed(f.uniform(dtype, [4, 3])))
        f.case("maxPool2d", Fixed(odd.unsqueeze(0)), 2)
        f.case("avgPool2d", Fixed(odd.unsqueeze(0)), 2)
        f.case("conv1d", Fixed(odd), Fixed(f.uniform(dtype, [2, 3, 2])))
        f.case("layerNorm", Fixed(odd), [4])
        f.case("logSoftmax", Fixed(odd), 0)
        for op, *rest in [
            ("softmax", [0, 3], 1), ("softmax", [3, 0], 1), ("layerNorm", [0, 4], [4]), ("maxPool2d", [0, 2, 4, 4], 2), ("avgPool2d", [0, 2, 4, 4], 2), ("sort", [0]),
            ("sort", [2, 0]), ("topk", [3], 0), ("cumsum", [2, 0], 1), ("interpolate", [0, 2, 3]), ("flip", [2, 0]), ("relu", [0, 3]), ("cumprod", [0], 0),
        ]:  # fmt: skip
            shape, *arguments = rest
            f.case(op, f.uniform(dtype, shape), *arguments, **({"scaleFactor": 2} if op == "interpolate" else {}))
        f.case("crossEntropy", f.uniform(dtype, [0, 3]), torch.zeros(0, dtype=torch.int64))
        f.case("crossEntropy", f.uniform(dtype, [0, 3]), torch.zeros(0, dtype=torch.int64), reduction="sum")
        f.case("embedding", f.uniform(dtype, [3, 2]), torch.zeros(0, dtype=torch.int64))
        f.case("gather", f.uniform(dtype, [3, 2]), 0, torch.zeros(0, 2, dtype=torch.int64))
        f.case("linear", f.uniform(dtype, [0, 4]), f.uniform(dtype, [3, 4]), f.uniform(dtype, [3]))
    return f
