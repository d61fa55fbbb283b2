"""Sampling grids, unpooling and boxes."""

import torch

from recorder import FLOATS, Family, Fixed


def cases():
    f = Family("vision")
    for dtype in FLOATS:
        for n, space, out in [(2, [4, 5], [3, 4]), (3, [3, 4, 2], [2, 3, 2])]:
            for mode in ["nearest", "bilinear"] + (["bicubic"] if n == 2 else []):
                for padding in ["zeros", "border", "reflection"]:
                    for corners in [False, True]:
                        x, grid = f.uniform(dtype, [2, 2, *space]), f.uniform(dtype, [2, *out, n], -1.7, 1.7)
                        f.case("gridSample", x, grid, mode=mode, padding=padding, alignCorners=corners)
            size = [2, 1, *out]
            for corners in [False, True]:
                f.case("affineGrid", f.uniform(dtype, [2, n, n + 1]), size, alignCorners=corners)
        x = f.uniform(dtype, [1, 2, 1, 3])
        for padding in ["zeros", "border", "reflection"]:
            f.case("gridSample", x, f.uniform(dtype, [1, 2, 2, 2], -3, 3), padding=padding, alignCorners=True)
            f.case("gridSample", x, Fixed(torch.tensor([[[[-1, -1], [1, 1], [0, 0], [1, -1]]]], dtype=dtype)), padding=padding)
        f.case("gridSample", f.uniform(dtype, [0, 2, 3, 3]), f.uniform(dtype, [0, 2, 2, 2]))
        f.case("affineGrid", f.uniform(dtype, [1, 2, 3]), [1, 3, 1, 1], alignCorners=True)
        for n, space in [(1, [7]), (2, [4, 6]), (3, [4, 2, 4])]:
            for batch in [[2, 2], [2]]:
                for o in [{}, {"stride": 2, "padding": 1}]:
                    pool = getattr(torch.nn.functional, f"max_pool{n}d")
                    size = 2 if not o else 3
                    if n == 3 and o:
                        continue
                    y, places = pool(f.distinct(torch.float32, [*batch, *space]), size, return_indices=True, **o)
                    if not o:
                        f.case(f"maxUnpool{n}d", y.to(dtype), places, size)
                    f.case(f"maxUnpool{n}d", y.to(dtype), places, size, outputSize=space, **o)
        x = f.uniform(dtype, [2, 2, 5, 6])
        boxes = Fixed(torch.tensor([[0, 0.5, 0.5, 4.25, 3], [1, -2, 1, 3, 9], [1, 2, 2, 2.25, 2.25], [0, 4, 3, 1, 1]], dtype=dtype))
        for o in [
            {}, {"outputSize": 2}, {"outputSize": [3, 2], "samplingRatio": 2}, {"outputSize": 2, "aligned": True},
            {"outputSize": [1, 3], "spatialScale": 0.5, "samplingRatio": 3, "aligned": True}, {"outputSize": 2, "spatialScale": 2},
        ]:
            f.case("roiAlign", x, boxes, **o)
        corners = f.uniform(dtype, [12, 2], 0, 4)
        boxes = torch.cat([corners, corners + f.uniform(dtype, [12, 2], 0.5, 3)], 1)
        scores, classes = f.distinct(dtype, [12]), f.index([12], 3)
        f.case("boxIou", boxes[:5], boxes[5:])
        f.case("boxIou", boxes[:5], boxes[:0])
        for o in [{}, {"iouThreshold": 0.2}, {"iouThreshold": 0.2, "classes": classes}, {"scoreThreshold": 0}, {"maxCount": 3, "iouThreshold": 0.1}]:
            f.case("nonMaxSuppressionSync", Fixed(boxes), Fixed(scores), **o)
        f.case("nonMaxSuppressionSync", Fixed(boxes[:0]), Fixed(scores[:0]))
    return f
