"""Cautions: settings that are valid, and yet do something else than one would think. Each has a code and a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hpo.studyfile.fields import searched_tables
from hpo.studyfile.records import Promotion
from hpo.studyfile.study import LEARNING, StudySpec, fitting_concurrency, options_of, trial_epochs
from hpo.studyfile.tree import Choice, Range

CautionCode = Literal[
    "random_search", "starts", "no_finish", "batch_size", "does_not_fit", "not_fused", "softmax", "memory", "signs"
]

BLIND = 1 / 3
"""Share of the trials that may be drawn before any result is known, in a search that is to learn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """One thing that the user should know before the study runs."""

    code: CautionCode
    text: str
    """What happens, and the way out."""


def cautions(spec: StudySpec, examples: int | None = None) -> Iterator[Caution]:
    """Cautions about the study's settings. `examples`: those of its smallest training part; None where a function of
    the user's own makes the batches."""
    yield from _random_search(spec)
    yield from _starts(spec)
    yield from _no_finish(spec)
    if examples is not None:
        yield from _batch_size(spec, examples)


def _random_search(spec: StudySpec) -> Iterator[Caution]:
    search = spec.search
    if search.sampler.name not in LEARNING or not any(map(_searches, spec.tree.values())):
        return
    if spec.concurrency < search.trials * BLIND:
        return
    better = fitting_concurrency(search.trials)
    fewer = f"search.concurrency = {better}, or " if better < spec.concurrency else ""
    begun = min(spec.concurrency, search.trials)
    yield Caution(
        code="random_search",
        text=f"search.concurrency = {spec.concurrency}: {begun} of {search.trials} trials are drawn before the first "
        f"one has ended, so {search.sampler.name} learns little and the study is close to a random search; take "
        f"{fewer}more trials",
    )


def _starts(spec: StudySpec) -> Iterator[Caution]:
    """Starts that would have a trial only if the budget were larger."""
    search = spec.search
    if not search.start or (known := search.default_first + len(search.start)) <= search.trials:
        return
    yield Caution(
        code="starts",
        text=f"search.start: with the default configuration, {known} configurations are to be tried first, but "
        f"search.trials = {search.trials}, so the last ones are not; take more trials",
    )


def _no_finish(spec: StudySpec) -> Iterator[Caution]:
    """A budget of epochs that is spent before the first trial gets through all rungs."""
    pruner, budget = spec.pruner, spec.search.epochs
    if not isinstance(pruner, Promotion) or budget is None:
        return
    rungs = pruner.rungs(trial_epochs(spec))
    arrived = [pruner.reduction_factor**above for above in reversed(range(len(rungs)))]
    needed = sum(trials * (rung - below) for trials, rung, below in zip(arrived, rungs, (0, *rungs), strict=False))
    if budget < needed:
        yield Caution(
            code="no_finish",
            text=f"search.epochs = {budget}: with pruning by promotion, the first trial finishes after about {needed} "
            'epochs of all trials, so the study may end without a winner; raise it, or take pruner = "none"',
        )


def _searches(node: object) -> bool:
    match node:
        case Range() | Choice():
            return True
        case dict():
            return any(map(_searches, node.values()))
        case _:
            return False


def _batch_size(spec: StudySpec, examples: int) -> Iterator[Caution]:
    slot = searched_tables()["training"]
    sizes = [option.get("batch_size", slot.default["batch_size"]) for option in options_of(spec, "training")]
    largest = max(map(_largest, sizes))
    if largest > examples:
        yield Caution(
            code="batch_size",
            text=f"training.batch_size = {largest} is more than the {examples} examples of the training part: a batch "
            "has all of them, and an epoch is one step",
        )


def _largest(node: Any) -> int:
    match node:
        case Range():
            return int(node.high)
        case Choice():
            return int(max(node.options))
        case _:
            return int(node)
