"""Trials that other clients enqueue: which are taken, what they are trained with, and which are refused, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from hpo import endings
from hpo.endings import Ended, Ending
from hpo.search.searcher import Searcher
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.file import read_study_file
from tests.runtime.small import open_study, small_study
from tests.storage.writers import for_optuna

SAMPLERS = ("tpe", "gp", "cmaes", "qmc", "random")

WHOLE = {
    "model.hidden": "12-8",
    "norm.kind": "layer",
    "dropout.p": 0.25,
    "optimizer.name": "sgd",
    "optimizer.learning_rate": 0.01,
    "optimizer.momentum": 0.5,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with closing(open_store(sqlite_url(tmp_path))) as opened:
        yield opened


def searcher_of(store: Store, home: Path, sampler: str = "tpe") -> Searcher:
    search = f'trials = 8\nsampler = {{ name = "{sampler}" }}\npruner = "median"'
    return open_study(small_study(search=search), store, home).searcher


def client(home: Path) -> optuna.Study:
    return optuna.load_study(study_name="small", storage=for_optuna(sqlite_url(home)))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_enqueued_trials_come_first_and_have_what_they_were_given(sampler: str, store: Store, tmp_path: Path) -> None:
    searcher = searcher_of(store, tmp_path, sampler)
    study = client(tmp_path)
    study.enqueue_trial(WHOLE, user_attrs={"memo": "mine"})
    study.enqueue_trial({"dropout.p": 0, "optimizer.name": "adam"})
    whole, part, drawn = searcher.ask(3)
    assert [trial.number for trial in (whole, part, drawn)] == [0, 1, 2]
    trials = searcher.all_trials()
    assert trials[0].params == WHOLE
    assert trials[0].user_attrs == {"memo": "mine"}
    assert trials[1].params["dropout.p"] == 0.0
    assert trials[1].params["optimizer.name"] == "adam"
    assert "optimizer.momentum" not in trials[1].params
    assert trials[1].params.keys() == {"model.hidden", "norm.kind", "dropout.p", "optimizer.name"} | {
        "optimizer.learning_rate"
    }
    assert whole.config is not None
    assert (whole.config.norm.kind, whole.config.dropout.p) == ("layer", 0.25)
    assert [trial.state for trial in trials] == [TrialState.RUNNING] * 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_lacking_is_drawn_alike_each_time(sampler: str, tmp_path: Path) -> None:
    def asked(name: str) -> list[Any]:
        home = tmp_path / name
        with closing(open_store(sqlite_url(home))) as store:
            searcher = searcher_of(store, home, sampler)
            for rate in (0.01, 0.1):
                client(home).enqueue_trial({"optimizer.learning_rate": rate})
            return [*searcher.ask(1), *searcher.ask(3)] if name == "apart" else searcher.ask(4)

    first, second = asked("first"), asked("second")
    assert first == second
    assert [trial.config for trial in asked("apart")] == [trial.config for trial in first]


def test_they_wait_while_there_is_no_room(store: Store, tmp_path: Path) -> None:
    searcher = searcher_of(store, tmp_path)
    for rate in (0.01, 0.02, 0.03):
        client(tmp_path).enqueue_trial({"optimizer.learning_rate": rate})
    assert [trial.number for trial in searcher.ask(2)] == [0, 1]
    assert [trial.number for trial in store.waiting_trials(searcher.study_id)] == [2]
    assert [trial.number for trial in searcher.ask(2)] == [2, 3]


REFUSED = (
    ({"dropout.p": 3}, "dropout.p = 3: the study allows numbers from 0.0 to 0.4"),
    ({"dropout.p": "0.1"}, "dropout.p = '0.1': the study allows numbers from 0.0 to 0.4"),
    ({"dropout.p": True}, "dropout.p = True: the study allows numbers from 0.0 to 0.4"),
    ({"dropout.p": float("nan")}, "dropout.p = nan: the study allows numbers from 0.0 to 0.4"),
    ({"dropout.p": None}, "dropout.p = None: the study allows numbers from 0.0 to 0.4"),
    ({"norm.kind": "group"}, "norm.kind = 'group': the study allows 'none', 'batch', 'layer'"),
    ({"dropout.q": 0.1}, "dropout.q: no such parameter is searched. Did you mean dropout.p? The study searches"),
    ({"optimizer.momentum": 0.5}, "optimizer.momentum is drawn only where optimizer.name is sgd"),
    ({"optimizer.momentum": 0.5, "optimizer.name": "adam"}, "optimizer.momentum is drawn only where"),
)


@pytest.mark.parametrize(("params", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_the_study_cannot_train_is_refused_and_costs_nothing(
    params: dict[str, Any], reason: str, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    searcher = searcher_of(store, tmp_path)
    client(tmp_path).enqueue_trial(params)
    assert [trial.number for trial in searcher.ask(2)] == [1, 2]
    ((kind, trial),) = store.foreign_trials(searcher.study_id)
    assert (kind, trial.number, trial.state) == ("refused", 0, TrialState.FAIL)
    ended = endings.of(trial.user_attrs)
    assert ended.why is Ending.REFUSED
    assert str(ended).startswith(f"refused: {reason}")
    assert f"trial 0, which was enqueued, is refused. {reason}" in caplog.text
    assert [trial.number for trial in searcher.all_trials()] == [1, 2]


def test_waiting_trials_that_were_added(store: Store, tmp_path: Path) -> None:
    searcher = searcher_of(store, tmp_path)
    study, name = client(tmp_path), "optimizer.learning_rate"
    own = FloatDistribution(1e-3, 3e-1, log=True)
    for distribution, reports in ((FloatDistribution(1e-4, 1.0, log=True), {}), (own, {1: 0.99}), (own, {})):
        waiting = TrialState.WAITING
        study.add_trial(
            create_trial(
                state=waiting, params={name: 0.05}, distributions={name: distribution}, intermediate_values=reports
            )
        )
    (asked,) = searcher.ask(1)
    assert asked.number == 2
    assert asked.config is not None
    assert asked.config.optimizer.learning_rate == 0.05
    first, second = (str(endings.of(trial.user_attrs)) for _, trial in store.foreign_trials(searcher.study_id))
    assert "it was drawn from another range than the study's, numbers from 0.001 to 0.3" in first
    assert "intermediate values, which this program has not measured" in second


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_foreign_values_do_not_steer_the_search(sampler: str, tmp_path: Path) -> None:
    def asked(name: str, *, foreign: bool) -> list[Any]:
        home = tmp_path / name
        with closing(open_store(sqlite_url(home))) as store:
            search = f'trials = 8\nsampler = {{ name = "{sampler}" }}'
            searcher = open_study(small_study(search=search), store, home).searcher
            for trial in searcher.ask(12):
                searcher.report(trial.trial_id, 1, 0.5 + 0.01 * trial.number)
                searcher.tell(trial.trial_id, TrialState.COMPLETE, Ended(why=Ending.FINISHED), {})
            study = client(home)
            others = [
                {"value": 0.999, "params": t.params, "distributions": t.distributions} if foreign else {"value": 0.0}
                for t in study.trials
            ]
            study.add_trials([create_trial(**other) for other in others])
            return [trial.config for trial in searcher.ask(4)]

    assert asked("with", foreign=True) == asked("without", foreign=False)


def test_the_example_of_the_documents(store: Store, tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    (example,) = re.findall(r"```python\n(.*?)```", (root / "docs" / "other-clients.md").read_text(), re.DOTALL)
    spec = read_study_file(root / "studies" / "digits.toml")
    searcher = open_study(spec, store, tmp_path).searcher
    assert "sqlite:///runs/hpo.db" in example
    exec(example.replace("sqlite:///runs/hpo.db", for_optuna(sqlite_url(tmp_path))))
    first, second, third = searcher.ask(3)
    assert not store.foreign_trials(searcher.study_id)
    assert first.config is not None
    assert (first.config.dropout.p, first.config.optimizer.learning_rate) == (0.1, 0.01)
    assert [searcher.all_trials()[1].params[f"optimizer.{name}"] for name in ("name", "momentum")] == ["sgd", 0.9]
    assert third.config is not None
    assert third.config.norm.kind == "batch"
    assert second.error is None


def test_foreign_curves_do_not_prune(store: Store, tmp_path: Path) -> None:
    searcher = searcher_of(store, tmp_path)
    study = client(tmp_path)
    for _ in range(20):
        study.add_trial(create_trial(value=1.0, intermediate_values=dict.fromkeys(range(1, 5), 1.0)))
    (trial,) = searcher.ask(1)
    assert trial.config is not None
    searcher.report(trial.trial_id, 1, 0.1)
    assert searcher.decide(trial.trial_id, trial.config).ended is None
