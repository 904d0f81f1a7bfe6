"""Trials of an edited study as samplers see them: with the parameters that the study searches now.

A trial that began before an edit has the value of each present parameter that its own file gave it, searched or not.
Where the present ranges do not allow the value, the trial lies outside, and goes without this parameter and those that
depend on it. What a sampler keeps in a trial about an earlier space is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.errors import InputError
from hpo.space import config_of, parameters
from hpo.space.distributions import contains, distribution_of
from hpo.studyfile.edits import number_of
from hpo.studyfile.searched import Rename, contested, renamed
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice, Range, join
from hpo.studyfile.values import scalar

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

OF_SAMPLERS = ("cma:",)
"""What the names of attributes begin with in which samplers keep their state."""


class PresentTrials:
    """The trials of a study with the parameters of the newest version of its file."""

    def __init__(self, versions: Sequence[StudySpec]) -> None:
        """`versions`: of the study file, the first one first."""
        self.versions = versions
        present = parameters(versions[-1])
        self._alike = [parameters(version) == present for version in versions]
        self._known: dict[int, tuple[FrozenTrial, FrozenTrial, bool]] = {}

    def of(self, trial: FrozenTrial) -> tuple[FrozenTrial, bool]:
        """The trial, and whether it lies wholly inside the present ranges."""
        number = number_of(trial.system_attrs, len(self.versions))
        if self._alike[number]:
            return trial, True
        known = self._known.get(trial.number)
        if known is None or known[0] is not trial:
            known = self._known[trial.number] = (trial, *self._seen(trial, self.versions[number]))
        return known[1:]

    def _seen(self, trial: FrozenTrial, version: StudySpec) -> tuple[FrozenTrial, bool]:
        from optuna.trial import FrozenTrial

        params, inside = present_params(self.versions[-1], version, trial.params)
        distributions = {p.name: p.distribution for p in parameters(self.versions[-1])}
        seen = FrozenTrial.__new__(FrozenTrial)
        seen.__dict__.update(trial.__dict__)
        seen.params = params
        seen.distributions = {name: distributions[name] for name in params}
        seen.system_attrs = {key: value for key, value in trial.system_attrs.items() if not key.startswith(OF_SAMPLERS)}
        return seen, inside


def present_params(present: StudySpec, version: StudySpec, params: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The present parameters of a trial that was drawn from an earlier version, and whether these are all that the
    present file would draw of it."""
    try:
        whole = config_of(version, params).model_dump(mode="json")
    except InputError:  # a trial that failed, as its values contradict each other
        return {}, False
    found: dict[str, Any] = {}
    inside = [
        _look(node, whole.get(table), table, lambda path: path, params, found) for table, node in present.tree.items()
    ]
    return found, all(inside)


def _look(node: Any, value: Any, path: str, rename: Rename, params: Mapping[str, Any], found: dict[str, Any]) -> bool:
    """Adds the parameters of a node, at which the trial has the value; returns whether the node allows all of it."""
    match node:
        case Range() | Choice(tag=None):
            name = rename(path)
            found_value = scalar(value) if isinstance(node, Choice) else value
            if not contains(distribution_of(node), found_value):
                return False
            found[name] = _typed(node, found_value)
            return True
        case Choice(tag=str(tag)):
            name = rename(join(path, tag))
            label = _option(node, tag, value, params.get(name))
            if label is None:
                return False
            found[name] = label
            option, inner = node.options[node.labels.index(label)], renamed(str(label), contested(node))
            return _look(option, value, "", lambda below: rename(join(path, inner(below))), params, found)
        case dict() if isinstance(value, Mapping):
            # All are looked at: a parameter inside counts, whatever lies outside beside it.
            places = {key: join(path, key) for key in node}
            return all([_look(node[key], value.get(key), places[key], rename, params, found) for key in node])  # noqa: C419
        case dict():
            return False
        case _:
            return True


def _typed(node: Range | Choice, value: Any) -> Any:
    if isinstance(node, Choice):
        return value
    return int(value) if isinstance(node.low, int) else float(value)


def _option(choice: Choice, tag: str, value: Any, own: Any) -> Any:
    """The label of the option that the trial has: the one that it drew, else the first of the same kind; None where
    there is none."""
    if own in choice.labels:
        return own
    kind = value.get(tag) if isinstance(value, Mapping) else None
    for label, option in zip(choice.labels, choice.options, strict=True):
        if (option or {}).get(tag) == kind and kind is not None:
            return label
    return "none" if value is None and "none" in choice.labels else None
