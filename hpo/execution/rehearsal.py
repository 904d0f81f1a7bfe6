"""Rehearsal of a study: builds its models and trains one batch of one lane of each, as a run would. Writes nothing."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpo import models, space
from hpo.data.prepare import PreparedData
from hpo.errors import InputError
from hpo.execution.job import TrainingJob
from hpo.models.named_inputs import at_hand, own_module
from hpo.signs import Code, Sign
from hpo.studyfile.file import StudySpec
from hpo.studyfile.records import Custom, TrialConfig
from hpo.studyfile.rules.cautions import Caution
from hpo.studyfile.tree import toml
from hpo.training import batches
from hpo.training.architecture import ROWS
from hpo.training.batches import Examples
from hpo.training.custom.plans import plan_of
from hpo.training.diagnosis.measure import Diagnosis
from hpo.training.layout import ALIGNMENT
from hpo.training.limits import SHARE, free_memory
from hpo.training.trainer import Trainer

TRIED = 8
"""Largest number of combinations of a model's choices that are rehearsed."""
DRAWN = 24
"""Configurations that are drawn by chance and looked at for signs of trouble, while all of them have the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsed:
    """What a rehearsal found."""

    models: int
    """Models that trained a batch."""
    parameters: tuple[int, int] | None
    """Fewest and most parameters of a model; None where none trained."""
    cautions: tuple[Caution, ...]


def rehearse(spec: StudySpec, prepared: PreparedData) -> Rehearsed:
    """Trains one batch with each of the study's models, for which the code of the user's own has been read."""
    examples = batches.on_device(prepared, device=torch.device("cpu"), dtype=torch.float32)
    sizes: list[int] = []
    cautions: dict[str, Caution] = {}
    with _quietly():
        for config in islice(space.alternatives(spec, "model", highest=True), TRIED):
            trainer = _trainer(spec, _one_batch(examples, config))
            for caution in _train(spec, config, trainer, examples):
                cautions.setdefault(caution.text, caution)
            sizes += [trainer.parameters(0)] if trainer.cohorts else []
        if sizes and not cautions:
            cautions = {caution.text: caution for caution in _troubled(spec, examples)}
    return Rehearsed(
        models=len(sizes),
        parameters=(min(sizes), max(sizes)) if sizes else None,
        cautions=tuple(cautions.values()),
    )


def _troubled(spec: StudySpec, examples: Examples) -> Iterator[Caution]:
    """The signs of trouble that every trial begins with, as far as `DRAWN` configurations drawn by chance tell."""
    diagnosis, rng = Diagnosis(examples), random.Random(0)
    found: dict[Code, Sign] | None = None
    for _ in range(DRAWN if space.parameters(spec) else 1):
        try:
            signs = {sign.code: sign for sign in diagnosis.at_start(space.draw(spec, partial(_by_chance, rng)))}
        except Exception:  # this configuration contradicts itself, or its module of the user's own cannot be looked at
            continue
        found = signs if found is None else {code: sign for code, sign in found.items() if code in signs}
        if not found:
            return
    for sign in (found or {}).values():
        yield Caution(code="signs", text=f"every trial begins with a sign of trouble: {sign}; {sign.way_out}")


def _by_chance(rng: random.Random, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return rng.choice(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if distribution.log else rng.uniform(low, high)
    value = min(high, max(low, value))
    return int(value) if isinstance(distribution, IntDistribution) else value


def _trainer(spec: StudySpec, examples: Examples) -> Trainer:
    return TrainingJob(
        spec=spec,
        examples=examples,
        device="cuda" if torch.cuda.is_available() else "cpu",
        lanes=1,
        compiled_lanes=None,
        lanes_file=None,
        sources={},
    ).trainer()


def _one_batch(examples: Examples, config: TrialConfig) -> Examples:
    """The first examples of each part, as many as a batch has."""
    batch = max(examples.batch_sizes(0, config.training))
    return examples.first(batch, batch + -batch % ALIGNMENT)


def _train(spec: StudySpec, config: TrialConfig, trainer: Trainer, examples: Examples) -> Iterator[Caution]:
    """Trains the batch; what the user should know of this model."""
    which = f"model = {toml(config.model.model_dump(mode='json', exclude_none=True))}"
    rows, free = ROWS * _weights(config, examples), free_memory(trainer.setting.examples.device)
    if rows > free:
        yield _too_large(which, rows, free)
        return
    failures = trainer.admit([(0, config)])
    if not failures:
        memory = list(_memory(spec, which, trainer, examples))
        yield from memory
        failures = [] if memory else list(trainer.tick().failures)
    if not failures:
        yield from _fusing(config, trainer)
    for failure in failures:
        text = f"{which} fails, and so does every trial that draws it: {failure.error}"
        yield Caution(code="does_not_fit", text=text)


def _fusing(config: TrialConfig, trainer: Trainer) -> Iterator[Caution]:
    if not isinstance(config.model, Custom):
        return
    module = getattr(trainer.all_cohorts()[0].lanes[0].module, models.CUSTOM)
    with at_hand(trainer.setting.examples.some):
        plan = plan_of(module, trainer.setting.examples.signature, config.conventions)
    if plan.normalized:
        yield Caution(code="softmax", text=plan.normalized)
    if not plan.fused:
        name = type(own_module(module)).__name__
        yield Caution(
            code="not_fused",
            text=f"lanes of {name} train one after the other, which is slower: {plan.reason}",
        )


def _memory(spec: StudySpec, which: str, trainer: Trainer, examples: Examples) -> Iterator[Caution]:
    cohort = trainer.all_cohorts()[0]
    device = trainer.setting.examples.device
    batch = max(trainer.setting.examples.batch_sizes(0, cohort.lanes[0].config.training))
    itemsize = trainer.setting.dtype.itemsize
    with at_hand(examples.some):
        lane, free = cohort.architecture.lane_bytes(examples.signature, batch, itemsize), free_memory(device)
    lanes = spec.concurrency * examples.replicas
    kept = lanes * sum(rows[0].nbytes for rows in cohort.state.values())
    if lane > SHARE * free:
        yield _too_large(which, lane, free)
    elif kept > free:
        yield Caution(
            code="memory",
            text=f"{which}: the weights of {lanes} lanes in flight need about {_gibibytes(kept)}, and "
            f"{_gibibytes(free)} of memory are free; take a smaller model or search.concurrency",
        )


def _weights(config: TrialConfig, examples: Examples) -> int:
    """Bytes of the model's weights, found without taking memory for them; 0 for a module of the user's own, and where
    the model cannot be built."""
    if isinstance(config.model, Custom):
        return 0
    try:
        with torch.device("meta"):
            module = models.build(config, examples.signature, examples.outputs)
    except InputError:
        return 0
    return examples.dtype.itemsize * sum(parameter.numel() for parameter in module.parameters())


def _too_large(which: str, lane: int, free: int) -> Caution:
    text = f"{which}: a lane needs about {_gibibytes(lane)}, and {_gibibytes(free)} of memory are free; take a smaller "
    return Caution(code="memory", text=f"{text}model or a smaller training.batch_size")


def _gibibytes(count: float) -> str:
    return f"{count / 2**30:.3g} GiB"


@contextmanager
def _quietly() -> Iterator[None]:
    """Holds back the training's warnings, which become cautions."""
    log = logging.getLogger("hpo")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
