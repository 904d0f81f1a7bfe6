"""How a run uses machines: device, lanes in a program, native code, workers. It changes the speed, not the study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hpo import models, space
from hpo.studyfile.file import StudySpec
from hpo.studyfile.records import TrialConfig
from hpo.training.batches import Examples

Compile = Literal["auto", "on", "off"]
Engine = Literal["local", "ray"]
ClusterDevice = Literal["auto", "cpu", "cuda"]
CPU = torch.device("cpu")

MOST_COMPILED = {"cpu": 32, "cuda": 256}
"""Lanes of a compiled program, at most: it takes one number of lanes, and the last one is repeated to make it up."""
LONG = 15 * 60.0
"""Seconds of plain training from which on compiling pays: it saves up to a tenth, and costs up to 20 s for each form
that a cohort can take."""
TRIED = 64
"""Combinations of a model's choices that are looked at, at most: arguments of the user's own multiply."""
STEP_SECONDS, FLOPS = 60e-6, 30e9
"""A lane's step on one core: what it costs at least, and floating-point operations per second (measured)."""
SURVIVING = 0.4
"""Share of all epochs that is trained where trials are pruned, about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What is asked of the machine."""

    device: torch.device = CPU
    lanes: int | None = None
    """Lanes in one program; None: as many as pay."""
    compile: Compile = "off"
    workers: int | None = 1
    """Processes that train; None: as many as pay."""
    threads: int = 1
    """CPU threads, divided among the workers of this machine; each of those on a cluster has as many."""
    engine: Engine = "local"
    address: str | None = None
    """Of a Ray cluster; None: one that Ray finds, or else starts on this machine for this run."""
    cluster_device: ClusterDevice = "auto"
    """Of workers on a Ray cluster, whatever this machine has."""

    def compiled_lanes(self, spec: StudySpec, examples: Examples, *, compiled: bool) -> int | None:
        """Lanes of a compiled program; None where the step is not to be compiled."""
        return (
            min(self.lanes or MOST_COMPILED[examples.device.type], spec.search.concurrency * examples.replicas)
            if compiled
            else None
        )

    def compiles(self, spec: StudySpec, examples: Examples, before: bool | None) -> bool:
        """Whether the study's steps are compiled. Compiled results equal others up to rounding only, so `auto` depends
        on the study and not on the machine, and a study that has begun (`before`) goes on as it was."""
        if self.compile != "auto":
            return self.compile == "on"
        return plain_seconds(spec, examples, compilable=True) > LONG if before is None else before


def plain_seconds(spec: StudySpec, examples: Examples, *, compilable: bool = False) -> float:
    """Estimate of the time that the study trains on one core without compiling, were all its trials of the largest
    model; with `compilable`, of the largest that can be compiled, which the user's own cannot."""
    pruned = spec.search.pruner.name != "none"
    longest = 0.0
    for config in islice(space.alternatives(spec, "model"), TRIED):
        if compilable and config.model.family == "custom":
            continue
        try:
            module = models.build(config, examples.input_shape, examples.outputs)
            uses = weight_uses(module, examples.input_shape)
        except Exception:  # such a trial fails before it trains
            continue
        batches = examples.batch_sizes(0, config.training)
        step = STEP_SECONDS + 6 * uses * batches[0] / FLOPS
        longest = max(longest, step * len(batches) * config.training.epochs)
    return longest * space.budget(spec) * examples.replicas * (SURVIVING if pruned else 1.0)


def weight_uses(module: nn.Module, input_shape: Sequence[int]) -> int:
    """How often a weight is used for one example: once for each place of a layer's output."""
    uses = 0

    def count(layer: nn.Module, _: Any, output: Any) -> None:
        nonlocal uses
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) and isinstance(output, Tensor):
            uses += weight.numel() * max(1, output[0].numel() // len(weight))

    for layer in module.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        module.eval()(torch.zeros(2, *input_shape))
    return uses


class Variants:
    """Configurations of a trial's architecture that between them need all that any trial of the study may need.

    They depend on the trial's model and batch size alone: rows of parameters are laid out by them, and all trials of
    one architecture must have the same.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.options = {
            table: list({repr(o): o for o in (getattr(config, table) for config in _ends(spec, table))}.values())
            for table in ("norm", "dropout", "optimizer", "regularization")
        }

    def __call__(self, config: TrialConfig) -> Iterable[TrialConfig]:
        base = config.model_copy(update={table: options[0] for table, options in self.options.items()})
        whole = {dropout.spatial: dropout for dropout in self.options["dropout"]}
        for norm in self._norms(config):
            for dropout in whole.values():
                yield base.model_copy(update={"norm": norm, "dropout": dropout})
        for table in ("dropout", "optimizer", "regularization"):
            for option in self.options[table]:
                yield base.model_copy(update={table: option})

    def _norms(self, config: TrialConfig) -> Iterable[Any]:
        """All that a trial may draw. Where `every` is a range, each of its values puts layers in other places."""
        layers = len(getattr(config.model, "hidden", ())) + len(getattr(config.model, "channels", ()))
        for norm in self.options["norm"]:
            yield norm
            if norm.kind != "none":
                others = [o.every for o in self.options["norm"] if o.kind == norm.kind]
                for every in range(min(others) + 1, min(max(others), layers) + 1):
                    yield norm.model_copy(update={"every": every})


def _ends(spec: StudySpec, table: str) -> list[TrialConfig]:
    return [*space.alternatives(spec, table), *space.alternatives(spec, table, highest=True)]
