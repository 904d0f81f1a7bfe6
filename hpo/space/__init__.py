"""The search space of a study: its parameters as Optuna distributions, and one concrete configuration per draw.

A parameter's name is its dotted path in the study file. A choice of tables is a categorical parameter named by
the field that tells the tables apart (`norm.kind`), and the parameters inside are drawn only when their table is.
Where several tables share a parameter and mean the same by it, it is one parameter (`norm.placement`); where they
differ, the table's label goes into the name (`optimizer.adamw.weight_decay`).

Nothing is sampled here: `draw` gets each value from the function that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hpo.conventions import KEY
from hpo.errors import InputError
from hpo.space.distributions import contains, count_values, distribution_of, value_at
from hpo.studyfile.records import TrialConfig
from hpo.studyfile.searched import Conditions, Rename, contested, renamed, searched
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice, Range, join, toml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Suggest = Callable[[str, "BaseDistribution"], Any]
"""Returns a value for a parameter's name and distribution, e.g. `optuna.Trial._suggest`, a lookup or a constant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One searched parameter."""

    name: str
    """Dotted path, the same in Optuna, the dashboard and the CSV files."""
    distribution: BaseDistribution
    conditions: Conditions = ()
    """When the parameter is drawn; empty: always."""

    @property
    def condition(self) -> str | None:
        """The conditions in words, e.g. `norm.kind is batch or layer`; None if there are none."""
        return " and ".join(f"{path} is {' or '.join(map(str, labels))}" for path, labels in self.conditions) or None


def parameters(spec: StudySpec) -> list[Parameter]:
    """Every parameter, in the order in which they are drawn."""
    return [
        Parameter(name=name, distribution=distribution_of(found.node), conditions=found.conditions)
        for name, found in searched(spec.tree).items()
    ]


def draw(spec: StudySpec, suggest: Suggest) -> TrialConfig:
    """One concrete configuration; the path of a file that it names is relative to the study file. Raises InputError if
    the drawn values contradict each other."""
    concrete = _concrete(spec.tree, "", lambda path: path, suggest)
    try:
        hidden = {KEY: spec.conventions, "layout": spec.layout}
        return TrialConfig.model_validate({**concrete, **hidden}).below(Path(spec.source).parent)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{spec.source}: {path}: {first['msg']}, in {toml(concrete)}") from None


def config_of(spec: StudySpec, params: Mapping[str, Any]) -> TrialConfig:
    """The configuration that `draw` returned for these values. Raises InputError if they cannot be drawn from this
    study."""

    def stored(name: str, distribution: BaseDistribution) -> Any:
        if name not in params:
            raise InputError(f"{spec.source}: the trial has no {name}; it was drawn from another study file")
        if not contains(distribution, params[name]):
            text = f"the trial's {name} = {params[name]!r} lies outside {distribution}"
            raise InputError(f"{spec.source}: {text}; it was drawn from another study file")
        return params[name]

    return draw(spec, stored)


def alternatives(spec: StudySpec, table: str, *, highest: bool = False) -> Iterator[TrialConfig]:
    """A configuration for every combination of choices within one table, e.g. all that `norm` may be.

    All other tables stay at their first value, ranges at their lowest or highest. Combinations that contradict each
    other are left out.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    pending: list[dict[str, Any]] = [{}]
    while pending:
        answers = pending.pop()

        def answer(name: str, wanted: BaseDistribution, answers: dict[str, Any] = answers) -> Any:
            if name not in answers:
                assert isinstance(wanted, CategoricalDistribution | FloatDistribution | IntDistribution)
                values = (
                    wanted.choices
                    if isinstance(wanted, CategoricalDistribution)
                    else (wanted.high if highest else wanted.low,)
                )
                if name.startswith(f"{table}."):
                    pending.extend({**answers, name: value} for value in values[1:])
                answers[name] = values[0]
            return answers[name]

        try:
            config = draw(spec, answer)
        except InputError:
            continue
        yield config


def budget(spec: StudySpec) -> int:
    """The budget of trials: `search.trials`, but for a grid at most the number of its combinations."""
    trials = spec.search.trials
    return min(trials, combinations(spec) or trials) if spec.search.sampler.name == "grid" else trials


def combinations(spec: StudySpec) -> int | None:
    """The number of different configurations in the space; None if a continuous range makes it infinite."""
    return _count(spec.tree)


def grid(spec: StudySpec) -> Iterator[dict[str, Any]]:
    """The parameter values of every combination of a countable space, each once, in a fixed order: the first
    parameter changes slowest."""
    turns: list[int] = []  # an odometer: which value the first, second, ... parameter takes
    while True:
        point, sizes = _grid_point(spec.tree, turns)
        yield point
        turns += [0] * (len(sizes) - len(turns))
        while turns and turns[-1] + 1 == sizes[len(turns) - 1]:
            turns.pop()
        if not turns:
            return
        turns[-1] += 1


def _grid_point(tree: Any, turns: list[int]) -> tuple[dict[str, Any], list[int]]:
    """The parameters where the odometer stands (0 beyond its last wheel), and how many values each has."""
    point: dict[str, Any] = {}
    sizes: list[int] = []

    def suggest(name: str, distribution: BaseDistribution) -> Any:
        turn = turns[len(sizes)] if len(sizes) < len(turns) else 0
        sizes.append(count_values(distribution))
        point[name] = value_at(distribution, turn)
        return point[name]

    _concrete(tree, "", lambda path: path, suggest)
    return point, sizes


# --- walking the tree --------------------------------------------------------------------------------------


def _concrete(node: Any, path: str, rename: Rename, suggest: Suggest) -> Any:
    """The node with every range and choice replaced by the value that `suggest` returns."""
    match node:
        case Range():
            value = suggest(rename(path), distribution_of(node))
            return int(value) if isinstance(node.low, int) else float(value)
        case Choice(tag=None):
            return node.options[node.labels.index(suggest(rename(path), distribution_of(node)))]
        case Choice(tag=str(tag)):
            label = suggest(rename(join(path, tag)), distribution_of(node))
            inner = renamed(label, contested(node))
            option = node.options[node.labels.index(label)]
            return _concrete(option, "", lambda below: rename(join(path, inner(below))), suggest)
        case dict():
            return {key: _concrete(value, join(path, key), rename, suggest) for key, value in node.items()}
        case _:
            return node


def _count(node: Any) -> int | None:
    match node:
        case Range():
            countable = isinstance(node.low, int) or node.step is not None
            return count_values(distribution_of(node)) if countable else None
        case Choice(tag=None):
            return len(node.options)
        case Choice():
            counts = [_count(option) for option in node.options]
            return None if None in counts else sum(count for count in counts if count)
        case dict():
            counts = [_count(value) for value in node.values()]
            return None if None in counts else math.prod(count for count in counts if count)
        case _:
            return 1
