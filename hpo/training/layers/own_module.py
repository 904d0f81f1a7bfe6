"""Modules of the user's own of K lanes as one layer: fused by `vmap` where it can be, else one lane after the other.

Both ways run the user's own forward on the lanes' tensors and take gradients by autograd. Dropout layers multiply by
the lane's masks; whatever else is drawn while a lane runs alone comes from torch's generator, started from the lane's
key of the step. Batch normalisation keeps no averages here: it leaves the batch's statistics, which the program works
into the lanes' averages. What can be fused is found out by `hpo.training.layers.own_plans`.

Dimensions: K lanes, B examples, C outputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from hpo.models import CUSTOM
from hpo.training.layers.dense import no_way_back
from hpo.training.layers.frame import Pass, Place
from hpo.training.layers.masks import Drop, Keys
from hpo.training.layers.own_masks import Masked, dropouts_in, norms_in, template_of

Tensors = Mapping[str, Tensor]

KEYS = f"{CUSTOM}.keys"
"""Among the masks of a step: each lane's key, for what it draws alone."""


@dataclass(kw_only=True, slots=True)
class Plan:
    """What is known of all modules that are alike."""

    fused: bool = True
    """All lanes at once; until that turns out not to work."""
    calls: tuple[tuple[str, int, int], ...] = ()
    """Of dropout layers in one pass: which layer, its how many-th call, and numbers of the mask for one example."""

    def give_up(self, module: nn.Module, reason: str) -> None:
        """From now on one lane after the other."""
        self.fused = False
        text = f"lanes of {type(module).__name__} train one after the other, which is slower: {reason}"
        if text not in _told:
            _told.add(text)
            logging.getLogger("hpo").warning(text)


_told: set[str] = set()
"""Warnings that have been given."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """The modules of K lanes, to be bound like a layer."""

    template: nn.Module
    """Tells what is computed; its own tensors do not matter."""
    plan: Plan
    shapes: dict[str, tuple[int, ...]]
    """Of the parameters."""
    averages: dict[str, tuple[int, ...]]
    """Shapes of the running averages of batch normalisation."""
    constants: dict[str, Tensor]
    """[K, ...] all other buffers."""
    p: dict[str, tuple[float, ...]]
    """Of the dropout layers, for each lane."""
    drops: dict[str, Drop | Keys]
    """What the lanes need drawn for a step."""

    @classmethod
    def of(cls, modules: Sequence[nn.Module], plan: Plan, dtype: torch.dtype, device: torch.device) -> Own:
        """Of modules that are alike, and so have one plan."""
        first, kept = modules[0], norms_in(modules[0])
        with torch.inference_mode(False):
            buffers = [dict(module.named_buffers()) for module in modules]
            constants = {
                name: torch.stack([found[name] for found in buffers])
                for name in buffers[0]
                if name.rpartition(".")[0] not in kept
            }
            p = {path: tuple(_p(module, path) for module in modules) for path in dropouts_in(first)}
            return cls(
                template=template_of(first).to(device, dtype),
                plan=plan,
                shapes={name: tuple(tensor.shape) for name, tensor in first.named_parameters()},
                averages={
                    f"{path}.{which}": (layer.num_features,)
                    for path, layer in kept.items()
                    if layer.track_running_stats
                    for which in ("running_mean", "running_var")
                },
                constants={
                    name: value.to(device, dtype if value.is_floating_point() else None)
                    for name, value in constants.items()
                },
                p=p,
                drops={KEYS: Keys(), **_drops(plan, p, dtype, device)},
            )

    def bind(self, place: Place) -> Pass:
        """[K, B, ...] -> [K, B, C]."""
        parameters = {name: place.parameter(name, shape) for name, shape in self.shapes.items()}
        averages = {name: place.average(name, shape) for name, shape in self.averages.items()}

        def infer(x: Tensor) -> tuple[Tensor, None]:
            with torch.no_grad():
                return self.run(parameters, {**self.constants, **averages}, {}, x, training=False), None

        if not place.frame.training:
            return Pass(infer, no_way_back)
        gradients = {name: place.gradient(name, shape) for name, shape in self.shapes.items()}
        batch_stats = {name: place.batch_stat(name, shape) for name, shape in self.averages.items()}

        def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
            masks = {name: place.mask(name) for name in self.drops}
            with torch.inference_mode(False), torch.enable_grad():
                leaves = {name: view.clone().requires_grad_() for name, view in parameters.items()}
                seen = {name: torch.zeros_like(view) for name, view in averages.items()}
                given = {name: mask.clone() for name, mask in masks.items() if mask is not None}
                y = self.run(leaves, {**self.constants, **seen}, given, x.clone(), training=True)
            for name, view in batch_stats.items():
                view.copy_(seen[name])
            return y.detach(), (y, leaves)

        def backward(kept: tuple[Tensor, dict[str, Tensor]], g: Tensor, wanted: bool) -> None:
            y, leaves = kept
            with torch.inference_mode(False):
                found = torch.autograd.grad(y, list(leaves.values()), g.clone(), materialize_grads=True)
            for name, gradient in zip(leaves, found, strict=True):
                gradients[name].copy_(gradient)

        return Pass(forward, backward)

    def run(self, parameters: Tensors, buffers: Tensors, masks: Tensors, x: Tensor, *, training: bool) -> Tensor:
        """One pass of all lanes. In training, batch normalisation leaves the statistics of the batch in its buffers,
        which must be 0 before."""
        self.template.train(training)
        masks = dict(masks)
        keys = masks.pop(KEYS, None)
        for path, p in self.p.items():
            self._masked(path).layer.p = max(p)  # fused, a layer without masks must have nothing to drop
        if self.plan.fused:
            try:
                with warnings.catch_warnings():  # that vmap has a loop of its own for some operations
                    warnings.filterwarnings("ignore", message="There is a performance drop")
                    return vmap(self._one, randomness="error")(parameters, buffers, masks, x)
            except RuntimeError as error:
                if "vmap" not in str(error) and "Batching rule" not in str(error):
                    raise
                self.plan.give_up(self.template, first_line(error))
        rows = {name: value.unbind() for name, value in parameters.items()}
        passes = []
        for lane in range(len(x)):
            for path, p in self.p.items():
                self._masked(path).layer.p = p[lane]
            mine = {name: row[lane] for name, row in rows.items()}
            kept, drawn = ({name: value[lane] for name, value in each.items()} for each in (buffers, masks))
            with _drawing(0 if keys is None else int(keys[lane]), x.device):
                # A copy: a module may write into its input, which lanes can share.
                passes.append(self._one(mine, kept, drawn, x[lane].clone()))
        return torch.stack(passes)

    def _one(self, parameters: Tensors, buffers: Tensors, masks: Tensors, x: Tensor) -> Tensor:
        """The pass of one lane."""
        for path in self.p:
            prefix = mask_name(path)
            mine = {name.removeprefix(prefix): mask for name, mask in masks.items() if name.startswith(prefix)}
            self._masked(path).begin({int(call): mask for call, mask in mine.items()})
        return cast(Tensor, functional_call(self.template, {**parameters, **buffers}, (x,)))

    def _masked(self, path: str) -> Masked:
        return cast(Masked, self.template.get_submodule(path))


def _p(module: nn.Module, path: str) -> float:
    return cast(nn.Dropout, module.get_submodule(path)).p


def _drops(
    plan: Plan, p: Mapping[str, tuple[float, ...]], dtype: torch.dtype, device: torch.device
) -> dict[str, Drop | Keys]:
    return {
        f"{mask_name(path)}{call}": Drop.of(p[path], (size,), salt, dtype, device)
        for salt, (path, call, size) in enumerate(plan.calls, start=1)
        if any(p[path])
    }


def mask_name(path: str) -> str:
    """The name of a dropout layer's masks, but for the call's number."""
    return f"{CUSTOM}.{path}#"


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def _drawing(key: int, device: torch.device) -> Iterator[None]:
    """What is drawn from torch's generators inside follows from the key, and leaves them as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(key & 0xFFFFFFFF)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(key & 0xFFFFFFFF)
        yield
