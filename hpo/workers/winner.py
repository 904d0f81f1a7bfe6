"""The winner: the best trial's weights, and its one look at the test part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from optuna.trial import FrozenTrial, TrialState

from hpo import models
from hpo.data.prepare import prepare_test
from hpo.spec.records import CLASSIFICATION_METRICS, REGRESSION_METRICS, TrialConfig
from hpo.storage import studies
from hpo.training import checkpoints, metrics
from hpo.workers.continuation import retrain
from hpo.workers.setup import Bench


@dataclass(frozen=True, kw_only=True, slots=True)
class Winner:
    """The best finished trial."""

    number: int
    value: float
    """Its objective on the validation part."""
    config: TrialConfig
    params: dict[str, Any]
    """What was searched, by dotted path."""
    test: dict[str, float] | None
    """Metrics on the test part, the mean over replicas; None without a test part."""
    looks: tuple[int, ...]
    """Winners that have been scored on the test part, this one included: several where a study was continued."""


def find(bench: Bench, go_on: Callable[[], None] = lambda: None) -> Winner | None:
    """The winner and its score on the test part, unless that is known already; nobody is told before `note`. `go_on`
    is called now and then, and may raise to end it."""
    ranking = bench.searcher.ranking()
    if not ranking or ranking[0].state != TrialState.COMPLETE:
        return None
    trial = ranking[0]
    config = bench.searcher.config(trial)
    row = studies.study_row(bench.store, bench.spec.study.name)
    test = dict(row.test) if row.test and row.winner_number == trial.number else None
    looks = tuple(row.facts.get("test_looks", ()))
    if test is None and len(bench.material.splits.test_idx):
        test = _score(bench, config, weights(bench, trial, config, go_on))
        looks = (*looks, trial.number)
    return Winner(
        number=trial.number, value=trial.values[0], config=config, params=trial.params, test=test, looks=looks
    )


def note(bench: Bench, winner: Winner | None, facts: Mapping[str, Any]) -> None:
    """In a transaction: writes down the winner and further facts of the study."""
    store, study_id, study = bench.store, bench.study_id, bench.spec.study
    known = studies.study_row(store, study.name).facts
    looks = {"test_looks": list(winner.looks)} if winner and winner.looks else {}
    studies.set_facts(store, study_id, {**known, **facts, **looks})
    if winner is not None:
        studies.set_winner(store, study_id, winner.number, winner.test, study.objective)


def weights(
    bench: Bench, trial: FrozenTrial, config: TrialConfig, go_on: Callable[[], None] = lambda: None
) -> list[dict[str, torch.Tensor]]:
    """A `state_dict` for each replica, from the checkpoint or, where that is damaged, trained again."""
    rows = bench.store.checkpoints(bench.study_id)
    row = next((r for r in rows if r.kind == "best" and r.trial_id == trial._trial_id), None)
    content = bench.content(row.path, row.sha256) if row else None
    if content is not None:
        saved = checkpoints.replicas_of(content)
    else:
        saved = checkpoints.replicas_of(checkpoints.unpack(retrain(bench, trial, config, go_on)))
    return saved


def _score(bench: Bench, config: TrialConfig, states: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    prepared = bench.material.prepared
    names = REGRESSION_METRICS if prepared.task == "regression" else CLASSIFICATION_METRICS
    scores = []
    for replica, state in zip(prepared.replicas, states, strict=True):
        part = prepare_test(bench.material.dataset, bench.material.splits, replica.preprocessing)
        module = models.build(config, prepared.input_shape, prepared.outputs)
        module.load_state_dict(state)
        module.eval()
        with torch.no_grad():
            outputs = module(torch.from_numpy(part.x))
        outcome = metrics.Outcome(
            outputs_KVC=outputs.unsqueeze(0),
            target_KV=torch.from_numpy(part.y).unsqueeze(0),
            valid_KV=torch.ones(1, len(part.y), dtype=torch.bool),
            scale_K=torch.tensor([replica.target_scale], dtype=torch.float64),
        )
        scores.append(metrics.score(outcome, tuple(sorted(names))))
    return {name: fmean(score[name][0] for score in scores) for name in sorted(names)}
