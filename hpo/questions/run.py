"""Runs the studies of a question: those that are missing, several at once, each in one process. Every study is an
ordinary one of `hpo.run`, so a question that is interrupted or killed continues where its studies were."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo import disk
from hpo.errors import HpoError, MachineError, StudyStateError
from hpo.questions.file import ArmStudy, Question
from hpo.questions.measures import Figures, key_of, measured
from hpo.studyfile.study import StudySpec

if TYPE_CHECKING:
    from hpo.storage.store import Store

WATCH_SECONDS = 1.0
"""Time between two looks of a process whether its parent still lives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionProgress:
    """How far a question is."""

    done: int
    """Studies that have ended."""
    all: int
    ran: int
    """Studies that ended since the run began."""
    seconds: float
    """Since the run began."""


def keys_of(question: Question) -> list[str]:
    """The measures that a question needs, each once."""
    return list(dict.fromkeys(key_of(effect.measure, effect.within) for effect in question.effects))


def stored_values(question: Question, home: Path, url: str) -> dict[str, Figures]:
    """The figures of the studies of a question that have ended, by their name. Runs nothing."""
    from hpo.storage.open import reading, url_of

    if url == url_of(None, home) and not (home / "hpo.db").exists():
        return {}
    found: dict[str, Figures] = {}
    with reading(url) as store:
        for study in question.studies:
            if _has_ended(store, study.name):
                found[study.name] = _figures(store, study.name, keys_of(question), home, url)
    return found


def run_question(
    question: Question,
    home: Path,
    url: str,
    *,
    jobs: int,
    progress: Callable[[QuestionProgress], None] = lambda now: None,
) -> dict[str, Figures]:
    """Runs what is missing, `jobs` studies at once, and returns the figures of all by their name. Raises the HpoError
    of a study that cannot be run; those that have ended stay. KeyboardInterrupt: each trial in flight is saved at its
    last epoch."""
    disk.make_home(home)
    values = stored_values(question, home, url)
    missing = [study for study in question.studies if study.name not in values]
    keys, begun, before = keys_of(question), time.monotonic(), len(values)

    def tell() -> None:
        done, seconds = len(values), time.monotonic() - begun
        progress(QuestionProgress(done=done, all=len(question.studies), ran=done - before, seconds=seconds))

    tell()
    results = _in_turn(missing, keys, home, url) if jobs == 1 else _at_once(missing, keys, home, url, jobs)
    for name, found in results:
        values[name] = found
        tell()
    return values


def _has_ended(store: Store, name: str) -> bool:
    from hpo.registry.studies import study_row

    try:
        return study_row(store, name).finished_at is not None
    except StudyStateError:  # there is no such study yet
        return False


def _figures(store: Store, name: str, keys: Sequence[str], home: Path, url: str) -> Figures:
    from hpo.reports.facts import gather

    def weights() -> list[Any]:
        from hpo.study import load

        model = load(name, home=home, storage=url).model()
        return [p.detach().numpy() for p in model.parameters() if p.ndim >= 2]

    report = gather(store, name)
    return {key: measured(report, key, weights) for key in keys}


def _run(spec: StudySpec, keys: Sequence[str], home: Path, url: str) -> Figures:
    from hpo.storage.open import reading
    from hpo.study import run

    run(spec, home=home, storage=url)
    with reading(url) as store:
        return _figures(store, spec.study.name, keys, home, url)


Found = tuple[str, Figures]


def _in_turn(studies: Sequence[ArmStudy], keys: Sequence[str], home: Path, url: str) -> Iterator[Found]:
    for study in studies:
        yield study.name, _run(study.spec, keys, home, url)


# --- several at once ---------------------------------------------------------------------------------------


def _at_once(studies: Sequence[ArmStudy], keys: Sequence[str], home: Path, url: str, jobs: int) -> Iterator[Found]:
    """The studies in processes of their own, each result as it comes."""
    waiting = list(studies)
    with _processes(min(jobs, len(waiting))) as free:
        busy: dict[Any, ArmStudy] = {}
        while waiting or busy:
            while waiting and free:
                pipe, study = free.pop(), waiting.pop(0)
                pipe.send((study.spec, list(keys), home, url))
                busy[pipe] = study
            ready: list[Any] = list(connection.wait(list(busy)))
            for pipe in ready:
                study = busy.pop(pipe)
                try:
                    found = pipe.recv()
                except (EOFError, OSError):
                    raise MachineError(
                        f"the process that ran {study.name} ended, e.g. because memory was short. The same command "
                        "continues; --jobs 1 runs one study at a time"
                    ) from None
                if isinstance(found, BaseException):
                    raise found
                free.append(pipe)
                yield study.name, found


@contextmanager
def _processes(count: int) -> Iterator[list[Any]]:
    """The pipes of processes that run studies. After the block the processes have ended, also those in mid-study, which
    the next run continues."""
    context = get_context("spawn")  # a fork of a process that has loaded torch may hang
    processes: list[SpawnProcess] = []
    pipes = []
    try:
        for _ in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, os.getpid()), daemon=True)
            process.start()
            there.close()
            processes.append(process)
            pipes.append(here)
        yield list(pipes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _serve(pipe: Any, parent: int) -> None:
    """The program of such a process."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            order = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            found: Any = _run(*order)
        except KeyboardInterrupt:
            return
        except HpoError as error:
            found = type(error)(str(error))
        except Exception as error:
            error.add_note("in a process that runs studies:\n" + "".join(traceback.format_tb(error.__traceback__)))
            found = error
        pipe.send(found)


def _end_with(parent: int) -> None:
    """Ends this process when its parent has been killed; what it trained since the last epoch is trained again."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
