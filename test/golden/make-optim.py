"""Makes optim.safetensors and optim.pt with PyTorch and transformers: the trajectories of optim.json's optimizers over three parameters in float64
(their values after steps 1, 10, 25 and 50, and by how much its own float32 run is off), state dicts after step 25, the rates of its schedules, and
clipped gradients. Lion and LAMB, which PyTorch lacks, are written out here after their papers. Muon's polynomial runs in float64 instead of bfloat16.
Read by test/optim."""

import copy
import json
import re
from pathlib import Path

import torch
import transformers
from recording import found, put
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(5)
folder = Path(__file__).parent


class Lion(torch.optim.Optimizer):
    """Chen et al., 2023, algorithm 2."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                g = -p.grad if group["maximize"] else p.grad
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                update = torch.sign(beta1 * m + (1 - beta1) * g) + group["weight_decay"] * p
                self.state[p]["exp_avg"] = beta2 * m + (1 - beta2) * g
                p -= group["lr"] * update


class LAMB(torch.optim.Optimizer):
    """You et al., 2020, algorithm 2, with the identity for φ."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0, maximize=False):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                g = -p.grad if group["maximize"] else p.grad
                state = self.state[p]
                t = state["step"] = state.get("step", 0) + 1
                m = state["m"] = beta1 * state.get("m", torch.zeros_like(p)) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", torch.zeros_like(p)) + (1 - beta2) * g * g
                update = (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + group["eps"]) + group["weight_decay"] * p
                size, length = p.norm(), update.norm()
                ratio = size / length if size > 0 and length > 0 else 1.0
                p -= group["lr"] * ratio * update


torch.Tensor.bfloat16 = lambda x: x.clone()

# ‖A·W − B‖² / 2 + ‖V·b‖² / 2 + Σ b² + Σ sin 3b over W, V and b. Muon leaves b alone.
a, target = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
starts = [torch.randn(4, 3, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
put("problem", a=a, target=target)
for i, start in enumerate(starts):
    found[f"problem/p{i}"] = start.clone()


def loss_of(a, target, w, v, b):
    return 0.5 * ((a @ w - target).square().sum() + (v @ b).square().sum()) + b.square().sum() + torch.sin(3 * b).sum()


def options_of(options):
    names = {name: "eps" if name == "epsilon" else re.sub(r"([A-Z])", r"_\1", name).lower() for name in options}
    return {names[name]: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def run(name, options, groups, dtype):
    """The parameters after the steps that are recorded."""
    parameters = [nn.Parameter(start.to(dtype).clone()) for start in starts]
    fixed = (a.to(dtype), target.to(dtype))
    trained = parameters[:2] if name == "Muon" else parameters
    if groups is not None:
        trained = [{"params": [p], **options_of(group)} for p, group in zip(parameters, groups, strict=True)]
    optimizer = {"Lion": Lion, "LAMB": LAMB}.get(name, getattr(torch.optim, name, None))(trained, **options_of(options))

    def closure():
        for p in parameters:
            p.grad = None
        loss = loss_of(*fixed, *parameters)
        loss.backward()
        return loss

    seen, state = {}, None
    for step in range(1, 51):
        if name == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
        if step in (1, 10, 25, 50):
            seen[step] = [p.detach().double().clone() for p in parameters]
        if step == 25:
            state = copy.deepcopy(optimizer.state_dict())
    return seen, state


# One of each class, with as much state as it has.
resumed = [
    "sgd, groups", "adam, groups", "adamw, amsgrad", "nadam, decay", "radam, decay", "adamax, decay", "adagrad, decay", "adadelta, decay",
    "rmsprop, centered momentum", "adafactor, decay", "muon, plain", "lbfgs, history", "asgd, decay", "rprop, sizes",
]  # fmt: skip
states = {}
for case, arguments in json.loads((folder / "optim.json").read_text())["optimizers"].items():
    name, options, groups = (*arguments, None)[:3]
    (seen, state), (rough, _) = (run(name, options, groups, dtype) for dtype in (torch.float64, torch.float32))
    if case in resumed:
        states[case] = state
    for step, parameters in seen.items():
        for i, p in enumerate(parameters):
            found[f"{case}/{step}.p{i}"] = p
        drifts = [(p - r).abs().max() / p.abs().max() for p, r in zip(parameters, rough[step], strict=True)]
        found[f"{case}/{step}.drift"] = torch.stack(drifts).max()

# The rates and momenta of two groups before and after each of 50 steps of a schedule.
scheduler = torch.optim.lr_scheduler
plain_names = {"tMax": "T_max", "t0": "T_0", "tMult": "T_mult"}


def schedule_of(optimizer, kind, options):
    options = {plain_names.get(name) or next(iter(options_of({name: 0}))): value for name, value in options.items()}
    if "schedules" in options:
        parts = [schedule_of(optimizer, *part) for part in options["schedules"]]
        return scheduler.ChainedScheduler(parts) if kind == "ChainedScheduler" else scheduler.SequentialLR(optimizer, parts, options["milestones"])
    if "lr_lambda" in options:
        bases = options["lr_lambda"] if isinstance(options["lr_lambda"], list) else [options["lr_lambda"]] * 2
        options["lr_lambda"] = [lambda epoch, base=base: base**epoch for base in bases]
    if kind == "WarmupLR":
        name = f"get_{options.get('decay', 'constant')}_schedule_with_warmup"
        steps = [options["warmup_steps"], *([options["total_steps"]] if "total_steps" in options else [])]
        return getattr(transformers, name)(optimizer, *steps)
    return getattr(torch.optim.swa_utils if kind == "SWALR" else scheduler, kind)(optimizer, **options)


def momentum_of(group):
    return group["betas"][0] if "betas" in group else group.get("momentum", 0.0)


for case, (kind, options, *rest) in json.loads((folder / "optim.json").read_text())["schedules"].items():
    how = rest[0] if rest else {}
    parts = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.02)]
    name = how.get("optimizer", "SGD")
    optimizer = getattr(torch.optim, name)(parts, **({"momentum": 0.9} if name == "SGD" else {}))
    schedule = schedule_of(optimizer, kind, options)
    rows = []
    for argument in how.get("epochs", how.get("metrics", [None] * 49)):
        rows.append([(group["lr"], momentum_of(group)) for group in optimizer.param_groups])
        optimizer.step()
        schedule.step(*([] if argument is None else [argument]))
    rows.append([(group["lr"], momentum_of(group)) for group in optimizer.param_groups])
    found[f"schedule/{case}"] = torch.tensor(rows, dtype=torch.float64)

# Two gradients, their norms of several orders, and the gradients clipped to 1; and both clamped to 0.5.
g0, g1 = torch.randn(3, 4), torch.randn(5)
put("clip", x0=g0, x1=g1)


def clipped(case, clip):
    p = [nn.Parameter(torch.zeros_like(g)) for g in (g0, g1)]
    p[0].grad, p[1].grad = g0.clone(), g1.clone()
    norm = clip(p)
    put(case, g0=p[0].grad, g1=p[1].grad, **({} if norm is None else {"y": norm}))


for order in [0.5, 1.0, 2.0, 3.0, float("inf")]:
    clipped(f"clip-{order:g}", lambda p, order=order: nn.utils.clip_grad_norm_(p, 1.0, order))
clipped("clip-value", lambda p: nn.utils.clip_grad_value_(p, 0.5))

save_file(found, folder / "optim.safetensors")
torch.save(states, folder / "optim.pt")
