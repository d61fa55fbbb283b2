"""Compositions: pointwise ones with special values, statistics, and matrices put together."""

import math

import torch

from pointwise import both, pairs, special
from recorder import FLOATS, INTS, Family, Fixed


def cases():
    f = Family("composed")
    for dtype in FLOATS:
        a, b = pairs(dtype)
        for op in ["logAddExp", "xlogy", "copySign", "fmax", "fmin"]:
            second = Fixed if op == "copySign" else lambda x: x  # a sign has no gradient in hadal
            if dtype not in [torch.float16, torch.bfloat16]:
                finite = a.isfinite() & b.isfinite() if op in ["logAddExp", "xlogy"] else a == a  # beyond, PyTorch's gradients are other limits
                if op != "copySign":
                    both(f, op, a[finite], b[finite])
                f.case(op, Fixed(a), Fixed(b))
            f.case(op, f.uniform(dtype, [2, 3], 0.2, 3), second(f.uniform(dtype, [2, 1], -3, -0.2) if op == "copySign" else f.uniform(dtype, [2, 1], 0.2, 3)))
            f.case(op, f.uniform(dtype, [], 0.2, 3), second(f.uniform(dtype, [4], 0.2, 3)))
        f.case("heaviside", Fixed(a), Fixed(b))
        f.case("signBit", special(dtype))
        for op in ["sinc", "logit"]:
            f.case(op, f.uniform(dtype, [3, 4], 0.02, 0.98))
        f.case("sinc", torch.tensor([0.0, 1, -2.5, 30.25], dtype=dtype))
        f.case("logit", Fixed(torch.tensor([0.0, 1, -1, 2, 0.5], dtype=dtype)))
        f.case("logit", f.uniform(dtype, [5]), epsilon=0.1)
        nan = torch.where(torch.eye(3, 5).flip(0).bool() | torch.eye(3, 5).roll(2, 1).bool() | f.uniform(torch.bool, [3, 5]), f.uniform(dtype, [3, 5]), math.nan)
        for op in ["nanSum", "nanMean"]:
            for args in [[], [0], [[0, 1]]]:
                f.case(op, nan, *args)
            f.case(op, nan, 1, keepDims=True)
        f.case("aminmax", f.distinct(dtype, [3, 4]), 1)
        f.case("aminmax", Fixed(nan), 0, keepDims=True)
        for o in [{}, {"n": 2}, {"n": 7}, {"axis": 0}, {"n": 0}]:
            f.case("diff", f.uniform(dtype, [4, 5]), **o)
        f.case("diff", f.uniform(dtype, [2, 3]), prepend=f.uniform(dtype, [2, 1]), append=f.uniform(dtype, [2, 2]))
        for op in ["trapezoid", "cumulativeTrapezoid"]:
            f.case(op, f.uniform(dtype, [3, 4]))
            f.case(op, f.uniform(dtype, [3, 4]), dx=0.25, axis=0)
            f.case(op, f.uniform(dtype, [3, 4]), x=f.uniform(dtype, [4]))
            f.case(op, f.uniform(dtype, [3, 4]), x=f.uniform(dtype, [3, 4]), axis=0)
        f.case("cov", f.uniform(dtype, [3, 6]))
        f.case("cov", f.uniform(dtype, [3, 6]), correction=0)
        f.case("cov", f.uniform(dtype, [5]))
        f.case("corrcoef", f.uniform(dtype, [3, 6]))
        for p in [1, 2, 3]:
            f.case("renorm", f.uniform(dtype, [4, 3]), p, 0, 2)
            f.case("renorm", f.uniform(dtype, [2, 3, 2]), p, 1, 1.5)
        f.case("isIn", f.index([3, 4], 6).to(dtype), f.index([4], 6).to(dtype))
        f.case("vander", f.uniform(dtype, [2, 3]))
        f.case("vander", f.uniform(dtype, [3]), columns=5, increasing=True)
        f.case("blockDiag", [f.uniform(dtype, [2, 3]), f.uniform(dtype, [2]), f.uniform(dtype, []), f.uniform(dtype, [3, 1])])
        f.case("cartesianProd", [f.uniform(dtype, [2]), f.uniform(dtype, [3])])
        for o in [{}, {"offset": 1}, {"offset": -2}, {"axes": [0, 2]}, {"axes": [2, 0], "offset": 1}]:
            f.case("diagEmbed", f.uniform(dtype, [2, 3]), **o)
        f.case("trace", f.uniform(dtype, [3, 4]))
        f.case("trace", f.uniform(dtype, [2, 4, 3]))
        f.case("cross", f.uniform(dtype, [4, 3]), f.uniform(dtype, [1, 3]))
        f.case("cross", f.uniform(dtype, [3, 2]), f.uniform(dtype, [3, 2]), 0)
        f.case("indexFill", f.uniform(dtype, [3, 4]), 1, torch.tensor([0, 3]), 2.5)
        f.case("indexFill", f.uniform(dtype, [3, 4]), 0, torch.tensor([2]), f.uniform(dtype, []))
    for dtype in INTS:
        x, y = f.uniform(dtype, [3, 4], 0, 9), f.uniform(dtype, [4], 0, 9)
        for op in ["heaviside", "fmax", "fmin"]:
            f.case(op, x, y)
        f.case("diff", x, axis=0)
        f.case("isIn", x, y, invert=True)
        f.case("aminmax", x, 1)
        f.case("nanSum", x, 1)
        f.case("trace", x)
        f.case("cross", x[:, :3], x[:, 1:])
        f.case("blockDiag", [x, y])
        f.case("vander", y[:3])
    for dtype in FLOATS:
        for op in ["hstack", "vstack"]:
            f.case(op, [f.uniform(dtype, [3]), f.uniform(dtype, [3])])
            f.case(op, [f.uniform(dtype, []), f.uniform(dtype, [1])])
            f.case(op, [f.uniform(dtype, [2, 3, 2]), f.uniform(dtype, [2, 3, 2])])
        f.case("channelShuffle", f.uniform(dtype, [2, 6, 3]), 3)
        f.case("rrelu", f.uniform(dtype, [3, 4]), 0.1, 0.4, training=False)
        for o in [{}, {"swap": True, "margin": 2, "reduction": "sum"}]:
            f.case("tripletMarginWithDistanceLoss", *(f.uniform(dtype, [4, 3]) for _ in range(3)), **o)
    for dtype in FLOATS:
        a, b = pairs(dtype)
        for op in ["logAddExp2", "xlog1py"]:
            f.case(op, Fixed(a), Fixed(b))
            f.case(op, f.uniform(dtype, [2, 3], 0.2, 3), f.uniform(dtype, [2, 1], 0.2, 3))
            f.case(op, f.uniform(dtype, [], 0.2, 3), f.uniform(dtype, [4], -0.9, 0.5))
        f.case("logAddExp2", f.uniform(dtype, [5], -300, 300), f.uniform(dtype, [5], -300, 300))
        f.case("entr", Fixed(special(dtype)))
        f.case("entr", f.uniform(dtype, [3, 4], 0.05, 2))
    for dtype in FLOATS[:2]:
        missing = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 0, 1, 1, 0, 1]], dtype=torch.bool)
        x = f.distinct(dtype, [4, 6]).masked_fill(missing, math.nan)
        for axis in [0, 1]:
            f.case("nanMedian", x, axis)
            f.case("nanMedian", x, axis, keepDims=True)
        f.case("nanMedian", x)
        f.case("nanMedian", Fixed(torch.full([3, 2], math.nan, dtype=dtype)), 0)
        for interpolation in ["linear", "lower", "higher", "midpoint", "nearest"]:
            f.case("nanQuantile", x, [0, 0.2, 0.5, 0.9, 1], 1, interpolation=interpolation)
        f.case("nanQuantile", x, 0.3, 0, keepDims=True)
        f.case("nanQuantile", x, 0.35)
        f.case("nanQuantile", Fixed(torch.full([3, 2], math.nan, dtype=dtype)), 0.5, 1)
    for dtype in INTS:
        f.case("nanMedian", f.distinct(dtype, [3, 4]), 1)
    for dtype in [torch.float32, torch.int64]:
        x = f.uniform(dtype, [7, 3], -9, 9)
        for places in [3, 2, 9, [2, 5], [1, 1, 30], [-3, -1], [5, 2]]:
            f.case("tensorSplit", x, places)
        f.case("tensorSplit", x, 2, -1)
    for dtype in [torch.int32, torch.int64]:
        f.case("unravelIndex", torch.tensor([[0, 5, 23], [7, 12, 1]], dtype=dtype), [2, 3, 4])
        f.case("unravelIndex", torch.tensor(3, dtype=dtype), [5])
    for op in ["trapezoid", "cumulativeTrapezoid"]:  # places that broadcast
        f.case(op, f.uniform(torch.float32, [2, 3]), x=f.uniform(torch.float32, [1, 3]))
        f.case(op, f.uniform(torch.float32, [3, 2]), x=f.uniform(torch.float32, [3, 1]), axis=0)
    for dtype in FLOATS:
        for decimals in [2, 0, -1]:
            f.case("round", f.uniform(dtype, [3, 4], -60, 60), decimals=decimals)
        f.case("div", f.uniform(dtype, [3, 4], -40, 40), f.uniform(dtype, [4], 1, 5), rounding="trunc")
        f.case("div", Fixed(f.uniform(dtype, [3, 4], -40, 40)), Fixed(f.uniform(dtype, [4], -5, -1)), rounding="floor")
        for indexing in ["ij", "xy"]:
            f.case("meshgrid", [f.uniform(dtype, [3]), f.uniform(dtype, [2]), f.uniform(dtype, [4])], indexing=indexing)
            f.case("meshgrid", [f.uniform(dtype, [3])], indexing=indexing)
        for op in ["columnStack", "dstack"]:
            f.case(op, [f.uniform(dtype, [3]), f.uniform(dtype, [3])])
            f.case(op, [f.uniform(dtype, []), f.uniform(dtype, [])])
            f.case(op, [f.uniform(dtype, [2, 3]), f.uniform(dtype, [2, 3])])
        for op in ["atleast1d", "atleast2d", "atleast3d"]:
            for shape in [[], [3], [2, 3], [2, 3, 2]]:
                f.case(op, f.uniform(dtype, shape))
        weights = {"frequencyWeights": torch.tensor([1, 3, 0, 2, 1, 1]), "analyticWeights": f.uniform(dtype, [6], 0.5, 2)}
        for names in [["frequencyWeights"], ["analyticWeights"], ["frequencyWeights", "analyticWeights"]]:
            for correction in [0, 1]:
                f.case("cov", f.uniform(dtype, [3, 6]), correction=correction, **{name: weights[name] for name in names})
        f.case("cov", f.uniform(dtype, [6]), **weights)
        for reduction in ["prod", "mean", "amax", "amin"]:
            for include in [True, False]:
                index, source = torch.tensor([2, 0, 2]), f.distinct(dtype, [2, 3, 3])
                f.case("indexReduce", f.distinct(dtype, [2, 4, 3]) + 1 / 16, 1, index, source, reduction, includeSelf=include)
        f.case("embedding", f.uniform(dtype, [5, 3]), torch.tensor([[1, 4, 1], [1, 0, 4]]), scaleGradByFrequency=True)
        f.case("embedding", f.uniform(dtype, [5, 3]), torch.tensor([1, 4, 1, 4]), paddingIndex=4, scaleGradByFrequency=True)
    for dtype in INTS:
        for mode in ["trunc", "floor"]:
            x, y = f.uniform(dtype, [4, 4], -90, 90), f.uniform(dtype, [4], 1, 9)
            f.case("div", x, y if dtype == torch.uint8 else torch.where(y > 5, -y, y), rounding=mode)
    for right in [False, True]:
        lines = f.uniform(torch.float32, [2, 6], 0, 9)
        f.case("searchSorted", Fixed(lines), Fixed(f.uniform(torch.float32, [2, 4], 0, 9)), right=right, sorter=lines.argsort())
    return f
