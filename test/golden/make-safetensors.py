"""Makes the files of safetensors/ with the reference implementation (pip install torch safetensors)."""

from pathlib import Path

import torch
from safetensors.torch import save_file

folder = Path(__file__).parent / "safetensors"
folder.mkdir(exist_ok=True)

floats = [-1.5, 0.0, 1.0, 65504.0, float("inf"), float("nan")]
integers = [-128, -1, 0, 1, 2, 127]
tensors = {
    "float64": torch.tensor(floats, dtype=torch.float64).reshape(2, 3),
    "float32": torch.tensor(floats, dtype=torch.float32).reshape(3, 2),
    "float16": torch.tensor(floats, dtype=torch.float16),
    "bfloat16": torch.tensor(floats, dtype=torch.bfloat16),
    "int64": torch.tensor([-(2**63), 2**63 - 1, 2**53 + 1], dtype=torch.int64),
    "int32": torch.tensor([-(2**31), 2**31 - 1, 5], dtype=torch.int32),
    "int16": torch.tensor([-(2**15), 2**15 - 1, 5], dtype=torch.int16),
    "int8": torch.tensor(integers, dtype=torch.int8),
    "uint8": torch.tensor([0, 1, 255], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True], dtype=torch.bool),
    "scalar": torch.tensor(3.25),
    "empty": torch.zeros(0, 3),
    'layers.0."quoted"\n\u00e9\U0001f600': torch.arange(2, dtype=torch.float32),
}
save_file(tensors, folder / "all.safetensors", metadata={"format": 'pt "\u00e9"\n'})
save_file({}, folder / "none.safetensors")
