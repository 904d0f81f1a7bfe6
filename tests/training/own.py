"""Modules of the user's own that a program must train right, for the tests of `hpo.training.custom.module`."""

TABLES = """
import torch
import torch.nn.functional as F
from torch import nn

HARMLESS = float("inf")


class Plain(nn.Module):
    '''Batch normalisation before and after, a constant buffer, a scalar parameter, tied weights.'''

    def __init__(self, input_shape, outputs, width=8, p=0.0, momentum=0.1, branch=False):
        super().__init__()
        self.first = nn.BatchNorm1d(input_shape[0], affine=False, momentum=momentum)
        self.register_buffer("projection", torch.randn(input_shape[0], width))
        self.register_buffer("order", torch.randperm(width))
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.one = nn.Linear(width, width)
        self.two = nn.Linear(width, width)
        self.two.weight = self.one.weight
        self.drop = nn.Dropout(p)
        self.norm = nn.BatchNorm1d(width, momentum=momentum)
        self.output = nn.Linear(width, outputs)
        self.branch = branch

    def forward(self, x):
        x = self.first(x) @ self.projection
        x = self.drop(torch.tanh(self.one(x))) * self.scale
        x = self.drop(F.gelu(self.two(x[:, self.order])))
        x = self.output(self.norm(x))
        if self.branch and x.sum() > HARMLESS:  # what vmap cannot take
            return -x
        return x


class Rows(nn.Module):
    '''Features as a sequence; dropout on [time, batch, ...] and on examples times time.'''

    def __init__(self, input_shape, outputs, kind="attention", p=0.0, noise=0.0, random=False):
        super().__init__()
        self.up = nn.Linear(1, 4)
        self.kind = kind
        self.noise, self.random = noise, random
        self.drop, self.channels = nn.Dropout(p), nn.Dropout1d(p)
        if kind == "attention":
            self.inner = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)
        else:
            self.inner = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](4, 4)
        self.down = nn.Linear(4, outputs)

    def forward(self, x):
        x = self.up(x.T.unsqueeze(2))
        x = self.inner(self.drop(x))
        x = x[0] if isinstance(x, tuple) else x
        x = self.channels(x.transpose(0, 1).transpose(1, 2)).mean(2)
        if self.noise:
            x = F.dropout(x, self.noise, self.training)
        if self.random and self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.down(x)
"""

LAYERS = """
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Cells(nn.Module):
    '''Features as a sequence through recurrent layers.'''

    def __init__(self, input_shape, outputs, kind, **arguments):
        super().__init__()
        self.cells = getattr(nn, kind)(1, 5, **arguments)
        self.down = nn.Linear(5 * (1 + arguments.get("bidirectional", False)), outputs)

    def forward(self, x):
        along = 1 if self.cells.batch_first else 0
        y, last = self.cells(x.unsqueeze(2) if along else x.T.unsqueeze(2))
        return self.down(y.mean(along)) + (last[0] if isinstance(last, tuple) else last).mean()


class Attention(nn.Module):
    '''Features as a sequence through a transformer.'''

    def __init__(self, input_shape, outputs, masked=False, dropout=0.0, **arguments):
        super().__init__()
        self.up, self.masked = nn.Linear(1, 4), masked
        layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=dropout, batch_first=True, **arguments)
        self.inner = nn.TransformerEncoder(layer, 2)
        self.down = nn.Linear(4, outputs)

    def forward(self, x):
        mask = (x > 1) & (torch.arange(x.shape[1]) > 0) if self.masked else None
        y = self.inner(self.up(x.unsqueeze(2)), src_key_padding_mask=mask)
        return self.down(y.mean(1) if mask is None else (y * ~mask.unsqueeze(2)).sum(1) / 13)


class Heads(nn.Module):
    '''Attention with weights that are used, and a bias learnt beside the keys.'''

    def __init__(self, input_shape, outputs, dropout=0.0):
        super().__init__()
        self.up = nn.Linear(1, 4)
        self.heads = nn.MultiheadAttention(4, 2, dropout=dropout, add_bias_kv=True, kdim=1, vdim=1)
        self.down = nn.Linear(4, outputs)

    def forward(self, x):
        x = x.T.unsqueeze(2)
        y, weights = self.heads(self.up(x), x, x)
        return self.down(y.mean(0)) + weights.square().mean()


class Functions(nn.Module):
    '''Dropout by functions.'''

    def __init__(self, input_shape, outputs):
        super().__init__()
        self.up, self.down = nn.Linear(1, 4), nn.Linear(4, outputs)

    def forward(self, x):
        y = self.up(x.unsqueeze(2)).unflatten(2, (2, 2)).transpose(1, 2)
        y = F.scaled_dot_product_attention(y, y, y, dropout_p=0.2 * self.training, is_causal=True)
        y = F.dropout1d(y.transpose(1, 2).flatten(2), 0.3, self.training)
        return F.dropout(self.down(y.mean(1)), 0.1, self.training)


class Behind(nn.Module):
    '''Dropout by a function, behind layers that drop something in some lanes alone.'''

    def __init__(self, input_shape, outputs, inner, dropout=0.0, branch=False):
        super().__init__()
        self.up, self.inner, self.branch = nn.Linear(1, 4), inner, branch
        if inner == "cells":
            self.layer = nn.GRU(4, 4, 3, batch_first=True, dropout=dropout)
        elif inner in ("heads", "weights"):
            self.layer = nn.MultiheadAttention(4, 2, batch_first=True, dropout=dropout)
        else:
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=dropout, batch_first=True)
        self.down = nn.Linear(4, outputs)

    def forward(self, x):
        x = self.up(x.unsqueeze(2))
        if self.inner in ("heads", "weights"):
            x, _ = self.layer(x, x, x, need_weights=self.inner == "weights")
        else:
            x = self.layer(x)[0] if self.inner == "cells" else self.layer(x)
        x = F.dropout(self.down(x.mean(1)), 0.3, self.training)
        return x if not self.branch or x.sum() < 1e9 else -x


class Biased(nn.Module):
    '''Attention with dropout, to whose scores a learnt tensor is added.'''

    def __init__(self, input_shape, outputs, dropout=0.2):
        super().__init__()
        self.up, self.down, self.dropout = nn.Linear(1, 4), nn.Linear(4, outputs), dropout
        self.places = nn.Parameter(torch.zeros(input_shape[0], input_shape[0]))

    def forward(self, x):
        y = self.up(x.unsqueeze(2)).unsqueeze(1)
        p = self.dropout if self.training else 0.0
        return self.down(F.scaled_dot_product_attention(y, y, y, self.places, dropout_p=p).mean((1, 2)))


class Packed(nn.Module):
    '''Sequences of unequal length, packed.'''

    def __init__(self, input_shape, outputs, **arguments):
        super().__init__()
        self.cells, self.down = nn.GRU(1, 4, batch_first=True, **arguments), nn.Linear(4, outputs)

    def forward(self, x):
        lengths = (x > 0).sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(x.unsqueeze(2), lengths, batch_first=True, enforce_sorted=False)
        return self.down(self.cells(packed)[1][-1])


class Renormed(nn.Module):
    '''An embedding that keeps its own weights short.'''

    def __init__(self, input_shape, outputs):
        super().__init__()
        self.embedding, self.down = nn.Embedding(4, 3, max_norm=0.5), nn.Linear(3, outputs)

    def forward(self, x):
        return self.down(self.embedding((x > 0).long() + (x > 1).long()).mean(1))


class Body(nn.Module):
    '''A pre-trained body that is not trained.'''

    def __init__(self, input_shape, outputs):
        super().__init__()
        self.body = nn.Linear(input_shape[0], 6)
        self.body.load_state_dict(torch.load(Path(__file__).with_name("body.pt")))
        self.body.requires_grad_(False)
        self.down = nn.Linear(6, outputs)

    def forward(self, x):
        return self.down(torch.tanh(self.body(x)))


class Features(Body):
    '''Random features that are not trained.'''

    def __init__(self, input_shape, outputs):
        super().__init__(input_shape, outputs)
        nn.init.normal_(self.body.weight)


class Still(nn.BatchNorm1d):
    '''Normalisation that is never trained.'''

    def train(self, mode=True):
        return super().train(False)


class Norms(nn.Module):
    '''A body whose normalisation stays in evaluation mode, in one of the ways that people write, before one that
    trains.'''

    def __init__(self, input_shape, outputs, how, branch=False):
        super().__init__()
        self.how, self.branch = how, branch
        self.body, self.norm = nn.Linear(input_shape[0], 6), (Still if how == "class" else nn.BatchNorm1d)(6)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.linspace(-1, 1, 6))
            self.norm.running_var.copy_(torch.linspace(0.5, 2, 6))
        if how == "frozen":
            self.norm.requires_grad_(False)
        if how == "init":  # `train` of the whole undoes it
            self.norm.eval()
        self.unused = nn.BatchNorm1d(6, affine=False)
        self.unused.running_mean.fill_(3.0)
        self.last, self.down = nn.BatchNorm1d(6), nn.Linear(6, outputs)

    def train(self, mode=True):
        super().train(mode)
        if self.how in ("train", "frozen"):
            self.norm.eval()
        return self

    def forward(self, x):
        if self.how == "forward":
            self.norm.eval()
        x = self.down(self.last(torch.tanh(self.norm(self.body(x)))))
        return x if not self.branch or x.sum() < 1e9 else -x


class Block(nn.Module):
    '''What lanes cannot do together.'''

    def forward(self, x):
        return x if x.sum() < 1e9 else -x


class Inside(nn.Module):
    def __init__(self, input_shape, outputs):
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(input_shape[0], outputs), Block())

    def forward(self, x):
        return self.blocks(x)


class Ranged(nn.Module):
    '''Takes pixels between 0 and 16 alone.'''

    def __init__(self, input_shape, outputs):
        super().__init__()
        self.values, self.down = nn.Embedding(17, 2), nn.Linear(2, outputs)

    def forward(self, x):
        return self.down(self.values(x.flatten(1).long()).mean(1))


class Ends(nn.Module):
    def __init__(self, input_shape, outputs, last):
        super().__init__()
        self.down, self.last = nn.Linear(input_shape[0], outputs), last

    def forward(self, x):
        y = self.down(x)
        return y.tanh() if self.last == "tanh" else getattr(y, self.last)(1)
"""

IMAGES = """
from torch import nn


def net(input_shape, outputs, channels=4, p=0.0):
    return nn.Sequential(
        nn.Conv2d(input_shape[0], channels, 3, padding=1, stride=2),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Dropout2d(p),
        nn.Conv2d(channels, channels, 3, groups=2),
        nn.GroupNorm(2, channels),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(outputs),
    )
"""
