"""Transactions: all of a block is written or nothing, with few statements, and reads cost none."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from sqlalchemy import event, func, select

from hpo.database.tables import OPTUNA, OWN
from hpo.errors import StorageError
from hpo.storage.open import open_store
from hpo.storage.rows import CheckpointRow
from hpo.storage.store import Store
from tests.storage.writers import epoch_row, suggest


@pytest.fixture
def study_id(store: Store) -> int:
    return store.create_new_study([StudyDirection.MAXIMIZE], "study")


def statements_of(store: Store) -> list[str]:
    """The statements that the store executes from now on."""
    seen: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    return seen


def rows_of(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        tables = [*OPTUNA.sorted_tables, *OWN.sorted_tables]
        return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def checkpoint(trial_id: int, epoch: int, path: str) -> CheckpointRow:
    return CheckpointRow(trial_id=trial_id, kind="running", epoch=epoch, path=path, sha256="0" * 64)


def write_everything(store: Store, study_id: int, trial_id: int) -> None:
    """Use every method that writes."""
    created = store.create_trials(study_id, 2)
    for each in (trial_id, *created):
        store.set_trial_param(each, "x", 0.25, FloatDistribution(0, 1))
        store.set_trial_user_attr(each, "note", {"pair": (1, 2)})
        store.set_trial_system_attr(each, "rung", 3)
        store.set_trial_intermediate_value(each, 1, float("nan"))
        store.set_trial_intermediate_value(each, 2, float("-inf"))
        store.set_trial_intermediate_value(each, 3, 0.5)
    store.create_new_trial(study_id, create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 1}}))
    store.set_study_user_attr(study_id, "u", [1])
    store.set_study_system_attr(study_id, "s", {"a": None})
    store.add_epochs([epoch_row(trial_id, 1, 0.5), epoch_row(trial_id, 2, float("inf"))])
    store.add_checkpoints([checkpoint(trial_id, 2, "a.pt")])
    store.set_trial_state_values(trial_id, TrialState.PRUNED, [float("inf")])


def test_a_transaction_is_written_whole(store: Store, study_id: int, url: str) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    with store.transaction():
        write_everything(store, study_id, trial_id)
        seen = store.get_all_trials(study_id)
        assert store.get_study_user_attrs(study_id) == {"u": [1]}
        assert open_store(url).get_all_trials(study_id, states=(TrialState.PRUNED,)) == []
    other = open_store(url)
    written = other.get_all_trials(study_id)
    assert repr(written) == repr(seen)  # NaN is unequal to itself
    assert repr(store.get_all_trials(study_id)) == repr(written)
    assert written[0].user_attrs == {"note": {"pair": [1, 2]}}
    assert other.get_study_user_attrs(study_id) == {"u": [1]}
    assert other.get_study_system_attrs(study_id) == {"s": {"a": None}}
    assert [row.path for row in other.checkpoints(study_id)] == ["a.pt"]
    assert rows_of(store)["hpo_epochs"] == 2


def test_a_transaction_that_raises_writes_nothing(store: Store, study_id: int) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    store.set_trial_intermediate_value(trial_id, 1, 0.1)
    before, trials = rows_of(store), store.get_all_trials(study_id)

    def fail() -> None:
        with store.transaction():
            write_everything(store, study_id, trial_id)
            assert len(store.get_all_trials(study_id)) == 4
            raise RuntimeError("the lead tripped")

    with pytest.raises(RuntimeError, match="tripped"):
        fail()
    assert rows_of(store) == before
    assert store.get_all_trials(study_id) == trials
    assert store.get_study_user_attrs(study_id) == {}
    assert store.create_trials(study_id, 1) == [store.get_all_trials(study_id)[1]._trial_id]
    assert store.get_all_trials(study_id)[1].number == 1


def test_a_failing_commit_leaves_nothing(store: Store, study_id: int) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    before = rows_of(store)

    def fail(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE trials"):
            raise RuntimeError("the power is out")

    event.listen(store.engine, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError, match="power"), store.transaction():
        write_everything(store, study_id, trial_id)
    assert rows_of(store) == before
    assert store.get_trial(trial_id).state == TrialState.RUNNING
    event.remove(store.engine, "before_cursor_execute", fail)
    store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert store.get_trial(trial_id).value == 1.0


def test_statements_do_not_grow_with_the_trials(store: Store, study_id: int) -> None:
    study = optuna.Study("study", store, sampler=optuna.samplers.RandomSampler(seed=0))

    def cycle(count: int) -> int:
        seen = statements_of(store)
        with store.transaction():
            trials = [optuna.trial.Trial(study, trial_id) for trial_id in store.create_trials(study_id, count)]
            for trial in trials:
                suggest(trial)
        for epoch in range(1, 4):
            with store.transaction():
                for trial in trials:
                    trial.report(0.5, epoch)
                    trial.should_prune()
                store.add_epochs([epoch_row(trial._trial_id, epoch, 0.5) for trial in trials])
        with store.transaction():
            for trial in trials:
                trial.set_user_attr("ended", "finished")
                study.tell(trial, 0.5)
        return len(seen)

    cycle(2)
    assert cycle(4) == cycle(40)
    assert cycle(40) < 60


def test_reading_in_a_transaction_takes_no_statements(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 20)
    with store.transaction():
        store.get_all_trials(study_id, deepcopy=False)
        seen = statements_of(store)
        for trial_id in ids:
            store.set_trial_intermediate_value(trial_id, 1, 0.5)
            assert store.get_trial(trial_id).intermediate_values == {1: 0.5}
        assert len(store.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))) == 20
        assert store.get_n_trials(study_id) == 20
        assert store.get_trial_id_from_study_id_trial_number(study_id, 7) == ids[7]
        assert seen == []


def test_an_empty_transaction_writes_nothing(store: Store, study_id: int) -> None:
    seen = statements_of(store)
    with store.transaction():
        pass
    assert seen == []


def test_outside_a_transaction_every_call_is_persistent(store: Store, study_id: int, url: str) -> None:
    other = open_store(url)
    [trial_id] = store.create_trials(study_id, 1)
    assert other.get_trial(trial_id).state == TrialState.RUNNING
    store.set_trial_param(trial_id, "x", 0.5, FloatDistribution(0, 1))
    assert other.get_trial(trial_id).params == {"x": 0.5}
    store.set_trial_intermediate_value(trial_id, 1, 0.5)
    assert other.get_trial(trial_id).intermediate_values == {1: 0.5}
    store.set_trial_user_attr(trial_id, "a", 1)
    assert other.get_trial(trial_id).user_attrs == {"a": 1}
    store.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0])
    assert other.get_trial(trial_id).value == 2.0
    store.add_checkpoints([checkpoint(trial_id, 1, "best.pt")])
    assert [row.path for row in other.checkpoints(study_id)] == ["best.pt"]


def test_of_a_trial_ended_by_another_program_nothing_is_written(store: Store, study_id: int, url: str) -> None:
    other = open_store(url)
    told, kept = store.create_trials(study_id, 2)
    with store.transaction() as transaction:
        store.get_all_trials(study_id)
        other.set_trial_state_values(told, TrialState.FAIL)
        for trial_id in (told, kept):
            store.set_trial_intermediate_value(trial_id, 1, 0.5)
            store.add_epochs([epoch_row(trial_id, 1, 0.5)])
        store.set_trial_state_values(told, TrialState.COMPLETE, [0.5])
    assert transaction.lost == {told}
    assert store.get_trial(told).state == TrialState.FAIL
    assert store.get_trial(told).intermediate_values == {}
    assert store.get_trial(kept).intermediate_values == {1: 0.5}
    assert rows_of(store)["hpo_epochs"] == 1
    with pytest.raises(UpdateFinishedTrialError), store.transaction():
        store.set_trial_intermediate_value(told, 2, 0.5)


def test_outside_a_transaction_a_trial_ended_by_another_program_is_refused(
    store: Store, study_id: int, url: str
) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    open_store(url).set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    with pytest.raises(UpdateFinishedTrialError, match="trial 0"):
        store.set_trial_user_attr(trial_id, "a", 1)
    with pytest.raises(UpdateFinishedTrialError, match="trial 0"):
        store.set_trial_state_values(trial_id, TrialState.FAIL)
    assert store.get_trial(trial_id).value == 1.0


def test_rows_replace_those_of_the_same_key(store: Store, study_id: int) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    for value in (0.1, 0.2):
        with store.transaction():
            store.set_trial_intermediate_value(trial_id, 1, value)
            store.set_trial_user_attr(trial_id, "a", value)
            store.add_epochs([epoch_row(trial_id, 1, value)])
            store.add_checkpoints([checkpoint(trial_id, 1, f"{value}.pt")])
    assert store.get_trial(trial_id).intermediate_values == {1: 0.2}
    assert store.get_trial(trial_id).user_attrs == {"a": 0.2}
    assert rows_of(store)["hpo_epochs"] == 1
    assert [row.path for row in store.checkpoints(study_id)] == ["0.2.pt"]


def test_checkpoints_removed_and_added_in_one_transaction(store: Store, study_id: int) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    store.add_checkpoints([checkpoint(trial_id, 1, "same.pt"), checkpoint(trial_id, 2, "old.pt")])
    with store.transaction():
        store.remove_checkpoints(["same.pt", "old.pt"])
        store.add_checkpoints([checkpoint(trial_id, 3, "same.pt"), checkpoint(trial_id, 4, "brief.pt")])
        store.remove_checkpoints(["brief.pt"])
    assert [(row.path, row.epoch) for row in store.checkpoints(study_id)] == [("same.pt", 3)]
    # A checkpoint of an ended trial is none of Optuna's business.
    store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    store.add_checkpoints([checkpoint(trial_id, 4, "late.pt")])
    assert [row.path for row in store.checkpoints(study_id)] == ["same.pt", "late.pt"]


def test_claiming_an_enqueued_trial_in_a_transaction(store: Store, study_id: int) -> None:
    study = optuna.Study("study", store)
    study.enqueue_trial({"optimizer.learning_rate": 0.5})
    with store.transaction():
        first, second = study.ask(), study.ask()
        suggest(first)
        suggest(second)
    assert first.params["optimizer.learning_rate"] == 0.5
    assert [trial.state for trial in store.get_all_trials(study_id)] == [TrialState.RUNNING] * 2


def test_transactions_do_not_nest(store: Store) -> None:
    with pytest.raises(AssertionError, match="nest"), store.transaction(), store.transaction():
        pass


def test_a_value_that_is_not_a_number_is_refused(store: Store, study_id: int) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    with pytest.raises(ValueError, match="NaN"):
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [float("nan")])
    assert store.get_trial(trial_id).state == TrialState.RUNNING


def test_a_store_opened_for_reading_writes_nothing(store: Store, study_id: int, url: str) -> None:
    reader = open_store(url, readonly=True)
    assert reader.get_study_name_from_id(study_id) == "study"
    with pytest.raises(StorageError, match="reading only"), reader.transaction():
        pass
    with pytest.raises(StorageError, match="reading only"):
        reader.create_new_study([StudyDirection.MINIMIZE], "more")
