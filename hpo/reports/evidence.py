"""The part of a report that the checks use, computed once. Draws no conclusions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo.errors import HpoError
from hpo.paths import argument, submit_command
from hpo.registry.read import EPOCH_COLUMNS, Epochs
from hpo.reports.confirmed import shown_confirmation
from hpo.reports.parts import Parts
from hpo.reports.statistics.noise import Noise, noise_of
from hpo.reports.trials import Counts, TrialRow

if TYPE_CHECKING:
    from hpo.conclusions.confirmation import Confirmation
    from hpo.ranking import Direction
    from hpo.registry.baselines import Baseline
    from hpo.registry.lone_feature import LoneFeature
    from hpo.registry.studies import StudyRow
    from hpo.reports.foreign import ForeignTrial
    from hpo.studyfile.study import StudySpec

POOLED = 10
"""Number of best trials whose spreads over folds and repeats give the noise of their values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the checks know of a study. `facts.StudyReport` adds what only readers see."""

    objective: str
    """Metric of the validation part that was optimised."""
    direction: Direction
    function: str | None
    """The training function of the user's own, as the study file names it; None where the study trains models."""
    counts: Counts
    trials: tuple[TrialRow, ...]
    """Those of this program, by number."""
    best_first: tuple[TrialRow, ...]
    """Finished trials."""
    winner: TrialRow | None
    """Best finished trial."""
    task: str | None
    """`classification` or `regression`; None where a study did not note it."""
    curves: Mapping[int, tuple[float, ...]]
    """Trial number -> its unsmoothed objective at each epoch, the mean over replicas, with the sign that makes more
    better; NaN where it was not finite."""
    replica_values: Mapping[int, tuple[float, ...]]
    """Number of a finished trial -> its unsmoothed objective of each replica at its best epoch, with that sign. Empty
    where trials have one replica, or a split of their own for all replicas."""
    winner_metrics: Mapping[str, float]
    """The winner's metrics of the validation part at its best epoch, the mean over replicas."""
    scored_trial: int | None
    """Number of the trial that was scored on the test part."""
    test: Mapping[str, float | None]
    """The winner's metrics on the test part, the mean over its models; empty if it was not scored."""
    baselines: tuple[Baseline, ...]
    """What simple models score on the same parts, the simplest first."""
    looks: tuple[int, ...]
    """Numbers of all trials that were scored on the test part, in this order."""
    foreign: tuple[ForeignTrial, ...]
    """Trials that are not this program's, by number."""
    repeats: tuple[int, int, int]
    """Rows with the features of an earlier row, of a row with another target, and to score on with those of a row to
    train on."""
    lone_feature: LoneFeature | None
    """The feature that predicts best alone; None where that is not known."""
    parts: Parts
    confirmation: Confirmation | None
    """What the repeats of the leading configurations say of the winner; None where it was not confirmed."""
    noise: Noise | None
    """Noise of the best values; None where it is not known."""
    grid: bool
    """Whether the trials are the points of a grid, in a fixed order, so that more of them may not exist."""
    way_to_more_trials: str
    """Advice on how to give the study more trials; empty while its budget is not spent."""
    way_to_more_epochs: str
    """Advice on how to give trials more epochs."""

    @property
    def winner_curve(self) -> tuple[float, ...]:
        """The winner's curve, without what was not finite."""
        curve = () if self.winner is None else self.curves.get(self.winner.number, ())
        return tuple(value for value in curve if math.isfinite(value))

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the finished trials with the sign that makes more better, best first."""
        return tuple(self.sign * trial.value for trial in self.best_first if trial.value is not None)

    @property
    def part(self) -> str:
        """`validation `, which the objective is of; empty where a function of the user's own says what it is of."""
        return "validation " if self.function is None else ""

    @property
    def minimized(self) -> bool:
        """Whether less of the objective is better."""
        return self.direction == "minimize"

    @property
    def sign(self) -> float:
        """The factor of values that makes more better."""
        return -1.0 if self.minimized else 1.0


def evidence_of(
    study: StudyRow,
    trials: tuple[TrialRow, ...],
    counts: Counts,
    best_first: tuple[TrialRow, ...],
    winner: TrialRow | None,
    test: Mapping[str, float | None],
    parts: Parts,
    epochs: Epochs,
    foreign: tuple[ForeignTrial, ...],
) -> Evidence:
    """The evidence from a study's row, its trials and its epochs."""
    spec = spec_of(study)
    sign = -1.0 if study.direction == "minimize" else 1.0
    replicas = int(epochs["replica"].max()) + 1 if len(epochs) else 1
    own_splits = study.facts.reshuffled and parts.folds <= 1  # all models of a trial share its split
    spreads = [trial.spread for trial in best_first[:POOLED] if trial.spread is not None]
    return Evidence(
        objective=study.objective,
        direction=study.direction,
        function=study.facts.function,
        counts=counts,
        trials=trials,
        best_first=best_first,
        winner=winner,
        task=study.facts.task,
        curves=_curves(epochs, sign),
        replica_values=_replica_values(epochs, best_first, sign) if replicas > 1 and not own_splits else {},
        winner_metrics=_metrics(epochs, winner),
        scored_trial=study.winner_number if study.test else None,
        test=test,
        foreign=foreign,
        baselines=study.facts.baselines,
        looks=study.facts.test_looks,
        repeats=(study.facts.repeated, study.facts.conflicting, study.facts.across),
        lone_feature=study.facts.lone_feature,
        parts=parts,
        confirmation=shown_confirmation(study),
        noise=None
        if winner is None or winner.value is None
        else noise_of(study.objective, winner.value, spreads, replicas, parts, study.facts.test_error),
        grid=spec is not None and spec.sampler.name == "grid",
        way_to_more_trials=_way_to_more_trials(study, spec, counts),
        way_to_more_epochs=_way_to_more_epochs(study),
    )


def spec_of(study: StudyRow) -> StudySpec | None:
    """The parsed study file; None where this version cannot read it."""
    from hpo.studyfile.file import parse_study

    try:
        return parse_study(study.spec_text, study.spec_source)
    except HpoError:
        return None


def _curves(epochs: Epochs, sign: float) -> dict[int, tuple[float, ...]]:
    """The mean over replicas by trial and epoch; not finite where that of a replica is not."""
    means = epochs.means(["objective"])
    return {number: tuple([sign * value for value in found["objective"]]) for number, (_, found) in means.items()}


def _replica_values(epochs: Epochs, trials: Sequence[TrialRow], sign: float) -> dict[int, tuple[float, ...]]:
    """Those of trials that have as many replicas as most."""
    rows = epochs.at({trial.number: trial.best_epoch or trial.epochs for trial in trials})
    found: dict[int, list[float]] = {}
    for number, value in zip(rows["number"].tolist(), rows["objective"].tolist(), strict=True):
        found.setdefault(int(number), []).append(sign * float(value))
    most = max(map(len, found.values()), default=0)
    return {
        number: tuple(values)
        for number, values in found.items()
        if len(values) == most and all(map(math.isfinite, values))
    }


def _metrics(epochs: Epochs, winner: TrialRow | None) -> dict[str, float]:
    if winner is None:
        return {}
    rows = epochs.at({winner.number: winner.best_epoch or winner.epochs})
    others = {*EPOCH_COLUMNS} - {"train_loss", "valid_loss"}
    known = {name: rows[name][np.isfinite(rows[name])] for name in rows if name not in others}
    return {name: float(values.mean()) for name, values in known.items() if len(values)}


def _way_to_more_trials(study: StudyRow, spec: StudySpec | None, counts: Counts) -> str:
    """Which budget ended the study, and how its file gives it more."""
    submitted = study.submitted_at is not None
    budget = study.max_trials if submitted else study.facts.budget
    limits: dict[str, tuple[float | None, float]] = {
        setting: (_limit(study, spec, setting), used)
        for setting, used in (
            ("epochs", study.epochs_spent),
            ("wall_seconds", study.wall_seconds),
            ("cpu_seconds", study.cpu_seconds),
        )
    }
    spent = [setting for setting, (limit, used) in limits.items() if limit is not None and used >= limit]
    if not spent and (counts.running or (budget is not None and counts.ended < budget)):
        return ""
    settings = " and ".join(f"`search.{setting}`" for setting in (spent or ["trials"]))
    return f"raise {settings} and {'submit' if submitted else 'run'} the study again"


def _limit(study: StudyRow, spec: StudySpec | None, setting: str) -> float | None:
    """A budget beside the one of trials: the service has its own copy."""
    limit: float | None = None
    if study.submitted_at is not None:
        limit = getattr(study, f"max_{setting}")
    elif spec is not None:
        limit = getattr(spec.search, setting)
    return limit


def _way_to_more_epochs(study: StudyRow) -> str:
    extend = f"`hpo extend {argument(study.name)} --epochs N`"
    if study.submitted_at is not None:
        return f"{extend} lets it go on"
    return f"give the study to workers with `{submit_command(study.spec_source)}`, then {extend} lets it go on"
