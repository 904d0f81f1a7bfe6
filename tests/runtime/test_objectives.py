"""Studies with several objectives: every sampler and pruner that takes them, resumed ones, functions, their winner."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.study import StudyDirection

import hpo
from hpo.errors import StudyFileError
from hpo.execution.executor import Executor
from hpo.ranking import pareto_front
from hpo.registry.studies import study_row
from hpo.registry.summaries import list_studies
from hpo.runtime import winner
from hpo.runtime.confirmation.contest import contest_of
from hpo.runtime.setup.inputs import check_code, load_inputs
from hpo.search.pruning.by_name import PRUNERS
from hpo.search.sampling.by_name import SAMPLERS
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import FOR_ONE_OBJECTIVE
from hpo.training.trainer import Trainer
from tests.runtime.functions import study as function_study
from tests.runtime.small import in_session, result_of, run, small_study, small_text, trials_of
from tests.runtime.test_coordinator import COUNTABLE, PRUNER_SETTINGS
from tests.runtime.test_resume import Stopped, stopping
from tests.studyfile.texts import study_text

STUDY = 'name = "several"\nseed = 3\nobjective = ["accuracy", "macro_f1", "parameters"]'
SEARCH = 'trials = 8\nconcurrency = 3\nsampler = "random"\npruner = "none"'

PAIRS = """
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, outputs):
        super().__init__()
        self.last = nn.Linear(input_shape[0], outputs)

    def forward(self, x):
        if len(x) < 2:
            raise ValueError("two examples are needed")
        return self.last(x)
"""
"""A module that does not run on a single example."""
RATE = 'name = "sgd"\nlearning_rate = { low = 1e-3, high = 1e-1, log = true }'
COUNTED = 'name = "s"\nobjective = ["accuracy", "flops"]'


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in FOR_ONE_OBJECTIVE])
def test_every_sampler_draws_the_same_twice_whatever_the_lanes(sampler: str, tmp_path: Path) -> None:
    settings = {"tpe": ", startup_trials = 4", "nsga2": ", population = 3"}.get(sampler, "")
    search = f'trials = 10\nconcurrency = 2\nsampler = {{ name = "{sampler}"{settings} }}\npruner = "none"'
    spec = small_study(study=STUDY, training="epochs = 2", search=search, **(COUNTABLE if sampler == "grid" else {}))
    first = result_of(spec, tmp_path / "first")
    assert result_of(spec, tmp_path / "second", lanes=2) == first
    assert {trial["state"] for trial in first[0]} == {"COMPLETE"}
    for trial in first[0]:
        assert trial["values"][2] == trial["parameters"] > 0
        assert 0 <= trial["values"][1] <= 1


@pytest.mark.parametrize("sampler", FOR_ONE_OBJECTIVE)
def test_samplers_for_one_objective_are_refused_with_the_others(sampler: str) -> None:
    with pytest.raises(
        StudyFileError, match=r'searches by one objective; study\.objective has 3\. Take "tpe", "nsga2"'
    ):
        small_study(study=STUDY, search=f'sampler = "{sampler}"')


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "none"])
def test_every_pruner_decides_as_if_the_first_objective_were_the_only_one(pruner: str, tmp_path: Path) -> None:
    named = f'{{ name = "{pruner}"{PRUNER_SETTINGS.get(pruner, "")} }}'
    tables = {"training": "epochs = 6", "search": f'trials = 12\nconcurrency = 4\nsampler = "random"\npruner = {named}'}
    several, _ = result_of(small_study(study=STUDY, **tables), tmp_path / "several")
    one, _ = result_of(small_study(study='name = "several"\nseed = 3', **tables), tmp_path / "one")
    assert [{**trial, "values": trial["values"][:1]} for trial in several] == [
        {key: value for key, value in trial.items() if key != "level"} for trial in one
    ]
    assert {trial["state"] for trial in several} == {"COMPLETE", "PRUNED"}
    assert {len(trial["values"]) for trial in several} == {3}


def test_without_a_pruner_in_the_file_none_prunes() -> None:
    def pruner(objective: str) -> str:
        text = small_text(study=f'name = "s"\nobjective = {objective}', search='pruner = "median"')
        return parse_study(text.replace('pruner = "median"', ""), "s.toml").pruner.name

    assert pruner('["accuracy", "flops"]') == "none"
    assert pruner('["accuracy"]') == pruner('"accuracy"') == "promotion"


def test_a_study_that_was_stopped_ends_with_the_same_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = small_study(study=STUDY, data='dataset = "wine"\nfolds = 2', search=SEARCH)
    whole = result_of(spec, tmp_path / "whole")
    ticks, tick = [], Executor.tick

    def stopping(executor: Executor) -> object:
        ticks.append(1)
        if len(ticks) == 4:  # all epochs but the last of the first trials are recorded
            raise KeyboardInterrupt
        return tick(executor)

    with monkeypatch.context() as patch:
        patch.setattr(Executor, "tick", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(spec, tmp_path / "stopped")
    assert result_of(spec, tmp_path / "stopped") == whole


def test_what_a_promoted_trial_ended_with_is_learnt_as_if_the_study_had_not_been_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    search = """trials = 16
concurrency = 2
sampler = { name = "tpe", startup_trials = 3 }
pruner = { name = "asha", reduction_factor = 2 }"""
    spec = small_study(study=STUDY, training="epochs = 4", search=search)
    whole = result_of(spec, tmp_path / "whole")
    for call in (6, 9, 4):
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "tick", stopping(Trainer.tick, call, after=True))
            with pytest.raises(Stopped):
                run(spec, tmp_path / "stopped")
    assert result_of(spec, tmp_path / "stopped") == whole


def test_the_winner_is_the_best_by_the_first_objective_and_on_the_front(tmp_path: Path) -> None:
    spec = small_study(study=STUDY, search=f"{SEARCH}\nconfirm = 100.0")
    run(spec, tmp_path)
    values = {trial["number"]: trial["values"] for trial in trials_of(spec, tmp_path)}
    front = pareto_front(values, ("maximize", "maximize", "minimize"))

    def look(session):  # type: ignore[no-untyped-def]
        found = winner.find(session)
        contest = contest_of(session)
        row = study_row(session.store, "several")
        return found, contest, row, list_studies(session.store)

    found, contest, row, summaries = in_session(spec, tmp_path, look)
    assert found.number in front
    assert found.value == max(first for first, *_ in values.values())
    assert set(contest.configs) <= {*front, -1}, "only trials of the front are repeated, and the default configuration"
    assert row.objectives == ("accuracy", "macro_f1", "parameters")
    assert row.directions == ("maximize", "maximize", "minimize")
    assert [summary.best for summary in summaries] == [found.value]
    directions = in_session(spec, tmp_path, lambda session: session.searcher.study.directions)
    assert directions == [StudyDirection.MAXIMIZE, StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    other = small_study(study='name = "other"', search='default_first = false\nwarm_start = ["several"]')
    starts = in_session(other, tmp_path, lambda session: session.searcher.queue.starts)
    assert starts[0].trial == found.number, "another study starts from the winner"


def test_a_function_reports_all_objectives(tmp_path: Path) -> None:
    study = 'name = "own"\nobjective = ["score", "begun"]\ndirection = ["maximize", "minimize"]'
    trial = 'function = "train.py:train"\narguments = { mode = "fine", x = { low = 0.0, high = 1.0 } }'
    path = function_study(tmp_path, study=study, trial=trial, search="trials = 2")
    found = hpo.run(path, home=tmp_path / "home")
    assert found.trials["value.begun"].tolist() == [1.0, 1.0]
    assert found.trials["pareto"].sum() == 1
    assert found.best is not None
    assert found.best.values == {"score": found.best.value, "begun": 1.0}
    missing = path.read_text().replace('"own"', '"missing"').replace('"begun"]', '"size"]')
    path.write_text(missing)
    failed = hpo.run(path, home=tmp_path / "home").trials["ended"]
    assert failed.str.contains("but study.objective has 'size'; report it, too").all()


def test_operations_that_cannot_be_counted_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(PAIRS)
    model = 'family = "custom"\nmodule = "net.py:Net"'
    text = study_text(study=COUNTED, data='dataset = "wine"', model=model, optimizer=RATE, search="trials = 2")
    spec = parse_study(text, str(tmp_path / "s.toml"))
    with pytest.raises(StudyFileError, match=r"flops cannot be counted, as the model does not run on a single example"):
        check_code(spec, load_inputs(spec))
