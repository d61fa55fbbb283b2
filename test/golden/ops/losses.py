"""Losses with all their options."""

import torch

from recorder import FLOATS, Family, Fixed


def cases():
    f = Family("losses")
    for dtype in FLOATS:

        def draw(*shape, low=-2.0, high=2.0):
            return f.uniform(dtype, list(shape), low, high)

        def chances(*shape):
            return Fixed(torch.softmax(draw(*shape).double(), 1).to(dtype))

        x, y, weight = draw(3, 4), draw(3, 4), Fixed(draw(4, low=0.2, high=2))
        sign = Fixed(torch.where(f.uniform(torch.bool, [3, 4]), 1.0, -1.0).to(dtype))
        near = y + (0.4 * draw(3, 4)).to(dtype)
        target = torch.tensor([0, 3, 1, -100, 2, 3])
        counted = torch.tensor([0, 3, 1, 0, 2, 3])
        logits, spatial = draw(6, 4), draw(2, 4, 3)
        places = torch.tensor([[0, 1, 3], [2, 2, 1]])
        for reduction in ["none", "mean", "sum"]:
            r = {"reduction": reduction}
            f.case("mseLoss", x, y, **r)
            f.case("l1Loss", x, y, **r)
            f.case("smoothL1Loss", near, Fixed(y), **r)
            f.case("smoothL1Loss", near, Fixed(y), beta=0.3, **r)
            f.case("huberLoss", near, Fixed(y), **r)
            f.case("huberLoss", near, Fixed(y), delta=0.3, **r)
            f.case("softMarginLoss", x, sign, **r)
            f.case("hingeEmbeddingLoss", x, sign, **r)
            f.case("hingeEmbeddingLoss", x, sign, margin=0.7, **r)
            f.case("marginRankingLoss", x, y, sign, **r)
            f.case("marginRankingLoss", x, y, sign, margin=0.3, **r)
            signs = Fixed(torch.tensor([1, -1, 1], dtype=dtype))
            f.case("cosineEmbeddingLoss", x, y, signs, **r)
            f.case("cosineEmbeddingLoss", x, y, signs, margin=-0.5, **r)
            negative = draw(3, 4)
            f.case("tripletMarginLoss", x, y, negative, **r)
            f.case("tripletMarginLoss", x, y, negative, margin=0.5, p=1, **r)
            f.case("tripletMarginLoss", x, y, negative, swap=True, epsilon=1e-3, **r)
            several = torch.tensor([[3, 0, -1, 1], [1, -1, 0, 2], [0, 1, 2, 3]])
            f.case("multiLabelMarginLoss", x, several, **r)
            f.case("multiLabelMarginLoss", draw(4), several[0], **r)
            some = Fixed(f.uniform(torch.bool, [3, 4]).to(dtype))
            f.case("multiLabelSoftMarginLoss", x, some, **r)
            f.case("multiLabelSoftMarginLoss", x, some, weight=weight, **r)
            kind = torch.tensor([2, 0, 1])
            f.case("multiMarginLoss", x, kind, **r)
            f.case("multiMarginLoss", x, kind, p=2, margin=0.6, weight=weight, **r)
            f.case("bceLoss", draw(3, 4, low=0.05, high=0.95), Fixed(draw(3, 4, low=0, high=1)), **r)
            f.case("bceLoss", draw(3, 4, low=0.05, high=0.95), Fixed(draw(3, 4, low=0, high=1)), weight=weight, **r)
            f.case("bceWithLogits", 3 * x, Fixed(draw(3, 4, low=0, high=1)), **r)
            f.case("bceWithLogits", x, Fixed(draw(3, 4, low=0, high=1)), weight=weight, posWeight=Fixed(draw(4, low=0.5, high=3)), **r)
            f.case("poissonNllLoss", x, Fixed(f.uniform(dtype, [3, 4], 0, 5).round()), **r)
            f.case("poissonNllLoss", draw(3, 4, low=0.2), Fixed(f.uniform(dtype, [3, 4], 0, 5).round()), logInput=False, full=True, **r)
            f.case("gaussianNllLoss", x, Fixed(y), draw(3, 4, low=0.2), **r)
            f.case("gaussianNllLoss", x, Fixed(y), draw(3, 1, low=0.2), full=True, epsilon=0.5, **r)
            for classes in [target, torch.tensor([1, 0, 2, 2, 3, 1], dtype=torch.int32)]:
                f.case("crossEntropy", logits, classes, **r)
            f.case("crossEntropy", logits, target, weight=weight, **r)
            f.case("crossEntropy", logits, counted, labelSmoothing=0.2, **r)
            f.case("crossEntropy", logits, counted, weight=weight, ignoreIndex=3, labelSmoothing=0.2, **r)
            f.case("crossEntropy", logits, torch.full([6], 2), ignoreIndex=2, **r)  # a mean of nothing
            f.case("crossEntropy", logits, chances(6, 4), **r)
            f.case("crossEntropy", logits, chances(6, 4), weight=weight, labelSmoothing=0.1, **r)
            f.case("crossEntropy", spatial, places, weight=weight, **r)
            f.case("crossEntropy", spatial, chances(2, 4, 3), **r)
            f.case("crossEntropy", draw(4), torch.tensor(2), **r)
            log = torch.log_softmax(logits.double(), 1).to(dtype)
            f.case("nllLoss", log, target, **r)
            f.case("nllLoss", log, counted, weight=weight, ignoreIndex=3, **r)
            f.case("nllLoss", log, torch.full([6], 2), ignoreIndex=2, **r)
            f.case("nllLoss", torch.log_softmax(spatial.double(), 1).to(dtype), places, weight=weight, **r)
            for how in [reduction, "batchmean"] if reduction == "none" else [reduction]:
                f.case("klDiv", log, chances(6, 4), reduction=how)
                f.case("klDiv", log, Fixed(torch.log_softmax(draw(6, 4).double(), 1).to(dtype)), reduction=how, logTarget=True)
            if dtype not in FLOATS[2:]:  # scores of up to 10 that round to 16 bits
                f.case("infoNce", x, y, **r)
            f.case("infoNce", x, y, temperature=0.5, negatives=draw(5, 4), **r)
            scores = draw(7, 3, 5)
            labels = torch.tensor([[1, 2, 3], [4, 4, 1], [2, 2, 2]])
            f.case("ctcLoss", scores, labels, [7, 6, 6], [3, 2, 3], **r)
            f.case("ctcLoss", scores, labels, [7, 6, 3], [3, 2, 3], zeroInfinity=True, **r)
            f.case("ctcLoss", scores, torch.tensor([1, 0, 3, 4, 4, 0, 1]), [7, 6, 5], [3, 2, 2], blank=2, zeroInfinity=True, **r)
        f.case("smoothL1Loss", near, Fixed(y), beta=0)
        # At the ends its gradient is 0, or NaN in float16.
        f.case("bceLoss", Fixed(torch.tensor([0.0, 1, 0, 1], dtype=dtype)), Fixed(torch.tensor([0.0, 1, 1, 0], dtype=dtype)), reduction="none")
        f.case("bceWithLogits", torch.tensor([100.0, -100, 30, -30], dtype=dtype), Fixed(torch.tensor([0.0, 1, 1, 0], dtype=dtype)), reduction="none")
    return f
