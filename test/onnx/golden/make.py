"""Records ONNX's own tests of operators (pip install onnx): models, inputs, and the outputs that they must give. Read by test/onnx/nodes.test.ts.

python test/onnx/golden/make.py [file [largest case in bytes]]"""

import base64
import gzip
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

warnings.filterwarnings("ignore")
path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "nodes.json.gz"
limit = int(sys.argv[2]) if len(sys.argv) > 2 else 8192


def value(x):
    """An input or output: a tensor, a sequence of them, or nothing."""
    if x is None:
        return None
    if isinstance(x, (list, tuple)):
        return [value(each) for each in x]
    if isinstance(x, onnx.TensorProto):
        x = onnx.numpy_helper.to_array(x)
    if isinstance(x, onnx.SparseTensorProto):
        return {"dtype": "sparse"}
    x = np.asarray(x)
    if x.dtype == object or x.dtype.kind in "SU":
        return {"dtype": "string"}
    return {
        "dtype": x.dtype.name,
        "shape": x.shape,
        "data": base64.b64encode(np.ascontiguousarray(x).tobytes()).decode(),
    }


cases = []
for case in collect_testcases(None):
    for inputs, outputs in case.data_sets:
        cases.append(
            {
                "name": case.name,
                "model": base64.b64encode(case.model.SerializeToString()).decode(),
                "inputs": [value(x) for x in inputs],
                "outputs": [value(x) for x in outputs],
                "rtol": case.rtol,
                "atol": case.atol,
            }
        )


def size(case):
    return len(json.dumps([case["inputs"], case["outputs"]]))


large = [case["name"] for case in cases if size(case) > limit]
record = {"cases": [case for case in cases if size(case) <= limit], "large": large}
with gzip.GzipFile(path, "wb", compresslevel=9, mtime=0) as file:
    file.write(json.dumps(record, separators=(",", ":")).encode())
print(f"{len(record['cases'])} cases, {len(large)} larger ones left out, {path.stat().st_size} bytes")
