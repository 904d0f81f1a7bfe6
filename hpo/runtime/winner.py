"""The winner: the best trial's weights, and its one look at the test part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from optuna.trial import FrozenTrial, TrialState

from hpo import models
from hpo.data.prepare import prepare_test
from hpo.registry import studies
from hpo.runtime.resume import retrain
from hpo.runtime.session import Session
from hpo.studyfile.records import CLASSIFICATION_METRICS, REGRESSION_METRICS, TrialConfig
from hpo.training import ensemble, metrics, packing

Scores = dict[str, float | None]
"""Metrics by name; None where one is undefined."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Winner:
    """The best finished trial."""

    number: int
    value: float
    """Its objective on the validation part."""
    config: TrialConfig
    params: dict[str, Any]
    """What was searched, by dotted path."""
    test: Scores | None
    """Metrics on the test part, the mean over its models; None without a test part. An undefined one is None."""
    ensemble: Scores | None
    """Metrics on the test part of the answers that all its models give together, as an export gives them; None where
    it has one model, or was scored before these were recorded."""
    models: int
    """One for each fold and repeat."""
    looks: tuple[int, ...]
    """Winners that have been scored on the test part, this one included: several where a study was continued."""


def find(session: Session, go_on: Callable[[], None] = lambda: None) -> Winner | None:
    """The winner and its score on the test part, unless that is known already; nobody is told before `note`. `go_on`
    is called now and then, and may raise to end it."""
    ranking = session.searcher.ranking()
    if not ranking or ranking[0].state != TrialState.COMPLETE:
        return None
    trial = ranking[0]
    config = session.searcher.config(trial)
    row = studies.study_row(session.store, session.spec.study.name)
    known = bool(row.test) and row.winner_number == trial.number
    test, together = (row.test, row.test_ensemble) if known else (None, None)
    looks = tuple(row.facts.get("test_looks", ()))
    if test is None and len(session.inputs.splits.test_idx):
        test, together = _score(session, config, weights(session, trial, config, go_on))
        looks = (*looks, trial.number)
    return Winner(
        number=trial.number,
        value=trial.values[0],
        config=config,
        params=trial.params,
        test=None if test is None else dict(test),
        ensemble=None if together is None else dict(together),
        models=len(session.inputs.prepared.replicas),
        looks=looks,
    )


def note(session: Session, winner: Winner | None, facts: Mapping[str, Any]) -> None:
    """In a transaction: writes down the winner and further facts of the study."""
    store, study_id, study = session.store, session.study_id, session.spec.study
    known = studies.study_row(store, study.name).facts
    looks = {"test_looks": list(winner.looks)} if winner and winner.looks else {}
    studies.set_facts(store, study_id, {**known, **facts, **looks})
    if winner is not None:
        scores = winner.test, study.objective
        studies.set_winner(store, study_id, winner.number, *scores, ensemble=winner.ensemble)


def weights(
    session: Session, trial: FrozenTrial, config: TrialConfig, go_on: Callable[[], None] = lambda: None
) -> list[dict[str, torch.Tensor]]:
    """A `state_dict` for each replica, from the checkpoint or, where that is damaged, trained again."""
    rows = session.store.checkpoints(session.study_id)
    row = next((r for r in rows if r.kind == "best" and r.trial_id == trial._trial_id), None)
    content = session.checkpoints.content(row.path, row.sha256) if row else None
    if content is not None:
        saved = packing.replicas_of(content)
    else:
        saved = packing.replicas_of(packing.unpack(retrain(session, trial, config, go_on)))
    return saved


def _score(
    session: Session, config: TrialConfig, states: list[dict[str, torch.Tensor]]
) -> tuple[Scores, Scores | None]:
    """Metrics on the test part: the mean over the models, and those of all together where there are several."""
    prepared, dataset, splits = session.inputs.prepared, session.inputs.dataset, session.inputs.splits
    regression = prepared.task == "regression"
    names = tuple(sorted(REGRESSION_METRICS if regression else CLASSIFICATION_METRICS))
    scores, answers = [], []
    for replica, state in zip(prepared.replicas, states, strict=True):
        part = prepare_test(dataset, splits, replica.preprocessing)
        module = models.build(config, prepared.input_shape, prepared.outputs)
        module.load_state_dict(state)
        outputs = ensemble.outputs(module.eval(), torch.from_numpy(part.x))
        scores.append(_measured(outputs, torch.from_numpy(part.y), replica.target_scale, names))
        answers.append(ensemble.Answer(outputs_NC=outputs, scale=replica.target_scale, offset=replica.target_offset))
    mean = {name: fmean(score[name] for score in scores) for name in names}
    if len(answers) == 1:
        return _defined(mean), None
    if regression:
        # Models of different folds have targets of different units: the loss is in their mean.
        unit = fmean(replica.target_scale for replica in prepared.replicas)
        outputs = (ensemble.numbers(answers) / unit).unsqueeze(1)
        target = torch.from_numpy(dataset.target_N[splits.test_idx]) / unit
    else:
        unit, outputs = 1.0, ensemble.log_probabilities(answers)
        target = torch.from_numpy(part.y)
    return _defined(mean), _defined(_measured(outputs, target, unit, names))


def _measured(
    outputs_NC: torch.Tensor, target_N: torch.Tensor, scale: float, names: tuple[str, ...]
) -> dict[str, float]:
    outcome = metrics.Outcome(
        outputs_KVC=outputs_NC.unsqueeze(0),
        target_KV=target_N.unsqueeze(0),
        valid_KV=torch.ones(1, len(target_N), dtype=torch.bool),
        scale_K=torch.tensor([scale], dtype=torch.float64),
    )
    return {name: values[0] for name, values in metrics.score(outcome, names).items()}


def _defined(scores: Mapping[str, float]) -> Scores:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}
