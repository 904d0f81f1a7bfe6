"""Templates: copies of the user's own modules that a program runs. Their dropout layers take masks, and their batch
normalisation stores the batch's statistics.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from hpo.models.families.custom import BATCH_NORMS, NAME
from hpo.models.likeness import DROPOUTS, DROPPING
from hpo.models.named_inputs import example
from hpo.signature import Signature


class Masked(nn.Module):
    """Replaces a dropout layer: multiplies by a given mask, one for each of its calls in a pass."""

    def __init__(self, layer: nn.Dropout) -> None:
        super().__init__()
        self.layer = layer
        """The replaced layer. It is called if there is no mask, because it drops nothing or the call was not
        predicted."""
        self.masks: dict[int, Tensor] = {}
        """Masks by number of the call."""
        self.predicted: set[int] = set()
        """Calls that have no mask only where no lane drops anything."""
        self.sizes: list[int] = []
        """Size of the mask of each call so far."""

    def begin(self, masks: dict[int, Tensor]) -> None:
        """Starts a pass with these masks."""
        self.masks, self.sizes = masks, []

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        call, shape = len(self.sizes), mask_shape(type(self.layer), x)
        self.sizes.append(shape.numel())
        if call in self.masks:
            return x * self.masks[call].reshape(shape)
        return x if call in self.predicted else cast(Tensor, self.layer(x))


def template_of(module: nn.Module) -> nn.Module:
    """A copy whose batch normalisation stores the batch's statistics, and whose dropout layers take masks."""
    template = copy.deepcopy(module)
    for norm in norms_in(template).values():
        norm.momentum = 1.0  # the averages become the batch's statistics
    taken: dict[nn.Module, Masked] = {}
    for path, layer in list(template.named_modules(remove_duplicate=False)):
        if type(layer) in DROPOUTS:
            owner, _, name = path.rpartition(".")
            stand_in = taken.setdefault(layer, Masked(cast(nn.Dropout, layer)))
            setattr(template.get_submodule(owner), name, stand_in)
    return template


def dropouts_in(module: nn.Module) -> list[str]:
    """Paths of the layers that take masks."""
    return [path for path, layer in module.named_modules() if type(layer) in DROPOUTS]


def dropping_in(module: nn.Module) -> list[str]:
    """Paths of all layers with a dropout probability, in which lanes may differ."""
    return [path for path, layer in module.named_modules() if type(layer) in DROPPING]


def mask_prefix(path: str) -> str:
    """The name of a dropout layer's masks, without the number of the call."""
    return f"{NAME}.{path}#"


def norms_in(module: nn.Module) -> dict[str, nn.BatchNorm1d]:
    """The layers whose running averages the program keeps."""
    return {path: cast(nn.BatchNorm1d, layer) for path, layer in module.named_modules() if type(layer) in BATCH_NORMS}


def output_sizes(module: nn.Module, signature: Signature) -> list[int]:
    """Output sizes for one example: of the inner layers in the order of their calls, then of the module."""
    sizes: list[int] = []

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        first = output[0] if isinstance(output, tuple) and output else output  # of recurrent layers and attention
        if isinstance(first, Tensor):
            sizes.append(first.numel() // 2)

    template = copy.deepcopy(module).eval()
    for layer in template.modules():
        if layer is template or isinstance(layer, nn.MultiheadAttention) or not any(True for _ in layer.children()):
            layer.register_forward_hook(note)
    with torch.no_grad():
        template(example(signature, 2))
    return sizes


def kept_size(module: nn.Module, signature: Signature) -> int:
    """Numbers of one example that the backward pass of the module needs, counted in float32."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes // 8
        return tensor

    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        template = copy.deepcopy(module).train()
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            template(example(signature, 2).clone())
    own = {tensor.data_ptr() for tensor in (*template.parameters(), *template.buffers())}
    return sum(count for place, count in kept.items() if place not in own)


def mask_shape(kind: type[nn.Module], x: Tensor) -> torch.Size:
    """Shape of a mask: one number for each of the input, or for each channel of each example if the layer drops whole
    channels."""
    if kind is nn.Dropout:
        return x.shape
    lead = 1 if (kind, x.dim()) in ((nn.Dropout1d, 2), (nn.Dropout3d, 4)) else 2  # 1: a single example
    return torch.Size((*x.shape[:lead], *[1] * (x.dim() - lead)))
