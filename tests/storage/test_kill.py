"""kill -9 before any statement: what is in the database stays consistent, and continuing ends with the same table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.storage.writers import EPOCHS, IN_FLIGHT, TRIALS, conduct, conduct_and_die, finish, kill_at, start, table


def uninterrupted(store: Store) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The table of an undisturbed study, and its statements."""
    seen = kill_at(store.engine, -1)
    study_id = store.create_new_study([StudyDirection.MAXIMIZE], "uninterrupted")
    seen.clear()
    conduct(store, study_id)
    statements = seen[:]
    whole = table(store, study_id)
    assert [row[0] for row in whole] == list(range(TRIALS))
    assert {row[1] for row in whole} == {TrialState.COMPLETE, TrialState.PRUNED}
    return whole, statements


def each_kind(statements: list[str]) -> list[int]:
    """One number of each statement that is executed: early in the study and late in turn."""
    places: dict[str, list[int]] = {}
    for number, statement in enumerate(statements, 1):
        places.setdefault(statement, []).append(number)
    return [numbers[-(turn % 2)] for turn, numbers in enumerate(places.values())]


def check_kills(url: str, plain_url: str, chosen: Callable[[list[str]], list[int]]) -> None:
    store = open_store(url)
    whole, statements = uninterrupted(store)
    optunas = optuna.storages.RDBStorage(plain_url)  # one for all: each keeps a connection until Python collects it
    for number in chosen(statements):
        name = f"killed at {number}"
        study_id = store.create_new_study([StudyDirection.MAXIMIZE], name)
        assert finish(start(conduct_and_die, url, study_id, number)) == -9

        left = store.get_all_trials(study_id)
        assert [trial.number for trial in left] == list(range(len(left)))
        assert store.get_n_trials(study_id, TrialState.RUNNING) <= IN_FLIGHT
        for row, trial in zip(table(store, study_id), left, strict=True):
            _, state, values, params, reports, _, epochs = row
            assert params == whole[trial.number][3], "a trial is there without its parameters"
            assert [epoch for epoch, _ in epochs or ()] == list(reports), "the two sets of tables disagree"
            if state.is_finished():
                assert row == whole[trial.number], "a trial ended without all that belongs to it"
            else:
                assert values is None
                assert len(reports) < EPOCHS
        plain = optuna.load_study(study_name=name, storage=optunas)
        assert plain.get_trials() == left

        conduct(store, study_id)
        assert table(store, study_id) == whole
        files = {row.path for row in store.checkpoints(study_id)}
        assert files == {f"{study_id}/{row[0]}/{len(row[4])}.pt" for row in whole}


def test_killed_here_and_there(url: str, plain_url: str) -> None:
    stride = 13 if url.startswith("sqlite") else 31
    check_kills(url, plain_url, lambda statements: list(range(1, len(statements), stride)))


@pytest.mark.slow
def test_killed_before_a_statement_of_each_kind(url: str, plain_url: str) -> None:
    check_kills(url, plain_url, each_kind)
