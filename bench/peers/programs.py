"""PyTorch's side of bench/programs.ts: networks of the sizes that people begin with, in the words of its own tutorials."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from workload import classes, filled, training, wave


def program(make, loss_of, data):
    def prepare():
        inputs = data()
        return training(
            lambda: filled(make()),
            lambda model: torch.optim.Adam(model.parameters(), lr=1e-3, fused=True),
            lambda run: loss_of(run, *inputs),
        )

    return prepare


def labels(shape, number):
    return classes(math.prod(shape), number).reshape(shape)


def class_loss(run, x, y):
    return F.cross_entropy(run(x), y)


def token_loss(run, x, y):
    return F.cross_entropy(run(x).transpose(1, 2), y)


def square_loss(run, x, y):
    return F.mse_loss(run(x), y)


def convolved(channels, out):
    return [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]


def policy():
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))


def wide_mlp():
    def layer(inputs):
        return [nn.Linear(inputs, 1024), nn.BatchNorm1d(1024), nn.ReLU()]

    return nn.Sequential(*layer(784), *layer(1024), nn.Linear(1024, 10))


def few_shot():
    pool = nn.MaxPool2d(2)
    blocks = [part for i in range(4) for part in (*convolved(1 if i == 0 else 64, 64), pool)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64, 20))


class UNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()

        def double(channels, out):
            return nn.Sequential(*convolved(channels, out), *convolved(out, out))

        self.down1 = double(1, width)
        self.down2 = double(width, 2 * width)
        self.middle = double(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.joined2 = double(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.joined1 = double(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, 2))
        b = self.joined2(torch.cat([self.up2(c), b], 1))
        return self.head(self.joined1(torch.cat([self.up1(b), a], 1)))


class Letters(nn.Module):
    """A language model of letters, or a tagger of words: a recurrent network over embeddings."""

    def __init__(self, tokens, width, recurrent, outputs):
        super().__init__()
        self.table = nn.Embedding(tokens, width)
        self.recurrent = recurrent
        self.head = nn.Linear(recurrent.hidden_size * (2 if recurrent.bidirectional else 1), outputs)

    def forward(self, x):
        return self.head(self.recurrent(self.table(x))[0])


class Attending(nn.Module):
    """A decoder that attends to a recurrent encoder, step by step (Bahdanau, Cho and Bengio, 2015)."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(12, 32)
        self.encoder = nn.GRU(32, 64, batch_first=True, bidirectional=True)
        self.decoder = nn.GRUCell(160, 64)
        self.query = nn.Linear(64, 64)
        self.key = nn.Linear(128, 64)
        self.score = nn.Linear(64, 1)
        self.head = nn.Linear(192, 12)

    def forward(self, x):
        words = self.table(x)
        memory, _ = self.encoder(words)
        keys = self.key(memory)
        state = x.new_zeros(x.shape[0], 64, dtype=torch.float32)
        logits = []
        for word in words.unbind(1):
            scores = self.score((self.query(state).unsqueeze(1) + keys).tanh()).squeeze(2)
            context = (scores.softmax(-1).unsqueeze(1) @ memory).squeeze(1)
            state = self.decoder(torch.cat([word, context], 1), state)
            logits.append(self.head(torch.cat([state, context], 1)))
        return torch.stack(logits, 1)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(1000, 128)
        layer = nn.TransformerEncoderLayer(
            128, 4, 512, dropout=0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(128, 2)

    def forward(self, x):
        return self.head(self.encoder(self.table(x)).mean(1))


class Inverted(nn.Module):
    """An inverted residual (Sandler et al., 2018)."""

    def __init__(self, channels, out, stride):
        super().__init__()
        wide = 4 * channels
        self.net = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out),
        )
        self.adds = stride == 1

    def forward(self, x):
        y = self.net(x)
        return x + y if self.adds else y


def mobile():
    blocks = [Inverted(16, 24, 2), Inverted(24, 24, 1), Inverted(24, 40, 2), Inverted(40, 40, 1)]
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU6(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 10),
    )


def generator():
    def up(channels, out, stride, padding):
        return [nn.ConvTranspose2d(channels, out, 4, stride, padding), nn.BatchNorm2d(out), nn.ReLU()]

    return nn.Sequential(
        *up(64, 128, 1, 0), *up(128, 64, 2, 1), *up(64, 32, 2, 1), nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh()
    )


def critic():
    def down(channels, out):
        return [nn.Conv2d(channels, out, 4, 2, 1), nn.InstanceNorm2d(out, affine=True), nn.LeakyReLU(0.2)]

    return nn.Sequential(*down(3, 32), *down(32, 64), *down(64, 128), nn.Conv2d(128, 1, 4))


def penalty(run, x):
    """The gradient penalty of Gulrajani et al., 2017: gradients of gradients."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(run(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(2, 1) - 1).square().mean()


def plain_critic():
    def down(channels, out):
        return [nn.Conv2d(channels, out, 4, 2, 1), nn.LeakyReLU(0.2)]

    return nn.Sequential(*down(3, 32), *down(32, 64), *down(64, 128), nn.Flatten(), nn.Linear(2048, 1))


class Dilated(nn.Module):
    """Causal convolutions, ever more dilated (Bai, Kolter and Koltun, 2018)."""

    def __init__(self):
        super().__init__()
        self.start = nn.Conv1d(7, 32, 1)
        self.layers = nn.ModuleList([nn.Conv1d(32, 32, 3, dilation=2**i) for i in range(5)])
        self.head = nn.Conv1d(32, 7, 1)

    def forward(self, x):
        x = self.start(x)
        for i, layer in enumerate(self.layers):
            x = x + layer(F.pad(x, (2 << i, 0))).relu()
        return self.head(x)


class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.centers = nn.Embedding(10000, 100)
        self.contexts = nn.Embedding(10000, 100)

    def forward(self, center, context, negative):
        v = self.centers(center).unsqueeze(2)
        told = F.logsigmoid(self.contexts(context).unsqueeze(1) @ v).mean()
        return -(told + F.logsigmoid(-(self.contexts(negative) @ v)).mean())


class Mixer(nn.Module):
    """Perceptrons over places and over channels, in turns (Tolstikhin et al., 2021)."""

    def __init__(self):
        super().__init__()

        def mlp(hidden):
            return nn.Sequential(nn.Linear(64, hidden), nn.GELU(), nn.Linear(hidden, 64))

        self.patches = nn.Conv2d(3, 64, 4, 4)
        self.norms = nn.ModuleList([nn.LayerNorm(64) for _ in range(6)])
        self.mlps = nn.ModuleList([mlp(128 if i % 2 == 0 else 256) for i in range(6)])
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for i, (norm, mlp) in enumerate(zip(self.norms, self.mlps)):
            y = norm(x)
            x = x + (mlp(y.transpose(1, 2)).transpose(1, 2) if i % 2 == 0 else mlp(y))
        return self.head(x.mean(1))


class Field(nn.Module):
    """A picture or a scene as a function of place, by its sines and cosines (Mildenhall et al., 2020)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(39, 128), nn.Softplus(), nn.Linear(128, 128), nn.Softplus(), nn.Linear(128, 128), nn.SiLU(),
            nn.Linear(128, 4), nn.Sigmoid(),
        )

    def forward(self, x):
        waves = (x.unsqueeze(-1) * 2.0 ** torch.arange(6)).flatten(1)
        return self.net(torch.cat([x, waves.sin(), waves.cos()], 1))


class GraphConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(300, 64)
        self.second = nn.Linear(64, 7)

    def forward(self, x, adjacency):
        return adjacency @ self.second((adjacency @ self.first(x)).relu())


def loss_of_words(run, *data):
    return run(*data)


def mean_score(run, x):
    return run(x).mean()


def node_loss(run, x, adjacency, y):
    return F.cross_entropy(run(x, adjacency), y)


PROGRAMS = {
    "policy": program(policy, class_loss, lambda: (wave([32, 8], 1), labels([32], 2))),
    "wide mlp": program(wide_mlp, class_loss, lambda: (wave([128, 784], 1), labels([128], 10))),
    "few-shot": program(few_shot, class_loss, lambda: (wave([180, 1, 28, 28], 1), labels([180], 20))),
    "u-net": program(UNet, square_loss, lambda: (wave([8, 1, 64, 64], 1), wave([8, 1, 64, 64], 2))),
    "letters": program(
        lambda: Letters(27, 32, nn.GRU(32, 128, batch_first=True), 27), token_loss,
        lambda: (labels([128, 12], 27), labels([128, 12], 26)),
    ),
    "tagger": program(
        lambda: Letters(5000, 128, nn.LSTM(128, 128, 2, batch_first=True, bidirectional=True), 2), token_loss,
        lambda: (labels([32, 40], 5000), labels([32, 40], 2)),
    ),
    "attending": program(Attending, token_loss, lambda: (labels([32, 10], 12), labels([32, 10], 11))),
    "transformer": program(Classifier, class_loss, lambda: (labels([32, 64], 1000), labels([32], 2))),
    "mobile": program(mobile, class_loss, lambda: (wave([16, 3, 64, 64], 1), labels([16], 10))),
    "generator": program(generator, square_loss, lambda: (wave([64, 64, 1, 1], 1), wave([64, 3, 32, 32], 2))),
    "critic": program(critic, mean_score, lambda: (wave([64, 3, 32, 32], 1),)),
    "penalty": program(plain_critic, penalty, lambda: (wave([32, 3, 32, 32], 1),)),
    "dilated": program(Dilated, square_loss, lambda: (wave([32, 7, 256], 1), wave([32, 7, 256], 2))),
    "skip-gram": program(
        SkipGram, loss_of_words, lambda: (labels([512], 10000), labels([512], 9999), labels([512, 5], 9973))
    ),
    "mixer": program(Mixer, class_loss, lambda: (wave([32, 3, 32, 32], 1), labels([32], 10))),
    "field": program(Field, square_loss, lambda: (wave([4096, 3], 1), wave([4096, 4], 2))),
    "graph": program(
        GraphConvolution, node_loss,
        lambda: (wave([1000, 300], 1), (wave([1000, 1000], 2) > 0.99).float(), labels([1000], 6)),
    ),
}
