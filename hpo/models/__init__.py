"""Models as flat `nn.Sequential`s of ordinary layers, one Python module per family. Nothing is trained here.

`build` makes a trial's model, `initialize` sets its weights, and `shape_key` is equal for models that can share a
program. A family returns named children in which every slot is present (see `hpo.models.slots`), so that trials with
different normalisation, dropout or activation can share one stacked program.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from hpo.models.cnn import cnn
from hpo.models.custom import NAME as CUSTOM
from hpo.models.custom import custom
from hpo.models.init import initialize
from hpo.models.likeness import likeness
from hpo.models.mlp import mlp
from hpo.models.slots import SLOTS, Children
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig

__all__ = ["CUSTOM", "FAMILIES", "build", "initialize", "shape_key", "sizes"]

FAMILIES: dict[str, Callable[[TrialConfig, Signature, int], Children]] = {
    "mlp": mlp,
    "cnn": cnn,
    "custom": custom,
}
"""Name in a study file -> function that lists a model's named children."""


def build(config: TrialConfig, signature: Signature, outputs: int, seed: int = 0) -> nn.Sequential:
    """The model of a trial, which takes rows of the signature, [B, *signature.shape].

    `outputs` is the number of classes, or 1 for regression. Weights are PyTorch's defaults until `initialize` sets
    them. A module of the user's own sets its own weights, from torch's generator, which is seeded with `seed` and
    restored afterwards. Raises InputError if the data and the drawn configuration contradict each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(OrderedDict(FAMILIES[config.model.family](config, signature, outputs)))


def shape_key(model: nn.Sequential) -> tuple[str, ...]:
    """A key that is equal for models that can share one program: their shapes are equal child by child.

    It contains all sizes of the children with shapes (linear, convolution, pooling, flatten), the names of slots, since
    the layers in them may differ between lanes, and the `likeness` of a module of the user's own.
    """
    return tuple(
        name if name.startswith(SLOTS) else f"{name}: {likeness(child) if name == CUSTOM else sizes(child)}"
        for name, child in model.named_children()
    )


def sizes(layer: nn.Module) -> str:
    """A layer as text, without its bias, which may differ between lanes."""
    return repr(layer).replace(", bias=True", "").replace(", bias=False", "")
