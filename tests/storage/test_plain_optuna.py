"""The same study through `Store` and through Optuna's own storages, and each reading what the other wrote."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, CmaEsSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, select

from hpo.database.tables import OPTUNA, OWN
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.storage.writers import conduct, epoch_row

SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=1),
    "tpe": lambda: TPESampler(seed=1, n_startup_trials=5),
    "cmaes": lambda: CmaEsSampler(seed=1, n_startup_trials=3),
    "qmc": lambda: QMCSampler(seed=1, scramble=True),
    "grid": lambda: GridSampler({"rate": [0.01, 0.1, 1.0], "kind": ["a", "b"], "width": [1, 5]}, seed=1),
}


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    score = (rate - 0.2) ** 2 + 0.01 * trial.suggest_int("width", 1, 9)
    if trial.suggest_categorical("kind", ["a", "b"]) == "b":
        score += 0.1
    if trial.number == 4:
        raise RuntimeError("a trial that fails")
    for step in range(1, 5):
        trial.report(score + 1.0 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("steps", (1, 2))
    return score


def contents(trial: FrozenTrial) -> tuple[Any, ...]:
    attributes = {key: value for key, value in trial.system_attrs.items() if "cma" not in key}
    attributes.pop("fail_reason", None)
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        list(trial.user_attrs),
        attributes.keys(),
    )


def optimize(storage: Any, sampler: str) -> optuna.Study:
    study = optuna.create_study(
        study_name=sampler,
        storage=storage,
        sampler=SAMPLERS[sampler](),
        pruner=optuna.pruners.HyperbandPruner(max_resource=4),
    )
    study.optimize(objective, n_trials=12, catch=(RuntimeError,))
    return study


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_is_the_same_as_in_memory(store: Store, sampler: str) -> None:
    ours = [contents(trial) for trial in optimize(store, sampler).trials]
    assert ours == [contents(trial) for trial in optimize(InMemoryStorage(), sampler).trials]
    assert {state for _, state, *_ in ours} >= {TrialState.COMPLETE, TrialState.FAIL}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_transactions_do_not_change_the_study(store: Store, sampler: str) -> None:
    """Six trials at a time, by ask and tell: each sees the others running, whatever the storage."""

    def batches(storage: Any, block: Callable[[], Any]) -> list[tuple[Any, ...]]:
        study = optuna.create_study(storage=storage, sampler=SAMPLERS[sampler]())
        for _ in range(3):
            with block():
                asked = [study.ask() for _ in range(6)]
                rates = [trial.suggest_float("rate", 1e-3, 1.0, log=True) for trial in asked]
            with block():
                for trial, rate in zip(asked, rates, strict=True):
                    trial.report(rate, 1)
                    study.tell(trial, (rate - 0.2) ** 2)
        return [contents(trial) for trial in study.trials]

    assert batches(store, store.transaction) == batches(InMemoryStorage(), nullcontext)


def test_threads_share_a_store(store: Store) -> None:
    study = optuna.create_study(storage=store, sampler=RandomSampler(seed=1))
    study.optimize(objective, n_trials=16, n_jobs=4, catch=(RuntimeError,))
    assert [trial.number for trial in study.trials] == list(range(16))
    assert all(trial.state.is_finished() for trial in study.trials)


def test_optuna_reads_what_we_wrote_in_mid_study(store: Store, url: str, plain_url: str) -> None:
    study_id = store.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    conduct(store, study_id)
    with store.transaction():
        running, waiting = store.create_trials(study_id, 2)
        store.set_trial_intermediate_value(running, 1, float("nan"))
        store.set_trial_intermediate_value(running, 2, float("-inf"))
        store.set_trial_state_values(waiting, TrialState.WAITING)
    infinite = store.create_trials(study_id, 1)[0]
    store.set_trial_state_values(infinite, TrialState.COMPLETE, [float("inf")])
    read = optuna.load_study(study_name="study", storage=plain_url)
    assert repr(read.trials) == repr(store.get_all_trials(study_id))
    assert repr(open_store(url).get_all_trials(study_id)) == repr(store.get_all_trials(study_id))
    assert read.best_trial.number == optuna.Study("study", store).best_trial.number


def test_optuna_continues_our_study(store: Store, plain_url: str) -> None:
    optimize(store, "tpe")
    theirs = optuna.load_study(study_name="tpe", storage=plain_url, sampler=SAMPLERS["random"]())
    theirs.optimize(objective, n_trials=2)
    ours = optuna.load_study(study_name="tpe", storage=store, sampler=SAMPLERS["random"]())
    ours.optimize(objective, n_trials=2)
    assert [trial.number for trial in ours.trials] == list(range(16))
    assert theirs.trials == ours.trials


def test_deleting_with_optuna_leaves_none_of_our_rows(store: Store, plain_url: str) -> None:
    study_id = store.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    conduct(store, study_id)
    with store.transaction():
        [trial_id] = store.create_trials(study_id, 1)
        store.add_epochs([epoch_row(trial_id, 1, 0.5)])
    optuna.delete_study(study_name="study", storage=plain_url)
    assert row_counts(store) == {"version_info": 1}


def test_deleting_leaves_no_rows(store: Store) -> None:
    study_id = store.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    store.set_study_user_attr(study_id, "a", 1)
    conduct(store, study_id)
    store.delete_study(study_id)
    assert row_counts(store) == {"version_info": 1}


def row_counts(store: Store) -> dict[str, int]:
    """Rows of each table that has any."""
    tables = [*OPTUNA.sorted_tables, *OWN.sorted_tables]
    with store.reading() as connection:
        counts = {table.name: connection.scalar(select(func.count()).select_from(table)) for table in tables}
    return {name: count for name, count in counts.items() if count}
