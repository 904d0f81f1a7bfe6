"""The changes from the default configuration of a study to another one, and the configurations in between.

A change switches one parameter that both have. A choice brings along the parameters that only hang on it: they have the
values of the configuration whose choice is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.errors import InputError
from hpo.space import draw, parameters
from hpo.space.default import default_value
from hpo.studyfile.records import TrialConfig
from hpo.studyfile.study import StudySpec

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A parameter with another value."""

    name: str
    """Dotted path."""
    before: Any
    after: Any
    along: Mapping[str, Any]
    """Parameters that are drawn only after the change, with their values."""


def changes_between(spec: StudySpec, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The changes that make the searched parameters `before` those `after`, in the order of the study file."""
    conditions = {parameter.name: parameter.conditions for parameter in parameters(spec)}
    switched = [name for name in after if name in before and before[name] != after[name]]
    along: dict[str, dict[str, Any]] = {name: {} for name in switched}
    for name in after.keys() - before.keys():
        # Of several choices that it hangs on, the last one that is switched is the nearest.
        hangs = [path for path, _ in conditions[name]]
        owner = next((path for path in reversed(_above(hangs, conditions)) if path in along), None)
        if owner is not None:
            along[owner][name] = after[name]
    return [
        Change(name=name, before=before[name], after=after[name], along=dict(sorted(along[name].items())))
        for name in switched
    ]


def between(
    spec: StudySpec, before: Mapping[str, Any], after: Mapping[str, Any], taken: Collection[str]
) -> tuple[dict[str, Any], TrialConfig] | None:
    """The searched parameters and the configuration with the values `before`, but for the changes that are `taken`;
    None where the values contradict each other."""
    chosen: dict[str, Any] = {}

    def suggest(name: str, distribution: BaseDistribution) -> Any:
        first, second = (after, before) if name in taken else (before, after)
        known = next((values[name] for values in (first, second) if name in values), None)
        chosen[name] = default_value(spec, name, distribution, chosen) if known is None else known
        return chosen[name]

    try:
        config = draw(spec, suggest)
    except InputError:
        return None
    return chosen, config


def _above(names: list[str], conditions: Mapping[str, Any]) -> list[str]:
    """The parameters and all that they hang on, the outermost first."""
    found: list[str] = []
    for name in names:
        found += [*_above([path for path, _ in conditions.get(name, ())], conditions), name]
    return found
