"""Work for other processes, started from one that has the libraries loaded already, and a study small enough for it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import Engine, event, select

from hpo.database.tables import hpo_epochs
from hpo.endings import Ended, Ending
from hpo.storage.open import open_store
from hpo.storage.rows import CheckpointRow, EpochRow
from hpo.storage.store import Store

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["hpo.storage.open", "hpo.registry.studies", "optuna.samplers"])

TRIALS, IN_FLIGHT, EPOCHS = 8, 4, 3


def start(work: Callable[..., None], *arguments: Any) -> multiprocessing.process.BaseProcess:
    process = context.Process(target=work, args=arguments)
    process.start()
    return process


def finish(process: multiprocessing.process.BaseProcess) -> int:
    process.join(60)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def run(work: Callable[..., None], *arguments: Any) -> None:
    assert finish(start(work, *arguments)) == 0


def score(trial: FrozenTrial, epoch: int) -> float:
    rate: float = trial.params["optimizer.learning_rate"]
    return round(1.0 - (rate - 0.3) ** 2 - 0.1 / epoch, 6)


def suggest(trial: Trial) -> None:
    trial.suggest_float("optimizer.learning_rate", 1e-3, 1.0, log=True)
    if trial.suggest_categorical("optimizer.name", ["sgd", "adam"]) == "sgd":
        trial.suggest_int("optimizer.steps", 1, 5)


def conduct(store: Store, study_id: int) -> None:
    """Ask, train and tell in transactions until the budget is spent, continuing whatever runs."""
    study = optuna.Study(store.get_study_name_from_id(study_id), store)
    while True:
        with store.transaction():
            found = store.get_all_trials(study_id, deepcopy=False)
            missing = min(TRIALS - len(found), IN_FLIGHT - store.get_n_trials(study_id, TrialState.RUNNING))
            for trial_id in store.create_trials(study_id, max(missing, 0)):
                study.sampler = RandomSampler(seed=store.get_trial(trial_id).number)
                suggest(Trial(study, trial_id))
        running = store.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        if not running:
            return
        with store.transaction():
            for frozen in running:
                trial_id = frozen._trial_id
                epoch = (frozen.last_step or 0) + 1
                value = score(frozen, epoch)
                store.set_trial_intermediate_value(trial_id, epoch, value)
                store.add_epochs([epoch_row(trial_id, epoch, value)])
                path = f"{study_id}/{frozen.number}/{epoch}.pt"
                store.remove_checkpoints([f"{study_id}/{frozen.number}/{epoch - 1}.pt"])
                store.add_checkpoints(
                    [CheckpointRow(trial_id=trial_id, kind="running", epoch=epoch, path=path, sha256="0" * 64)]
                )
                if epoch == EPOCHS or (epoch > 1 and value < 0.88):
                    state = TrialState.COMPLETE if epoch == EPOCHS else TrialState.PRUNED
                    end(store, trial_id, state, Ended(why=Ending.FINISHED), [value])


def end(store: Store, trial_id: int, state: TrialState, ended: Ended, values: Sequence[float] | None = None) -> None:
    """Ends a trial of this program."""
    for key, value in ended.attributes().items():
        store.set_trial_user_attr(trial_id, key, value)
    store.set_trial_state_values(trial_id, state, values)


def epoch_row(trial_id: int, epoch: int, value: float | None) -> EpochRow:
    return EpochRow(
        trial_id=trial_id,
        replica=0,
        epoch=epoch,
        train_loss=0.5,
        valid_loss=0.6,
        objective=value,
        learning_rate=0.1,
        gradient_norm=1.5,
        seconds=0.01,
        metrics={"accuracy": value},
    )


def kill_at(engine: Engine, number: int) -> list[str]:
    """Have this process killed before it executes its statement of this number. Returns what it executes, in order;
    a commit counts as a statement, told by the one that it follows."""
    seen: list[str] = []

    def note(statement: str) -> None:
        seen.append(statement)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", lambda _connection, _cursor, statement, *_: note(statement))
    event.listen(engine, "commit", lambda _: note(f"commit after {seen[-1] if seen else ''}"))
    return seen


def conduct_and_die(url: str, study_id: int, number: int) -> None:
    store = open_store(url)
    kill_at(store.engine, number)
    conduct(store, study_id)


def table(store: Store, study_id: int) -> list[tuple[Any, ...]]:
    """All of a study but its times."""
    epochs: dict[int, list[tuple[int, float]]] = {}
    with store.reading() as connection:
        columns = (hpo_epochs.c.trial_id, hpo_epochs.c.epoch, hpo_epochs.c.objective)
        for trial_id, epoch, value in connection.execute(select(*columns).order_by(*columns[:2])):
            epochs.setdefault(trial_id, []).append((epoch, value))
    return [
        (
            trial.number,
            trial.state,
            trial.values,
            trial.params,
            trial.intermediate_values,
            trial.user_attrs,
            epochs.get(trial._trial_id),
        )
        for trial in store.get_all_trials(study_id)
    ]


def for_optuna(url: str) -> str:
    """The database as Optuna itself is told of it."""
    return url.replace("postgresql://", "postgresql+psycopg://")
