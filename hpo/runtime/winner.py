"""The winner of a study: its weights, and its scores on the test part, which is used once for each winner; and the
baselines beside it. Training it again on all rows is in `refit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from optuna.trial import FrozenTrial

from hpo import models
from hpo.baselines.scores import fitted
from hpo.checkpoints.manager import CheckpointManager
from hpo.checkpoints.retention import best_trials
from hpo.conclusions.confirmation import Confirmation
from hpo.conclusions.refit import Refit
from hpo.data.prepare import prepare_test
from hpo.data.streaming.mapped import in_portions
from hpo.data.study import StudyData
from hpo.ranking import key_of
from hpo.registry import studies
from hpo.registry.baselines import Baseline
from hpo.registry.conclusions import refit_of, set_winner
from hpo.registry.facts import StudyFacts
from hpo.runtime.refit import OpenExecutor, Refitted, refit
from hpo.runtime.repeats import Watch
from hpo.runtime.resume import in_process, retrain
from hpo.runtime.session import Session
from hpo.studyfile.records import TrialConfig
from hpo.training import ensemble, packing
from hpo.training.ensemble import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Winner:
    """The finished trial of which most is expected."""

    number: int
    value: float
    """Its objective on the validation part."""
    config: TrialConfig
    params: dict[str, Any]
    """Searched parameters, by dotted path."""
    test: Scores | None
    """Metrics on the test part, the mean over its models; None without a test part."""
    ensemble: Scores | None
    """Metrics on the test part of the ensemble of its models, which an export predicts with; None where it has one
    model, or was scored by a version that did not record them."""
    models: int
    """Number of models: one for each fold and repeat; trained again on all rows, one for each repeat."""
    error: float | None
    """Standard error of the objective's mean on the test part, from its examples; None where it is not known."""
    looks: tuple[int, ...]
    """Numbers of all winners that were scored on the test part, this one included; several where a study was
    continued."""
    confirmation: Confirmation | None = None
    """What its repeats say; None where it was not repeated."""
    further: Mapping[str, float] = field(default_factory=dict)
    """Its values of the objectives after the first, by name."""
    ahead: int | None = None
    """The trial that ranks first in the search, where the winner was not confirmed, and scored less."""
    refit: Refit | None = None
    """Its training on the training and validation rows, by whose weights it is scored; None where the study takes those
    of its trial."""
    refitted: Refitted | None = None
    """The same with its weights, where that was done just now."""


def find(
    session: Session,
    watch: Watch = lambda text: None,
    *,
    confirmation: Confirmation | None = None,
    executor: OpenExecutor = in_process,
) -> Winner | None:
    """Finds the winner, by the confirmation if there is one, else among the trials whose weights are kept the one that
    is expected to score best again. Has it trained again on all rows if the study asks for that, and scores it on the
    test part, unless all this is recorded. Writes nothing: `note` does. `watch`, called before each epoch that is
    trained with the progress in words, may raise to stop it. `executor` opens the one that trains a winner on all
    rows."""
    leading = session.searcher.leading()
    if not leading:
        return None
    row = studies.study_row(session.store, session.spec.study.name)
    wanted = [confirmation.winner] if confirmation else [trial.number for trial in best_trials(session.checkpoints)]
    if not confirmation and row.finished_at is not None and row.winner_number is not None:
        wanted = [row.winner_number]  # nothing has ended since, and it should not depend on the machine that asks
    trial = next((trial for trial in leading if trial.number in wanted), leading[0])
    config = session.searcher.config(trial)
    study, inputs = session.spec.study, session.inputs
    refits = study.final == "refit" and session.spec.function is None
    scores = session.spec.function is None and len(inputs.splits.test_idx) > 0
    done, looks = refit_of(row), row.facts.test_looks
    known = row.winner_number == trial.number and (done is not None) == refits and (bool(row.test) or not scores)
    test, together, error = (row.test, row.test_ensemble, row.facts.test_error) if known else (None, None, None)
    refitted = refit(session, trial, config, watch, executor) if refits and not known else None
    if scores and not known:
        positive = None
        if refitted is not None:
            data, saved, positive = refitted.inputs, refitted.states, inputs.prepared.positive
        else:
            text = f"training trial {trial.number} again, as its weights cannot be read"
            data = inputs.of_trial(trial.number)
            saved = weights(session, trial, config, lambda: watch(text))
        test, together, error = _score(data, config, saved, study.metric, positive=positive)
        looks = (*looks, trial.number)
    about = refitted.about if refitted else done if known else None
    return Winner(
        number=trial.number,
        value=trial.values[0],
        config=config,
        params=trial.params,
        test=None if test is None else dict(test),
        ensemble=None if together is None else dict(together),
        models=about.models if about else session.job.replicas,
        error=error,
        looks=looks,
        confirmation=confirmation,
        further=dict(zip(study.objectives[1:], trial.values[1:], strict=True)),
        ahead=None if confirmation else _ahead(session, trial),
        refit=about,
        refitted=refitted,
    )


def _ahead(session: Session, winner: FrozenTrial) -> int | None:
    first, directions = session.searcher.ranking()[0], session.spec.study.directions
    alike = key_of(winner, directions)[:-1] == key_of(first, directions)[:-1]
    return None if alike else first.number


def note(session: Session, winner: Winner | None, facts: StudyFacts, manager: CheckpointManager) -> None:
    """In a transaction: records the winner and further facts of the study, e.g. its baselines, and keeps the weights of
    a winner that was trained again. The manager has to sweep after the transaction."""
    store, study_id, study = session.store, session.study_id, session.spec.study
    known = studies.study_row(store, study.name).facts
    looks = StudyFacts(test_looks=winner.looks, test_error=winner.error) if winner else StudyFacts()
    confirmation, about = (winner.confirmation, winner.refit) if winner else (None, None)
    now = replace(known.updated(facts).updated(looks), confirmation=confirmation, refit=about)
    studies.set_facts(store, study_id, now)
    refitted = winner.refitted if winner else None
    manager.drop_refits(about.trial if about and refitted is None else None)
    if refitted is not None:
        manager.save_refit(refitted.about.trial, refitted.about.epochs, refitted.weights)
        train, wall, cpu = refitted.train_seconds, refitted.wall_seconds, refitted.cpu_seconds
        studies.add_seconds(store, study_id, train=train, wall=wall, cpu=cpu)
    if winner is not None:
        scores = winner.test, study.metric
        set_winner(store, study_id, winner.number, *scores, ensemble=winner.ensemble)


def beside(session: Session, go_on: Callable[[], None] = lambda: None) -> tuple[Baseline, ...]:
    """The baselines that the study has noted, or else fits them, if it asks for them. Writes nothing: `note` does.
    `go_on`, called before each fit, may raise to stop it."""
    study = session.spec.study
    known = studies.study_row(session.store, study.name).facts.baselines
    skipped = not study.baselines or session.spec.function is not None
    return known if known or skipped else fitted(study, session.inputs, go_on)


def weights(
    session: Session, trial: FrozenTrial, config: TrialConfig, go_on: Callable[[], None] = lambda: None
) -> list[dict[str, torch.Tensor]]:
    """A `state_dict` for each replica, from the checkpoint; where that is missing or damaged, the trial is trained
    again."""
    content = kept(session, trial, "best")
    return packing.replicas_of(content or packing.unpack(retrain(session, trial, config, go_on)))


def kept(session: Session, trial: FrozenTrial, kind: Literal["best", "refit"]) -> dict[str, Any] | None:
    """The checkpoint of a trial's weights, or of those of the winner trained again; None where it is missing or
    damaged."""
    rows = session.store.checkpoints(session.study_id)
    row = next((r for r in rows if r.kind == kind and r.trial_id == trial._trial_id), None)
    return session.checkpoints.content(row.path, row.sha256) if row else None


def _score(
    data: StudyData,
    config: TrialConfig,
    states: list[dict[str, torch.Tensor]],
    objective: str,
    *,
    positive: int | None = None,
) -> tuple[Scores, Scores | None, float | None]:
    """Metrics on the test part: the mean over the models, and those of their ensemble where there are several. The
    standard error of the objective's mean. `data`: as the models were trained on them. `positive`: the class that
    metrics of one class are of; None: that of these data."""
    prepared, dataset, splits = data.prepared, data.dataset, data.splits
    positive = prepared.positive if positive is None else positive
    regression = prepared.task == "regression"
    names = ensemble.metrics_of(prepared.task)
    scores, answers, scored = [], [], []
    for replica, state in zip(prepared.replicas, states, strict=True):
        part = prepare_test(dataset, splits, replica.preprocessing)
        module = models.build(config, prepared.signature, prepared.outputs, checked=False)
        module.load_state_dict(state)
        pieces = in_portions(part.x, np.arange(len(part.x))) if dataset.streamed else [part.x]
        outputs = torch.cat([ensemble.outputs(module.eval(), torch.from_numpy(x)) for x in pieces])
        target = torch.from_numpy(part.y)
        scores.append(ensemble.measured(outputs, target, replica.target_scale, positive, names))
        scored.append(ensemble.Scored(outputs_NC=outputs, target_N=target, scale=replica.target_scale))
        answers.append(
            ensemble.ModelOutputs(outputs_NC=outputs, scale=replica.target_scale, offset=replica.target_offset)
        )
    mean = {name: fmean(score[name] for score in scores) for name in names}
    error = ensemble.standard_error(scored, positive, objective)
    if len(answers) == 1:
        return ensemble.defined(mean), None, error
    if regression:
        # Each fold scales the target by a unit of its own: the loss is in the mean of these units.
        unit = fmean(replica.target_scale for replica in prepared.replicas)
        outputs = (ensemble.numbers(answers) / unit).unsqueeze(1)
        target = torch.from_numpy(dataset.target_N[splits.test_idx]) / unit
    else:
        unit, outputs = 1.0, ensemble.log_probabilities(answers)
        target = torch.from_numpy(part.y)
    together = ensemble.defined(ensemble.measured(outputs, target, unit, positive, names))
    return ensemble.defined(mean), together, error
