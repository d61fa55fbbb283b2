"""Convolution, pooling, resampling, normalisation, attention, recurrence, embeddings and distances."""

import torch

from recorder import FLOATS, Family, Fixed


def convolution():
    f = Family("convolution")
    for dtype in FLOATS:
        options = [
            {},
            {"padding": "same"},
            {"padding": "same", "dilation": 2},
            {"padding": "valid"},
            {"stride": 2, "padding": 1},
            {"dilation": 2, "padding": 2},
            {"groups": 2},
            {"groups": 4},
            {"stride": 2, "padding": 2, "dilation": 2, "groups": 2},
        ]
        for n, space in [(1, [9]), (2, [5, 6]), (3, [3, 3, 4])]:
            op = f"conv{n}d"
            for o in options:
                groups = o.get("groups", 1)
                size = 2 if n == 3 else 3
                channels, outputs = (4, 4) if groups > 1 else (2, 3)
                weight = f.uniform(dtype, [outputs, channels // groups, *[size] * n], -0.5, 0.5)
                bias = f.uniform(dtype, [outputs], -0.5, 0.5) if o.get("stride") != 2 else None
                batch = [] if o == {"groups": 2} else [2] if n == 1 else [1]
                f.case(op, f.uniform(dtype, [*batch, channels, *space], -1, 1), weight, bias, **o)
            transposed = [
                {},
                {"stride": 2, "padding": 1},
                {"stride": 2, "outputPadding": 1},
                {"dilation": 2, "padding": 1},
                {"groups": 2, "stride": 3, "outputPadding": 2, "padding": 1},
            ]
            for o in transposed:
                groups = o.get("groups", 1)
                weight = f.uniform(dtype, [4, 4 // groups, *[2 if n == 3 else 3] * n], -0.5, 0.5)
                bias = f.uniform(dtype, [4], -0.5, 0.5) if "stride" in o else None
                f.case(f"convTranspose{n}d", f.uniform(dtype, [1, 4, *[2 if n == 3 else 3] * n], -1, 1), weight, bias, **o)
        f.case("conv2d", f.uniform(dtype, [1, 2, 6, 7], -1, 1), f.uniform(dtype, [3, 2, 2, 3], -0.5, 0.5), None, stride=[2, 1], padding=[1, 0], dilation=[1, 2])
        f.case("conv2d", f.uniform(dtype, [1, 2, 5, 6], -1, 1), f.uniform(dtype, [3, 2, 4, 3], -0.5, 0.5), None, padding="same")
        f.case("conv2d", f.uniform(dtype, [2, 3, 4, 4], -1, 1), f.uniform(dtype, [5, 3, 1, 1], -0.5, 0.5), f.uniform(dtype, [5]))
        f.case("conv2d", f.uniform(dtype, [0, 3, 4, 4], -1, 1), f.uniform(dtype, [5, 3, 2, 2], -0.5, 0.5))
        f.case(
            "convTranspose2d", f.uniform(dtype, [2, 2, 3, 2], -1, 1), f.uniform(dtype, [2, 3, 2, 3], -0.5, 0.5), f.uniform(dtype, [3]),
            stride=[2, 1], padding=[0, 1], outputPadding=[1, 0],
        )
        for o in [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": [1, 2]}]:
            f.case("unfold", f.uniform(dtype, [2, 2, 5, 6]), [2, 3], **o)
        f.case("fold", f.uniform(dtype, [2, 12, 9]), [4, 5], [2, 3])
        f.case("fold", f.uniform(dtype, [2, 8, 9]), [5, 5], 2, stride=2, padding=1)
        f.case("fold", f.uniform(dtype, [8, 4]), [4, 4], 2, dilation=2)
    return f


def pooling():
    f = Family("pooling")
    for dtype in FLOATS:
        for n, space in [(1, [9]), (2, [5, 6]), (3, [3, 4, 3])]:
            shape = [1, 2, *space]
            for o in [{}, {"stride": 1}, {"stride": 2, "padding": 1}, {"stride": 2, "padding": 1, "ceilMode": True}, {"stride": 2, "dilation": 2, "padding": 1}]:
                size = 3 if n < 3 and "dilation" not in o else 2
                f.case(f"maxPool{n}dWithIndices", f.distinct(dtype, shape), size, **o)
                if "padding" not in o:
                    f.case(f"maxPool{n}d", f.distinct(dtype, shape), size, **o)
            for o in [
                {}, {"stride": 1}, {"stride": 2, "padding": 1}, {"stride": 2, "padding": 1, "ceilMode": True},
                {"stride": 2, "padding": 1, "ceilMode": True, "countIncludePad": False}, {"padding": 1, "countIncludePad": False},
            ]:
                f.case(f"avgPool{n}d", f.uniform(dtype, shape), 3 if n < 3 else 2, **o)
            if n > 1:
                f.case(f"avgPool{n}d", f.uniform(dtype, shape), 2, divisorOverride=3)
            for p in [1, 2, 3]:
                f.case(f"lpPool{n}d", f.uniform(dtype, shape, 0.2, 2), p, 2)
                f.case(f"lpPool{n}d", f.uniform(dtype, shape, 0.2, 2), p, 3 if n < 3 else 2, stride=2, ceilMode=True)
            for target in [1, 2, 3, space]:
                f.case(f"adaptiveAvgPool{n}d", f.uniform(dtype, shape), target)
                f.case(f"adaptiveMaxPool{n}d", f.distinct(dtype, shape), target)
                f.case(f"adaptiveMaxPool{n}dWithIndices", f.distinct(dtype, shape), target)
            f.case(f"maxPool{n}d", f.distinct(dtype, shape[1:]), 2)
            f.case(f"avgPool{n}d", f.uniform(dtype, shape[1:]), 2)
        f.case("maxPool2d", f.distinct(dtype, [1, 2, 6, 7]), [2, 3], stride=[1, 2], padding=[1, 0])
        f.case("avgPool2d", f.uniform(dtype, [1, 2, 6, 7]), [3, 2], stride=[1, 2], padding=[1, 0])
        f.case("adaptiveAvgPool2d", f.uniform(dtype, [1, 2, 6, 7]), [4, 3])
        f.case("maxPool2d", Fixed(torch.tensor([[[1, float("nan"), 2, -float("inf")], [3, 4, -float("inf"), -float("inf")]]], dtype=dtype)), 2)
        for n, sizes in [(1, ([5], [8], [3])), (2, ([4, 5], [7, 3], [2, 9])), (3, ([3, 2, 4], [4, 3, 2], [2, 3, 5]))]:
            x = f.uniform(dtype, [1, 2, *sizes[0]])
            linear = ["linear", "bilinear", "trilinear"][n - 1]
            for target in sizes[1:]:
                for mode in ["nearest", "area", linear] + (["bicubic"] if n == 2 else []):
                    f.case("interpolate", x, size=target, mode=mode)
                    if mode not in ["nearest", "area"]:
                        f.case("interpolate", x, size=target, mode=mode, alignCorners=True)
            for factor in [2, 1.5, 0.6]:
                for mode in ["nearest", linear] + (["bicubic"] if n == 2 else []):
                    f.case("interpolate", x, scaleFactor=factor, mode=mode)
            f.case("interpolate", x[(..., *[slice(2)] * n)], scaleFactor=1.3, mode=linear)
        for mode in ["bilinear", "bicubic"]:
            x = f.uniform(dtype, [1, 2, 13, 5])
            f.case("interpolate", x, size=[4, 7], mode=mode, antialias=True)
            f.case("interpolate", x, size=[15, 2], mode=mode, antialias=True)
            f.case("interpolate", x, scaleFactor=[0.37, 0.8], mode=mode, antialias=True)
    f.case("avgPool2d", f.uniform(torch.float32, [2, 5, 5]), [3], stride=[2], padding=[1])
    return f


def normalization():
    f = Family("normalization")
    for dtype in FLOATS:
        for axis in [0, 1, -1]:
            for op in ["softmax", "logSoftmax"]:
                f.case(op, f.uniform(dtype, [2, 3, 5], -4, 4), axis)
        huge = torch.tensor([[1e4, 1e4 - 1, 0], [-float("inf"), 0, 1], [-6e4, -6e4, -6e4]], dtype=dtype)
        for op in ["softmax", "logSoftmax"]:
            f.case(op, Fixed(huge), 1)
        for shape in [[6, 3], [4, 3, 5], [2, 3, 2, 4]]:
            def draw(low, high):
                return f.uniform(dtype, [3], low, high)

            x = f.uniform(dtype, shape)
            f.case("batchNorm", x, Fixed(draw(-1, 1)), Fixed(draw(0.5, 2)), draw(-1, 1), draw(-1, 1), training=True)
            f.case("batchNorm", x, Fixed(draw(-1, 1)), Fixed(draw(0.5, 2)), None, None, training=True, momentum=0.3, epsilon=1e-2)
            f.case("batchNorm", x, Fixed(draw(-1, 1)), Fixed(draw(0.5, 2)), draw(-1, 1), draw(-1, 1), training=False)
            if len(shape) > 2:
                f.case("instanceNorm", x, None, None, draw(-1, 1), draw(-1, 1))
                f.case("instanceNorm", x, Fixed(draw(-1, 1)), Fixed(draw(0.5, 2)), None, None, momentum=0.2)
                f.case("instanceNorm", x, Fixed(draw(-1, 1)), Fixed(draw(0.5, 2)), draw(-1, 1), None, useInputStatistics=False)
        for end in [[4], [3, 4]]:
            x = f.uniform(dtype, [2, 3, 4])
            f.case("layerNorm", x, end)
            f.case("layerNorm", x, end, f.uniform(dtype, end), f.uniform(dtype, end))
            f.case("layerNorm", x, end, f.uniform(dtype, end), None, epsilon=1e-2)
            f.case("rmsNorm", x, end, None, epsilon=1e-5)
            f.case("rmsNorm", x, end, f.uniform(dtype, end), epsilon=1e-2)
        for groups in [1, 2, 6]:
            f.case("groupNorm", f.uniform(dtype, [2, 6, 3]), groups, f.uniform(dtype, [6]), f.uniform(dtype, [6]))
            f.case("groupNorm", f.uniform(dtype, [2, 6, 2, 2]), groups)
        for o in [{}, {"alpha": 0.5, "beta": 0.6, "k": 2}]:
            f.case("localResponseNorm", f.uniform(dtype, [2, 5, 4]), 3, **o)
            f.case("localResponseNorm", f.uniform(dtype, [1, 4, 2, 3]), 2, **o)
        for p in [1, 2, 3]:
            f.case("normalize", f.uniform(dtype, [3, 4], 0.1, 2), p=p)
            f.case("normalize", f.uniform(dtype, [3, 4], 0.1, 2), p=p, axis=0, epsilon=3)
        for axis in [0, 1, -1]:
            f.case("cosineSimilarity", f.uniform(dtype, [3, 4]), f.uniform(dtype, [3, 4]), axis=axis)
        for p in [1, 2, 3]:
            f.case("pairwiseDistance", f.uniform(dtype, [3, 4]), f.uniform(dtype, [3, 4]), p=p)
            f.case("pairwiseDistance", f.uniform(dtype, [3, 4]), f.uniform(dtype, [4]), p=p, keepDims=True)
        for p in [0, 1, 2, 3, 1.5, float("inf")]:
            for a, b in [([2, 3, 4], [2, 5, 4]), ([3, 2], [2, 2])]:
                x, y = f.uniform(dtype, a), f.uniform(dtype, b)
                f.case("cdist", *([Fixed(x), Fixed(y)] if p == 0 else [x, y]), p=p)  # a count has no gradient in hadal
        f.case("bilinear", f.uniform(dtype, [2, 3]), f.uniform(dtype, [2, 4]), f.uniform(dtype, [5, 3, 4]), f.uniform(dtype, [5]))
        f.case("linear", f.uniform(dtype, [2, 3, 4]), f.uniform(dtype, [5, 4]), f.uniform(dtype, [5]))
        f.case("linear", f.uniform(dtype, [4]), f.uniform(dtype, [5, 4]))
    return f


def attention():
    f = Family("attention")
    for dtype in FLOATS:
        def heads(h, t, d):
            return f.uniform(dtype, [2, h, t, d])

        q, k, v = heads(2, 3, 4), heads(2, 5, 4), heads(2, 5, 3)
        f.case("scaledDotProductAttention", q, k, v)
        f.case("scaledDotProductAttention", q, k, v, scale=0.3)
        f.case("scaledDotProductAttention", heads(2, 4, 4), heads(2, 4, 4), heads(2, 4, 4), causal=True)
        f.case("scaledDotProductAttention", q, k, v, causal=True)
        seen = f.uniform(torch.bool, [2, 1, 3, 5])
        seen[..., 0] = True
        f.case("scaledDotProductAttention", q, k, v, mask=seen)
        f.case("scaledDotProductAttention", q, k, v, mask=seen[0, 0])
        f.case("scaledDotProductAttention", q, k, v, mask=Fixed(f.uniform(dtype, [3, 5])))
        f.case("scaledDotProductAttention", q, k, v, mask=Fixed(torch.where(seen, 0, -float("inf")).to(dtype)))
        f.case("scaledDotProductAttention", q, k, v, mask=f.uniform(dtype, [2, 2, 3, 5]))
        f.case("scaledDotProductAttention", heads(4, 3, 4), k, v)
        f.case("scaledDotProductAttention", heads(4, 5, 4), k, v, causal=True)
        one = heads(1, 1, 8)
        f.case("scaledDotProductAttention", one, one, one)
        table, index = f.distinct(dtype, [6, 3]), torch.tensor([1, 4, 2, 2, 5, 0, 4])
        for mode in ["sum", "mean", "max"]:
            f.case("embeddingBag", table, f.index([3, 4], 6), mode=mode)
            f.case("embeddingBag", table, index, mode=mode, offsets=torch.tensor([0, 2, 2, 5]))
            f.case("embeddingBag", table, index, mode=mode, offsets=torch.tensor([0, 3]), paddingIndex=4)
        f.case("embeddingBag", f.uniform(dtype, [6, 3], -1, 1), index, mode="sum", offsets=torch.tensor([0, 2, 5]), perSampleWeights=f.uniform(dtype, [7]))
    return f


def recurrence():
    f = Family("recurrence")
    gates = {"rnn": 1, "gru": 3, "lstm": 4}
    for dtype in FLOATS:
        for op, count in gates.items():

            def weights(size, hidden, bias=True, projected=None):
                state = projected or hidden
                layer = {"weightIh": [count * hidden, size], "weightHh": [count * hidden, state]}
                if bias:
                    layer.update(biasIh=[count * hidden], biasHh=[count * hidden])
                if projected:
                    layer["weightHr"] = [projected, hidden]
                return {name: f.uniform(dtype, shape, -0.6, 0.6) for name, shape in layer.items()}

            x = f.uniform(dtype, [4, 2, 3])
            f.case(op, x, [weights(3, 2)])
            f.case(op, x, [weights(3, 2, bias=False)])
            f.case(op, x, [weights(3, 2), weights(2, 2)], batchFirst=True)
            f.case(op, x, [weights(3, 2), weights(3, 2), weights(4, 2), weights(4, 2)], bidirectional=True)
            first = {"hidden": f.uniform(dtype, [1, 2, 2])} | ({"cell": f.uniform(dtype, [1, 2, 2])} if op == "lstm" else {})
            f.case(op, x, [weights(3, 2)], **first)
            f.case(op, f.uniform(dtype, [4, 3, 3]), [weights(3, 2)], lengths=torch.tensor([4, 1, 3]))
            f.case(op, f.uniform(dtype, [3, 4, 3]), [weights(3, 2), weights(3, 2)], bidirectional=True, batchFirst=True, lengths=torch.tensor([2, 4, 3]))
            if op == "rnn":
                f.case(op, x, [weights(3, 2), weights(2, 2)], nonlinearity="relu")
            if op == "lstm":
                f.case(op, x, [weights(3, 4, projected=2), weights(2, 4, projected=2)])
            state = f.uniform(dtype, [2, 2])
            cell = [f.uniform(dtype, [2, 2])] if op == "lstm" else []
            f.case(f"{op}Cell", f.uniform(dtype, [2, 3]), state, *cell, weights(3, 2))
            if op == "rnn":
                f.case("rnnCell", f.uniform(dtype, [2, 3]), state, weights(3, 2, bias=False), nonlinearity="relu")
    return f
