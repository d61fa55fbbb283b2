"""Makes the golden cases of ops with PyTorch (pip install torch safetensors); recorder.py describes them. Read by test/golden/ops.test.ts.

python test/golden/ops/make.py [family …]"""

import sys

import torch

import composed
import degenerate
import dtypes
import fourier
import layers
import linalg
import losses
import movement
import neural
import pointwise
import reduce
import special
import vision

FAMILIES = {
    "pointwise": pointwise.cases,
    "reduce": reduce.cases,
    "sorting": reduce.sorting,
    "movement": movement.cases,
    "indexing": movement.indexing,
    "linalg": linalg.cases,
    "factors": linalg.factors,
    "convolution": neural.convolution,
    "pooling": neural.pooling,
    "normalization": neural.normalization,
    "attention": neural.attention,
    "recurrence": neural.recurrence,
    "losses": losses.cases,
    "dtypes": dtypes.cases,
    "larger": dtypes.larger,
    "degenerate": degenerate.cases,
    "layers": layers.cases,
    "vision": vision.cases,
    "fourier": fourier.cases,
    "composed": composed.cases,
    "special": special.cases,
}

torch.set_num_threads(1)
for name in sys.argv[1:] or FAMILIES:
    FAMILIES[name]().write()
