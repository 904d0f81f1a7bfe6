"""The default configuration of a study, which a search has to beat.

Each searched parameter has the value that the program takes where a study file does not give it, if the study searches
that value, too; else the first choice, or the middle of the range: of a range with `log`, the geometric middle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo.errors import InputError
from hpo.space import draw
from hpo.space.distributions import contains, count_values, on_grid, value_at
from hpo.studyfile.fields import searched_tables
from hpo.studyfile.records import TrialConfig
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice, join

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def default_configuration(spec: StudySpec) -> tuple[dict[str, Any], TrialConfig] | None:
    """The searched parameters and the whole configuration; None where the values contradict each other."""
    chosen: dict[str, Any] = {}

    def suggest(name: str, distribution: BaseDistribution) -> Any:
        chosen[name] = default_value(spec, name, distribution, chosen)
        return chosen[name]

    try:
        config = draw(spec, suggest)
    except InputError:
        return None
    return chosen, config


def default_value(spec: StudySpec, name: str, distribution: BaseDistribution, chosen: Mapping[str, Any]) -> Any:
    """The value of one parameter. `chosen`: those of the parameters before it."""
    value = _of_program(spec.tree, name, chosen)
    return value if value is not None and contains(distribution, value) else middle(distribution)


def middle(distribution: BaseDistribution) -> Any:
    """The first choice, or the middle of a range."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return value_at(distribution, (count_values(distribution) - 1) // 2)
    found = math.sqrt(low * high) if distribution.log else (low + high) / 2
    return round(found) if isinstance(distribution, IntDistribution) else on_grid(distribution, found)


def _of_program(tree: Mapping[str, Any], name: str, chosen: Mapping[str, Any]) -> Any:
    """The value of a parameter where a study file does not give it; None where there is none. `chosen`: the values of
    the parameters before it."""
    table, *keys = name.split(".")
    slot, node, place = searched_tables()[table], tree[table], table
    while keys:
        shape = slot.shape
        if shape is None:
            return None
        if isinstance(node, Choice):
            if keys == [node.tag]:
                return slot.default.get(node.tag) if isinstance(slot.default, dict) else None
            label = chosen[join(place, node.tag or "")]
            node = node.options[node.labels.index(label)]
            if keys[0] == str(label):
                place = join(place, keys.pop(0))
        key = keys.pop(0)
        place = join(place, key)
        variant = node.get(shape.tag, shape.default) if shape.tag else ""
        slot = shape.slots(variant, node)[key]
        node = node.get(key, slot.default)
    return slot.default
