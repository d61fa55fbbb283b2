"""Makes test/golden/io with PyTorch and NumPy (pip install torch numpy): checkpoints in both formats and NumPy's files, each with the same arrays.
Read by test/io."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).parent / "io"
here.mkdir(exist_ok=True)

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
checkpoint = {
    "transposed": base.t(),
    "sliced": base[1:3, ::2],
    "expanded": torch.tensor([7.0]).expand(3, 2),
    "base": base,
    "scalar": torch.tensor(2.5, dtype=torch.float64),
    "empty": torch.empty(0, 3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "bfloat": torch.tensor([1.5, -2.0, 3e38], dtype=torch.bfloat16),
    "longs": torch.tensor([-1, 2**62]),
    "ints": torch.tensor([-5, 6], dtype=torch.int32),
    "shorts": torch.tensor([-5, 6], dtype=torch.int16),
    "chars": torch.tensor([-5, 6], dtype=torch.int8),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    "bools": torch.tensor([True, False]),
    "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])),
    "state": OrderedDict([("z", torch.ones(2)), ("a", torch.zeros(1))]),
    "plain": [1, -7, 2**40, 2**80, 1.25, float("inf"), None, True, "text ☃", b"\x00\xff", (1, (2,))],
    "numbered": {0: "zero", 1: {"step": 3}},
    "size": torch.Size([2, 3]),
    "dtype": torch.bfloat16,
    "device": torch.device("cpu"),
    "set": {1},
}
torch.save(checkpoint, here / "zip.pt")
torch.save(checkpoint, here / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(checkpoint, here / "protocol-5.pt", pickle_protocol=5)
torch.save(torch.nn.Linear(2, 2), here / "model.pt")

rows = np.arange(6, dtype=np.float32).reshape(2, 3)
arrays = {
    "f4": rows,
    "f8": rows.astype("f8"),
    "f2": rows.astype("f2"),
    "i8": rows.astype("i8") - 2**40,
    "i4": rows.astype("i4"),
    "i2": rows.astype("i2"),
    "i1": rows.astype("i1"),
    "u1": rows.astype("u1"),
    "u2": (rows.astype("i8") + 65530).astype("u2"),
    "u4": (rows.astype("i8") + 2**32 - 6).astype("u4"),
    "b1": rows > 2,
    "big": rows.astype(">f4"),
    "big-i8": rows.astype(">i8"),
    "fortran": np.asfortranarray(rows),
    "scalar": np.float32(3.5),
    "empty": np.zeros((0, 3), "f4"),
    "line": np.arange(3, dtype="f4"),
}
np.savez(here / "stored.npz", **arrays)
np.savez_compressed(here / "deflated.npz", **arrays)
np.save(here / "fortran.npy", arrays["fortran"])
np.save(here / "complex.npy", rows.astype("c8"))
