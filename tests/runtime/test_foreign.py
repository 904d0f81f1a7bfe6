"""Whole studies beside other Optuna clients: they end, with the trials that this program trained."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from hpo.errors import TakenError
from hpo.reports.comparison.rows import comparison_row
from hpo.reports.facts import StudyReport, gather
from hpo.reports.render.csv import trials_csv
from hpo.runtime.local_run import Result, run_study
from hpo.runtime.progress import Progress
from hpo.runtime.session import anew
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.small import in_session, small_study, with_trials
from tests.service.working import serve, submit
from tests.storage.writers import for_optuna

RATE = "optimizer.learning_rate"
OUTSIDE = {"dropout.p": 9.0}


def client(home: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name="small", storage=for_optuna(sqlite_url(home)))


def disturb(home: Path) -> None:
    """All that other clients write, ten trials: two of them can be trained here."""
    study = client(home)
    study.add_trial(create_trial(value=0.999))
    study.add_trial(
        create_trial(value=0.99, params={RATE: 0.05}, distributions={RATE: FloatDistribution(1e-3, 3e-1, log=True)})
    )
    study.add_trial(create_trial(value=7.5, user_attrs={"ended": "finished", "epochs": "many"}))
    study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.99}))
    study.ask()
    study.tell(study.ask(), 0.98)
    study.enqueue_trial({RATE: 0.02, "optimizer.name": "adam"})
    study.enqueue_trial({"dropout.p": 0})
    study.enqueue_trial(OUTSIDE)
    study.enqueue_trial({"optimizer.lr": 0.1})


FOREIGN = {**dict.fromkeys((0, 1, 2, 3, 5), "added"), 4: "running", 8: "refused", 9: "refused"}
OWN = [6, 7, *range(10, 16)]


def run(spec: StudySpec, home: Path, observer: Any = lambda progress: None) -> Result:
    return run_study(spec, sqlite_url(home), home, observer, lanes=8)


def registered(home: Path) -> StudySpec:
    """The study in the database with no trial of its own."""
    spec = small_study()
    submit(spec, home)
    return spec


def report_of(home: Path) -> StudyReport:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return gather(store, "small")


def stop(home: Path) -> None:
    from hpo.registry import control

    with closing(open_store(sqlite_url(home))) as store:
        control.stop(store, "small")


def test_a_run_counts_and_ranks_its_own_trials(tmp_path: Path) -> None:
    spec = registered(tmp_path)
    disturb(tmp_path)
    stop(tmp_path)
    seen: list[Progress] = []
    result = run(spec, tmp_path, seen.append)
    assert seen[0].ended == 0
    assert result.progress.ended == 8
    assert result.winner is not None
    assert result.winner.number in OWN
    assert {trial.number: trial.kind for trial in result.foreign} == FOREIGN
    report = report_of(tmp_path)
    assert [trial.number for trial in report.trials] == OWN
    assert report.counts.ended == 8
    assert max(trial.value for trial in report.trials if trial.value is not None) <= 1.0
    assert report.trials[0].params[RATE] == 0.02
    assert report.trials[1].params["dropout.p"] == 0.0
    (caution,) = [caution for caution in report.cautions if "other programs" in caution]
    assert caution.startswith("2 enqueued trials were refused (trial 8: dropout.p")
    assert caution.endswith(
        "6 trials that other programs wrote into the study are left out of counts, ranking and search (added: 0, 1, 2, "
        "3, 5; in their hands: 4)."
    )
    assert comparison_row(report)["others"] == 8
    assert len(trials_csv(report).splitlines()) == 9


def test_a_run_ends_alike_however_often_it_is_begun(tmp_path: Path) -> None:
    def table(name: str, *, interrupted: bool) -> str:
        home = tmp_path / name
        spec = registered(home)
        disturb(home)
        stop(home)
        if interrupted:

            def interrupt(now: Progress) -> None:
                if now.epochs >= 5:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                run(spec, home, interrupt)
        run(spec, home)
        return trials_csv(report_of(home))

    assert table("once", interrupted=False) == table("twice", interrupted=True)


def test_a_worker_ends_with_the_table_of_a_run(tmp_path: Path) -> None:
    tables = []
    for name in ("run", "worker"):
        spec = registered(tmp_path / name)
        disturb(tmp_path / name)
        if name == "run":
            stop(tmp_path / name)
            run(spec, tmp_path / name)
        else:
            serve(tmp_path / name)
        tables.append(trials_csv(report_of(tmp_path / name)))
    assert tables[0] == tables[1]


def test_trials_enqueued_while_a_study_runs_are_trained(tmp_path: Path) -> None:
    told = threading.Event()

    def enqueue(now: Progress) -> None:
        if now.epochs >= 4 and not told.is_set():
            told.set()
            client(tmp_path).enqueue_trial({RATE: 0.123})

    spec = small_study()
    result = run(spec, tmp_path, enqueue)
    assert result.progress.ended == 8
    assert not result.foreign
    assert 0.123 in [trial.params[RATE] for trial in report_of(tmp_path).trials]


def test_trials_enqueued_after_the_end_wait_for_a_larger_budget(tmp_path: Path) -> None:
    spec = small_study()
    run(spec, tmp_path)
    client(tmp_path).enqueue_trial({RATE: 0.123})
    again = run(spec, tmp_path)
    assert [(trial.number, trial.kind) for trial in again.foreign] == [(8, "waiting")]
    assert again.progress.ended == 8
    more = run(with_trials(spec, 9), tmp_path)
    assert more.progress.ended == 9
    assert not more.foreign
    assert report_of(tmp_path).trials[8].params[RATE] == 0.123


def test_a_trial_that_another_program_ends_is_replaced(tmp_path: Path) -> None:
    told: list[int] = []

    def tell(now: Progress) -> None:
        if now.epochs >= 4 and not told:
            told.append(now.running[0].number)
            client(tmp_path).tell(told[0], 0.999)

    spec = small_study()
    with pytest.raises(TakenError, match="another program has ended a trial"):
        run(spec, tmp_path, tell)
    result = run(spec, tmp_path)
    assert [(trial.number, trial.kind) for trial in result.foreign] == [(told[0], "taken")]
    assert result.progress.ended == 8
    assert result.winner is not None
    assert result.winner.number != told[0]
    report = report_of(tmp_path)
    assert told[0] not in set(report.epochs["number"])
    assert len(report.trials) == 8


def test_a_search_that_begins_again_sees_this_programs_trials_alone(tmp_path: Path) -> None:
    """As after a lost connection."""
    spec = small_study()
    submit(spec, tmp_path)
    client(tmp_path).add_trial(create_trial(value=0.999))
    searchers = in_session(spec, tmp_path, lambda session: (session.searcher, anew(session).searcher))
    assert [searcher.all_trials() for searcher in searchers] == [[], []]
