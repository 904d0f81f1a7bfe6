"""Edits of a study that has begun: what an edited study file changes, what must not change and why, and the versions
of the file that its trials have.

A trial keeps all settings that it began with, except the number of epochs. Where edits are stored is in
`hpo.registry.edits`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpo.studyfile.searched import searched
from hpo.studyfile.settings import decided
from hpo.studyfile.study import StudySpec, takes_words, trial_epochs
from hpo.studyfile.tree import Choice, Range, toml

ATTRIBUTE = "hpo:edit"
"""System attribute of a trial: number of the edit whose file it began with. Trials of the file that the study began
with have none."""

COMPARABLE = "trials would not be comparable"
BEGUN = "what the first trials begin with is decided when a study begins"
FIXED = {
    "study.name": "it names the study",
    "study.objective": COMPARABLE,
    "study.direction": COMPARABLE,
    "study.epoch": COMPARABLE,
    "study.smoothing": COMPARABLE,
    "study.seed": "all random numbers follow from it",
    "data.repeats": "a trial's value is the mean over its seeds, and means of other numbers of them do not compare",
    "data": "trials of other data, or of another split, would not be comparable",
    "trial.function": "it is what all trials run",
    "search.start": BEGUN,
    "search.warm_start": BEGUN,
    "search.default_first": BEGUN,
    "search.known_starts": BEGUN,
    "search.pace": "what a trial is compared with follows from it",
}
"""Settings, or tables, that no edit changes, and why."""
PROGRAMS = ("norm", "dropout", "optimizer", "regularization")
"""Tables that decide, with the classes' weights, which program trains trials of one architecture."""


def differences(old: StudySpec, new: StudySpec) -> list[str]:
    """What an edit changes, one line each: `optimizer.learning_rate: was 0.1, is 0.2`."""
    before, after = _all(old), _all(new)
    return [
        f"{path}: was {before.get(path, 'absent')}, is {after.get(path, 'absent')}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path)
    ]


def refusals(old: StudySpec, new: StudySpec) -> list[str]:
    """Changes that no edit can make, each with the reason."""
    before, after = _all(old), _all(new)
    found = [
        f"{path}: {reason}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path) and (reason := _fixed(path)) is not None
    ]
    if not found and (old.function is None) == (new.function is None):
        if old.data is not None and takes_words(old) != takes_words(new):
            found.append(
                "model.family: only one of the two files has a model that reads texts, so the data would change"
            )
        if old.function is None and trial_epochs(new) < trial_epochs(old):
            found.append(f"training.epochs: trials have up to {trial_epochs(old)} epochs, and none is taken back")
    return found


def numbered(specs: Sequence[StudySpec]) -> tuple[StudySpec, ...]:
    """The versions of a study's file, the first one first, with their numbers, and the numbers of the first versions
    with the same programs."""
    programs = [_programs(spec) for spec in specs]
    return tuple(
        replace(spec, edit=number, layout=programs.index(programs[number])) for number, spec in enumerate(specs)
    )


def number_of(attributes: Mapping[str, Any], versions: int) -> int:
    """Number of the version that a trial of these system attributes began with, of so many versions."""
    number = attributes.get(ATTRIBUTE, 0)
    return number if type(number) is int and 0 <= number < versions else 0


def outside(spec: StudySpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a trial's parameters that a study file searches, too, but whose values it does not allow any more."""
    nodes = {name: found.node for name, found in searched(spec.tree).items()}
    return {name: value for name, value in params.items() if name in nodes and not _allows(nodes[name], value)}


def _allows(node: Range | Choice, value: Any) -> bool:
    if isinstance(node, Choice):
        return any(repr(value) == repr(label) for label in node.labels)
    if isinstance(value, bool) or not isinstance(value, int | float) or not node.low <= value <= node.high:
        return False
    steps = (value - node.low) / node.step if node.step else 0.0
    return math.isclose(steps, round(steps), abs_tol=1e-6)


def _all(spec: StudySpec) -> dict[str, str]:
    """Every setting by its path, with the pruner and the concurrency that hold, and what `auto` has chosen."""
    chosen = {"search.sampler, chosen by auto": toml(spec.sampler.name)} if spec.search.sampler.name == "auto" else {}
    return {**decided(spec), "search.concurrency": toml(spec.concurrency), **chosen}


def _fixed(path: str) -> str | None:
    return next((reason for name, reason in FIXED.items() if path == name or path.startswith(f"{name}.")), None)


def _programs(spec: StudySpec) -> list[Any]:
    training = spec.tree.get("training", {})
    tables = training.options if isinstance(training, Choice) else (training,)
    return [*(spec.tree.get(name) for name in PROGRAMS), [table.get("class_weight") for table in tables]]
