"""Pointwise ops, with special values."""

import math

import torch

from recorder import FLOATS, INTS, Family, Fixed, run

UNARY = """abs neg sign exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc
erfinv lgamma digamma floor ceil round trunc frac isNaN isInf isFinite logicalNot nanToNum""".split()
ACTIVATIONS = """sigmoid logSigmoid softplus softsign hardsigmoid relu relu6 leakyRelu elu selu celu gelu silu mish hardswish hardtanh softshrink hardshrink
tanhshrink""".split()
BINARY = "add sub mul div floorDivide remainder fmod pow atan2 hypot maximum minimum".split()
COMPARE = "equalTo notEqual less lessEqual greater greaterEqual logicalAnd logicalOr logicalXor".split()
BITWISE = "bitwiseAnd bitwiseOr bitwiseXor leftShift rightShift".split()


def special(dtype):
    """±0, infinities, NaN, denormals, the ends of the range, huge arguments, and where functions bend or end."""
    info = torch.finfo(dtype)
    denormal = info.smallest_normal * info.eps
    magnitudes = [0, denormal, 37 * denormal, info.smallest_normal, info.eps, 1e-3, 0.25, 0.5, 1 - info.eps, 1, 1 + info.eps, math.pi / 2, 1.5, 2]
    magnitudes += [2.5, 3, math.pi, 4.75, 6, 10, 20.5, 30, 87.5, 88.5, 104, 700, 710, 1e4, 65504, 1e7, 1e10, 1e22, 3e38, 1e300, info.max, math.inf]
    x = torch.tensor(magnitudes, dtype=torch.float64).to(dtype)
    return torch.cat([x, -x, torch.tensor([math.nan], dtype=dtype)])


def pairs(dtype):
    """Every pair of some special values."""
    info = torch.finfo(dtype)
    x = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, info.smallest_normal * info.eps, 1, -1, 2, -2.5, 0.5, info.max], dtype=dtype)
    return x.repeat_interleave(len(x)), x.repeat(len(x))


def whole(dtype):
    """The ends of the range and what lies around 0."""
    if dtype == torch.bool:
        return torch.tensor([False, True])
    info = torch.iinfo(dtype)
    return torch.tensor([v for v in [info.min, info.min + 1, -100, -7, -3, -2, -1, 0, 1, 2, 3, 7, 100, info.max] if v >= info.min], dtype=dtype)


def whole_pairs(dtype, divisors=False):
    """Every pair of those; as divisors without 0 and without the quotient that overflows."""
    x = whole(dtype)
    a, b = x.repeat_interleave(len(x)), x.repeat(len(x))
    keep = (b != 0) & ~((a == x[0]) & (b == -1)) if divisors else a == a
    return a[keep], b[keep]


def usual(op, x):
    """The special values at which PyTorch's result is one to follow."""
    if op == "gelu":  # NaN or the limit at the infinities, depending on dtype and vector width
        return x[~x.isinf()]
    if op in ["sinh", "cosh", "square", "hardswish"]:  # an infinity where only a factor overflows
        return x[(x.abs() != 710) & (x.abs() != torch.finfo(x.dtype).max)]
    if op in ["digamma", "lgamma"]:  # far off next to the poles, where the reflection formula cancels
        return x[~((x < -0.9) & ((x - x.round()).abs() < 1e-3))]
    return x


def both(f, op, *args, **options):
    """Forward at all elements; gradients where PyTorch's are numbers."""
    _, results, gradients, _ = run(op, args, options, False)
    keep = ~torch.stack([x.isnan() for x in [results[0], *gradients] if x is not None and x.shape == results[0].shape]).any(0)
    if not keep.all() or not results[0].requires_grad:
        f.case(op, *(Fixed(x) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in args), **options)
    if results[0].requires_grad:
        f.case(op, *(x[keep] if isinstance(x, torch.Tensor) and x.dim() > 0 else x for x in args), **options)


def cases():
    f = Family("pointwise")
    for dtype in FLOATS:
        for op in UNARY + ACTIVATIONS:
            both(f, op, usual(op, special(dtype)))
            f.case(op, f.uniform(dtype, [3, 4]))
            f.case(op, f.uniform(dtype, [2, 1, 3], 0.05, 5))
        for x in [special(dtype), f.uniform(dtype, [7], -3, 3)]:
            both(f, "softplus", x, beta=2, threshold=3)
            both(f, "leakyRelu", x, 0.2)
            both(f, "elu", x, 0.5)
            both(f, "celu", x, 0.5)
            both(f, "gelu", usual("gelu", x), approximate="tanh")
            both(f, "clamp", x, -1, 2)
            both(f, "clamp", x, 0.5)
            both(f, "clamp", x, None, 0.25)
            both(f, "hardtanh", x, -2, 0.5)
            both(f, "softshrink", x, 1.5)
            both(f, "hardshrink", x, 1.5)
            both(f, "threshold", x, 0.5, -3)
            both(f, "nanToNum", x, nan=1.5, posInf=4.0, negInf=-3.0)
        for order in [1, 2, 3]:
            f.case("polygamma", f.uniform(dtype, [6], 0.3, 6), order)
        for axis in [0, -1]:
            f.case("glu", f.uniform(dtype, [4, 6], -3, 3), axis)
        f.case("prelu", f.uniform(dtype, [2, 3, 2]), f.uniform(dtype, [3]))
        both(f, "prelu", special(dtype), f.uniform(dtype, []))
        a, b = pairs(dtype)
        for op in BINARY + COMPARE:
            normal = torch.ones_like(a, dtype=torch.bool)
            if op in ["fmod", "remainder"]:  # NaN where the quotient overflows, in vectors
                normal = ~((a / b).isinf() & a.isfinite() & (b != 0))
            if op == "hypot":  # its gradient has lost most digits among denormals
                normal = (a.abs() != special(dtype)[1]) & (b.abs() != special(dtype)[1])
            both(f, op, a[normal], b[normal])
            f.case(op, f.uniform(dtype, [2, 3]), f.uniform(dtype, [2, 3], 0.2, 3))
            f.case(op, f.uniform(dtype, [3, 1, 2], 0.2, 3), f.uniform(dtype, [4, 1]))
            f.case(op, f.uniform(dtype, [2, 2]), f.uniform(dtype, []))
            f.case(op, f.uniform(dtype, [5], 0.2, 3), 1.5)
        for op in ["sub", "div", "pow", "remainder"]:
            f.case(op, 1.5, f.uniform(dtype, [5], 0.2, 3))
        for exponent in [0, 1, 2, 3, 0.5, -0.5, -1, -2, 2.5]:
            # PyTorch takes roots in some dtypes and powers in others, which differ at -0 and -inf.
            x = special(dtype)
            both(f, "pow", x[(x != -math.inf) & ((x != 0) | ~x.signbit())] if abs(exponent) == 0.5 else x, exponent)
        for weight in [0.25, 0.75]:
            both(f, "lerp", a, b, weight)
        f.case("lerp", f.uniform(dtype, [2, 3]), f.uniform(dtype, [3]), f.uniform(dtype, [2, 1], 0, 1))
        f.case("addcmul", f.uniform(dtype, [2, 3]), f.uniform(dtype, [3]), f.uniform(dtype, [2, 1]), value=0.5)
        f.case("addcdiv", f.uniform(dtype, [2, 3]), f.uniform(dtype, [3]), f.uniform(dtype, [2, 1], 0.5, 2), value=-2)
        f.case("isClose", a, b)
        f.case("isClose", a, b, equalNaN=True, rtol=0.1, atol=0.01)
        both(f, "where", a > 0, a, b)
        f.case("where", f.uniform(torch.bool, [3, 1]), f.uniform(dtype, [4]), 2.5)
    for dtype in INTS + [torch.bool]:
        x = whole(dtype)
        for op in UNARY + ACTIVATIONS:
            if dtype == torch.bool and op in ["sign", "square"]:  # not arithmetic on truth values in hadal
                continue
            # |x| + 1 wraps around at the ends in PyTorch.
            f.attempt(op, x[2:-1] if op == "softsign" else x)
        f.attempt("bitwiseNot", x)
        if dtype != torch.bool:
            f.attempt("clamp", x, 1, 5)
        a, b = whole_pairs(dtype)
        for op in BINARY:
            f.attempt(op, *whole_pairs(dtype, divisors=op in ["floorDivide", "remainder", "fmod"]))
        for op in COMPARE + BITWISE[:3]:
            f.attempt(op, a, b)
        for op in BITWISE[3:]:
            f.attempt(op, a[(b >= 0) & (b < 8)], b[(b >= 0) & (b < 8)])
        f.case("where", a > b, a, b)
    return f
