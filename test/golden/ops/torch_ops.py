"""What each op of hadal is in PyTorch: functions that take hadal's arguments, options as keywords, and give its results. An op without an entry has the same
name, in snake case, and the same arguments there."""

import re

import torch
import torch.nn.functional as F

import boxes

OPS = {}


def call(op, args, options):
    if op.startswith("nn."):
        return layer(op[3:], *args)
    function = OPS.get(op)
    if function is None:
        function = getattr(torch, snake(op), None) or getattr(F, snake(op))
    return function(*args, **options)


def snake(name):
    return re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), name)


def define(**entries):
    OPS.update(entries)


# Pointwise.
define(
    isNaN=torch.isnan,
    isInf=torch.isinf,
    isFinite=torch.isfinite,
    logSigmoid=F.logsigmoid,
    softplus=lambda x, beta=1, threshold=20: F.softplus(x, beta, threshold),
    leakyRelu=lambda x, slope=0.01: F.leaky_relu(x, slope),
    elu=lambda x, alpha=1.0: F.elu(x, alpha),
    celu=lambda x, alpha=1.0: F.celu(x, alpha),
    gelu=lambda x, approximate="none": F.gelu(x, approximate=approximate),
    relu6=F.relu6,
    hardtanh=lambda x, low=-1.0, high=1.0: F.hardtanh(x, low, high),
    clamp=lambda x, low=None, high=None: torch.clamp(x, low, high),
    glu=lambda x, axis=-1: F.glu(x, axis),
    polygamma=lambda x, order: torch.polygamma(order, x),
    floorDivide=torch.no_grad()(torch.floor_divide),
    leftShift=torch.bitwise_left_shift,
    rightShift=torch.bitwise_right_shift,
    equalTo=torch.eq,
    notEqual=torch.ne,
    less=torch.lt,
    lessEqual=torch.le,
    greater=torch.gt,
    greaterEqual=torch.ge,
    nanToNum=lambda x, nan=0.0, posInf=None, negInf=None: torch.nan_to_num(x, nan, posInf, negInf),
    isClose=lambda a, b, rtol=1e-5, atol=1e-8, equalNaN=False: torch.isclose(a, b, rtol, atol, equalNaN),
)


def on_numbers(function):
    """The function where PyTorch wants tensors and hadal takes numbers, which do not widen a dtype either."""

    def f(*operands):
        return function(*(x if isinstance(x, torch.Tensor) else torch.tensor(x) for x in operands))

    return f


define(**{name: on_numbers(getattr(torch, snake(name))) for name in "atan2 hypot maximum minimum logicalAnd logicalOr logicalXor".split()})
define(
    sub=on_numbers(torch.sub),
    div=lambda a, b, rounding=None: on_numbers(lambda a, b: torch.div(a, b, rounding_mode=rounding))(a, b),
    remainder=on_numbers(torch.remainder),
    round=lambda x, decimals=0: torch.round(x, decimals=decimals),
)

define(
    **{name: getattr(torch.special, name) for name in "erfcx ndtri i0 i0e i1 i1e gammainc gammaincc zeta".split()},
    logNdtr=torch.special.log_ndtr,
    nextAfter=torch.nextafter,
)

# Reductions and sorting.


def axes_of(x, axes):
    return tuple(range(x.dim())) if axes is None else axes


def reduction(function):
    return lambda x, axes=None, keepDims=False: function(x, dim=axes_of(x, axes), keepdim=keepDims)


def product(x, axes=None, keepDims=False):
    x = x if x.is_floating_point() else x.long()
    for axis in sorted([a % x.dim() for a in ([axes] if isinstance(axes, int) else axes_of(x, axes))], reverse=True):
        x = torch.prod(x, axis, keepdim=keepDims)
    return x


def truth(function):
    return lambda x, axes=None, keepDims=False: function(x != 0, dim=axes_of(x, axes), keepdim=keepDims)


def spread(function):
    return lambda x, axes=None, correction=1, keepDims=False: function(x, dim=axes, correction=correction, keepdim=keepDims)


def histogram(x, bins, range=None, weights=None, density=False):
    return tuple(torch.histogram(x, bins, weight=weights, density=density, **({} if range is None else {"range": tuple(range)})))


def unique(x, axis=None, consecutive=False):
    if consecutive:
        found = torch.unique_consecutive(x, return_inverse=True, return_counts=True, dim=axis)
    else:
        found = torch.unique(x, return_inverse=True, return_counts=True, dim=axis)
    return dict(zip(["values", "inverse", "counts"], found))


define(
    sum=reduction(torch.sum),
    mean=reduction(torch.mean),
    prod=product,
    amax=reduction(torch.amax),
    amin=reduction(torch.amin),
    any=truth(torch.any),
    all=truth(torch.all),
    logSumExp=reduction(torch.logsumexp),
    countNonzero=lambda x, axes=None: torch.count_nonzero(x, axes_of(x, axes)),
    norm=lambda x, axes=None, p=2, keepDims=False: torch.linalg.vector_norm(x, p, axes, keepDims),
    variance=spread(torch.var),
    std=spread(torch.std),
    varMean=lambda *args, **options: tuple(spread(torch.var_mean)(*args, **options)),
    cumsum=lambda x, axis, reverse=False: x.flip(axis).cumsum(axis).flip(axis) if reverse else x.cumsum(axis),
    cummax=lambda x, axis: tuple(torch.cummax(x, axis)),
    cummin=lambda x, axis: tuple(torch.cummin(x, axis)),
    logCumSumExp=torch.logcumsumexp,
    argmax=lambda x, axis=None, keepDims=False: torch.argmax(x, axis, keepDims),
    argmin=lambda x, axis=None, keepDims=False: torch.argmin(x, axis, keepDims),
    sort=lambda x, axis=-1, descending=False: tuple(torch.sort(x, dim=axis, descending=descending, stable=True)),
    argsort=lambda x, axis=-1, descending=False: torch.argsort(x, dim=axis, descending=descending, stable=True),
    topk=lambda x, count, axis=-1, largest=True: tuple(torch.topk(x, count, axis, largest)),
    kthValue=lambda x, k, axis=-1, keepDims=False: tuple(torch.kthvalue(x, k, axis, keepDims)),
    median=lambda x, axis=None, keepDims=False: torch.median(x) if axis is None else torch.median(x, axis, keepDims).values,
    nanMedian=lambda x, axis=None, keepDims=False: torch.nanmedian(x) if axis is None else torch.nanmedian(x, axis, keepDims).values,
    nanQuantile=lambda x, q, axis=None, interpolation="linear", keepDims=False: torch.nanquantile(
        x, torch.tensor(q, dtype=x.dtype), axis, keepDims, interpolation=interpolation
    ),
    quantile=lambda x, q, axis=None, interpolation="linear", keepDims=False: torch.quantile(
        x, torch.tensor(q, dtype=x.dtype), axis, keepDims, interpolation=interpolation
    ),
    unique=unique,
    searchSorted=lambda sorted, x, right=False, sorter=None: torch.searchsorted(sorted, x, right=right, sorter=sorter),
    bucketize=lambda x, boundaries, right=False: torch.bucketize(x, boundaries, right=right),
    bincount=lambda x, weights=None, minLength=0: torch.bincount(x, weights, minLength),
    histogram=histogram,
)

# Movement and indexing.


def key(index):
    """An index of hadal as Python's."""

    def part(entry):
        if isinstance(entry, str) and entry != "...":
            return slice(*(int(word) if word else None for word in entry.split(":")))
        if isinstance(entry, dict):
            return slice(entry.get("start"), entry.get("stop"), entry.get("step"))
        return ... if entry == "..." else entry

    return tuple(torch.tensor(e) if isinstance(e, list) else e if isinstance(e, torch.Tensor) else part(e) for e in index)


def set_at(x, index, value, accumulate=False):
    x = x.clone()
    where = key(index)
    if accumulate:
        return x.index_put(where, value, accumulate=True)
    x[where] = value
    return x


def step_slice(x, axis, start=None, stop=None, step=None):
    return x[(slice(None),) * (axis % x.dim()) + (slice(start, stop, step),)]


def pad(x, padding, mode="constant", value=0):
    flat = [count for pair in reversed(padding) for count in pair]
    return F.pad(x, flat, mode, **({"value": value} if mode == "constant" else {}))


def scatter_nd(indices, updates, shape):
    return torch.zeros(shape, dtype=updates.dtype).index_put(tuple(indices.unbind(-1)), updates, accumulate=True)


def created(function):
    return lambda *args, dtype, **options: function(*args, dtype=getattr(torch, dtype), **options)


define(
    view=lambda x, shape: x.view(shape),
    squeeze=lambda x, axis=None: x.squeeze() if axis is None else x.squeeze(axis),
    transpose=lambda x, a=-2, b=-1: x.transpose(a, b),
    moveAxis=torch.movedim,
    expand=lambda x, shape: x.expand(shape),
    repeat=lambda x, repeats: x.repeat(repeats),
    repeatInterleave=lambda x, repeats, axis=None: torch.repeat_interleave(x, repeats, axis),
    slice=step_slice,
    flip=lambda x, axes=None: x.flip(axes_of(x, axes)),
    rot90=lambda x, times=1, axes=(0, 1): torch.rot90(x, times, axes),
    roll=lambda x, shifts, axes=None: torch.roll(x, shifts, axes),
    diagonal=lambda x, offset=0, axes=(-2, -1): torch.diagonal(x, offset, *axes),
    at=lambda x, *index: x[key(index)],
    setAt=set_at,
    pad=pad,
    scatterReduce=lambda x, axis, index, source, reduction, includeSelf=True: torch.scatter_reduce(
        x, axis, index, source, reduction, include_self=includeSelf
    ),
    indexReduce=lambda x, axis, index, source, reduction, includeSelf=True: x.index_reduce(
        axis, index, source, reduction, include_self=includeSelf
    ),
    takeAlongAxis=lambda x, index, axis=None: torch.take_along_dim(x, index, axis),
    gatherNd=lambda x, indices: x[tuple(indices.unbind(-1))],
    scatterNd=scatter_nd,
    embedding=lambda weight, index, paddingIndex=None, scaleGradByFrequency=False: F.embedding(
        index, weight, paddingIndex, scale_grad_by_freq=scaleGradByFrequency
    ),
    oneHot=lambda index, classes: F.one_hot(index.long(), classes).float(),
    meshgrid=lambda vectors, indexing="ij": torch.meshgrid(*vectors, indexing=indexing),
    **{f"atleast{n}d": getattr(torch, f"atleast_{n}d") for n in [1, 2, 3]},
    arange=created(torch.arange),
    linspace=created(torch.linspace),
    logspace=created(lambda start, end, count, base=10.0, **options: torch.logspace(start, end, count, base, **options)),
    eye=created(torch.eye),
)

# Networks.


def convolutional(function):
    return lambda x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1: function(x, weight, bias, stride, padding, dilation, groups)


def transposed(function):
    return lambda x, weight, bias=None, stride=1, padding=0, outputPadding=0, dilation=1, groups=1: function(
        x, weight, bias, stride, padding, outputPadding, groups, dilation
    )


def max_pool(function, indices):
    def f(x, size, stride=None, padding=0, dilation=1, ceilMode=False):
        found = function(x, size, stride, padding, dilation, ceilMode, return_indices=True)
        return tuple(found) if indices else found[0]

    return f


def average_pool(function):
    def f(x, size, stride=None, padding=0, ceilMode=False, countIncludePad=True, divisorOverride=None):
        extra = [] if divisorOverride is None else [divisorOverride]
        return function(x, size, size if stride is None else stride, padding, ceilMode, countIncludePad, *extra)

    return f


for n in ["1d", "2d", "3d"]:
    pool = getattr(F, f"max_pool{n}")
    adaptive = getattr(F, f"adaptive_max_pool{n}")
    define(
        **{
            f"conv{n}": convolutional(getattr(F, f"conv{n}")),
            f"convTranspose{n}": transposed(getattr(F, f"conv_transpose{n}")),
            f"maxPool{n}": max_pool(pool, False),
            f"maxPool{n}WithIndices": max_pool(pool, True),
            f"avgPool{n}": average_pool(getattr(F, f"avg_pool{n}")),
            f"lpPool{n}": lambda x, p, size, stride=None, ceilMode=False, f=getattr(F, f"lp_pool{n}"): f(x, float(p), size, stride, ceilMode),
            f"adaptiveAvgPool{n}": getattr(F, f"adaptive_avg_pool{n}"),
            f"adaptiveMaxPool{n}": adaptive,
            f"adaptiveMaxPool{n}WithIndices": lambda x, size, f=adaptive: tuple(f(x, size, return_indices=True)),
        }
    )


def interpolate(x, size=None, scaleFactor=None, mode="nearest", alignCorners=None, antialias=False):
    corners = {} if mode in ["nearest", "area"] else {"align_corners": bool(alignCorners)}
    return F.interpolate(x, size, scaleFactor, mode, antialias=antialias, **corners)


def attend(q, k, v, mask=None, causal=False, scale=None):
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1])


def embedding_bag(weight, index, offsets=None, mode="mean", perSampleWeights=None, paddingIndex=None):
    return F.embedding_bag(index, weight, offsets, mode=mode, per_sample_weights=perSampleWeights, padding_idx=paddingIndex)


def recurrent(kind):
    def f(x, layers, bidirectional=False, batchFirst=False, lengths=None, hidden=None, cell=None, nonlinearity="tanh"):
        directions = 2 if bidirectional else 1
        first = layers[0]
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
        units = first["weightIh"].shape[0] // gates
        projected = first["weightHr"].shape[0] if "weightHr" in first else 0
        options = {"nonlinearity": nonlinearity} if kind == "rnn" else {"proj_size": projected} if kind == "lstm" else {}
        module = getattr(torch.nn, kind.upper())(
            x.shape[-1], units, len(layers) // directions, bias="biasIh" in first, batch_first=batchFirst, bidirectional=bidirectional, dtype=x.dtype, **options
        )
        names = {"weightIh": "weight_ih", "weightHh": "weight_hh", "biasIh": "bias_ih", "biasHh": "bias_hh", "weightHr": "weight_hr"}
        parameters = {}
        for i, layer in enumerate(layers):
            suffix = f"_l{i // directions}" + ("_reverse" if i % directions == 1 else "")
            parameters.update({names[name] + suffix: value for name, value in layer.items()})
        state = [] if hidden is None else [hidden if cell is None else (hidden, cell)]
        if lengths is not None:
            steps = x.shape[1 if batchFirst else 0]
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batchFirst, enforce_sorted=False)
        output, last = torch.func.functional_call(module, parameters, (x, *state))
        if lengths is not None:
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batchFirst, total_length=steps)
        return {"output": output, "hidden": last[0], "cell": last[1]} if kind == "lstm" else {"output": output, "hidden": last}

    return f


def cell_of(kind):
    def f(x, h, *rest, nonlinearity="tanh"):
        *c, w = rest
        name = f"rnn_{nonlinearity}_cell" if kind == "rnn" else f"{kind}_cell"
        state = (h, *c) if c else h
        found = getattr(torch, name)(x, state, w["weightIh"], w["weightHh"], w.get("biasIh"), w.get("biasHh"))
        return tuple(found) if c else found

    return f


define(
    unfold=lambda x, size, stride=1, padding=0, dilation=1: F.unfold(x, size, dilation, padding, stride),
    fold=lambda x, output, size, stride=1, padding=0, dilation=1: F.fold(x, output, size, dilation, padding, stride),
    interpolate=interpolate,
    softmax=torch.softmax,
    logSoftmax=torch.log_softmax,
    batchNorm=lambda x, mean, var, weight=None, bias=None, training=False, momentum=0.1, epsilon=1e-5: F.batch_norm(
        x, mean, var, weight, bias, training, momentum, epsilon
    ),
    instanceNorm=lambda x, mean=None, var=None, weight=None, bias=None, useInputStatistics=True, momentum=0.1, epsilon=1e-5: F.instance_norm(
        x, mean, var, weight, bias, useInputStatistics, momentum, epsilon
    ),
    layerNorm=lambda x, shape, weight=None, bias=None, epsilon=1e-5: F.layer_norm(x, shape, weight, bias, epsilon),
    rmsNorm=lambda x, shape, weight=None, epsilon=None: F.rms_norm(x, shape, weight, epsilon),
    groupNorm=lambda x, groups, weight=None, bias=None, epsilon=1e-5: F.group_norm(x, groups, weight, bias, epsilon),
    localResponseNorm=lambda x, size, alpha=1e-4, beta=0.75, k=1.0: F.local_response_norm(x, size, alpha, beta, k),
    normalize=lambda x, p=2.0, axis=1, epsilon=1e-12: F.normalize(x, p, axis, epsilon),
    cosineSimilarity=lambda a, b, axis=1, epsilon=1e-8: F.cosine_similarity(a, b, axis, epsilon),
    pairwiseDistance=lambda a, b, p=2.0, epsilon=1e-6, keepDims=False: F.pairwise_distance(a, b, p, epsilon, keepDims),
    cdist=lambda a, b, p=2.0: torch.cdist(a, b, p, "donot_use_mm_for_euclid_dist"),
    bilinear=F.bilinear,
    linear=F.linear,
    scaledDotProductAttention=attend,
    embeddingBag=embedding_bag,
    **{kind: recurrent(kind) for kind in ["rnn", "gru", "lstm"]},
    **{f"{kind}Cell": cell_of(kind) for kind in ["rnn", "gru", "lstm"]},
)



def unpool(function):
    return lambda x, indices, size, stride=None, padding=0, outputSize=None: function(x, indices, size, stride, padding, outputSize)


def fractional(function, indices):
    return lambda x, kernel, samples, outputSize=None, outputRatio=None: function(x, kernel, outputSize, outputRatio, indices, _random_samples=samples)


def exactly(function):
    """Refuses 16-bit floats, which would be rounded after each step, so that float64 is compared with."""

    def f(first, /, *args, **options):
        if first.dtype in [torch.float16, torch.bfloat16]:
            raise NotImplementedError("not implemented for 16 bits")
        return function(first, *args, **options)

    return f


define(
    gridSample=exactly(lambda x, grid, mode="bilinear", padding="zeros", alignCorners=False: F.grid_sample(x, grid, mode, padding, alignCorners)),
    affineGrid=exactly(lambda theta, size, alignCorners=False: F.affine_grid(theta, size, alignCorners)),
    roiAlign=exactly(boxes.roi_align),
    boxIou=exactly(boxes.box_iou),
    nonMaxSuppressionSync=boxes.suppress,
    **{f"fractionalMaxPool{n}d{end}": fractional(getattr(F, f"fractional_max_pool{n}d"), end != "") for n in [2, 3] for end in ["", "WithIndices"]},
    **{f"maxUnpool{n}d": unpool(getattr(F, f"max_unpool{n}d")) for n in [1, 2, 3]},
)

# Linear algebra. Vectors that are determined but for their sign are compared by magnitude.


def svd(x, fullMatrices=True):
    u, s, v = torch.linalg.svd(x, fullMatrices)
    return u.abs(), s, v.abs()


def eigh(x):
    values, vectors = torch.linalg.eigh((x + x.mT) / 2)  # a gradient need not be symmetric
    return values, vectors.abs()


def eig(x):
    values, vectors = torch.linalg.eig(x)
    return torch.view_as_real(values), vectors.abs()


def read_triangle(x, upper):
    """What is read of a factor; PyTorch gives the rest a gradient too."""
    return x.triu() if upper else x.tril()


def cond(x, order=2):
    if not x.requires_grad or order in (2, -2, "nuc"):
        return torch.linalg.cond(x, order)
    return torch.linalg.matrix_norm(x, order) * torch.linalg.matrix_norm(torch.linalg.inv(x), order)  # PyTorch's own backward is an error


def solve_triangular(a, b, upper=False, transpose=False, left=True, unitriangular=False):
    return torch.linalg.solve_triangular(a.mT if transpose else a, b, upper=upper != transpose, left=left, unitriangular=unitriangular)


def least_squares(a, b):
    found = torch.linalg.lstsq(a, b, driver="gelsy" if a.requires_grad else "gelsd")
    return {"solution": found.solution}


define(
    tensordot=lambda a, b, axes=2: torch.tensordot(a, b, axes),
    cholesky=lambda x, upper=False: torch.linalg.cholesky(x, upper=upper),
    inv=torch.linalg.inv,
    det=torch.linalg.det,
    slogdet=lambda x: tuple(torch.linalg.slogdet(x)),
    solve=lambda a, b, left=True: torch.linalg.solve(a, b, left=left),
    lu=lambda x: tuple(torch.linalg.lu(x)),
    luFactor=lambda x: tuple(torch.linalg.lu_factor_ex(x))[:2],
    luSolve=lambda lu, pivots, b, left=True, transpose=False: torch.linalg.lu_solve(lu, pivots, b, left=left, adjoint=transpose),
    choleskySolve=lambda b, l, upper=False: torch.cholesky_solve(b, read_triangle(l, upper), upper=upper),
    choleskyInverse=lambda l, upper=False: torch.cholesky_inverse(read_triangle(l, upper), upper=upper),
    eig=eig,
    eigvals=lambda x: torch.view_as_real(torch.linalg.eigvals(x)),
    matrixNorm=lambda x, order="fro", axes=(-2, -1), keepDims=False: torch.linalg.matrix_norm(x, order, tuple(axes), keepDims),
    cond=cond,
    householderProduct=torch.linalg.householder_product,
    tensorinv=lambda x, axes=2: torch.linalg.tensorinv(x, axes),
    tensorsolve=lambda a, b, axes=None: torch.linalg.tensorsolve(a, b, axes),
    vecdot=lambda a, b, axis=-1: torch.linalg.vecdot(a, b, dim=axis),
    triangularSolve=solve_triangular,
    matrixPower=torch.linalg.matrix_power,
    eigh=eigh,
    eigvalsh=torch.linalg.eigvalsh,
    qr=lambda x, mode="reduced": tuple(part.abs() for part in torch.linalg.qr(x, mode)),
    svd=svd,
    svdvals=torch.linalg.svdvals,
    pinv=lambda x, tolerance=None: torch.linalg.pinv(x, rtol=tolerance),
    matrixRank=torch.linalg.matrix_rank,
    lstsq=least_squares,
)

# Losses.


def info_nce(query, positive, temperature=0.1, negatives=None, reduction="mean"):
    keys = positive if negatives is None else torch.cat([positive, negatives])
    scores = F.normalize(query, dim=-1) @ F.normalize(keys, dim=-1).T / temperature
    return F.cross_entropy(scores, torch.arange(len(query)), reduction=reduction)


define(
    crossEntropy=lambda x, target, weight=None, ignoreIndex=-100, labelSmoothing=0.0, reduction="mean": F.cross_entropy(
        x, target if target.is_floating_point() else target.long(), weight, ignore_index=ignoreIndex, label_smoothing=labelSmoothing, reduction=reduction
    ),
    nllLoss=lambda x, target, weight=None, ignoreIndex=-100, reduction="mean": F.nll_loss(
        x, target, weight, ignore_index=ignoreIndex, reduction=reduction
    ),
    mseLoss=F.mse_loss,
    l1Loss=F.l1_loss,
    smoothL1Loss=F.smooth_l1_loss,
    huberLoss=F.huber_loss,
    bceLoss=F.binary_cross_entropy,
    bceWithLogits=lambda x, target, weight=None, posWeight=None, reduction="mean": F.binary_cross_entropy_with_logits(
        x, target, weight, pos_weight=posWeight, reduction=reduction
    ),
    klDiv=lambda x, target, reduction="mean", logTarget=False: F.kl_div(x, target, reduction=reduction, log_target=logTarget),
    poissonNllLoss=lambda x, target, logInput=True, full=False, epsilon=1e-8, reduction="mean": F.poisson_nll_loss(
        x, target, logInput, full, eps=epsilon, reduction=reduction
    ),
    gaussianNllLoss=lambda x, target, variance, full=False, epsilon=1e-6, reduction="mean": F.gaussian_nll_loss(
        x, target, variance, full=full, eps=epsilon, reduction=reduction
    ),
    softMarginLoss=F.soft_margin_loss,
    hingeEmbeddingLoss=F.hinge_embedding_loss,
    marginRankingLoss=F.margin_ranking_loss,
    cosineEmbeddingLoss=F.cosine_embedding_loss,
    tripletMarginWithDistanceLoss=lambda a, b, c, **options: F.triplet_margin_with_distance_loss(a, b, c, **options),
    tripletMarginLoss=lambda a, b, c, p=2.0, epsilon=1e-6, **options: F.triplet_margin_loss(a, b, c, p=p, eps=epsilon, **options),
    multiLabelMarginLoss=F.multilabel_margin_loss,
    multiLabelSoftMarginLoss=F.multilabel_soft_margin_loss,
    multiMarginLoss=F.multi_margin_loss,
    ctcLoss=lambda x, targets, inputs, lengths, zeroInfinity=False, **options: F.ctc_loss(
        # Its gradient is right behind log_softmax only.
        torch.log_softmax(x, -1), targets, torch.tensor(inputs), torch.tensor(lengths), zero_infinity=zeroInfinity, **options
    ),
    infoNce=info_nce,
)

# Layers.
WORDS = {
    "epsilon": "eps", "paddingIndex": "padding_idx", "axis": "dim", "keepDims": "keepdim", "layers": "num_layers", "projection": "proj_size",
}  # fmt: skip


def build(name, arguments):
    """The module of that name from hadal's arguments, of which the last may be options."""
    *rest, last = arguments or [None]
    options = last if isinstance(last, dict) else {}
    given = {WORDS.get(key, snake(key)): getattr(value, "tensor", value) for key, value in options.items()}
    if name in ["LayerNorm", "RMSNorm"] and "affine" in given:
        given["elementwise_affine"] = given.pop("affine")
    return getattr(torch.nn, name)(*rest, *([] if isinstance(last, dict) or not arguments else [last]), **given)


def layer(name, arguments, state, inputs, train):
    module = build(name, arguments).train(train)
    if name == "LSTMCell":
        inputs = [inputs[0], tuple(inputs[1:])]
    found = torch.func.functional_call(module, state, tuple(inputs))
    if name in ["RNN", "GRU"]:
        return dict(zip(["output", "hidden"], found))
    if name == "AdaptiveLogSoftmaxWithLoss":
        return found._asdict()
    if name == "LSTM":
        return {"output": found[0], "hidden": found[1][0], "cell": found[1][1]}
    return found

# Dtypes, and segments.


def segments(reduction):
    def f(x, index, count):
        wide = index.unsqueeze(1).expand_as(x)
        return torch.zeros(count, x.shape[1], dtype=x.dtype).scatter_reduce(0, wide, x, reduction, include_self=False)

    return f


def segment_softmax(x, index, count):
    powers = x.exp()
    return powers / torch.zeros(count, x.shape[1], dtype=x.dtype).index_add(0, index, powers)[index]


define(
    cast=lambda x, dtype: x.to(getattr(torch, dtype)),
    zeros=created(torch.zeros),
    ones=created(torch.ones),
    full=created(torch.full),
    zerosLike=torch.zeros_like,
    onesLike=torch.ones_like,
    equalSync=torch.equal,
    allCloseSync=torch.allclose,
    segmentSum=segments("sum"),
    segmentMean=segments("mean"),
    segmentMax=segments("amax"),
    segmentSoftmax=segment_softmax,
    sumTo=lambda x, shape: x.sum_to_size(shape),
    cat=lambda tensors, axis=0: torch.cat(tensors, axis),
)

def triangle(function):
    return lambda rows, columns=None, offset=0: function(rows, rows if columns is None else columns, offset)


define(
    multiDot=torch.linalg.multi_dot,
    ndtr=exactly(torch.special.ndtr),
    mode=lambda x, axis=-1, keepDims=False: tuple(torch.mode(x, axis, keepDims)),
    pdist=exactly(lambda x, p=2.0: F.pdist(x, p)),
    trilIndices=triangle(torch.tril_indices),
    triuIndices=triangle(torch.triu_indices),
)

# What the others do not cover, and Fourier transforms: spectra are real pairs in hadal.


def in_pairs(function):
    return lambda *args, **options: torch.view_as_real(function(*args, **options))


def from_pairs(function):
    return lambda x, *args, **options: function(torch.view_as_complex(x), *args, **options)


def shift(function):
    def f(x, axes=None, pairs=True):
        axes = axes_of(x[..., 0] if pairs else x, axes)
        axes = [axes] if isinstance(axes, int) else axes
        return function(x, [a - 1 if pairs and a < 0 else a for a in axes])

    return f


def frequencies(function):
    return lambda n, spacing=1.0, dtype="float32": function(n, spacing, dtype=getattr(torch, dtype))


def complex_pairs(function):
    return in_pairs(from_pairs(function))


def short_time(function, forward):
    def f(x, size, hopLength=None, winLength=None, window=None, center=True, normalized=False, length=None):
        if window is None:  # a rectangle
            window = torch.ones(winLength or size, dtype=x.dtype)
        options = {"hop_length": hopLength, "win_length": winLength, "window": window, "center": center, "normalized": normalized}
        if forward:
            return torch.view_as_real(function(x, size, return_complex=True, **options))
        return function(torch.view_as_complex(x), size, length=length, **options)

    return f


define(
    logAddExp=exactly(torch.logaddexp),
    logAddExp2=exactly(torch.logaddexp2),
    xlogy=exactly(torch.xlogy),
    xlog1py=exactly(torch.special.xlog1py),
    entr=exactly(torch.special.entr),
    tensorSplit=lambda x, places, axis=0: list(torch.tensor_split(x, places, axis)),
    unravelIndex=lambda index, shape: list(torch.unravel_index(index, tuple(shape))),
    copySign=torch.copysign,
    heaviside=torch.heaviside,
    fmax=torch.fmax,
    fmin=torch.fmin,
    signBit=torch.signbit,
    sinc=exactly(torch.sinc),
    logit=exactly(lambda x, epsilon=None: torch.logit(x, epsilon)),
    nanSum=reduction(torch.nansum),
    nanMean=exactly(reduction(torch.nanmean)),
    aminmax=lambda x, axis, keepDims=False: tuple(torch.aminmax(x, dim=axis, keepdim=keepDims)),
    diff=lambda x, n=1, axis=-1, prepend=None, append=None: torch.diff(x, n, axis, prepend, append),
    trapezoid=exactly(lambda y, x=None, dx=1, axis=-1: torch.trapezoid(y, dx=dx, dim=axis) if x is None else torch.trapezoid(y, x, dim=axis)),
    cumulativeTrapezoid=exactly(
        lambda y, x=None, dx=1, axis=-1: torch.cumulative_trapezoid(y, dx=dx, dim=axis) if x is None else torch.cumulative_trapezoid(y, x, dim=axis)
    ),
    cov=exactly(
        lambda x, correction=1, frequencyWeights=None, analyticWeights=None: torch.cov(
            x, correction=correction, fweights=frequencyWeights, aweights=analyticWeights
        )
    ),
    corrcoef=exactly(torch.corrcoef),
    renorm=exactly(torch.renorm),
    isIn=lambda x, test, invert=False: torch.isin(x, test, invert=invert),
    vander=exactly(
        lambda x, columns=None, increasing=False: torch.linalg.vander(x, N=columns) if increasing else torch.linalg.vander(x, N=columns).flip(-1)
    ),
    blockDiag=lambda blocks: torch.block_diag(*blocks),
    cartesianProd=lambda vectors: torch.cartesian_prod(*vectors),
    diagEmbed=lambda x, offset=0, axes=(-2, -1): torch.diag_embed(x, offset, *axes),
    trace=lambda x: x.diagonal(dim1=-2, dim2=-1).sum(-1),
    cross=lambda a, b, axis=-1: torch.linalg.cross(a, b, dim=axis),
    indexFill=torch.index_fill,
    rfft=in_pairs(lambda x, n=None, axis=-1, norm="backward": torch.fft.rfft(x, n, axis, norm)),
    irfft=from_pairs(lambda x, n=None, axis=-1, norm="backward": torch.fft.irfft(x, n, axis, norm)),
    fft=complex_pairs(lambda x, n=None, axis=-1, norm="backward": torch.fft.fft(x, n, axis, norm)),
    ifft=complex_pairs(lambda x, n=None, axis=-1, norm="backward": torch.fft.ifft(x, n, axis, norm)),
    fftn=complex_pairs(lambda x, n=None, axes=None, norm="backward": torch.fft.fftn(x, n, axes, norm)),
    ifftn=complex_pairs(lambda x, n=None, axes=None, norm="backward": torch.fft.ifftn(x, n, axes, norm)),
    rfftn=in_pairs(lambda x, n=None, axes=None, norm="backward": torch.fft.rfftn(x, n, axes, norm)),
    fftshift=shift(torch.fft.fftshift),
    ifftshift=shift(torch.fft.ifftshift),
    fftfreq=frequencies(torch.fft.fftfreq),
    rfftfreq=frequencies(torch.fft.rfftfreq),
    irfftn=from_pairs(lambda x, n=None, axes=None, norm="backward": torch.fft.irfftn(x, n, axes, norm)),
    stft=short_time(torch.stft, True),
    istft=short_time(torch.istft, False),
)
