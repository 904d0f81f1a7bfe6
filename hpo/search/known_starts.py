"""Configurations that do well on data of many kinds, with which a search begins.

The list was learnt from learning curves on six data sets (`python -m benchmarks.curves.starts`), one configuration
after the other: each was chosen so that the best of the list so far is as good as possible on all six. A study takes
of each what it searches, and the sampler draws the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo.search.enqueued import fitting
from hpo.space import Parameter
from hpo.studyfile.study import LEARNING, StudySpec
from hpo.studyfile.tree import Choice

KNOWN: tuple[Mapping[str, Any], ...] = (
    {
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.01,
        "norm.kind": "layer",
        "init.scheme": "orthogonal",
        "dropout.p": 0.2,
        "schedule.name": "constant",
    },
    {
        "optimizer.name": "sgd",
        "optimizer.learning_rate": 0.02,
        "optimizer.momentum": 0.9,
        "norm.kind": "layer",
        "init.scheme": "orthogonal",
        "dropout.p": 0.4,
        "schedule.name": "constant",
    },
    {
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.005,
        "norm.kind": "none",
        "init.scheme": "orthogonal",
        "dropout.p": 0.1,
        "schedule.name": "constant",
    },
    {
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.01,
        "norm.kind": "batch",
        "init.scheme": "small_normal",
        "dropout.p": 0.2,
        "schedule.name": "constant",
    },
)
"""The best one first."""
ALIKE = {"adam": ("adam", "adamw", "nadam", "radam"), "sgd": ("sgd",)}
"""Optimizers that are used at the rates of one, in the order in which they are taken."""
MOST = 4
SHARE = 10
"""One trial in so many has a known configuration, at most `MOST`."""


def known_starts(spec: StudySpec, parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Values of some or all parameters, for one trial each. There are none where the sampler learns nothing from them,
    or where no learning rate of these optimizers is searched."""
    if not spec.search.known_starts or spec.sampler.name not in LEARNING or spec.function is not None:
        return []
    found: list[dict[str, Any]] = []
    for known in KNOWN:
        values = next(_versions(spec, known, parameters), None)
        if values is not None and values not in found:
            found.append(values)
    return found[: min(MOST, spec.search.trials // SHARE)]


def _versions(spec: StudySpec, known: Mapping[str, Any], parameters: Sequence[Parameter]) -> Iterator[dict[str, Any]]:
    """What the study may draw of a known configuration, for each of its optimizers that the rate belongs to."""
    own = {name: known[name] for name in ("optimizer.learning_rate", "optimizer.momentum") if name in known}
    for label in _optimizers(spec, known["optimizer.name"]):
        # A range that options do not share has the option's label in its name.
        apart = {name.replace(".", f".{label}.", 1): value for name, value in own.items()}
        values = fitting({**known, **apart, "optimizer.name": label}, parameters)
        if any(name.endswith(".learning_rate") for name in values):
            yield values


def _optimizers(spec: StudySpec, name: str) -> Iterator[str]:
    """The labels of a study's options that are such an optimizer."""
    node = spec.tree["optimizer"]
    options = dict(zip(node.labels, node.options, strict=True)) if isinstance(node, Choice) else {node["name"]: node}
    for wanted in ALIKE[name]:
        for label, option in options.items():
            if option["name"] == wanted and (wanted != "sgd" or _has_momentum(option)):
                yield str(label)


def _has_momentum(option: Mapping[str, Any]) -> bool:
    """Whether it has a large momentum, or searches it."""
    momentum = option.get("momentum", 0.0)
    return not isinstance(momentum, int | float) or momentum >= 0.8
