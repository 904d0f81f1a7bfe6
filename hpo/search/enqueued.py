"""Trials that other programs enqueue: their given values, and why a study refuses some of them. Draws nothing.

`study.enqueue_trial({...})` of any Optuna client leaves a waiting trial with some or all parameters. The search takes
waiting trials in the order of their numbers and draws their missing parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from hpo.space import Parameter
from hpo.space.distributions import contains, on_grid

FIXED = "fixed_params"
"""System attribute in which Optuna keeps the parameters of an enqueued trial."""


def given(trial: FrozenTrial) -> dict[str, Any]:
    """The given values of a waiting trial, whether it was made by `enqueue_trial` or by `add_trial`."""
    fixed = trial.system_attrs.get(FIXED)
    return {**trial.params, **(fixed if isinstance(fixed, Mapping) else {})}


def refusal(trial: FrozenTrial, parameters: Sequence[Parameter]) -> str | None:
    """Why a waiting trial cannot be trained in a study with these parameters; None if it can."""
    if trial.intermediate_values:
        return "it comes with intermediate values, which this program has not measured"
    values, known = given(trial), {parameter.name: parameter for parameter in parameters}
    reason = contradiction(values, parameters)
    if reason is not None:
        return reason
    for name in values:
        if trial.distributions.get(name, known[name].distribution) != known[name].distribution:
            return f"{name}: it was drawn from another range than the study's, {_words(known[name].distribution)}"
    return None


def contradiction(values: Mapping[str, Any], parameters: Sequence[Parameter]) -> str | None:
    """Why a study with these parameters cannot draw the given values; None if it can."""
    known = {parameter.name: parameter for parameter in parameters}
    for name, value in values.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            guess = f"Did you mean {close[0]}? " if close else ""
            return f"{name}: no such parameter is searched. {guess}The study searches {', '.join(known) or 'none'}"
        parameter = known[name]
        if not allows(parameter.distribution, value):
            return f"{name} = {value!r}: the study allows {_words(parameter.distribution)}"
    for name in values:
        if any(values.get(other) not in labels for other, labels in known[name].conditions):
            return f"{name} is drawn only where {known[name].condition}: enqueue it together with that"
    return None


def plain(distribution: BaseDistribution, value: Any) -> Any:
    """An allowed value as a draw gives it, e.g. 1.0 for a 1 that was given for a float."""
    return on_grid(distribution, distribution.to_external_repr(distribution.to_internal_repr(value)))


def allows(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a given value may be drawn."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(distribution, FloatDistribution | IntDistribution) and not numeric:
        return False
    return contains(distribution, value)


def _words(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(repr, distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    steps = "" if distribution.step in (None, 1) else f" in steps of {distribution.step}"
    whole = "whole numbers" if isinstance(distribution, IntDistribution) else "numbers"
    return f"{whole} from {distribution.low} to {distribution.high}{steps}"


def fitting(values: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Those of the values that a study with these parameters may draw together."""
    found: dict[str, Any] = {}
    for parameter in parameters:  # each comes after those that its conditions name
        value = values.get(parameter.name)
        drawn = all(found.get(other) in labels for other, labels in parameter.conditions)
        if parameter.name in values and drawn and allows(parameter.distribution, value):
            found[parameter.name] = plain(parameter.distribution, value)
    return found
