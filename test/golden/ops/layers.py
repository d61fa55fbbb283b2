"""Layers from the same state, in training and in evaluation mode: `nn.<Layer>` takes the arguments of the constructor, the state, the inputs, and
whether it trains. Attention and Transformers are in test/nn."""

import torch

import torch_ops
from recorder import Family, Fixed


def cases():
    f = Family("layers")
    torch.manual_seed(0)

    def draw(*shape, low=-2.0, high=2.0):
        return f.uniform(torch.float32, list(shape), low, high)

    def layer(name, arguments, *inputs, modes=(True, False)):
        module = torch_ops.build(name, [a.tensor if isinstance(a, Fixed) else a for a in arguments])
        state = dict(module.state_dict())
        learned = {key for key, _ in module.named_parameters()}
        for key, x in state.items():
            if x.dim() == 1 and (key in learned or "running" in key):  # biases, norms and statistics start at constants
                x = draw(*x.shape, low=0.5, high=2) if key.endswith("var") else draw(*x.shape, low=-1, high=1)
            state[key] = x if key in learned or not x.is_floating_point() else Fixed(x)
        for train in modes:
            f.case(f"nn.{name}", arguments, state, list(inputs), train)

    image, volume, signal = draw(1, 4, 4, 5), draw(1, 4, 3, 3, 4), draw(2, 4, 7)
    for name in """ReLU LeakyReLU ELU GELU SiLU Mish Sigmoid Tanh Softplus Softmax LogSoftmax ReLU6 SELU Softsign LogSigmoid Hardsigmoid Hardswish Tanhshrink CELU
    Softshrink Hardshrink GLU Hardtanh Softmin Identity Flatten""".split():
        layer(name, [-1] if name in ["Softmax", "LogSoftmax", "Softmin"] else [], 3 * draw(2, 3, 4), modes=[True])
    layer("LeakyReLU", [0.3], signal, modes=[True])
    layer("GELU", [{"approximate": "tanh"}], signal, modes=[True])
    layer("Softplus", [{"beta": 2, "threshold": 1}], signal, modes=[True])
    layer("Softmax", [1], signal, modes=[True])
    layer("Softmax2d", [], image, modes=[True])
    layer("GLU", [1], signal, modes=[True])
    layer("Hardtanh", [-0.5, 1.5], signal, modes=[True])
    layer("Threshold", [0.5, -1], signal, modes=[True])
    layer("PReLU", [], signal)
    layer("PReLU", [4, 0.1], signal)
    layer("Flatten", [0, 1], signal, modes=[True])
    layer("Unflatten", [1, [2, 2]], signal, modes=[True])
    for n, x in [(1, signal), (2, image), (3, volume)]:
        layer(f"Conv{n}d", [4, 3, 3 if n < 3 else 2], x)
        layer(f"Conv{n}d", [4, 6, 2, {"stride": 2, "padding": 1, "dilation": 1, "groups": 2, "bias": False}], x)
        layer(f"Conv{n}d", [4, 2, 3, {"padding": "same"}], x)
        for mode in ["reflect", "replicate", "circular"]:
            layer(f"Conv{n}d", [4, 2, 2, {"padding": 1, "paddingMode": mode}], x, modes=[True])
        layer(f"ConvTranspose{n}d", [4, 2, 2, {"stride": 2, "padding": 1, "outputPadding": 1}], x)
        layer(f"ConvTranspose{n}d", [4, 4, 2, {"groups": 2, "bias": False}], x)
        layer(f"MaxPool{n}d", [2], x, modes=[True])
        layer(f"MaxPool{n}d", [2, {"stride": 1, "padding": 1, "ceilMode": True}], x, modes=[True])
        layer(f"AvgPool{n}d", [2, {"padding": 1, "countIncludePad": False}], x, modes=[True])
        layer(f"LPPool{n}d", [2, 2], x, modes=[True])
        layer(f"AdaptiveAvgPool{n}d", [2], x, modes=[True])
        layer(f"AdaptiveMaxPool{n}d", [2], x, modes=[True])
        layer(f"BatchNorm{n}d", [4], x)
        layer(f"BatchNorm{n}d", [4, {"epsilon": 1e-3, "momentum": 0.3, "affine": False}], x)
        layer(f"InstanceNorm{n}d", [4], x)
        layer(f"InstanceNorm{n}d", [4, {"affine": True, "trackRunningStats": True, "momentum": 0.2}], x)
        padding = [1, 2, 0, 1, 1, 0][: 2 * n]
        layer(f"ConstantPad{n}d", [padding, 1.5], x, modes=[True])
        layer(f"ZeroPad{n}d", [1], x, modes=[True])
        for kind in ["Reflection", "Replication", "Circular"]:
            layer(f"{kind}Pad{n}d", [padding], x, modes=[True])
        layer(f"Dropout{n}d", [0.4], x, modes=[False])
    for name in ["Dropout", "AlphaDropout", "FeatureAlphaDropout"]:
        layer(name, [0.4], signal, modes=[False])
    layer("BatchNorm1d", [4], draw(5, 4))
    layer("LayerNorm", [7], signal)
    layer("LayerNorm", [[4, 7], {"epsilon": 1e-2, "bias": False}], signal)
    layer("LayerNorm", [7, {"affine": False}], signal)
    layer("RMSNorm", [7, {"epsilon": 1e-5}], signal)
    layer("RMSNorm", [[4, 7], {"epsilon": 1e-2, "affine": False}], signal)
    layer("GroupNorm", [2, 4], image)
    layer("GroupNorm", [4, 4, {"affine": False, "epsilon": 1e-3}], signal)
    layer("LocalResponseNorm", [3, {"alpha": 0.1, "k": 2}], image, modes=[True])
    layer("Linear", [7, 3], signal)
    layer("Linear", [7, 3, {"bias": False}], signal)
    layer("Bilinear", [3, 4, 2], draw(5, 3), draw(5, 4))
    layer("Bilinear", [3, 4, 2, {"bias": False}], draw(5, 3), draw(5, 4))
    layer("Embedding", [5, 3], f.index([2, 4], 5))
    layer("Embedding", [5, 3, {"paddingIndex": 1}], f.index([2, 4], 5))
    for mode in ["sum", "mean", "max"]:
        layer("EmbeddingBag", [5, 3, {"mode": mode}], f.index([2, 4], 5))
        layer("EmbeddingBag", [5, 3, {"mode": mode, "paddingIndex": 2}], f.index([6], 5), torch.tensor([0, 2, 5]))
    layer("CosineSimilarity", [{"axis": 1}], draw(3, 4), draw(3, 4), modes=[True])
    layer("PairwiseDistance", [{"p": 1, "keepDims": True}], draw(3, 4), draw(3, 4), modes=[True])
    layer("Upsample", [{"scaleFactor": 2}], image, modes=[True])
    layer("Upsample", [{"size": [3, 7], "mode": "bilinear", "alignCorners": True}], image, modes=[True])
    layer("PixelShuffle", [2], image, modes=[True])
    layer("PixelUnshuffle", [2], draw(1, 2, 4, 6), modes=[True])
    layer("Unfold", [[2, 3], {"padding": 1}], image, modes=[True])
    layer("Fold", [[4, 5], [2, 3]], draw(2, 12, 9), modes=[True])
    for name in ["RNN", "GRU", "LSTM"]:
        layer(name, [7, 3], signal)
        layer(name, [7, 3, {"layers": 2, "bidirectional": True, "batchFirst": True}], signal)
        layer(name, [7, 3, {"bias": False}], signal)
        more = [draw(2, 3)] if name == "LSTM" else []
        layer(f"{name}Cell", [4, 3], draw(2, 4), draw(2, 3), *more)
        layer(f"{name}Cell", [4, 3, {"bias": False}], draw(2, 4), draw(2, 3), *more)
    layer("RNN", [7, 3, {"nonlinearity": "relu"}], signal)
    layer("LSTM", [7, 4, {"projection": 2}], signal)

    x, y, weight = draw(3, 4), draw(3, 4), Fixed(draw(4, low=0.2))
    target, sign = Fixed(y), Fixed(torch.tensor([1.0, -1, 1]).unsqueeze(1).expand(3, 4).contiguous())
    unit, counts = Fixed(draw(3, 4, low=0, high=1)), Fixed(draw(3, 4, low=0, high=5).round())
    kinds, log = torch.tensor([2, 0, 1]), torch.log_softmax(x, 1)
    for options in [{}, {"reduction": "sum"}, {"reduction": "none"}]:
        def loss(name, *inputs, **more):
            layer(name, [{**options, **more}], *inputs, modes=[True])

        loss("L1Loss", x, target)
        loss("MSELoss", x, target)
        loss("SmoothL1Loss", x, target, beta=0.5)
        loss("HuberLoss", x, target, delta=0.5)
        loss("CrossEntropyLoss", x, kinds, labelSmoothing=0.1)
        loss("CrossEntropyLoss", x, kinds, weight=weight, ignoreIndex=0)
        loss("NLLLoss", log, kinds, weight=weight)
        loss("BCELoss", draw(3, 4, low=0.05, high=0.95), unit)
        loss("BCEWithLogitsLoss", x, unit, posWeight=weight)
        loss("KLDivLoss", log, Fixed(torch.softmax(y, 1)))
        loss("PoissonNLLLoss", x, counts, full=True)
        loss("GaussianNLLLoss", x, target, draw(3, 4, low=0.2), full=True)
        loss("SoftMarginLoss", x, sign)
        loss("HingeEmbeddingLoss", x, sign, margin=0.7)
        loss("MultiLabelMarginLoss", x, torch.tensor([[3, 0, -1, 1], [1, -1, 0, 2], [0, 1, 2, 3]]))
        loss("MultiLabelSoftMarginLoss", x, unit, weight=weight)
        loss("MultiMarginLoss", x, kinds, p=2)
        loss("CosineEmbeddingLoss", x, y, Fixed(sign.tensor[:, 0].contiguous()), margin=-0.5)
        loss("MarginRankingLoss", x, y, sign, margin=0.3)
        loss("TripletMarginLoss", x, y, draw(3, 4), swap=True)
    return f
