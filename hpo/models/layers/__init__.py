"""Layers that PyTorch does not have. They are copied into exports, so they need torch alone."""

from collections import OrderedDict

from torch import nn

from hpo.models.layers.attention import Attention, ClassToken, Positions
from hpo.models.layers.embed import Embed
from hpo.models.layers.flow import Add, Carried, Flow, Skip, SkipConv2d, SkipLinear
from hpo.models.layers.normed_recurrent import NormedRecurrent
from hpo.models.layers.periodic import Periodic
from hpo.models.layers.piecewise import PiecewiseLinear
from hpo.models.layers.pooling import Pool
from hpo.models.layers.recurrent import Recurrent
from hpo.models.layers.step_convolution import SkipStepConv, StepConv, StepPool
from hpo.models.layers.step_norms import StepBatchNorm, StepGroupNorm
from hpo.models.layers.steps import Steps, WordSteps

__all__ = ["LAYERS", "Carried", "assemble"]

LAYERS: dict[str, type[nn.Module]] = {
    layer.__name__: layer
    for layer in (
        Embed,
        Add,
        Attention,
        ClassToken,
        Flow,
        NormedRecurrent,
        Periodic,
        PiecewiseLinear,
        Pool,
        Positions,
        Recurrent,
        Skip,
        SkipConv2d,
        SkipLinear,
        SkipStepConv,
        StepBatchNorm,
        StepConv,
        StepGroupNorm,
        StepPool,
        Steps,
        WordSteps,
    )
}
"""By name."""


def assemble(children: list[tuple[str, nn.Module]]) -> nn.Sequential:
    """The model: a plain Sequential unless a layer needs more."""
    needs = any(getattr(child, "takes_carried", False) for _, child in children)
    return (Flow if needs else nn.Sequential)(OrderedDict(children))
