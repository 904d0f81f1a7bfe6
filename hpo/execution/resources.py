"""The resources of a run: device, lanes in a program, compiling, workers. They change the speed, not the results.

Also whether compiling pays for a study, and which configurations a trial may have (`Variants`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from hpo import models, space
from hpo.models.layers.attention import Attention
from hpo.models.layers.normed_recurrent import NormedRecurrent
from hpo.models.named_inputs import at_hand, example
from hpo.signature import Signature
from hpo.studyfile.file import StudySpec
from hpo.studyfile.records import Recurrent, TrialConfig
from hpo.training import program
from hpo.training.batches import Examples

Compile = Literal["auto", "on", "off"]
Engine = Literal["local", "ray"]
ClusterDevice = Literal["auto", "cpu", "cuda"]
CPU = torch.device("cpu")

MOST_COMPILED = {"cpu": 32, "cuda": 256}
"""Largest number of lanes of a compiled program. Its number of lanes is fixed: the last lane is repeated to fill it."""
LONG = 15 * 60.0
"""Seconds of plain training from which on compiling pays: it saves up to a tenth, and costs up to 20 s for each form
that a cohort can take."""
TRIED = 64
"""Largest number of combinations of a model's choices that the estimate looks at; arguments of the user's own models
can make them many."""
STEP_SECONDS, FLOPS = 60e-6, 30e9
"""A lane's step on one core (measured): its least duration in seconds, and floating-point operations per second."""
SURVIVING = 0.4
"""Approximate share of all epochs that is trained where a pruner ends trials early."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """The resources that the user asked for."""

    device: torch.device = CPU
    lanes: int | None = None
    """Lanes in one program; None: the fastest number, found by timing."""
    compile: Compile = "off"
    workers: int | None = 1
    """Processes that train; None: as many as make the study faster (`hpo.execution.sizing`)."""
    threads: int = 1
    """CPU threads: of all workers of this machine together, or of each worker on a Ray cluster."""
    engine: Engine = "local"
    address: str | None = None
    """Address of a Ray cluster; None: one that Ray finds, or else starts on this machine for this run."""
    cluster_device: ClusterDevice = "auto"
    """Device of workers on a Ray cluster, whatever device this machine has."""

    def compiled_lanes(self, spec: StudySpec, examples: Examples, *, compiled: bool) -> int | None:
        """Lanes of a compiled program; None where the step is not to be compiled."""
        return (
            min(self.lanes or MOST_COMPILED[examples.device.type], spec.concurrency * examples.replicas)
            if compiled
            else None
        )

    def compiles(self, spec: StudySpec, examples: Examples, before: bool | None) -> bool:
        """Whether the study's steps are compiled. `before`: whether they were in an earlier run; None: there was none.

        Compiled and plain results are equal up to rounding only. So `auto` depends on the study and not on the machine,
        and a study that has begun goes on as before."""
        if self.compile != "auto":
            return self.compile == "on"
        return plain_seconds(spec, examples, compilable=True) > LONG if before is None else before


def plain_seconds(spec: StudySpec, examples: Examples, *, compilable: bool = False) -> float:
    """Estimated seconds of the study's training on one core without compiling, as if all trials had the model that
    takes longest. `compilable`: only trials whose steps can be compiled count."""
    pruned = spec.pruner.name != "none"
    longest = 0.0
    for config in islice(space.alternatives(spec, "model"), TRIED):
        if compilable and config.training.accumulate > 1:
            continue
        try:
            with at_hand(examples.some):
                module = models.build(config, examples.signature, examples.outputs)
                if compilable and not program.compilable(module, examples.device, spec.conventions):
                    continue
                uses = weight_uses(module, examples.signature)
        except Exception:  # a trial with this model fails before it trains
            continue
        batches = examples.batch_sizes(0, config.training)
        step = STEP_SECONDS + 6 * uses * batches[0] / FLOPS
        longest = max(longest, step * len(batches) * config.training.epochs)
    return longest * space.budget(spec) * examples.replicas * (SURVIVING if pruned else 1.0)


def weight_uses(module: nn.Module, signature: Signature) -> int:
    """Multiplications for one example: each weight counts once for each position of its layer's output, or for each
    step of a recurrent layer, and attention once for each pair of steps."""
    uses = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        nonlocal uses
        uses += _uses(layer, inputs, named, output)

    for layer in module.modules():
        layer.register_forward_hook(count, with_kwargs=True)
    with torch.no_grad():
        module.eval()(example(signature, 2))
    return uses


def _uses(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> int:
    """Of one layer, given two examples."""
    matrices = sum(weight.numel() for weight in layer.parameters() if weight.dim() == 2)
    match layer:
        case nn.Embedding() | nn.EmbeddingBag():
            return 0  # looks its vectors up
        case nn.RNNBase() | nn.RNNCellBase():
            first = inputs[0].data if isinstance(inputs[0], PackedSequence) else inputs[0]
            return int(matrices * first.numel() // layer.input_size // 2)
        case NormedRecurrent():  # whose own layer of PyTorch is not called
            return int(matrices * inputs[0].shape[1])
        case nn.MultiheadAttention():
            given = (*inputs, *(named[name] for name in ("query", "key", "value") if name in named))
            asking, answering = (one.numel() // one.shape[-1] // 2 for one in given[:2])
            return int(matrices * answering + 2 * layer.embed_dim * asking * answering)
        case Attention():
            steps, width = inputs[0].shape[1], inputs[0].shape[2] // 3
            return int(2 * width * steps**2)
        case _:
            weight = getattr(layer, "weight", None)
            if not isinstance(weight, Tensor) or not isinstance(output, Tensor):
                return 0
            return weight.numel() * max(1, output[0].numel() // len(weight))


class Variants:
    """Configurations with a trial's architecture that together contain every layer and option that a trial of the study
    may draw.

    They depend on the trial's model and batch size alone: the layout of a lane's parameters is computed from them, and
    must be the same for all trials of one architecture.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.options = {
            table: list({repr(o): o for o in (getattr(config, table) for config in _extremes(spec, table))}.values())
            for table in ("norm", "dropout", "optimizer", "regularization")
        }
        weights = (config.training.class_weight for config in _extremes(spec, "training"))
        self.class_weight = next((weight for weight in weights if weight is not None), None)

    def __call__(self, config: TrialConfig) -> Iterable[TrialConfig]:
        training = config.training.model_copy(update={"class_weight": self.class_weight})
        options = {table: found[0] for table, found in self.options.items()}
        base = config.model_copy(update={**options, "training": training})
        dropouts = {dropout.spatial: dropout for dropout in self.options["dropout"]}
        for norm in self._norms(config):
            for dropout in dropouts.values():
                yield base.model_copy(update={"norm": norm, "dropout": dropout})
        for table in ("dropout", "optimizer", "regularization"):
            for option in self.options[table]:
                yield base.model_copy(update={table: option})

    def _norms(self, config: TrialConfig) -> Iterable[Any]:
        """Every norm that a trial may draw. Where `every` is a range, each of its values gives other places."""
        model = config.model
        layers = len(getattr(model, "hidden", ())) + len(getattr(model, "channels", ())) + getattr(model, "depth", 0)
        layers += model.layers if isinstance(model, Recurrent) else 0
        for norm in self.options["norm"]:
            yield norm
            if norm.kind != "none":
                others = [o.every for o in self.options["norm"] if o.kind == norm.kind]
                for every in range(min(others) + 1, min(max(others), layers) + 1):
                    yield norm.model_copy(update={"every": every})


def variants_of(versions: Sequence[StudySpec]) -> Callable[[TrialConfig], Iterable[TrialConfig]]:
    """The variants of each trial of a study with these versions of its file, by the programs that it has."""
    made: dict[int, Variants] = {}

    def variants(config: TrialConfig) -> Iterable[TrialConfig]:
        if config.layout not in made:
            made[config.layout] = Variants(versions[config.layout])
        return made[config.layout](config)

    return variants


def _extremes(spec: StudySpec, table: str) -> list[TrialConfig]:
    """Configurations with each alternative of a table, with its ranges at their lowest and at their highest values."""
    return [*space.alternatives(spec, table), *space.alternatives(spec, table, highest=True)]
