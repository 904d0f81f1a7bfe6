"""One tensor program for K lanes: the layers of a training step, and inference.

Lanes share an architecture (the shapes of their layers with weights). The layers between these (normalisation,
activation, dropout) may differ, as may every number. A position where lanes differ is computed separately for each run
of equal neighbours, or for all lanes at once where one formula covers the kinds (`mixed_norm`). The program holds no
state of its own: it is bound to the tensors theta and stats.

Dimensions: K lanes, B examples, P parameters, Q running averages, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
from torch import Tensor, nn

from hpo.conventions import CONVOLUTIONS_ARE_NOT_COMPILED, NEWEST
from hpo.models import CUSTOM
from hpo.models.layers.steps import Steps, WordSteps
from hpo.signature import Signature
from hpo.training import layout as lay
from hpo.training.custom.module import CustomModules
from hpo.training.custom.plans import plan_of
from hpo.training.layers import biases, mixed_norm
from hpo.training.layers.channels import joined
from hpo.training.layers.dense import DENSE
from hpo.training.layers.embed import EMBEDDINGS
from hpo.training.layers.flow import FLOW
from hpo.training.layers.frame import Frame, LayerContext, Pass
from hpo.training.layers.images import IMAGES
from hpo.training.layers.kinds import IDLE, kind
from hpo.training.layers.masks import AnyDrop, drops_of, late_columns
from hpo.training.layers.mixed_norm import MixedNorm, is_dense_norm
from hpo.training.layers.norms import NORMS
from hpo.training.layers.periodic import PERIODIC
from hpo.training.layers.piecewise import PIECEWISE, edge_columns
from hpo.training.ragged.attention import ATTENTION
from hpo.training.recurrent.layer import RECURRENT
from hpo.training.recurrent.normed import NORMED_RECURRENT
from hpo.training.sequences.convolution import STEP_CONVOLUTIONS
from hpo.training.sequences.norms import STEP_NORMS
from hpo.training.sequences.pooling import POOLING

TABLES = (
    ATTENTION,
    DENSE,
    EMBEDDINGS,
    FLOW,
    IMAGES,
    NORMED_RECURRENT,
    NORMS,
    PERIODIC,
    PIECEWISE,
    POOLING,
    RECURRENT,
    STEP_CONVOLUTIONS,
    STEP_NORMS,
)
RULES = {kind: rule for table in TABLES for kind, rule in table.items()}
"""Type of a plain layer -> how it is bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Neighbouring lanes that have the same kind of layer at one position."""

    lanes: slice
    layer: nn.Module | MixedNorm | CustomModules
    last: bool = False
    """The model's last layer."""

    @property
    def count(self) -> int:
        return int(self.lanes.stop - self.lanes.start)

    def bind(self, name: str, frame: Frame) -> Pass:
        context = LayerContext(name=name, lanes=self.lanes, frame=frame, last=self.last)
        if isinstance(self.layer, MixedNorm | CustomModules):
            return self.layer.bind(context)
        return RULES[type(self.layer)](context, self.layer)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerPosition:
    """One child of the Sequential, unless it is the identity in every lane."""

    name: str
    learns: bool
    """Whether any lane has parameters here."""
    runs: tuple[Run, ...]

    def is_all(self, kind: type[nn.Module]) -> bool:
        """Whether every lane has a layer of this type here."""
        return all(isinstance(run.layer, kind) for run in self.runs)

    def bind(self, frame: Frame) -> Pass:
        """One pass for all lanes."""
        passes = [run.bind(self.name, frame) for run in self.runs]
        if len(passes) == 1:
            return passes[0]
        counts = [run.count for run in self.runs]

        def forward(x: Tensor) -> tuple[Tensor, list[object]]:
            done = [one.forward(part) for one, part in zip(passes, x.split(counts), strict=True)]
            return joined([y for y, _ in done]), [kept for _, kept in done]

        def backward(kept: list[object], g: Tensor, wanted: bool) -> Tensor | None:
            parts = zip(passes, kept, g.split(counts), strict=True)
            back = [one.backward(mine, part, wanted) for one, mine, part in parts]
            return joined([part for part in back if part is not None]) if wanted else None

        return Pass(forward, backward)


def compilable(module: nn.Module, device: torch.device, conventions: int = NEWEST) -> bool:
    """Whether compiling the steps of such modules may pay. It does not for modules of the user's own; for sequences,
    whose steps would be unrolled, and how many there are depends on the batch; and for convolutions on CPUs, which are
    large calls for each lane."""
    apart: tuple[type[nn.Module], ...] = (Steps, WordSteps)
    if device.type == "cpu" and conventions >= CONVOLUTIONS_ARE_NOT_COMPILED:
        apart = (*apart, nn.Conv2d)
    return not hasattr(module, CUSTOM) and not any(isinstance(child, apart) for child in module.children())


PREPARED = 2**17
"""Numbers of dropout masks that are drawn at once."""
PORTION = 512
"""Examples of one lane that inference takes at once."""


class Program:
    """The program of the given lanes' modules. When the lanes change, a new one is built, which is cheap."""

    def __init__(
        self,
        modules: Sequence[nn.Sequential],
        layout: lay.Layout,
        signature: Signature,
        outputs: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
        conventions: int = NEWEST,
        witnesses: Sequence[nn.Sequential] | None = None,
    ) -> None:
        """`conventions`: those of the study, see `hpo.conventions`. `witnesses`: a module of every structure that a
        lane may have. With them the program's form does not depend on which of these structures its lanes have: dense
        norms of all kinds are one layer."""
        self.layout = layout
        self.width = outputs
        self.conventions = conventions
        self.drops: Mapping[str, AnyDrop]
        self.positions: tuple[LayerPosition, ...]
        if hasattr(modules[0], CUSTOM):
            customs = [module.get_submodule(CUSTOM) for module in modules]
            own = CustomModules.of(customs, plan_of(customs[0], signature, conventions), dtype, device)
            run = Run(lanes=slice(0, len(modules)), layer=own, last=True)
            self.drops, self.positions = own.drops, (LayerPosition(name=CUSTOM, learns=True, runs=(run,)),)
        else:
            self.drops = drops_of(modules, signature, dtype, device, witnesses or ())
            self.positions = tuple(_positions(modules, witnesses))
        self.compiles = compilable(modules[0], device, conventions) and all(len(p.runs) == 1 for p in self.positions)
        """Whether the step can be compiled: every position is one layer for all lanes, too."""
        self.columns = {
            f"{position.name}.{which}": column
            for position in self.positions
            for which, column in self._columns(position, modules, witnesses or (), dtype, device).items()
        } | late_columns(self.drops)
        momentum_KQ = lay.momentum(modules, layout, dtype, device)
        self.momentum_KQ = momentum_KQ if witnesses or bool(momentum_KQ.any()) else None

    @staticmethod
    def _columns(
        position: LayerPosition,
        modules: Sequence[nn.Sequential],
        witnesses: Sequence[nn.Sequential],
        dtype: torch.dtype,
        device: torch.device,
    ) -> dict[str, Tensor]:
        """Numbers of each lane that the layers of a position use, by name."""
        possible = [module.get_submodule(position.name) for module in (*modules, *witnesses)]
        layers = possible[: len(modules)]
        if any(isinstance(run.layer, MixedNorm) for run in position.runs):
            return mixed_norm.mixed_norm_columns(layers, dtype, device)
        return biases.bias_columns(layers, possible, device) | edge_columns(layers, dtype, device)

    def portion(self, lanes: int, batch: int) -> int:
        """Steps to prepare at once: enough to save calls, few enough that the prepared tensors stay in the cache."""
        numbers = sum(torch.Size(drop.shape).numel() for drop in self.drops.values())
        return max(1, PREPARED // (lanes * batch * max(numbers, 1)))

    def masks(self, keys_SK: Tensor, batch: int) -> dict[str, Tensor]:
        """The dropout masks of S training steps, [S, K, B, ...] each, from their random keys."""
        return {name: drop.masks(keys_SK, batch) for name, drop in self.drops.items()}

    def bind(self, theta_KP: Tensor, stats_KQ: Tensor, *, separate: bool = False) -> Bound:
        """Binds the program to the tensors that it trains in place; they must stay at their place in memory.

        `separate`: each layer writes gradients and statistics into tensors of its own, which are concatenated at the
        end of the step. A compiler handles that better than writes into parts of one tensor.
        """
        return Bound(self, theta_KP, stats_KQ, separate=separate)

    def outputs(self, theta_KP: Tensor, stats_KQ: Tensor, x: Tensor, rows: int = PORTION) -> Tensor:
        """Outputs [K, B, C] for [K, B, ...] (or [1, B, ...], shared by all lanes), `rows` examples at a time."""
        lanes = theta_KP.shape[0]
        frame = Frame(
            parameters=lay.split(self.layout.parameters, theta_KP),
            stats=lay.split(self.layout.stats, stats_KQ),
            columns=self.columns,
            training=False,
            conventions=self.conventions,
        )
        passes = [position.bind(frame) for position in self.positions]
        portions = []
        for part in x.split(rows, dim=1):
            y = part.expand(lanes, *part.shape[1:])
            frame.begin()
            for one in passes:
                y, _ = one.forward(y)
            portions.append(y[..., : self.width])
        return torch.cat(portions, dim=1)


class Bound:
    """A program bound to the tensors it trains."""

    def __init__(self, program: Program, theta_KP: Tensor, stats_KQ: Tensor, *, separate: bool) -> None:
        self.layout = program.layout
        self.momentum_KQ = program.momentum_KQ
        self.outputs = program.width
        self.weights = [(e.name, e.shape) for e in self.layout.parameters if lay.is_weight(e)]
        self.stats_KQ = stats_KQ
        self.gradient_KP, self.batch_stats_KQ = torch.zeros_like(theta_KP), torch.zeros_like(stats_KQ)
        self.separate = separate
        part = lay.pieces if separate else lay.split
        self.frame = Frame(
            parameters=lay.split(self.layout.parameters, theta_KP),
            stats=lay.split(self.layout.stats, stats_KQ),
            columns=program.columns,
            training=True,
            conventions=program.conventions,
            gradients=part(self.layout.parameters, self.gradient_KP),
            batch_stats=part(self.layout.stats, self.batch_stats_KQ),
        )
        self.passes = [position.bind(self.frame) for position in program.positions]
        self.first = next((i for i, position in enumerate(program.positions) if position.learns), 0)
        """Index of the first layer with parameters: the gradient of its input is not needed."""

    def step(self, x: Tensor, masks: Mapping[str, Tensor], loss: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
        """Training loss [K] of a batch. Writes its gradient to `gradient_KP` and updates the running averages. `loss`
        returns the loss [K] of outputs [K, B, C], and its gradient."""
        self.frame.begin()
        self.frame.masks = masks
        self.gradient_KP.zero_()
        saved = []
        for one in self.passes:
            x, kept = one.forward(x)
            saved.append(kept)
        loss_K, g = loss(x)
        back: Tensor | None = g
        for index in range(len(self.passes) - 1, self.first - 1, -1):
            assert back is not None
            back = self.passes[index].backward(saved[index], back, index > self.first)
        if self.separate:
            self.gradient_KP = lay.join(self.layout.parameters, self.frame.gradients, self.gradient_KP)
            self.batch_stats_KQ = lay.join(self.layout.stats, self.frame.batch_stats, self.batch_stats_KQ)
        if self.momentum_KQ is not None:
            self.stats_KQ.lerp_(self.batch_stats_KQ, self.momentum_KQ)
        return loss_K


def _positions(modules: Sequence[nn.Sequential], witnesses: Sequence[nn.Sequential] | None) -> list[LayerPosition]:
    positions = []
    for index, (name, _) in enumerate(modules[0].named_children()):
        layers = [module[index] for module in modules]
        possible = [*layers, *(module[index] for module in witnesses or ())]
        if all(kind(layer) == IDLE or getattr(layer, "p", 1) == 0 for layer in possible):
            continue
        runs: list[Run] = []
        last = index == len(modules[0]) - 1
        mixable = all(is_dense_norm(layer) or kind(layer) == IDLE for layer in possible)
        if witnesses is not None and mixable and any(map(is_dense_norm, possible)):
            runs.append(Run(lanes=slice(0, len(layers)), layer=MixedNorm.of(possible)))
        else:
            for _, members in groupby(layers, key=kind):
                alike, begin = list(members), runs[-1].lanes.stop if runs else 0
                runs.append(Run(lanes=slice(begin, begin + len(alike)), layer=alike[0], last=last))
        learns = any(True for layer in possible for _ in layer.parameters())
        positions.append(LayerPosition(name=name, learns=learns, runs=tuple(runs)))
    for i, (one, after) in enumerate(pairwise(positions)):
        if one.is_all(nn.ReLU) and after.is_all(nn.MaxPool2d):  # the same numbers, from fewer of them
            positions[i : i + 2] = [after, one]
    return positions
