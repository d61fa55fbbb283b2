"""Writes models/: small models as PyTorch exports them, with inputs, outputs, and for some the gradients of Σ y·w (w = sin of the position) by the parameters. Read by
test/onnx/models.test.ts.

pip install torch transformers onnx onnxruntime safetensors && python test/onnx/golden/make-models.py"""

import io
import pathlib
import warnings

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

warnings.filterwarnings("ignore")
folder = pathlib.Path(__file__).parent / "models"
folder.mkdir(exist_ok=True)
torch.manual_seed(0)
torch.set_num_threads(1)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 5), nn.Tanh(), nn.AvgPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Linear(6 * 5 * 5, 16), nn.Tanh(), nn.Linear(16, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(nn.functional.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layers = kind(5, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        y, _ = self.layers(x)
        return self.head(y)


class VAE(nn.Module):
    """The decoder of one, with an upsampled skip."""

    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(4, 8 * 3 * 3)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1),
            nn.GroupNorm(2, 6),
            nn.GELU(),
            nn.ConvTranspose2d(6, 2, 4, 2, 1),
        )

    def forward(self, z):
        x = self.lift(z).view(-1, 8, 3, 3)
        skip = nn.functional.interpolate(x[:, :2], scale_factor=4, mode="bilinear", align_corners=False)
        return torch.sigmoid(self.up(x) + skip)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens):
        return self.encoder(self.embedding(tokens))


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
        self.bert = BertModel(BertConfig(vocab_size=30, max_position_embeddings=16, **sizes))

    def forward(self, tokens, mask):
        made = self.bert(tokens, attention_mask=mask)
        return made.last_hidden_state, made.pooler_output


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=30, n_positions=16, n_embd=8, n_layer=2, n_head=2, use_cache=False))

    def forward(self, tokens):
        return self.gpt2(tokens, attention_mask=torch.ones_like(tokens)).logits


def varied(model):
    """Weights far larger than at a start, so that every part counts, and statistics that are not 0 and 1."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.05, 0.3)
    for name, buffer in model.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    return model.eval()


def weighted(y):
    return (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()


def record(name, model, *runs, names, axes, gradients=False, opset=17, dynamo=False, **options):
    """`runs` are lists of inputs; the model is exported with the first."""
    model = varied(model)
    torch.onnx.export(
        model,
        tuple(runs[0]),
        folder / f"{name}.onnx",
        dynamo=dynamo,
        input_names=names,
        opset_version=opset,
        **({"dynamic_shapes": axes, "external_data": False} if dynamo else {"dynamic_axes": axes}),
        **options,
    )
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
    tensors = {}
    for i, inputs in enumerate(runs):
        outputs = model(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        own = session.run(None, {each: x.numpy() for each, x in zip(names, inputs)})
        for y, other in zip(outputs, own):
            assert np.allclose(y.detach().numpy(), other, rtol=1e-4, atol=1e-5), name
        for each, x in zip(names, inputs):
            tensors[f"{i}/x.{each}"] = x.contiguous()
        for j, y in enumerate(outputs):
            tensors[f"{i}/y.{j}"] = y.detach().contiguous()
        if gradients:
            model.zero_grad()
            sum(weighted(y) for y in outputs).backward()
            for each, parameter in model.named_parameters():
                if parameter.grad is not None:
                    tensors[f"{i}/g.{each}"] = parameter.grad.clone()
    save_file(tensors, folder / f"{name}.safetensors")


x = ["x"]
batch = {"x": {0: "batch"}}
sequence = {"x": {0: "batch", 1: "length"}}
mlp = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3), nn.LogSoftmax(1))
record("mlp", mlp, [torch.randn(4, 6)], [torch.randn(2, 6)], names=x, axes=batch, gradients=True)
record("lenet", LeNet(), [torch.randn(2, 1, 28, 28)], names=x, axes=batch, gradients=True)
record("resnet", ResNet(), [torch.randn(2, 3, 32, 32)], names=x, axes=batch)
unfused = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
record("resnet-unfused", ResNet(), [torch.randn(2, 3, 32, 32)], names=x, axes=batch, gradients=True, **unfused)
for name, kind in (("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)):
    record(name, Recurrent(kind), [torch.randn(2, 4, 5)], [torch.randn(3, 7, 5)], names=x, axes=sequence)
record("vae", VAE(), [torch.randn(2, 4)], [torch.randn(3, 4)], names=x, axes=batch)
tokens = torch.randint(0, 20, (2, 5))
longer = torch.randint(0, 20, (3, 7))
# Its attention is exported for the sizes that it was traced with.
record("encoder", Encoder(), [tokens], names=x, axes={}, gradients=True)
sizes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("length")},)
record("encoder-dynamo", Encoder(), [tokens], [longer], names=x, axes=sizes, gradients=True, opset=18, dynamo=True)
record("gpt2", GPT2(), [tokens], [longer], names=x, axes=sequence)
mask = (torch.arange(5) < torch.tensor([[5], [3]])).long()
longer_mask = (torch.arange(7) < torch.tensor([[7], [4], [1]])).long()
both = {"x": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length"}}
record("bert", Bert(), [tokens, mask], [longer, longer_mask], names=["x", "mask"], axes=both)
