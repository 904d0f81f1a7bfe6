"""Reads a trained trial from the database and the checkpoints. The study is not changed.

The weights come from the trial's checkpoint; those of a winner that was trained again on all rows (`study.final`), from
a checkpoint of their own. Only the best trials keep theirs; another trial is trained again from its configuration and
its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from torch import Tensor, nn

from hpo import endings, models
from hpo.checkpoints.location import other_location
from hpo.conclusions.refit import Refit
from hpo.errors import InputError, StudyStateError
from hpo.execution.resources import Resources
from hpo.paths import argument, run_command
from hpo.registry.conclusions import refit_of
from hpo.registry.studies import StudyRow, study_row
from hpo.reports.foreign import WORDS
from hpo.runtime.refit import inputs_of, refit
from hpo.runtime.session import session_of
from hpo.runtime.setup.inputs import Inputs, load_inputs
from hpo.runtime.setup.registration import check_unchanged
from hpo.runtime.setup.specs import spec_of, versions_of
from hpo.runtime.winner import kept, weights
from hpo.search.searcher import Searcher
from hpo.storage.own_view import own_trials_of
from hpo.storage.store import Store
from hpo.studyfile.file import StudySpec
from hpo.studyfile.records import TrialConfig
from hpo.training import packing


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportableTrial:
    """A trial that can be exported."""

    row: StudyRow
    spec: StudySpec
    searcher: Searcher
    trial: FrozenTrial
    config: TrialConfig

    @property
    def refit(self) -> Refit | None:
        """How it was trained again on all rows; None where its weights are those of the search."""
        found = refit_of(self.row)
        return found if found is not None and found.trial == self.trial.number else None

    @property
    def models(self) -> int:
        """Number of its models."""
        return self.refit.models if self.refit else self.row.facts.models

    def check_replica(self, replica: int) -> None:
        """Raises `InputError` where it has no model of this number, counted from 0."""
        if not 0 <= replica < self.models:
            each = "one for each repeat" if self.refit else "one for each fold and repeat"
            raise InputError(
                f"replica must be from 0 to {self.models - 1}, as trial {self.trial.number} of {self.row.name!r} has "
                f"{self.models} of them ({each}), but got {replica!r}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedTrial:
    """A trial with the data that it was trained on and its weights."""

    source: ExportableTrial
    inputs: Inputs
    states: tuple[dict[str, Tensor], ...]
    """The `state_dict` of each replica."""

    def module(self, replica: int) -> nn.Sequential:
        """The model of a fold or repeat with its weights, in evaluation mode."""
        prepared = self.inputs.prepared
        module = models.build(self.source.config, prepared.signature, prepared.outputs, checked=False)
        module.load_state_dict(self.states[replica])
        return module.eval()


def find_trial(
    store: Store,
    name: str,
    number: int | None,
    given: Mapping[str, Any] | None = None,
    *,
    of_functions: bool = False,
) -> ExportableTrial:
    """The trial of this number, or the best finished one. `given`: the data, where they were given as objects, by key;
    `StudyStateError` if there is none, it has no weights, or, unless `of_functions`, a function of the user's own
    trained it."""
    row = study_row(store, name)
    spec = replace(spec_of(row), given=given or {})
    if spec.function is not None and not of_functions:
        raise StudyStateError(
            f"the study {name!r} is trained by {spec.function}, so no model of it is known. "
            f"`hpo export {argument(name)} -o DIR` writes what that function saved."
        )
    *earlier, spec = versions_of(spec, store, row.study_id)
    searcher = Searcher(spec, own_trials_of(store), store, row.study_id, earlier=earlier)
    trial = _best(searcher, row) if number is None else _numbered(store, searcher, number)
    return ExportableTrial(row=row, spec=spec, searcher=searcher, trial=trial, config=searcher.config(trial))


def load_trained(
    store: Store, home: Path, source: ExportableTrial, note: Callable[[str], None], *, place: str | None = None
) -> TrainedTrial:
    """The trial's data and weights. `note` is called with a message if the trial has to be trained again. `place`:
    where workers keep checkpoints, if not at the place recorded with the study. Raises `StudyStateError` if the data or
    the code has changed since the study began."""
    inputs = load_inputs(source.spec, home)
    check_unchanged(
        inputs,
        source.row,
        of_data="the preprocessing its models were trained with cannot be found again",
        of_code="the model that was trained cannot be built again",
    )
    row, spec = source.row, replace(source.spec, given={})
    checkpoint_store = other_location(store, row.study_id, place, home)
    session = replace(
        session_of(spec, inputs, store, row.study_id, home, Resources()), checkpoint_store=checkpoint_store
    )
    number, places = source.trial.number, session.checkpoints.places
    if source.refit is not None:
        if content := kept(session, source.trial, "refit"):
            inputs, states = inputs_of(session), packing.replicas_of(content)
        else:
            note(f"No readable weights of the winner in {places}: it is trained again, {source.refit.epochs} epochs.")
            again = refit(session, source.trial, source.config)
            inputs, states = again.inputs, again.states
        return TrainedTrial(source=source, inputs=inputs, states=tuple(states))
    if not kept(session, source.trial, "best"):
        epochs = len(source.trial.intermediate_values)
        note(f"No readable weights of trial {number} in {places}: it is trained again, {epochs} epochs.")
    states = weights(session, source.trial, source.config)
    return TrainedTrial(source=source, inputs=inputs.of_trial(number), states=tuple(states))


def _best(searcher: Searcher, row: StudyRow) -> FrozenTrial:
    ranking = searcher.ranking()
    if ranking and row.finished_at is not None and row.winner_number is not None:
        return next((trial for trial in ranking if trial.number == row.winner_number), ranking[0])
    if ranking and ranking[0].state == TrialState.COMPLETE:
        return ranking[0]
    if row.finished_at is not None:
        way_on = f"Give it more trials: `{run_command(row.spec_source, trials=True)}`."
    elif row.stopped_at is not None:
        way_on = f"It is stopped. Continue it with `hpo resume {argument(row.name)}`."
    elif row.submitted_at is not None:
        way_on = f"Follow its workers with `hpo show {argument(row.name)} --watch`."
    else:
        way_on = f"Continue it, or wait for it: `{run_command(row.spec_source)}`."
    pruned = [t.number for t in searcher.all_trials() if t.state == TrialState.PRUNED and t.intermediate_values]
    other = f" Or take one that was pruned, e.g. --trial {pruned[-1]}." if pruned else ""
    raise StudyStateError(f"no trial of {row.name!r} has finished. {way_on}{other}")


def _numbered(store: Store, searcher: Searcher, number: int) -> FrozenTrial:
    name = searcher.spec.study.name
    trials = {trial.number: trial for trial in searcher.all_trials()}
    kinds = {trial.number: kind for kind, trial in store.foreign_trials(searcher.study_id)}
    if number in kinds:
        raise StudyStateError(
            f"trial {number} of {name!r} has no weights: it {WORDS[kinds[number]]}, and this program did not train it."
        )
    if number not in trials:
        there = f"its trials are 0 to {max(trials)}" if trials else "it has none yet"
        raise StudyStateError(f"the study {name!r} has no trial {number}: {there}.")
    trial = trials[number]
    if trial.state == TrialState.FAIL:
        reason = str(endings.of(trial.user_attrs)) or "failed"
    elif trial.state in (TrialState.RUNNING, TrialState.WAITING):
        reason = f"still in training, at epoch {len(trial.intermediate_values)}"
    elif not trial.intermediate_values:
        reason = str(endings.of(trial.user_attrs)) or "never trained"
    else:
        return trial
    best = [str(other.number) for other in searcher.ranking()[:3]]
    others = f"Its best trials: {', '.join(best)}." if best else "No other has weights yet."
    raise StudyStateError(f"trial {number} of {name!r} has no weights ({reason}). {others}")
