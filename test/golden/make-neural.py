"""Makes neural.safetensors with PyTorch (pip install torch safetensors): recurrent layers, normalisations, Transformers, embedding bags, distances and
losses, with their gradients. The parts of a case are described in recording.py. Read by test/nn."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recording import found, layer, loss

torch.manual_seed(0)
torch.set_num_threads(1)


def flat(*tensors):
    return torch.cat([t.flatten() for t in tensors])


# Recurrent layers: output, last states and last cells, one after the other.
def states(result):
    y, h = result
    return flat(y, *(h if isinstance(h, tuple) else (h,)))


def packed(module, x, lengths):
    x = pack_padded_sequence(x, torch.tensor(lengths), batch_first=module.batch_first, enforce_sorted=False)
    y, h = module(x)
    y, _ = pad_packed_sequence(y, batch_first=module.batch_first, total_length=5)
    return states((y, h))


for kind in ["RNN", "GRU", "LSTM"]:
    make = getattr(nn, kind)
    name = kind.lower()
    plain = make(4, 3)
    layer(name, plain, torch.randn(5, 2, 4), call=lambda x: states(plain(x)))
    deep = make(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    layer(f"{name}-deep", deep, torch.randn(2, 5, 4), call=lambda x: states(deep(x)))
    layer(f"{name}-lengths", deep, torch.randn(3, 5, 4), call=lambda x: packed(deep, x, [3, 5, 1]))
    bare = make(4, 3, bias=False)
    first = torch.randn(1, 2, 3), torch.randn(1, 2, 3)
    call = (lambda x, h, c: states(bare(x, (h, c)))) if kind == "LSTM" else (lambda x, h: states(bare(x, h)))
    layer(f"{name}-initial", bare, torch.randn(5, 2, 4), *first[: 2 if kind == "LSTM" else 1], call=call)
    cell = getattr(nn, kind + "Cell")(4, 3)
    layer(f"{name}-cell", cell, torch.randn(2, 4), call=lambda x: flat(*cell(x)) if kind == "LSTM" else cell(x).flatten())
relu = nn.RNN(4, 3, nonlinearity="relu")
layer("rnn-relu", relu, torch.randn(5, 2, 4), call=lambda x: states(relu(x)))
projected = nn.LSTM(4, 5, num_layers=2, proj_size=3, bidirectional=True)
layer("lstm-projected", projected, torch.randn(5, 2, 4), call=lambda x: states(projected(x)))

# Normalisations.
layer("group-norm", nn.GroupNorm(2, 6), torch.randn(2, 6, 3, 4))
layer("group-norm-plain", nn.GroupNorm(3, 6, eps=1e-3, affine=False), torch.randn(2, 6, 5))
layer("rms-norm", nn.RMSNorm(6), torch.randn(3, 4, 6))
layer("rms-norm-2", nn.RMSNorm([4, 6], eps=1e-3), torch.randn(3, 4, 6))
layer("instance-norm-1d", nn.InstanceNorm1d(3, affine=True), torch.randn(2, 3, 5))
layer("instance-norm-2d", nn.InstanceNorm2d(3, track_running_stats=True), torch.randn(2, 3, 4, 5))
layer("instance-norm-3d", nn.InstanceNorm3d(2), torch.randn(2, 2, 2, 3, 4))
tracked = nn.InstanceNorm2d(3, affine=True, track_running_stats=True)
tracked(torch.randn(2, 3, 4, 5) * 2 + 1)
layer("instance-norm-2d-eval", tracked.eval(), torch.randn(2, 3, 4, 5))
layer("batch-norm-3d", nn.BatchNorm3d(2), torch.randn(2, 2, 2, 3, 4))
layer("local-response-norm", nn.LocalResponseNorm(3, alpha=0.5, beta=0.6, k=2), torch.randn(2, 5, 3, 4))
layer("local-response-norm-even", nn.LocalResponseNorm(4), torch.randn(2, 5, 3))

# Lookups, distances, products.
bags = torch.tensor([[1, 2, 6], [6, 0, 1]])
ragged = torch.tensor([1, 2, 6, 6, 0]), torch.tensor([0, 2, 2])
for mode in ["sum", "mean", "max"]:
    bag = nn.EmbeddingBag(7, 4, mode=mode)
    layer(f"embedding-bag-{mode}", bag, bags)
    layer(f"embedding-bag-{mode}-offsets", bag, *ragged)
bag = nn.EmbeddingBag(7, 4, mode="sum", padding_idx=6)
layer("embedding-bag-weights", bag, *ragged, torch.randn(5))
layer("bilinear", nn.Bilinear(3, 4, 2), torch.randn(5, 3), torch.randn(5, 4))
layer("cosine-similarity", nn.CosineSimilarity(dim=1), torch.randn(3, 4, 2), torch.randn(3, 4, 2))
layer("pairwise-distance", nn.PairwiseDistance(p=3), torch.randn(3, 4), torch.randn(3, 4))
for p in [0.5, 1.0, 2.0, 3.0, float("inf")]:
    layer(f"cdist-{p:g}", nn.Identity(), torch.randn(2, 3, 4), torch.randn(2, 5, 4), call=lambda a, b: torch.cdist(a, b, p))
layer("normalize", nn.Identity(), torch.randn(3, 4), call=lambda x: F.normalize(x, p=3, dim=0))

# Activations with a state.
layer("prelu", nn.PReLU(), torch.randn(2, 3, 4))
layer("prelu-channels", nn.PReLU(3, init=0.1), torch.randn(2, 3, 4))

# Transformers.
hidden = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
padding = torch.tensor([[False, False, False], [False, True, True]])
encoder = nn.TransformerEncoder(
    nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True), 2, norm=nn.LayerNorm(8), enable_nested_tensor=False
)
layer("encoder", encoder, torch.randn(2, 3, 8), call=lambda x: encoder(x, src_key_padding_mask=padding))
decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True, bias=False), 2)
layer(
    "decoder", decoder, torch.randn(2, 5, 8), torch.randn(2, 3, 8),
    call=lambda x, m: decoder(x, m, tgt_mask=hidden, memory_key_padding_mask=padding),
)
whole = nn.Transformer(8, 2, 2, 1, 12, 0.0, batch_first=True, norm_first=True, activation="gelu", layer_norm_eps=1e-4)
layer("transformer", whole, torch.randn(2, 3, 8), torch.randn(2, 5, 8), call=lambda s, t: whole(s, t, tgt_mask=hidden))
apart = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=True)
layer(
    "attention-apart", apart, torch.randn(2, 5, 8), torch.randn(2, 3, 6), torch.randn(2, 3, 4),
    call=lambda q, k, v: flat(*apart(q, k, v, key_padding_mask=padding)),
)

biased = nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True)
layer("attention-bias-kv", biased, torch.randn(2, 5, 8), call=lambda x: biased(x, x, x, attn_mask=hidden, need_weights=False)[0])

# Losses.
x, y = torch.randn(3, 4), torch.randn(3, 4)
near = y + 0.4 * torch.randn(3, 4)
for reduction in ["none", "mean", "sum"]:
    options = {"reduction": reduction}
    loss(f"l1-{reduction}", lambda x: F.l1_loss(x, y, **options), x, target=y)
    loss(f"smooth-l1-{reduction}", lambda x: F.smooth_l1_loss(x, y, beta=0.5, **options), near, target=y)
    loss(f"huber-{reduction}", lambda x: F.huber_loss(x, y, delta=0.3, **options), near, target=y)
    loss(f"soft-margin-{reduction}", lambda x: F.soft_margin_loss(x, y.sign(), **options), x, target=y.sign())
    loss(f"hinge-embedding-{reduction}", lambda x: F.hinge_embedding_loss(x, y.sign(), margin=0.7, **options), x, target=y.sign())
loss("l1-equal", lambda x: F.l1_loss(x, x.detach()), x, target=x)
loss("smooth-l1-zero-beta", lambda x: F.smooth_l1_loss(x, y, beta=0.0), near, target=y)

share, truth, weight = torch.rand(3, 4), torch.rand(3, 4), torch.rand(4)
loss("bce-shares", lambda x: F.binary_cross_entropy(x, truth), share, target=truth)
loss("bce-shares-weight", lambda x: F.binary_cross_entropy(x, truth, weight, reduction="sum"), share, target=truth, weight=weight)
ends = torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0, 0.0])
loss("bce-shares-ends", lambda x: F.binary_cross_entropy(x, ends[1], reduction="none"), ends[0], target=ends[1])
p, q = torch.log_softmax(torch.randn(3, 4), 1), torch.softmax(torch.randn(3, 4), 1)
q[0, 0] = 0
for reduction in ["none", "mean", "sum", "batchmean"]:
    loss(f"kl-{reduction}", lambda x: F.kl_div(x, q, reduction=reduction), p, target=q)
logq = torch.log_softmax(torch.randn(3, 4), 1)
loss("kl-log", lambda x: F.kl_div(x, logq, reduction="sum", log_target=True), p, target=logq)

counted = torch.tensor([0, 3, 1, -100, 2, 3])
classes = torch.tensor([0.5, 1.0, 2.0, 1.5])
logp = torch.log_softmax(torch.randn(6, 4), 1)
for reduction in ["none", "mean", "sum"]:
    loss(f"nll-{reduction}", lambda x: F.nll_loss(x, counted, classes, reduction=reduction), logp, target=counted, weight=classes)
spatial = torch.randint(0, 4, (2, 3, 5))
loss("nll-spatial", lambda x: F.nll_loss(x, spatial, ignore_index=1), torch.randn(2, 4, 3, 5), target=spatial)

a, b, c = torch.randn(5, 3), torch.randn(5, 3), torch.randn(5, 3)
sign = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
loss("cosine-embedding", lambda x: F.cosine_embedding_loss(x, b, sign, margin=0.2), a, other=b, target=sign)
loss("margin-ranking", lambda x: F.margin_ranking_loss(x, b[:, 0], sign, margin=0.3), a[:, 0], other=b[:, 0], target=sign)
loss("triplet", lambda x: F.triplet_margin_loss(x, b, c, margin=0.8), a, positive=b, negative=c)
loss("triplet-swap", lambda x: F.triplet_margin_loss(x, b, c, p=1, swap=True, reduction="none"), a, positive=b, negative=c)
several = torch.tensor([[3, 0, -1, 1], [1, -1, 0, 2], [0, 1, 2, 3]])
loss("multi-label-margin", lambda x: F.multilabel_margin_loss(x, several, reduction="none"), torch.randn(3, 4), target=several)
loss("multi-label-margin-row", lambda x: F.multilabel_margin_loss(x, several[0]), torch.randn(4), target=several[0])
some = (torch.rand(3, 4) > 0.5).float()
loss("multi-label-soft-margin", lambda x: F.multilabel_soft_margin_loss(x, some, weight), torch.randn(3, 4), target=some, weight=weight)
kind = torch.tensor([2, 0, 1])
loss("multi-margin", lambda x: F.multi_margin_loss(x, kind), torch.randn(3, 4), target=kind)
loss(
    "multi-margin-2", lambda x: F.multi_margin_loss(x, kind, p=2, margin=0.6, weight=classes, reduction="sum"),
    torch.randn(3, 4), target=kind, weight=classes,
)
rates = torch.randint(0, 5, (3, 4)).float()
loss("poisson", lambda x: F.poisson_nll_loss(x, rates), torch.randn(3, 4), target=rates)
loss(
    "poisson-full", lambda x: F.poisson_nll_loss(x, rates, log_input=False, full=True, reduction="sum"),
    torch.rand(3, 4) + 0.1, target=rates,
)
variance = torch.rand(3, 4) + 0.1
loss("gaussian", lambda x: F.gaussian_nll_loss(x, y, variance), x, target=y, variance=variance)
loss("gaussian-variance", lambda v: F.gaussian_nll_loss(x, y, v, full=True, reduction="none"), variance, target=y, mean=x)

# CTC: [t, n, classes], the second target with a repeat, the third too long for its input.
scores = torch.randn(7, 3, 5)
targets = torch.tensor([[1, 2, 3], [4, 4, 1], [2, 2, 2]])
input_lengths, target_lengths = torch.tensor([7, 6, 3]), torch.tensor([3, 2, 3])
lengths = {"target": targets, "inputLengths": input_lengths, "targetLengths": target_lengths}


def ctc(x, **options):
    return F.ctc_loss(x.log_softmax(-1), targets, input_lengths, target_lengths, **options)


for reduction in ["none", "mean", "sum"]:
    loss(f"ctc-{reduction}", lambda x: ctc(x, zero_infinity=True, reduction=reduction), scores, **lengths)
joined = torch.cat([targets[i, :n] for i, n in enumerate(target_lengths)])
loss(
    "ctc-joined", lambda x: F.ctc_loss(x.log_softmax(-1), joined, input_lengths, target_lengths, blank=0, zero_infinity=True),
    scores, target=joined, inputLengths=input_lengths, targetLengths=target_lengths,
)
loss("ctc-blank", lambda x: F.ctc_loss(x.log_softmax(-1), torch.tensor([[0, 1], [1, 3]]), torch.tensor([6, 5]), torch.tensor([2, 2]), blank=4),
     torch.randn(6, 2, 5))

# Attention with a mask that hides all keys of a query, and grouped queries.
q, k, v = torch.randn(1, 4, 3, 2), torch.randn(1, 2, 3, 2), torch.randn(1, 2, 3, 2)
layer(
    "attention-grouped", nn.Identity(), q, k, v,
    call=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
)

save_file(found, Path(__file__).parent / "neural.safetensors")
