"""Asking, reporting, deciding and telling, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from optuna.trial import TrialState

from hpo.endings import Ended, Ending
from hpo.reports.facts import choose_winner
from hpo.reports.trials import ranked, trial_row
from hpo.search.searcher import CONTINUE, Decision, Searcher
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.runtime.small import open_study, small_study

FINISHED = Ended(why=Ending.FINISHED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(sqlite_url(tmp_path))) as opened:
        yield opened


@pytest.fixture
def searcher(store: Store, tmp_path: Path) -> Searcher:
    return open_study(small_study(), store, tmp_path).searcher


def test_asking_gives_numbers_in_order_and_configurations(searcher: Searcher) -> None:
    assert searcher.ask(0) == []
    asked = [*searcher.ask(3), *searcher.ask(2)]
    assert [trial.number for trial in asked] == [0, 1, 2, 3, 4]
    assert all(trial.config is not None and trial.error is None for trial in asked)
    assert len({repr(trial.config) for trial in asked}) == 5


def test_what_was_asked_for_is_found_again_by_another_process(searcher: Searcher, tmp_path: Path) -> None:
    asked = searcher.ask(4)
    searcher.tell(asked[1].trial_id, TrialState.FAIL, Ended(why=Ending.FAILED, detail="planted"), {})
    with closing(open_store(sqlite_url(tmp_path))) as other:
        left = open_study(small_study(), other, tmp_path).searcher.running()
    assert left == [asked[0], *asked[2:]]


def test_the_same_questions_get_the_same_answers(searcher: Searcher, tmp_path: Path) -> None:
    answers = [trial.config for trial in searcher.ask(5)]
    with closing(open_store(sqlite_url(tmp_path / "again"))) as other:
        again = open_study(small_study(), other, tmp_path / "again").searcher
        assert [trial.config for trial in again.ask(5)] == answers


def test_reports_are_rounded_and_make_a_curve(searcher: Searcher) -> None:
    (trial,) = searcher.ask(1)
    for epoch, raw in enumerate((0.1234567, 0.9, 1 / 3), start=1):
        searcher.report(trial.trial_id, epoch, raw)
    assert searcher.curve(trial.trial_id) == [0.123457, 0.9, 0.333333]


def test_a_trial_continues_until_its_last_epoch(searcher: Searcher) -> None:
    (trial,) = searcher.ask(1)
    assert trial.config is not None
    for epoch in range(1, 4):
        searcher.report(trial.trial_id, epoch, 0.5)
        assert searcher.decide(trial.trial_id, trial.config) == CONTINUE
    searcher.report(trial.trial_id, 4, 0.4)
    decision = searcher.decide(trial.trial_id, trial.config)
    assert (decision.state, decision.ended) == (TrialState.COMPLETE, FINISHED)
    searcher.tell(trial.trial_id, decision.state, FINISHED, {"seconds": 1.5})
    (told,) = searcher.all_trials()
    assert told.values == [0.5], "the best epoch's value"
    about = {"ended": "finished", "epochs": 4, "best_epoch": 1, "level": 0.45, "seconds": 1.5}
    assert told.user_attrs == about | {"start": "the default configuration"}


def test_a_hopeless_trial_is_pruned(searcher: Searcher) -> None:
    *good, bad = searcher.ask(4)
    for trial in good:
        for epoch in range(1, 5):
            searcher.report(trial.trial_id, epoch, 0.9)
        searcher.tell(trial.trial_id, TrialState.COMPLETE, FINISHED, {})
    assert bad.config is not None
    searcher.report(bad.trial_id, 1, 0.1)
    decision = searcher.decide(bad.trial_id, bad.config)
    assert decision == Decision(ended=Ended(why=Ending.PRUNED, detail="median", epoch=1), state=TrialState.PRUNED)


def test_the_ranking_has_finished_trials_first_then_the_better_then_the_earlier(searcher: Searcher) -> None:
    ends = [
        (TrialState.COMPLETE, 0.5),
        (TrialState.PRUNED, 0.9),
        (TrialState.COMPLETE, 0.7),
        (TrialState.FAIL, None),
        (TrialState.COMPLETE, 0.7),
        (TrialState.PRUNED, None),
    ]
    for trial, (state, value) in zip(searcher.ask(6), ends, strict=True):
        if value is not None:
            searcher.report(trial.trial_id, 1, value)
        searcher.tell(trial.trial_id, state, FINISHED, {})
    assert [trial.number for trial in searcher.ranking()] == [2, 4, 0, 1]
    assert [trial.values for trial in searcher.all_trials()] == [[0.5], [0.9], [0.7], None, [0.7], None]


def test_a_level_that_another_program_noted_orders_nothing(store: Store, tmp_path: Path) -> None:
    spec = small_study(study='name = "small"\nepoch = "last"')
    searcher = open_study(spec, store, tmp_path).searcher
    first, second = searcher.ask(2)
    searcher.storage.set_trial_user_attr(first.trial_id, "level", 5.0)
    for trial, value in ((first, 0.5), (second, 0.7)):
        searcher.report(trial.trial_id, 1, value)
        searcher.tell(trial.trial_id, TrialState.COMPLETE, FINISHED, {})
    assert [trial.number for trial in searcher.ranking()] == [1, 0]


def test_of_equal_values_the_lower_validation_loss_is_better_and_none_noted_comes_first(searcher: Searcher) -> None:
    """A trial of a version that noted no loss keeps its place before equal ones that came later."""
    noted = [0.30, None, 0.20, 0.20, 0.10]
    values = [0.7, 0.7, 0.7, 0.7, 0.6]
    for trial, loss, value in zip(searcher.ask(5), noted, values, strict=True):
        searcher.report(trial.trial_id, 1, value)
        searcher.tell(trial.trial_id, TrialState.COMPLETE, FINISHED, {} if loss is None else {"valid_loss": loss})
    assert [trial.number for trial in searcher.ranking()] == [1, 2, 3, 0, 4]
    rows = [trial_row(trial) for trial in searcher.all_trials()]
    assert [row.number for row in ranked(rows, ["maximize"])] == [1, 2, 3, 0, 4], "reports agree"
    assert choose_winner(ranked(rows, ["maximize"]), 0) == rows[1], "trial 0 is beaten"
    assert choose_winner(ranked(rows, ["maximize"]), 3) == rows[1]
