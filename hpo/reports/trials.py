"""A study's trials in a report: one plain record for each, their ranking and their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from hpo import endings, signs
from hpo.attributes import weights
from hpo.attributes.weights import LayerWeights
from hpo.endings import Ended
from hpo.ranking import Direction, is_whole, level_of, pareto_front, rank_key, valid_loss_of
from hpo.signs import Sign

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """One trial in a report."""

    number: int
    """Number in the study, from 0."""
    state: str
    """Optuna's state: COMPLETE, PRUNED, FAIL, RUNNING or WAITING."""
    value: float | None
    """The objective; for a pruned trial its value when it ended, by the rule of `study.epoch`. None if there is
    none."""
    params: Mapping[str, Any]
    """Searched parameters by dotted name; inactive conditional ones are absent."""
    distributions: Mapping[str, BaseDistribution]
    """Range or choices each parameter was drawn from."""
    started: datetime | None
    """Naive, local time."""
    completed: datetime | None
    """Naive, local time."""
    ended: Ended
    """Why the trial ended; without words while it runs."""
    epochs: int
    """Epochs trained."""
    best_epoch: int | None
    """Epoch of the best objective, from 1."""
    spread: float | None
    """Standard deviation of the objective over folds and repeats at the best epoch; None where there is only one."""
    valid_loss: float | None
    """Validation loss at the epoch that counts, the mean over folds and repeats: orders trials of equal value; None
    where an earlier version did not note it."""
    seconds: float | None
    """Training time of the trial."""
    model_parameters: int | None
    """Trainable numbers of the model."""
    optimizer_state_bytes: int | None
    """Memory of the optimizer's state in bytes."""
    signs: tuple[Sign, ...] = ()
    """Signs of trouble in its training."""
    weights: tuple[LayerWeights, ...] = ()
    """Figures of its weights, by layer."""
    peak_memory_bytes: int | None = None
    """Largest main memory that the process of a training function was seen to take."""
    peak_gpu_memory_bytes: int | None = None
    """Largest memory of a GPU that PyTorch allocated in it."""
    curve: Mapping[int, float] = field(default_factory=dict)
    """Intermediate values by epoch, from 1."""
    further: tuple[float, ...] = ()
    """Values of the objectives after the first; empty where there is one, or the trial has none."""
    level: float | None = None
    """The mean of the last third of its values, by which trials are ordered; None where they are ordered by value."""
    flops: int | None = None
    """Operations of the model's forward pass for one example."""

    @property
    def score(self) -> float | None:
        """What trials are ordered by first: the level, or the value where there is none."""
        return self.value if self.level is None else self.level

    @property
    def values(self) -> tuple[float, ...]:
        """Of all objectives, the first one first; empty where there is none."""
        return () if self.value is None else (self.value, *self.further)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Trials by how they ended."""

    finished: int
    pruned: int
    failed: int
    running: int

    @property
    def ended(self) -> int:
        """Trials that used up budget."""
        return self.finished + self.pruned + self.failed


def trial_row(trial: FrozenTrial) -> TrialRow:
    """The record of an Optuna trial."""
    attributes = trial.user_attrs
    value = trial.values[0] if trial.values else None
    last = trial.last_step
    if value is None and trial.state.name == "PRUNED" and last is not None:
        value = trial.intermediate_values[last]
    return TrialRow(
        number=trial.number,
        state=trial.state.name,
        value=value,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        started=trial.datetime_start,
        completed=trial.datetime_complete,
        ended=endings.of(attributes),
        epochs=_whole(attributes.get("epochs"), last or 0) if trial.state.is_finished() else last or 0,
        best_epoch=_whole(attributes.get("best_epoch"), None),
        spread=_real(attributes.get("spread")),
        valid_loss=valid_loss_of(attributes),
        level=level_of(attributes),
        seconds=_real(attributes.get("seconds")),
        model_parameters=_whole(attributes.get("parameters"), None),
        optimizer_state_bytes=_whole(attributes.get("optimizer_state_bytes"), None),
        signs=signs.of(attributes),
        weights=weights.of(attributes),
        peak_memory_bytes=_whole(attributes.get("peak_memory_bytes"), None),
        peak_gpu_memory_bytes=_whole(attributes.get("peak_gpu_memory_bytes"), None),
        curve=dict(trial.intermediate_values),
        further=tuple(trial.values[1:]) if trial.values else (),
        flops=_whole(attributes.get("flops"), None),
    )


def _whole(value: Any, otherwise: T) -> int | T:
    """The attribute if it is a whole number, else `otherwise`: other programs may use attributes of the same name."""
    return value if type(value) is int else otherwise


def _real(value: Any) -> float | None:
    return value if type(value) in (int, float) else None


def ranked(trials: Sequence[TrialRow], directions: Sequence[Direction]) -> list[TrialRow]:
    """Finished trials with finite values, best first; see `hpo.ranking`. `directions`: of the objectives."""
    finished = [t for t in trials if t.state == "COMPLETE" and is_whole(t.values, directions)]
    return sorted(finished, key=lambda t: rank_key(t.values, t.valid_loss, t.number, directions, t.level))


def same_scores(one: TrialRow, other: TrialRow) -> bool:
    """Whether nothing but their numbers orders two trials."""
    return (one.score, one.values, one.valid_loss) == (other.score, other.values, other.valid_loss)


def front_of(best_first: Sequence[TrialRow], directions: Sequence[Direction]) -> tuple[TrialRow, ...]:
    """The Pareto front of ranked trials, the best in the first objective first; empty with one objective."""
    if len(directions) == 1:
        return ()
    by_number = {trial.number: trial for trial in best_first}
    return tuple(by_number[number] for number in pareto_front({t.number: t.values for t in best_first}, directions))


def count(trials: Sequence[TrialRow]) -> Counts:
    """Trials of this program by state."""
    states = [trial.state for trial in trials]
    ended = {state: states.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")}
    return Counts(
        finished=ended["COMPLETE"],
        pruned=ended["PRUNED"],
        failed=ended["FAIL"],
        running=len(states) - sum(ended.values()),
    )
