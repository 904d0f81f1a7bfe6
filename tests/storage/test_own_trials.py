"""Which trials are this program's own, where other Optuna clients write into its studies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import delete, select

from hpo.database.tables import study_system_attributes, trial_system_attributes, trials
from hpo.endings import CODE, Ended, Ending
from hpo.registry import control, leases, queue
from hpo.registry.summaries import list_studies
from hpo.storage.open import open_store
from hpo.storage.own_trials import MARK, ours
from hpo.storage.own_view import own_trials_of
from hpo.storage.rows import EpochRow
from hpo.storage.store import Store
from tests.registry.test_queue import submitted
from tests.storage.writers import end

RATE = FloatDistribution(1e-3, 1.0, log=True)


def epoch(trial_id: int) -> EpochRow:
    return EpochRow(
        trial_id=trial_id,
        replica=0,
        epoch=1,
        train_loss=1.0,
        valid_loss=1.0,
        objective=0.5,
        learning_rate=0.1,
        gradient_norm=1.0,
        seconds=0.1,
        metrics={},
    )


def train(store: Store, study_id: int, value: float | None = 0.5, *, epochs: bool = True, told: bool = True) -> int:
    """A trial of this program; without a value it still runs."""
    with store.transaction():
        (trial_id,) = store.create_trials(study_id, 1)
        store.set_trial_param(trial_id, "optimizer.learning_rate", 0.1, RATE)
    with store.transaction():
        if epochs:
            store.add_epochs([epoch(trial_id)])
            store.set_trial_intermediate_value(trial_id, 1, 0.5)
        if value is not None:
            if told:
                store.set_trial_user_attr(trial_id, CODE, Ending.FINISHED)
            store.set_trial_state_values(trial_id, TrialState.COMPLETE, [value])
    return trial_id


def client(url: str, name: str = "digits") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=url)


def of_kind(store: Store, study_id: int) -> dict[int, str]:
    return {trial.number: kind for kind, trial in store.foreign_trials(study_id)}


def added(study: optuna.Study) -> None:
    study.add_trial(create_trial(value=0.99))


def added_in_range(study: optuna.Study) -> None:
    name = "optimizer.learning_rate"
    study.add_trial(create_trial(value=0.99, params={name: 0.2}, distributions={name: RATE}))


def added_beyond_the_metric(study: optuna.Study) -> None:
    study.add_trial(create_trial(value=7.5, user_attrs={"ended": "finished", "epochs": "many"}))


def copied(study: optuna.Study) -> None:
    study.add_trial(study.get_trials(states=(TrialState.COMPLETE,))[0])


def asked(study: optuna.Study) -> None:
    study.ask().suggest_float("optimizer.learning_rate", 1e-3, 1.0, log=True)


def asked_and_told(study: optuna.Study) -> None:
    study.tell(study.ask(), 0.99)


def failed(study: optuna.Study) -> None:
    study.tell(study.ask(), state=TrialState.FAIL)


def enqueued(study: optuna.Study) -> None:
    study.enqueue_trial({"optimizer.learning_rate": 0.1})


def with_attributes_alone(study: optuna.Study) -> None:
    study.ask().set_user_attr("memo", 1)


WRITERS: tuple[tuple[Callable[[optuna.Study], None], str], ...] = (
    (added, "added"),
    (added_in_range, "added"),
    (added_beyond_the_metric, "added"),
    (copied, "added"),
    (asked, "running"),
    (asked_and_told, "added"),
    (failed, "added"),
    (enqueued, "waiting"),
    (with_attributes_alone, "running"),
)


@pytest.mark.parametrize(("write", "kind"), WRITERS, ids=lambda value: getattr(value, "__name__", value))
def test_what_another_client_writes_is_not_ours(
    write: Callable[[optuna.Study], None], kind: str, store: Store, url: str, plain_url: str
) -> None:
    study_id = submitted(store, max_trials=4)
    train(store, study_id)
    running = train(store, study_id, None)
    write(client(plain_url))
    with closing(open_store(url)) as fresh:
        for seen in (store, fresh):
            assert [trial.number for trial in seen.own_trials(study_id)] == [0, 1]
            assert of_kind(seen, study_id) == {2: kind}
            (listed,) = list_studies(seen)
            assert (listed.best, listed.waiting, listed.others) == (0.5, kind == "waiting", kind != "waiting")
            assert (listed.running, listed.finished, listed.pruned, listed.failed) == (1, 1, 0, 0)
            now = queue.status(seen, study_id)
            assert now is not None
            assert (now.trials, now.running, now.free) == (2, 1, 1)
    assert leases.take(store, study_id, "worker", 5) == [running]


def test_a_trial_in_the_hands_of_a_client_keeps_nobody_from_concluding(store: Store, plain_url: str) -> None:
    study_id = submitted(store)
    train(store, study_id)
    asked(client(plain_url))
    assert queue.begin_conclusion(store, study_id, "worker", 1)


@pytest.mark.parametrize("epochs", [False, True])
def test_a_trial_of_ours_that_a_client_ended_is_no_longer_ours(
    epochs: bool, store: Store, url: str, plain_url: str
) -> None:
    study_id = submitted(store)
    number = store.get_trial(train(store, study_id, None, epochs=epochs)).number
    client(plain_url).tell(number, 0.99)
    with closing(open_store(url)) as fresh:
        for seen in (store, fresh):
            assert not seen.own_trials(study_id)
            assert of_kind(seen, study_id) == {0: "taken"}


def test_copies_from_another_study_are_not_ours(store: Store, plain_url: str) -> None:
    first, second = submitted(store), submitted(store, "second")
    for number in range(2):
        train(store, first, None if number else 0.5)
    client(plain_url, "second").add_trials(client(plain_url).trials)
    assert not store.own_trials(second)
    assert of_kind(store, second) == {0: "added", 1: "running"}


def test_a_client_cannot_keep_a_study_from_its_own_parameters(store: Store, url: str, plain_url: str) -> None:
    study_id = submitted(store)
    other = CategoricalDistribution(("a", "b"))
    name = "optimizer.learning_rate"
    client(plain_url).add_trial(create_trial(value=1.0, params={name: "a"}, distributions={name: other}))
    with closing(open_store(url)) as fresh:
        train(fresh, study_id)
        (own,) = fresh.own_trials(study_id)
        assert own.params == {name: 0.1}


def test_extending_leaves_copies_as_they_are(store: Store, plain_url: str) -> None:
    study_id = submitted(store)
    train(store, study_id)
    copied(client(plain_url))
    row = control.submitted(store, "digits")
    assert control.extend_epochs(store, row, 9, before=1, fingerprint="longer") == [0]
    states = [trial.state for trial in store.get_all_trials(study_id, deepcopy=False)]
    assert states == [TrialState.RUNNING, TrialState.COMPLETE]


def test_only_one_process_begins_an_enqueued_trial(store: Store, url: str, plain_url: str) -> None:
    study_id = submitted(store)
    enqueued(client(plain_url))
    (waiting,) = store.waiting_trials(study_id)
    with closing(open_store(url)) as other:
        assert [seen.waiting_trials(study_id) for seen in (store, other)] == [[waiting], [waiting]]
        assert [seen.begin(waiting._trial_id) for seen in (other, store)] == [True, False]
        for seen in (store, other):
            assert [trial.state for trial in seen.own_trials(study_id)] == [TrialState.RUNNING]
            assert not seen.waiting_trials(study_id)


def test_one_that_was_refused_says_so(store: Store, plain_url: str) -> None:
    study_id = submitted(store)
    enqueued(client(plain_url))
    (waiting,) = store.waiting_trials(study_id)
    end(store, waiting._trial_id, TrialState.FAIL, Ended(why=Ending.REFUSED, detail="of its range"))
    assert of_kind(store, study_id) == {0: "refused"}
    assert not store.own_trials(study_id)


def test_a_study_of_an_earlier_version_keeps_its_trials(store: Store, url: str, plain_url: str) -> None:
    study_id = submitted(store)
    train(store, study_id)
    train(store, study_id, None)
    train(store, study_id, None, epochs=False)
    with store.writing() as connection:  # earlier versions left no marks
        for table in (trial_system_attributes, study_system_attributes):
            connection.execute(delete(table).where(table.c.key == MARK))
    with closing(open_store(url)) as fresh:
        added(client(plain_url))
        client(plain_url).ask()
        assert [trial.number for trial in fresh.own_trials(study_id)] == [0, 1, 2]
        train(fresh, study_id, None, epochs=False)
        assert [trial.number for trial in fresh.own_trials(study_id)] == [0, 1, 2, 5]


def test_the_database_and_memory_agree(store: Store, url: str, plain_url: str) -> None:
    study_id = submitted(store)
    train(store, study_id)
    train(store, study_id, None)
    train(store, study_id, None, epochs=False)
    for write, _ in WRITERS:
        write(client(plain_url))
    client(plain_url).tell(1, 0.9)
    with closing(open_store(url)) as fresh, fresh.reading() as connection:
        wanted = select(trials.c.number).where(trials.c.study_id == study_id, ours()).order_by(trials.c.number)
        found = connection.execute(wanted).scalars().all()
        assert found == [trial.number for trial in fresh.own_trials(study_id)] == [0, 2]


def test_a_search_sees_its_own_trials(store: Store, plain_url: str) -> None:
    study_id = submitted(store)
    train(store, study_id)
    for write, _ in WRITERS:
        write(client(plain_url))
    seen = optuna.load_study(study_name="digits", storage=own_trials_of(store))
    assert [trial.number for trial in seen.trials] == [0]
    assert seen.best_value == 0.5
    assert seen._storage.get_n_trials(study_id) == 1
    assert seen._storage.get_n_trials(study_id, TrialState.RUNNING) == 0


def test_a_study_of_plain_optuna_is_nobody_s(store: Store) -> None:
    study_id = store.create_new_study([StudyDirection.MINIMIZE], "plain")
    (trial_id,) = store.create_trials(study_id, 1)
    found: FrozenTrial = store.get_trial(trial_id)
    assert MARK not in found.system_attrs
