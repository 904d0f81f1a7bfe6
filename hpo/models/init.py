"""Initial weights: one function per scheme. Variances follow `torch.nn.init`; biases start at zero.

fan_in is the number of inputs that one unit sums (for a convolution: channels times kernel area), fan_out the number
of outputs that one input reaches.
"""

from collections.abc import Callable
from math import sqrt

from torch import Generator, Tensor, nn

from hpo.models.activations import GAINS
from hpo.models.families.transformer import unnormalised
from hpo.models.layers.attention import ClassToken, Positions
from hpo.models.layers.embed import Embed
from hpo.models.layers.flow import SkipConv2d, SkipLinear
from hpo.models.layers.periodic import Periodic
from hpo.models.layers.piecewise import PiecewiseLinear
from hpo.models.layers.recurrent import Recurrent
from hpo.models.layers.step_convolution import SkipStepConv
from hpo.models.layers.steps import WordSteps
from hpo.studyfile.records import Custom, Init, Mlp, TrialConfig


def _fans(weight: Tensor) -> tuple[int, int]:
    area = weight[0, 0].numel()
    return weight.shape[1] * area, weight.shape[0] * area


def _normal(weight: Tensor, variance: float, generator: Generator) -> None:
    nn.init.normal_(weight, 0.0, sqrt(variance), generator=generator)


def _uniform(weight: Tensor, variance: float, generator: Generator) -> None:
    bound = sqrt(3.0 * variance)
    nn.init.uniform_(weight, -bound, bound, generator=generator)


def _zeros(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    nn.init.zeros_(weight)


def _constant(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    nn.init.constant_(weight, init.value)


def _small_normal(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    _normal(weight, init.std**2, generator)


def _lecun_normal(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    _normal(weight, 1.0 / _fans(weight)[0], generator)


def _xavier_variance(weight: Tensor, gain: float) -> float:
    return 2.0 * gain**2 / sum(_fans(weight))


def _xavier_uniform(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    _uniform(weight, _xavier_variance(weight, gain), generator)


def _xavier_normal(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    _normal(weight, _xavier_variance(weight, gain), generator)


def _kaiming_uniform(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    _uniform(weight, gain**2 / _fans(weight)[0], generator)


def _kaiming_normal(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    _normal(weight, gain**2 / _fans(weight)[0], generator)


def _orthogonal(weight: Tensor, gain: float, init: Init, generator: Generator) -> None:
    nn.init.orthogonal_(weight, gain, generator=generator)


SKIPS = SkipConv2d | SkipLinear | SkipStepConv
"""Layers that feed no activation."""

SCHEMES: dict[str, Callable[[Tensor, float, Init, Generator], None]] = {
    "zeros": _zeros,
    "constant": _constant,
    "small_normal": _small_normal,
    "lecun_normal": _lecun_normal,
    "xavier_uniform": _xavier_uniform,
    "xavier_normal": _xavier_normal,
    "kaiming_uniform": _kaiming_uniform,
    "kaiming_normal": _kaiming_normal,
    "orthogonal": _orthogonal,
}
"""Name in a study file -> function that fills a weight in place. Variance: small_normal std^2; lecun 1/fan_in
(LeCun et al. 1998); xavier 2*gain^2/(fan_in+fan_out) (Glorot & Bengio 2010); kaiming gain^2/fan_in (He et al. 2015);
orthogonal: rows or columns, whichever are fewer, are orthogonal with length gain (Saxe et al. 2014)."""


LINEAR = ("output", "project", "query_key_value", "attention_out", "linear_out", "depthwise")
"""First words of the names of linear layers and convolutions that feed no activation."""
SMALL = 0.02
"""Standard deviation of learned positions and class tokens (Devlin et al. 2019)."""


def initialize(model: nn.Sequential, config: TrialConfig, generator: Generator) -> None:
    """Set all parameters and running averages in place; the generator alone decides the draws.

    Weights of linear layers and convolutions follow the scheme, with the activation's gain, those that feed no
    activation with gain 1, and so do recurrent layers, each gate's matrix on its own; biases are 0; norm layers scale
    by 1 and shift by 0. Vectors of codes and words have a length of about 1; frequencies of numbers have the standard
    deviation `model.sigma`. In a transformer, the last weights of a residual branch without normalisation are 0, so
    that it begins as the identity. A module of the user's own is left as it was built.
    """
    if isinstance(config.model, Custom):
        return
    scheme, idle = SCHEMES[config.init.scheme], unnormalised(model)
    for name, child in model.named_children():
        if isinstance(child, nn.Linear | nn.Conv1d | nn.Conv2d):
            linear = name.startswith(LINEAR) or isinstance(child, SKIPS)
            gain = 1.0 if linear else GAINS[config.model.activation]
            scheme(child.weight, gain, config.init, generator)
            if name in idle:
                nn.init.zeros_(child.weight)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, Recurrent):
            for which, tensor in child.run.named_parameters():
                if "bias" in which:
                    nn.init.zeros_(tensor)
                else:
                    for gate in tensor.detach().split(child.units):
                        scheme(gate, 1.0, config.init, generator)
            for which, tensor in child.named_parameters(recurse=False):
                assert which.startswith("scale")
                nn.init.ones_(tensor)
        elif isinstance(child, Periodic | PiecewiseLinear):
            if isinstance(child, Periodic):
                assert isinstance(config.model, Mlp)
                _normal(child.frequency, config.model.sigma**2, generator)
            for of_column in child.weight.detach().split(child.width):
                scheme(of_column, GAINS["relu"], config.init, generator)
            nn.init.zeros_(child.bias)
        elif isinstance(child, ClassToken):
            nn.init.normal_(child.token, 0.0, SMALL, generator=generator)
        elif isinstance(child, Positions):
            if child.kind == "learned":
                nn.init.normal_(child.table, 0.0, SMALL, generator=generator)
        elif isinstance(child, Embed | WordSteps):
            for table in child.parameters():
                _normal(table, 1.0 / table.shape[1], generator)
            child.clear_unknown()
        elif isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm | nn.RMSNorm):
            child.reset_parameters()
