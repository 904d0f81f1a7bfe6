"""The activations of models, and the gain of the initialisation for each. No layers with weights here."""

from collections.abc import Callable
from math import sqrt

from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
"""Name in a study file -> module, each with PyTorch's default slope or scale."""

GAINS: dict[str, float] = {
    "relu": nn.init.calculate_gain("relu"),
    "leaky_relu": nn.init.calculate_gain("leaky_relu", nn.LeakyReLU().negative_slope),
    "elu": sqrt(2.0),
    "gelu": sqrt(2.0),
    "silu": sqrt(2.0),
    "tanh": nn.init.calculate_gain("tanh"),
    "sigmoid": nn.init.calculate_gain("sigmoid"),
}
"""Factor on the standard deviation of the weights that feed the activation, from `torch.nn.init.calculate_gain`.
PyTorch names none for elu, gelu and silu: they take relu's, whose shape they smooth."""
