"""Models as flat `nn.Sequential`s of ordinary layers. Nothing is trained here.

`build` makes a trial's model, `initialize` sets its weights, and `shape_key` is equal for models that can share a
program. The families are in `hpo.models.families`, layers that PyTorch lacks in `hpo.models.layers`.
"""

import re

import torch
from torch import nn

from hpo.models.families import FAMILIES
from hpo.models.families.custom import NAME as CUSTOM
from hpo.models.families.custom import custom
from hpo.models.init import initialize
from hpo.models.layers import assemble
from hpo.models.likeness import likeness
from hpo.models.slots import SLOTS
from hpo.signature import Signature
from hpo.studyfile.records import Custom, TrialConfig

__all__ = ["CUSTOM", "FAMILIES", "build", "initialize", "shape_key", "sizes"]


def build(
    config: TrialConfig, signature: Signature, outputs: int, seed: int = 0, *, checked: bool = True
) -> nn.Sequential:
    """The model of a trial, which takes rows of the signature, [B, *signature.shape].

    `outputs` is the number of classes, or 1 for regression. Weights are PyTorch's defaults until `initialize` sets
    them. A module of the user's own sets its own weights, from torch's generator, which is seeded with `seed` and
    restored afterwards. Raises InputError if the data and the drawn configuration contradict each other. `checked`:
    whether a module of the user's own is tried; one that has been trained need not be.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if isinstance(config.model, Custom):
            return assemble(custom(config, signature, outputs, checked=checked))
        return assemble(FAMILIES[config.model.family](config, signature, outputs))


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
    """A layer as text, without its bias and dropout, which may differ between lanes."""
    return re.sub(r", (bias|dropout)=[^,)]+", "", repr(layer))
