"""`[study]` and `[checkpoints]`: name, objective and seed of a study, and how many checkpoints are kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, field_validator

from hpo.ranking import Direction
from hpo.studyfile.records.base import NAME_PATTERN, Count, Decay, Record


class Traits(NamedTuple):
    """What one metric is for."""

    task: Literal["classification", "regression", "both"]
    better: Literal["lower", "higher"]


METRICS: dict[str, Traits] = {
    "loss": Traits("both", "lower"),
    "accuracy": Traits("classification", "higher"),
    "balanced_accuracy": Traits("classification", "higher"),
    "min_recall": Traits("classification", "higher"),
    "f1": Traits("classification", "higher"),
    "macro_f1": Traits("classification", "higher"),
    "auroc": Traits("classification", "higher"),
    "average_precision": Traits("classification", "higher"),
    "ece": Traits("classification", "lower"),
    "rmse": Traits("regression", "lower"),
    "mae": Traits("regression", "lower"),
    "median_absolute_error": Traits("regression", "lower"),
    "quantile_loss": Traits("regression", "lower"),
    "r2": Traits("regression", "higher"),
}
"""Every metric. `hpo.training.metrics` has the function of the same name that computes it."""
MINIMIZED = frozenset(name for name, traits in METRICS.items() if traits.better == "lower")
"""Metrics where less is better; for all others more is better."""
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "min_recall", "f1", "macro_f1"), (0.0, 1.0)),
    **dict.fromkeys(("auroc", "average_precision", "ece"), (0.0, 1.0)),
    **dict.fromkeys(("loss", "rmse", "mae", "median_absolute_error", "quantile_loss"), (0.0, math.inf)),
    "r2": (-math.inf, 1.0),
}
"""Least and largest value of each metric, where this program computes it."""
REGRESSION_METRICS = frozenset(name for name, traits in METRICS.items() if traits.task != "classification")
CLASSIFICATION_METRICS = frozenset(name for name, traits in METRICS.items() if traits.task != "regression")

COSTS: dict[str, str] = {
    "parameters": "parameters",
    "optimizer_bytes": "optimizer_state_bytes",
    "flops": "flops",
}
"""Costs of a model that may be further objectives, of each of which less is better, by the key under which a trial has
them."""

FREE_METRIC_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
"""Names that a training function of the user's own may give what it reports."""
TAKEN = ("number", "replica", "epoch", "objective", "seconds")
"""Columns of `epochs.csv` that are no metrics."""


if TYPE_CHECKING:
    Metric = str
else:
    Metric = Literal[tuple(METRICS)] | Annotated[str, Field(pattern=FREE_METRIC_PATTERN)]


ROLES = ("scientific", "nuisance", "fixed")
"""What a searched parameter may be for, each a key of `[study]`."""

Names = Annotated[tuple[str, ...], Field(strict=False, max_length=1000)]


def possible(metric: str, low: float, high: float) -> tuple[float, float]:
    """The part of an interval of a metric's mean in which the mean can lie at all. The interval covers it as often as
    before. One of a metric that this program does not compute stays as it is."""
    least, most = BOUNDS.get(metric, (-math.inf, math.inf))
    return max(low, min(least, high)), min(high, max(most, low))


MOST_OBJECTIVES = 4
"""With more, hardly a trial is worse than another in all of them."""
_SEVERAL = Field(
    strict=False, min_length=1, max_length=MOST_OBJECTIVES, description=f"a list of 1 to {MOST_OBJECTIVES} such"
)
Objectives = Annotated[tuple[Metric, ...], _SEVERAL]
Directions = Annotated[tuple[Direction, ...], _SEVERAL]


class StudyTable(Record):
    """Name, objective and seed."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Name of the study in the database and of its report folder."""
    objective: Metric | Objectives = "accuracy"
    """Metric of the validation part that the search optimises; its direction follows from the metric. `loss` is cross
    entropy in nats, or the mean squared error of the standardised target (in units of the target's variance in the
    training part); `rmse`, `mae`, `median_absolute_error` and `quantile_loss` are in the target's own unit.
    docs/metrics.md describes all. In a study with [trial], any name that its function reports. Of trials with equal
    values, the one with the lower validation loss at the epoch that counts is better. A list, such as ["accuracy",
    "parameters"], makes several objectives: the first is a metric, by which trials stop early, are pruned, and the
    winner is chosen; the others are metrics or the costs `parameters`, `optimizer_bytes` and `flops`; see
    docs/objectives.md."""
    direction: Direction | Directions | None = None
    """Whether less or more of the objective is better. Needed only where a training function of your own reports an
    objective of another name than those above, whose direction is known. Of several objectives, a list with the
    direction of each."""
    epoch: Literal["best", "last"] = "best"
    """Whether a trial's value is its best epoch's objective or its last epoch's. The pruners median and percentile
    judge running trials by the same one. With `best`, trials are compared by the mean of their last third, see
    docs/search.md."""
    smoothing: Decay = 0.0
    """Smoothing of the objective over epochs, so that one lucky epoch does not win: the exponential average
    s[t] = a*x[t] + (1-a)*s[t-1], in which the newest epoch weighs a = 1 - smoothing; 0 takes the raw curve. The
    report's control of the same name smooths its curves by the same rule."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of all random numbers of the study."""
    baselines: bool = True
    """Whether simple models from scikit-learn are fitted on the same parts once the trials have ended, to be shown
    beside the winner: the most frequent class, or the mean or median; a linear model, for texts on TF-IDF; and gradient
    boosting. May be changed at any time."""
    final: Literal["search", "refit"] = "search"
    """Which weights of the winner are scored on the test part and exported. `search`: those of its trial, at its best
    epoch. `refit`: it is trained again on the training and validation rows together, with the configuration and the
    seed of its trial, for as many epochs as the trial had at its best; see docs/confirmation.md. May be changed at any
    time."""
    scientific: Names = ()
    """Searched parameters whose effect the study is to measure, e.g. ["optimizer.name", "norm.kind"]. The report shows
    them first, in this order, and has isolation plots of these alone. Without the key, it has plots of those that
    explain most. The three lists of parameters change no trial and may be changed at any time."""
    nuisance: Names = ()
    """Searched parameters that are only optimised over, so that the values of scientific ones are compared each at its
    best. The report shows them last."""
    fixed: Names = ()
    """Searched parameters that isolation plots hold at the winner's values: only trials with the same option, or a
    number within a tenth of the range, count there."""

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """Searched parameters by what they are for; only roles that some have."""
        return {role: names for role in ROLES if (names := getattr(self, role))}

    @field_validator("objective", "direction", mode="after")
    @classmethod
    def _plain(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        return value[0] if isinstance(value, tuple) and len(value) == 1 else value

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of all objectives, the first one first."""
        return self.objective if isinstance(self.objective, tuple) else (self.objective,)

    @property
    def metric(self) -> str:
        """The first objective: the metric whose curve decides how long a trial trains, and by which the winner is
        best."""
        return self.objectives[0]

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Whether less or more of each objective is better."""
        if self.direction is not None:
            return self.direction if isinstance(self.direction, tuple) else (self.direction,)
        return tuple("minimize" if name in MINIMIZED or name in COSTS else "maximize" for name in self.objectives)

    @property
    def minimized(self) -> bool:
        """Whether less of the first objective is better."""
        return self.directions[0] == "minimize"


class CheckpointsTable(Record):
    """Checkpoints that are kept after the study."""

    keep: Count = 3
    """Best trials whose weights are kept."""
