"""Makes nn.safetensors with PyTorch (pip install torch safetensors): inputs, weights, outputs and gradients of layers and losses. Names are
`case/part`: `state.…` a state dict, `x…` an input, `y` the output, `g…` the gradient of Σ y·w with w = sin of the position, `after.…` a state
dict afterwards. Read by test/nn."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from recording import found, layer, loss, put

torch.manual_seed(0)
torch.set_num_threads(1)

layer("linear", nn.Linear(5, 3), torch.randn(2, 4, 5))
layer("linear-no-bias", nn.Linear(4, 2, bias=False), torch.randn(3, 4))
layer("conv2d", nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), torch.randn(2, 4, 7, 6))
layer("conv2d-same", nn.Conv2d(2, 3, (4, 3), padding="same"), torch.randn(1, 2, 5, 6))
layer("batch-norm-1d", nn.BatchNorm1d(3), torch.randn(6, 3))
layer("batch-norm-1d-length", nn.BatchNorm1d(3, momentum=0.3, eps=1e-3), torch.randn(4, 3, 5))
layer("batch-norm-2d", nn.BatchNorm2d(3), 2 * torch.randn(4, 3, 4, 5) + 1)
evaluated = nn.BatchNorm2d(3)
evaluated(torch.randn(4, 3, 4, 5) * 3 - 1)
layer("batch-norm-2d-eval", evaluated.eval(), torch.randn(2, 3, 4, 5))
layer("batch-norm-2d-plain", nn.BatchNorm2d(3, affine=False), torch.randn(2, 3, 2, 2))
layer("layer-norm", nn.LayerNorm(6), torch.randn(3, 4, 6))
layer("layer-norm-2", nn.LayerNorm([4, 6], eps=1e-3), torch.randn(3, 4, 6))
layer("layer-norm-no-bias", nn.LayerNorm(6, bias=False), torch.randn(3, 6))
layer("embedding", nn.Embedding(7, 4, padding_idx=2), torch.tensor([[1, 2, 6], [6, 0, 1]]))
layer("max-pool", nn.MaxPool2d(3, stride=2, padding=1, dilation=1, ceil_mode=True), torch.randn(2, 3, 6, 8))
layer("max-pool-dilated", nn.MaxPool2d((2, 3), stride=(1, 2), dilation=2), torch.randn(1, 2, 7, 8))
layer("avg-pool", nn.AvgPool2d(3, stride=2, padding=1), torch.randn(2, 3, 6, 7))
layer("avg-pool-ceil", nn.AvgPool2d((3, 2), stride=2, padding=1, ceil_mode=True), torch.randn(1, 2, 6, 7))
layer("avg-pool-uncounted", nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), torch.randn(1, 2, 6, 8))

attention = nn.MultiheadAttention(8, 2, batch_first=True)
x = torch.randn(2, 5, 8)
layer("attention", attention, x, call=lambda q: attention(q, q, q, need_weights=False)[0])
hidden = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
layer("attention-causal", attention, x, call=lambda q: attention(q, q, q, attn_mask=hidden, need_weights=False)[0])
layer(
    "attention-cross", attention, x, torch.randn(2, 3, 8), torch.randn(2, 3, 8),
    call=lambda q, k, v: attention(q, k, v, need_weights=False)[0],
)
for norm in [False, True]:
    kind = "pre" if norm else "post"
    encoder = nn.TransformerEncoderLayer(
        8, 2, dim_feedforward=12, dropout=0, batch_first=True, norm_first=norm, activation="gelu" if norm else "relu"
    )
    layer(f"encoder-{kind}", encoder, torch.randn(2, 5, 8))
    decoder = nn.TransformerDecoderLayer(8, 2, dim_feedforward=12, dropout=0, batch_first=True, norm_first=norm)
    layer(
        f"decoder-{kind}", decoder, torch.randn(2, 5, 8), torch.randn(2, 3, 8),
        call=lambda q, m: decoder(q, m, tgt_mask=hidden, tgt_is_causal=True),
    )

logits = 2 * torch.randn(6, 4)
target = torch.tensor([0, 3, 1, -100, 2, 3])
weight = torch.tensor([0.5, 1.0, 2.0, 1.5])
loss("ce", lambda x: F.cross_entropy(x, target), logits, target=target)
loss("ce-none", lambda x: F.cross_entropy(x, target, reduction="none"), logits, target=target)
loss("ce-sum", lambda x: F.cross_entropy(x, target, weight, reduction="sum"), logits, target=target, weight=weight)
loss("ce-weight", lambda x: F.cross_entropy(x, target, weight), logits, target=target, weight=weight)
counted = torch.tensor([0, 3, 1, 0, 2, 3])
loss("ce-smooth", lambda x: F.cross_entropy(x, counted, label_smoothing=0.2), logits, target=counted)
loss(
    "ce-smooth-weight-ignore", lambda x: F.cross_entropy(x, counted, weight, ignore_index=3, label_smoothing=0.2),
    logits, target=counted, weight=weight,
)
soft = torch.softmax(torch.randn(6, 4), 1)
loss("ce-soft", lambda x: F.cross_entropy(x, soft, weight, label_smoothing=0.1), logits, target=soft, weight=weight)
spatial = torch.randint(0, 4, (2, 3, 5))
loss("ce-spatial", lambda x: F.cross_entropy(x, spatial, weight), torch.randn(2, 4, 3, 5), target=spatial, weight=weight)
loss("ce-row", lambda x: F.cross_entropy(x, torch.tensor(2)), torch.randn(4), target=torch.tensor(2))
y = torch.randn(3, 4)
loss("mse", lambda x: F.mse_loss(x, y), torch.randn(3, 4), target=y)
loss("mse-none", lambda x: F.mse_loss(x, y, reduction="none"), torch.randn(3, 4), target=y)
truth = torch.rand(3, 4)
extremes = torch.tensor([[0.0, 30.0, -30.0, 100.0], [-100.0, 1.0, -1.0, 15.0], [-15.0, 0.5, 2.0, 3.0]])
hard = torch.tensor([[0.0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1]])
loss("bce", lambda x: F.binary_cross_entropy_with_logits(x, truth), torch.randn(3, 4), target=truth)
loss("bce-hard", lambda x: F.binary_cross_entropy_with_logits(x, hard, reduction="sum"), extremes, target=hard)
loss(
    "bce-weights", lambda x: F.binary_cross_entropy_with_logits(x, truth, weight, pos_weight=2 * weight),
    torch.randn(3, 4), target=truth, weight=weight, posWeight=2 * weight,
)

save_file(found, Path(__file__).parent / "nn.safetensors")
