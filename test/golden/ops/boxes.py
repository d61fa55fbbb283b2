"""What torchvision has for boxes, written out sample by sample from the papers' definitions, so that it is not needed to make the cases."""

import math

import torch


def roi_align(x, boxes, outputSize=1, spatialScale=1.0, samplingRatio=0, aligned=False):
    """Each bin is the mean of bilinear samples; those more than an element outside are 0."""
    height, width = (outputSize, outputSize) if isinstance(outputSize, int) else outputSize
    rows, columns = x.shape[-2:]

    def sample(image, y, x):
        if y < -1 or y > rows or x < -1 or x > columns:
            return torch.zeros_like(image[:, 0, 0])
        y, x = min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        v, u = y - top, x - left
        return (1 - v) * ((1 - u) * image[:, top, left] + u * image[:, top, right]) + v * ((1 - u) * image[:, bottom, left] + u * image[:, bottom, right])

    regions = []
    for number, *box in boxes.tolist():
        x1, y1, x2, y2 = (side * spatialScale - (0.5 if aligned else 0) for side in box)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1.0), max(h, 1.0)
        down, across = (samplingRatio or math.ceil(h / height)), (samplingRatio or math.ceil(w / width))
        bins = []
        for i in range(height):
            for j in range(width):
                total = torch.zeros_like(x[0, :, 0, 0])
                for a in range(down):
                    for b in range(across):
                        total = total + sample(x[int(number)], y1 + (i + (a + 0.5) / down) * h / height, x1 + (j + (b + 0.5) / across) * w / width)
                bins.append(total / max(down * across, 1))
        regions.append(torch.stack(bins, -1).reshape(-1, height, width))
    return torch.stack(regions)


def box_iou(a, b):
    def area(boxes):
        return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    sides = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    both = sides[..., 0] * sides[..., 1]
    return both / (area(a)[:, None] + area(b)[None] - both)


def suppress(boxes, scores, iouThreshold=0.5, scoreThreshold=None, maxCount=None, classes=None):
    overlaps = box_iou(boxes.double(), boxes.double()) > iouThreshold
    if classes is not None:
        overlaps &= classes[:, None] == classes[None]
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        if scoreThreshold is not None and not scores[i] > scoreThreshold:
            continue
        if not any(overlaps[i, k] for k in kept):
            kept.append(i)
    return torch.tensor(kept[:maxCount], dtype=torch.int64)
