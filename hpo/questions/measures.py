"""What an effect may be an effect on: figures of one study, taken once all its trials have ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hpo.attributes.weights import count_near_zero, variation
from hpo.endings import Ending
from hpo.errors import InputError
from hpo.printable import listed
from hpo.signs import Code

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

NUMBER_BYTES = 4
"""Memory of a weight."""

KINDS: dict[str, str] = {
    "test.METRIC": "metric of the winner on the test part; test.objective: the one that the study searches by",
    "METRIC": "metric of the winner on the validation part, also train_loss and valid_loss; objective: the study's own",
    "winner.PARAMETER": "the winner's value of a searched parameter that is a number",
    "near_best": "share of the trials whose objective is at most `within` worse than the best, all trials counted",
    "signs.SIGN": "share of the trials with a sign of trouble, as docs/diagnosis.md names them; SIGN+SIGN: with any",
    "endings.ENDING": "share of the trials that ended so, e.g. diverged",
    "optimizer_state_bytes": "memory of the winner's optimizer state",
    "training_bytes": "memory of the winner's weights and optimizer state",
    "weights.near_zero": "share of the winner's weights below a hundredth of their layer's root mean square",
    "weights.variation": "standard deviation of the sizes of a layer's weights over their mean, of the winner; the "
    "mean over layers",
}
"""Measure -> what it is."""

Figures = Mapping[str, float | None]
"""Figures of one study by their key; None where it has none, e.g. because no trial finished."""


def trouble_with(measure: str, within: float | None) -> str | None:
    """What is wrong with the name of a measure; None if nothing is. Metrics are known only once a study has run."""
    kind, _, rest = measure.partition(".")
    if kind == "signs" and (unknown := [sign for sign in rest.split("+") if sign not in set(Code)]):
        return f'there is no sign "{unknown[0]}"'
    if kind == "endings" and rest not in set(Ending):
        return f'there is no ending "{rest}"'
    if kind == "weights" and measure not in KINDS:
        return f'there is no measure "{measure}"'
    if (measure == "near_best") != (within is not None):
        return "near_best needs `within`, and nothing else has it"
    return None


def key_of(measure: str, within: float | None) -> str:
    """A measure with its setting, as a column of `values.csv`."""
    return measure if within is None else f"{measure}({within:g})"


def measured(report: StudyReport, key: str, weights: Callable[[], list[Any]]) -> float | None:
    """The figure of a study that has ended; None where it has none. `weights`: gives the winner's weight matrices as
    NumPy arrays. Raises InputError for a metric that the study did not record and a parameter that it does not
    search."""
    kind, _, rest = key.partition(".")
    trials, winner = report.trials, report.winner
    if kind == "signs":
        return _share(any(sign.code in rest.split("+") for sign in trial.signs) for trial in trials)
    if kind == "endings":
        return _share(trial.ended.why == rest for trial in trials)
    if winner is None:
        return None
    if key.startswith("near_best("):
        return _near_best(report, float(key.removeprefix("near_best(").removesuffix(")")))
    if kind == "winner":
        if not any(rest in trial.params for trial in trials):
            searched = listed(dict.fromkeys(name for trial in trials for name in trial.params)) or "nothing"
            raise InputError(f"{report.name} does not search {rest}. It searches: {searched}")
        value = winner.params.get(rest)
        return float(value) if isinstance(value, int | float) else None
    if key == "optimizer_state_bytes":
        return _number(winner.optimizer_state_bytes)
    if key == "training_bytes":
        count, state = winner.model_parameters, winner.optimizer_state_bytes
        return None if count is None or state is None else float(NUMBER_BYTES * count + state)
    if kind == "weights":
        return WEIGHTS[key](weights())
    return _metric(report, key)


def _metric(report: StudyReport, name: str) -> float | None:
    from hpo.reports.comparison.measures import measure_of, trial_values

    assert report.winner is not None
    before, _, last = name.rpartition("objective")
    if last == "" and before in ("", "test."):
        name = before + report.objective
    if name.startswith("test.") and not report.test:
        raise InputError(
            f"{report.name} has no test part, so it has no {name}. Give data.test, or take a measure of the validation "
            'part, e.g. measure = "objective"'
        )
    if (of_test := name.removeprefix("test.")) != name and of_test in report.test:
        return report.test[of_test]
    return trial_values(report, measure_of([report], name)).get(report.winner.number)


def _near_best(report: StudyReport, within: float) -> float:
    values = [trial.value for trial in report.best_first if trial.value is not None]
    best = max(report.sign * value for value in values)
    return sum(best - report.sign * value <= within for value in values) / len(report.trials)


def _share(holds: Any) -> float | None:
    found = list(holds)
    return sum(found) / len(found) if found else None


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)


def _near_zero(matrices: list[Any]) -> float:
    return sum(map(count_near_zero, matrices)) / sum(int(w.size) for w in matrices)


def _variation(matrices: list[Any]) -> float | None:
    found = [one for one in map(variation, matrices) if one is not None]
    return sum(found) / len(found) if found else None


WEIGHTS: Mapping[str, Callable[[list[Any]], float | None]] = {
    "weights.near_zero": _near_zero,
    "weights.variation": _variation,
}
"""Measure -> its function of the winner's weight matrices."""
