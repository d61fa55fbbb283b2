"""Records cases: an op of hadal, its arguments, and what PyTorch makes of them.

A family is stored as `<family>.json` and `<family>.safetensors`. The JSON holds `tensors`, their shapes under each dtype, numbered in that order, whose
elements lie one after the other in the safetensors file's vector of that dtype, and `cases`, each `{op, args, out}`: the call `hadal[op](...args)` and its result. In both,
`{"$": i}` is tensor i; in `args`, `g` is its gradient and `after` its content after the call; null is undefined, `{"null": 0}` null, `{"number": "inf"}` a
number that JSON cannot hold. Gradients are those of Σ y·w over all float results y, with w as `cotangent` makes it.

What is stored is PyTorch's result in the case's own dtype, or its float64 result from the same inputs where it has no kernel for the dtype. Where the two are
further apart than the tolerance, because PyTorch rounds in between, the latter is stored beside it (`x`, for gradients `gx`): what lies between them is right."""

import json
import math
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import torch
from safetensors.torch import save_file

import torch_ops

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
TOLERANCES = {torch.float64: (1e-7, 1e-7), torch.float32: (1.3e-6, 1e-5), torch.float16: (1e-3, 1e-5), torch.bfloat16: (1.6e-2, 1e-5)}
NULL = object()


@dataclass
class Fixed:
    """A float tensor without a gradient."""

    tensor: torch.Tensor


def cotangent(y, k):
    """The weights of result k: multiples of 1/16 without a pattern that an op could share."""
    i = torch.arange(y.numel()) * 5 + 3 * k
    return ((i % 16 - 7.5) / 8).to(y.dtype).reshape(y.shape)


def tree(value, leaf):
    if isinstance(value, dict):
        return {k: tree(v, leaf) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [tree(v, leaf) for v in value]
    return leaf(value)


def run(op, args, options, exact):
    """Outputs, gradients and the tensors themselves afterwards, of every tensor in the arguments in order."""
    inputs = []

    def fresh(value):
        fixed = isinstance(value, Fixed)
        x = value.tensor if fixed else value
        if not isinstance(x, torch.Tensor):
            return None if x is NULL else x
        x = x.detach().clone()
        if exact and x.is_floating_point():
            x = x.double()
        x.requires_grad_(x.is_floating_point() and not fixed)
        inputs.append(x)
        return x

    out = torch_ops.call(op, tree(args, fresh), tree(options, fresh))
    results = []
    tree(out, lambda y: results.append(y))
    roots = [(y, cotangent(y, k)) for k, y in enumerate(results) if isinstance(y, torch.Tensor) and y.requires_grad]
    wanted = [x for x in inputs if x.requires_grad]
    gradients = [None] * len(inputs)
    if roots and wanted:
        outputs, weights = zip(*roots)
        found = iter(torch.autograd.grad(outputs, wanted, weights, allow_unused=True))
        gradients = [next(found) if x.requires_grad else None for x in inputs]
    return out, results, gradients, inputs


class Family:
    def __init__(self, name):
        self.name = name
        self.cases = []
        self.tensors = []
        self.places = {}
        self.far = 0
        self.generator = torch.Generator().manual_seed(sum(map(ord, name)))

    def store(self, x):
        """Where a tensor is kept; None for none."""
        if x is None:
            return None
        x = x.detach().contiguous()
        key = (x.dtype, tuple(x.shape), x.flatten().view(torch.uint8).numpy().tobytes())
        if key not in self.places:
            self.places[key] = len(self.tensors)
            self.tensors.append(x)
        return self.places[key]

    def settle(self, native, exact, dtype):
        """PyTorch's result, and its float64 one where rounding put the first further away than the tolerance."""
        if not isinstance(exact, torch.Tensor):
            return native, None
        if native is None:
            return exact.to(dtype) if exact.is_floating_point() else exact, None
        if not native.is_floating_point() or native.shape != exact.shape:
            return native, None
        rtol, atol = TOLERANCES[native.dtype]
        rounded = exact.to(native.dtype)
        far = (native.double() - exact).abs() > atol + rtol * exact.abs()
        far &= ~native.isnan() & rounded.isfinite()
        self.far += int(far.sum())
        return native, torch.where(far, rounded, native) if far.any() else None

    def case(self, op, *args, **options):
        dtype = None

        def note(value):
            nonlocal dtype
            x = value.tensor if isinstance(value, Fixed) else value
            if isinstance(x, torch.Tensor) and x.is_floating_point() and dtype is None:
                dtype = x.dtype

        tree(args, note)
        tree(options, note)
        native, exact = None, None
        if dtype in (None, torch.float64):
            native = run(op, args, options, False)
        else:
            exact = run(op, args, options, True)
            try:
                native = run(op, args, options, False)
            except (NotImplementedError, RuntimeError) as error:
                if "not implemented for" not in str(error):
                    raise
        structure = (native or exact)[0]
        results, gradients, afters = (
            iter([self.settle(n, e, dtype) for n, e in zip(native[i] if native else repeat(None), exact[i] if exact else repeat(None))])
            for i in (1, 2, 3)
        )

        def argument(value):
            x = value.tensor if isinstance(value, Fixed) else value
            if isinstance(x, torch.Tensor):
                (gradient, exact), (after, _) = next(gradients), next(afters)
                entry = {"$": self.store(x), "g": self.store(gradient), "gx": self.store(exact), "after": self.store(after.to(x.dtype))}
                if entry["after"] == entry["$"]:
                    entry["after"] = None
                return {key: i for key, i in entry.items() if i is not None}
            if x is NULL:
                return {"null": 0}
            if isinstance(x, float) and not math.isfinite(x):
                return {"number": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(x, "NaN")}
            return x

        def result(_):
            y, exact = next(results)
            if not isinstance(y, torch.Tensor):
                return y
            return {"$": self.store(y)} if exact is None else {"$": self.store(y), "x": self.store(exact)}

        given = [*args, options] if options else list(args)
        self.cases.append({"op": op, "args": tree(given, argument), "out": tree(structure, result)})

    def attempt(self, op, *args, **options):
        """A case, unless PyTorch refuses the dtype."""
        try:
            self.case(op, *args, **options)
        except (NotImplementedError, RuntimeError):
            pass

    def write(self):
        folder = Path(__file__).parent
        order = sorted(range(len(self.tensors)), key=lambda i: str(self.tensors[i].dtype))
        numbers = {i: number for number, i in enumerate(order)}
        shapes, vectors = {}, {}
        for i in order:
            x = self.tensors[i]
            shapes.setdefault(str(x.dtype)[6:], []).append(list(x.shape))
            vectors.setdefault(str(x.dtype)[6:], []).append(x.flatten())

        def renumbered(value):
            if isinstance(value, dict):
                return {k: numbers[v] for k, v in value.items()} if "$" in value else {k: renumbered(v) for k, v in value.items()}
            return [renumbered(v) for v in value] if isinstance(value, list) else value

        save_file({name: torch.cat(parts) for name, parts in vectors.items()}, folder / f"{self.name}.safetensors")
        (folder / f"{self.name}.safetensors").chmod(0o644)
        tensors = json.dumps(shapes, separators=(",", ":"))
        cases = ",\n".join(json.dumps(renumbered(case), separators=(",", ":")) for case in self.cases)
        text = f'{{"torch":"{torch.__version__}","tensors":{tensors},"cases":[\n{cases}\n]}}\n'
        (folder / f"{self.name}.json").write_text(text)
        elements = sum(x.numel() for x in self.tensors)
        print(f"{self.name}: {len(self.cases)} cases, {elements} elements, {self.far} rounded too far")

    # Inputs.

    def uniform(self, dtype, shape, low=-2.0, high=2.0):
        """Uniform numbers as `dtype` rounds them; whole ones for integers."""
        x = torch.rand(shape, generator=self.generator, dtype=torch.float64) * (high - low) + low
        if dtype == torch.bool:
            return x > (low + high) / 2
        return x.to(dtype) if dtype.is_floating_point else x.floor().clamp(min=0 if dtype == torch.uint8 else low).to(dtype)

    def distinct(self, dtype, shape):
        """Numbers that all differ, by 1/4 at least, in random order."""
        size = math.prod(shape)
        x = torch.randperm(size, generator=self.generator) - (0 if dtype == torch.uint8 else size // 2)
        return (x / 4 + 1 / 8).to(dtype).reshape(shape) if dtype.is_floating_point else x.to(dtype).reshape(shape)

    def index(self, shape, below, dtype=torch.int64):
        return torch.randint(0, below, shape, generator=self.generator).to(dtype)
