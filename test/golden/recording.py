"""What the scripts that make golden values share: they record tensors under `case/part`. `state.…` is a state dict, `x…` an input, `y` the output,
`g…` the gradient of Σ y·w with w = sin of the position, `after.…` a state dict afterwards."""

import torch

found = {}


def put(case, **parts):
    for name, value in parts.items():
        found[f"{case}/{name.replace('__', '.')}"] = value.detach().clone().contiguous()


def put_state(case, prefix, module):
    for name, value in module.state_dict().items():
        found[f"{case}/{prefix}.{name}"] = value.detach().clone().contiguous()


def weighted(y):
    return (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()


def layer(case, module, *inputs, call=None):
    """Output and gradients of a module in its current mode, and its state before and after."""
    with torch.no_grad():
        for p in module.parameters():
            if p.dim() == 1:  # biases and norms start at constants
                p.add_(0.3 * torch.randn_like(p))
    put_state(case, "state", module)
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    for i, x in enumerate(inputs):
        put(case, **{f"x{i}": x})
    y = (call or module)(*inputs)
    put(case, y=y)
    module.zero_grad()
    weighted(y).backward()
    for i, x in enumerate(inputs):
        if x.grad is not None:
            put(case, **{f"g{i}": x.grad})
    for name, p in module.named_parameters():
        if p.grad is not None:
            found[f"{case}/g.{name}"] = p.grad.clone().contiguous()
    if any(True for _ in module.buffers()):
        put_state(case, "after", module)


def loss(case, f, x, **others):
    """A loss and its gradient by x."""
    x = x.clone().requires_grad_()
    put(case, x0=x, **others)
    y = f(x)
    put(case, y=y)
    (weighted(y) if y.dim() > 0 else y).backward()
    put(case, g0=x.grad)
