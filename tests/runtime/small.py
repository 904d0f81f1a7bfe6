"""Small studies on real data, run in this process without a report, and what they leave in the database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo import endings
from hpo.execution.engines import open_executor
from hpo.execution.resources import Resources
from hpo.registry.read import read_epochs
from hpo.runtime import coordinator
from hpo.runtime.ownership import SoleOwnership
from hpo.runtime.progress import Observer, Progress
from hpo.runtime.session import Session, open_session
from hpo.runtime.setup.inputs import load_inputs
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec
from tests.studyfile.texts import study_text

TABLES = {
    "study": 'name = "small"\nseed = 3',
    "data": 'dataset = "wine"',
    "model": 'family = "mlp"\nhidden = { choice = [[8], [12, 8]] }',
    "norm": 'choice = [{ kind = "none" }, { kind = "batch" }, { kind = "layer" }]',
    "dropout": "p = { low = 0.0, high = 0.4 }",
    "optimizer": (
        "learning_rate = { low = 1e-3, high = 3e-1, log = true }\n"
        'choice = [{ name = "sgd", momentum = { low = 0.0, high = 0.9 } }, { name = "adam" }]'
    ),
    "training": "epochs = 4",
    "search": 'trials = 8\nconcurrency = 3\npruner = { name = "median", startup_trials = 2 }',
}
"""A study of 8 trials of up to 4 epochs: a second of one core."""


def small_text(**tables: str) -> str:
    """The study file, with whole tables replaced."""
    return study_text(**(TABLES | tables))


def small_study(*, folder: Path = Path(), **tables: str) -> StudySpec:
    """The study as if its file lay in the folder."""
    return parse_study(small_text(**tables), str(folder / "small.toml"))


def with_trials(spec: StudySpec, trials: int) -> StudySpec:
    """The study with another budget, as `--trials` gives it."""
    return replace(spec, search=spec.search.model_copy(update={"trials": trials}))


def open_study(
    spec: StudySpec, store: Store, home: Path, lanes: int = 32, resources: Resources | None = None
) -> Session:
    return open_session(spec, load_inputs(spec), store, home, resources or Resources(lanes=lanes))


def run(
    spec: StudySpec,
    home: Path,
    *,
    lanes: int = 32,
    resources: Resources | None = None,
    observer: Observer = lambda progress: None,
) -> Progress:
    """Runs or continues the study as `hpo run` does, up to where the winner would be scored."""
    resources = resources or Resources(lanes=lanes)
    progress: Progress = in_session(
        spec, home, lambda session: train(session, resources, observer), resources=resources
    )
    return progress


def train(session: Session, resources: Resources, observer: Observer = lambda progress: None) -> Progress:
    with open_executor(session.job, resources, left=session.left) as executor:
        return coordinator.run(session, executor, observer, SoleOwnership(session))


def in_session(
    spec: StudySpec,
    home: Path,
    action: Callable[[Session], Any],
    *,
    lanes: int = 32,
    resources: Resources | None = None,
) -> Any:
    with closing(open_store(sqlite_url(home))) as store:
        return action(open_study(spec, store, home, lanes, resources))


NOT_COMPARED = ("seconds", "traceback", *endings.ATTRIBUTES)
"""Attributes of trials that are not compared as they are."""


def trials_of(spec: StudySpec, home: Path) -> list[dict[str, Any]]:
    """Everything about the trials that must be repeatable: all but times."""
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return trials_in(store, spec.study.name)


def trials_in(store: Store, name: str) -> list[dict[str, Any]]:
    """The same of a study in an open database."""
    return [
        {
            "number": trial.number,
            "state": trial.state.name,
            "values": trial.values,
            "params": trial.params,
            "reports": trial.intermediate_values,
            **{key: value for key, value in trial.user_attrs.items() if key not in NOT_COMPARED},
            "ended": str(endings.of(trial.user_attrs)),
        }
        for trial in store.get_all_trials(store.get_study_id_from_name(name), deepcopy=False)
    ]


def epochs_of(spec: StudySpec, home: Path) -> list[tuple[Any, ...]]:
    """The rows of epochs, without their times."""
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return epochs_in(store, spec.study.name)


def epochs_in(store: Store, name: str) -> list[tuple[Any, ...]]:
    """The same of a study in an open database."""
    frame = read_epochs(store, name).frame().drop(columns="seconds")
    return [tuple(None if cell != cell else cell for cell in row) for row in frame.itertuples(index=False)]


def result_of(spec: StudySpec, home: Path, **options: Any) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """Runs the study to its end; its trials and epochs."""
    run(spec, home, **options)
    return trials_of(spec, home), epochs_of(spec, home)
