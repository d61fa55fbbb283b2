"""Makes wrapped.safetensors with PyTorch (pip install torch safetensors): layers whose weights are computed, masked or routed, and those that resample. Names
are as in recording.py. Read by test/nn."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, prune

from recording import found, layer, put

torch.manual_seed(0)
torch.set_num_threads(1)


def modes(case, module, *inputs):
    layer(case, module, *inputs)
    layer(f"{case}-eval", module.eval(), *inputs)


layer("weight-norm", parametrizations.weight_norm(nn.Linear(5, 3)), torch.randn(4, 5))
layer("weight-norm-conv", parametrizations.weight_norm(nn.Conv2d(2, 3, 3), dim=1), torch.randn(2, 2, 5, 4))
modes("spectral-norm", parametrizations.spectral_norm(nn.Linear(5, 3)), torch.randn(4, 5))
modes("spectral-norm-conv", parametrizations.spectral_norm(nn.Conv2d(2, 3, 3), n_power_iterations=3), torch.randn(2, 2, 5, 4))
modes("spectral-norm-transposed", parametrizations.spectral_norm(nn.ConvTranspose2d(2, 3, 3)), torch.randn(2, 2, 3, 4))
both = parametrizations.spectral_norm(parametrizations.weight_norm(nn.Linear(5, 3)))
layer("weight-and-spectral-norm", both, torch.randn(4, 5))

for case, module, n, axis in [
    ("pruned-conv", nn.Conv2d(3, 6, 3), 2, 0),
    ("pruned-conv-inputs", nn.Conv2d(4, 2, 3), 1, 1),
    ("pruned-linear", nn.Linear(6, 5), float("inf"), 0),
]:
    put(f"{case}/before", weight=module.weight, bias=module.bias)
    prune.ln_structured(module, "weight", amount=0.5, n=n, dim=axis)
    layer(case, module, torch.randn(2, 3, 5, 5) if case == "pruned-conv" else torch.randn(2, 4, 5, 5) if axis == 1 else torch.randn(4, 6))


class Mixture(nn.Module):
    """One row after the other; places are given to all first choices, then to all second ones."""

    def __init__(self, size, experts, top_k, hidden, capacity):
        super().__init__()
        self.gate = nn.Linear(size, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size)) for _ in range(experts)
        )
        self.top_k, self.capacity = top_k, capacity

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        scores = self.gate(rows)
        probabilities = scores.softmax(1)
        best, chosen = scores.topk(self.top_k, dim=1)
        shares = probabilities.gather(1, chosen) if self.top_k == 1 else best.softmax(1)
        output = [torch.zeros_like(row) for row in rows]
        used, wanted, dropped = [0] * len(self.experts), [0] * len(self.experts), 0
        for k in range(self.top_k):
            for i, row in enumerate(rows):
                expert = int(chosen[i, k])
                wanted[expert] += 1
                if used[expert] == self.capacity:
                    dropped += 1
                    continue
                used[expert] += 1
                output[i] = output[i] + shares[i, k] * self.experts[expert](row)
        places = len(rows) * self.top_k
        self.balance = len(wanted) * sum(w / places * probabilities[:, e].mean() for e, w in enumerate(wanted))
        self.dropped = torch.tensor(dropped / places)
        return torch.stack(output).reshape(x.shape)


# The loss of balance is added, so that its gradient is recorded as well; experts that nobody wants have gradients of zero.
for case, top_k, capacity in [("mixture-1", 1, 4), ("mixture-2", 2, 5), ("mixture-2-roomy", 2, 12)]:
    mixture = Mixture(6, 4, top_k, 8, capacity)
    layer(case, mixture, torch.randn(3, 4, 6), call=lambda x: mixture(x) + mixture.balance + 0 * sum(p.sum() for p in mixture.parameters()))
    put(case, dropped=mixture.dropped)

layer("upsample-bilinear", nn.Upsample(scale_factor=2, mode="bilinear"), torch.randn(2, 3, 4, 5))
layer("upsample-nearest", nn.Upsample(size=(5, 7)), torch.randn(2, 3, 4, 5))
layer("pixel-shuffle", nn.PixelShuffle(2), torch.randn(2, 8, 3, 4))
layer("pixel-unshuffle", nn.PixelUnshuffle(2), torch.randn(2, 3, 6, 4))
layer("unfold", nn.Unfold((2, 3), padding=1, stride=2), torch.randn(2, 3, 5, 6))
layer("fold", nn.Fold((5, 6), (2, 3), stride=1), torch.randn(2, 12, 16))
layer("unflatten", nn.Unflatten(1, (2, 3)), torch.randn(4, 6))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Linear(5, 3)
        self.shortcut = nn.Linear(5, 3, bias=False)

    def forward(self, x):
        return self.shortcut(x) + self.block(x)


layer("residual", Residual(), torch.randn(4, 5))


class Adapted(nn.Module):
    """A linear layer with a correction of low rank, under the names of a parametrization."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)
        self.A, self.B = nn.Parameter(torch.randn(2, 5)), nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        return F.linear(x, self.linear.weight + 3 / 2 * self.B @ self.A, self.linear.bias)


adapted = Adapted()
for p in adapted.linear.parameters():
    p.requires_grad_(False)
layer("lora", adapted, torch.randn(4, 5))

save_file(found, Path(__file__).parent / "wrapped.safetensors")
