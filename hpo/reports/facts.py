"""Everything a report shows, computed once from what the database holds. No HTML, no files, no SQL.

`gather` reads a study, `report_of` turns what was read into one frozen `StudyReport`; the renderers only format it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from hpo.reports.baselines import baseline_rows
from hpo.reports.checks import health
from hpo.reports.confirmed import ahead
from hpo.reports.diagnosis import SignCount, counted
from hpo.reports.edits import EditLine, edit_lines, unified
from hpo.reports.evidence import Evidence, evidence_of, spec_of
from hpo.reports.foreign import ForeignTrial, foreign_trial
from hpo.reports.health import Check
from hpo.reports.importance import Importances, Roles, compute_importances
from hpo.reports.next_study import NextStudy, next_study
from hpo.reports.parts import BalanceRow, balance_rows, parts_of, split_text
from hpo.reports.provenance import Provenance, provenance_of
from hpo.reports.text import label, scores_on_test
from hpo.reports.trials import TrialRow, count, front_of, ranked, same_scores, trial_row

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from hpo.conclusions.explanation import Explanation
    from hpo.conclusions.refit import Refit
    from hpo.ranking import Direction
    from hpo.registry.edits import Edit
    from hpo.registry.read import Epochs
    from hpo.registry.repeats import Repeat
    from hpo.registry.studies import StudyRow
    from hpo.storage.store import Store

TOP = 10
"""Most trials that a report shows in full."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryPoint:
    """One ended trial in the optimisation history."""

    number: int
    state: str
    value: float | None
    best: float | None
    """Best finished value among the trials up to this number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyReport(Evidence):
    """Everything that a report of one study shows."""

    name: str
    objectives: tuple[str, ...]
    """Names of all objectives, the metric first that `objective` is."""
    directions: tuple[Direction, ...]
    """Of all objectives."""
    seed: int
    hpo_version: str
    source: str
    """Path of the study file, as given when the study was made."""
    spec_text: str
    """The study file."""
    dataset_fingerprint: str
    """SHA-256 of the examples."""
    split_fingerprint: str | None
    """SHA-256 of the positions of the examples in all parts; None where it is not recorded, or there are no parts."""
    reshuffled: bool
    """Whether each trial has a training and a validation part of its own."""
    provenance: Provenance
    last: bool
    """Whether a trial's value is that of its last epoch, not of its best one."""
    epochs: Epochs
    """One row per trial, replica and epoch."""
    test_ensemble: Mapping[str, float | None]
    """Metrics of the ensemble of its models on the test part; empty where it has one model."""
    models: int
    """Of each trial: one for each fold and repeat."""
    refit: Refit | None
    """How the winner was trained again on all rows; None where its weights are those of its trial."""
    history: tuple[HistoryPoint, ...]
    front: tuple[TrialRow, ...]
    """The Pareto front, the best in the first objective first; empty with one objective."""
    importances: Importances
    balance: tuple[BalanceRow, ...]
    split: str
    """Rows of each part and the largest difference of a group's share; empty if not recorded."""
    epochs_spent: int
    """Over all trials; replicas of a trial share its epochs."""
    wall_seconds: float | None
    """Time the study ran, over all restarts."""
    train_seconds: float | None
    """Spent training and validating, added up over the workers that shared the wall time."""
    shared: bool
    """Whether the study was submitted to workers, which train at the same time."""
    repeated: tuple[Repeat, ...]
    """All repeats, also those of earlier confirmations."""
    edits: tuple[EditLine, ...]
    """Edits of the study file since the study began."""
    explanation: Explanation | None
    """What `hpo explain` found of the winner; None where it was not asked."""
    checks: tuple[Check, ...]
    """The health card: what each check found, those with a finding first."""
    ahead: int | None
    """The trial that ranks first, where an unconfirmed winner is another one, see `reports.confirmed`."""
    next: NextStudy | None
    """What to search next; None while no trial has finished, or where this version cannot read the study file."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a reader should know before trusting the winner."""
        return tuple(check.text for check in self.checks if check.raised)

    @property
    def top(self) -> tuple[TrialRow, ...]:
        """Best finished trials, best first, at most ten."""
        return self.best_first[:TOP]

    def scores_on_test(self, metric: str) -> list[tuple[str, str]]:
        """Names and values of a metric on the test part, as `text.scores_on_test` has them."""
        return scores_on_test(metric, self.test, self.test_ensemble, self.models_of_winner, name=label(metric))

    @property
    def models_of_winner(self) -> int:
        """Number of its models that are exported and scored on the test part."""
        return self.refit.models if self.refit else self.models

    @property
    def baseline_rows(self) -> list[tuple[str, str, str, str]]:
        """The winner and the baselines, as `baselines.baseline_rows` has them."""
        winner = None
        if self.winner is not None:
            winner = (f"winner, trial {self.winner.number}", self.winner.value, self.test)
        return baseline_rows(self.baselines, self.objective, winner)

    @property
    def signs(self) -> list[SignCount]:
        """Signs of trouble in the trials, by kind."""
        return counted(self.trials, self.winner)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every searched parameter that some trial had, sorted."""
        return tuple(sorted({name for trial in self.trials for name in trial.params}))

    @property
    def ordered_parameters(self) -> list[str]:
        """The same, as figures show them: see `Importances.order`, then by name."""
        known = [name for name in self.importances.order if name in self.parameters]
        return list(dict.fromkeys([*known, *self.parameters]))


def history_of(trials: Sequence[TrialRow], minimized: bool) -> tuple[HistoryPoint, ...]:
    """Values by trial number with the best so far; only finished trials can be best."""
    points: list[HistoryPoint] = []
    best: float | None = None
    better = min if minimized else max
    for trial in trials:
        if trial.state not in ("COMPLETE", "PRUNED", "FAIL"):
            continue
        if trial.state == "COMPLETE" and trial.value is not None and math.isfinite(trial.value):
            best = trial.value if best is None else better(best, trial.value)
        points.append(HistoryPoint(number=trial.number, state=trial.state, value=trial.value, best=best))
    return tuple(points)


def choose_winner(best_first: Sequence[TrialRow], recorded: int | None, *, ended: bool = False) -> TrialRow | None:
    """The winner the study recorded if it has `ended`, or while no finished trial beats it, else the best of the
    table."""
    if not best_first:
        return None
    best = best_first[0]
    for trial in best_first:
        if trial.number == recorded and ended:
            return trial
        if trial.number == recorded and same_scores(trial, best):
            return trial
    return best


def report_of(
    study: StudyRow,
    frozen: Sequence[FrozenTrial],
    epochs: Epochs,
    foreign: Sequence[ForeignTrial] = (),
    repeats: Sequence[Repeat] = (),
    log: Sequence[Edit] = (),
) -> StudyReport:
    """All facts of a study from its own row, its trials, its epochs, its repeats and the log of its edits; `foreign`:
    trials that are not its own."""
    from hpo.registry.conclusions import explained, refit_of

    trials = tuple(trial_row(trial) for trial in sorted(frozen, key=lambda trial: trial.number))
    if log:
        trials = unified(trials)
    minimized = study.direction == "minimize"
    best_first = tuple(ranked(trials, study.directions))
    winner = choose_winner(best_first, study.winner_number, ended=study.finished_at is not None)
    scored = winner is not None and winner.number == study.winner_number
    test = dict(study.test or {}) if scored else {}
    balance = balance_rows(study.balance)
    if foreign:  # some may have been ours, until another program ended them
        epochs = epochs.of_trials({trial.number for trial in trials})
    parts, others = parts_of(balance), tuple(foreign)
    spec = spec_of(study)
    last = spec is not None and spec.study.epoch == "last"
    evidence = evidence_of(study, trials, count(trials), best_first, winner, test, parts, epochs, others)
    importances = compute_importances(
        trials,
        minimized,
        last=last,
        best_first=[*([winner] if winner else []), *(t for t in best_first if t is not winner)],
        error=evidence.noise.error if evidence.noise else 0.0,
        roles=Roles(**study.facts.roles or {}),
    )
    checks = health(evidence)
    return StudyReport(
        **{field.name: getattr(evidence, field.name) for field in fields(Evidence)},
        name=study.name,
        objectives=study.objectives,
        directions=study.directions,
        seed=study.seed,
        hpo_version=study.hpo_version,
        source=study.spec_source,
        spec_text=study.spec_text,
        dataset_fingerprint=study.dataset_fingerprint,
        split_fingerprint=study.facts.split,
        reshuffled=study.facts.reshuffled,
        provenance=provenance_of(study),
        last=last,
        epochs=epochs,
        test_ensemble=dict(study.test_ensemble or {}) if scored else {},
        models=study.facts.models,
        refit=refit_of(study) if scored else None,
        history=history_of(trials, minimized),
        front=front_of(best_first, study.directions),
        importances=importances,
        balance=balance,
        split=split_text(balance, reshuffled=study.facts.reshuffled),
        epochs_spent=sum(trial.epochs for trial in trials),
        wall_seconds=study.wall_seconds,
        train_seconds=study.train_seconds,
        shared=study.submitted_at is not None,
        repeated=tuple(repeats),
        edits=edit_lines(log, frozen),
        explanation=explained(study),
        checks=checks,
        ahead=ahead(study, best_first),
        next=None if spec is None else next_study(spec, evidence, importances, checks),
    )


def gather(store: Store, name: str) -> StudyReport:
    """Read one study and compute its report. An unknown name raises StudyStateError."""
    from hpo.registry.edits import edits_of
    from hpo.registry.read import read_epochs
    from hpo.registry.repeats import repeats_of
    from hpo.registry.studies import study_row

    study = study_row(store, name)
    # The trials themselves, not their table: a parameter may be drawn from another range in another branch.
    own, foreign = store.own_trials(study.study_id), store.foreign_trials(study.study_id)
    others, repeats = [foreign_trial(*other) for other in foreign], repeats_of(store, study.study_id)
    log = edits_of(store, study.study_id)
    return report_of(study, own, read_epochs(store, name), others, repeats, log)
