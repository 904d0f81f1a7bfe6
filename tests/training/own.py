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

    def __init__(self, input_shape, outputs, kind="attention", p=0.0, noise=0.0):
        super().__init__()
        self.up = nn.Linear(1, 4)
        self.kind = kind
        self.noise = noise
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
        return self.down(x)
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
