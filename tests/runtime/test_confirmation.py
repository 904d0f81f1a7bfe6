"""A confirmation trains the leading configurations again, repeatably, and what it says is what everything says."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.conclusions.confirmation import Confirmation
from hpo.execution.engines import open_executor
from hpo.execution.resources import Resources
from hpo.registry.conclusions import confirmed
from hpo.registry.deletion import delete_study
from hpo.registry.repeats import Repeat, add_repeats, repeats_of
from hpo.registry.studies import study_row
from hpo.reports.facts import gather
from hpo.runtime.confirmation import confirm
from hpo.runtime.confirmation.contest import contest_of
from hpo.runtime.local_run import run_study
from hpo.runtime.session import Session
from hpo.seeds import lane_of_repeat
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.settings import changes, fingerprint
from hpo.studyfile.study import StudySpec
from hpo.training.trainer import Trainer
from tests.runtime.small import in_session, run, small_study, train, trials_of, with_trials

SEARCH = 'trials = 8\nconcurrency = 4\nconfirm = {}\npruner = "none"'


def study(confirm: float = 0.8, **tables: str) -> StudySpec:
    return small_study(**{"search": SEARCH.format(confirm), "training": "epochs = 2"} | tables)


def nothing() -> None:
    """In the place of a claim that is kept."""


def confirmed_by(session: Session, watch: Callable[[str], None] = lambda text: None) -> Confirmation | None:
    return confirm(session, lambda: open_executor(session.job, Resources()), keep=nothing, watch=watch)


def in_all(session: Session) -> tuple[Confirmation | None, list[dict[str, Any]]]:
    train(session, Resources())
    found = confirmed_by(session)
    return found, plain(repeats_of(session.store, session.study_id))


def plain(repeats: list[Repeat]) -> list[dict[str, Any]]:
    """All but times."""
    names = [name for name in Repeat.__dataclass_fields__ if name != "seconds"]
    return [{name: getattr(one, name) for name in names} for one in repeats]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Confirmation, list[dict[str, Any]]]:
    found, repeats = in_session(study(), tmp_path_factory.mktemp("whole"), in_all)
    assert found is not None
    return found, repeats


def test_leaders_and_the_default_configuration_are_repeated_within_the_budget(
    whole: tuple[Confirmation, list[dict[str, Any]]],
) -> None:
    found, repeats = whole
    assert {one["number"] for one in repeats} >= {0, found.winner}, "trial 0 is the default configuration"
    assert sum(one["epochs"] for one in repeats) == found.epochs <= 0.8 * 16
    assert len({one["value"] for one in repeats if one["number"] == found.winner}) > 0
    own = [one["value"] for one in repeats if one["number"] == found.winner]
    assert found.value.mean == pytest.approx(sum(own) / len(own))
    assert found.optimism == pytest.approx(found.searched - found.value.mean)
    assert found.value.low <= found.value.mean <= found.value.high


class Stopped(BaseException):
    """Like a kill, nothing handles it."""


@pytest.mark.parametrize("call", [1, 3])
def test_a_killed_confirmation_goes_on_to_the_same_table(
    call: int,
    whole: tuple[Confirmation, list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(study(), tmp_path)
    ticks = 0
    tick = Trainer.tick

    def killed(self: Trainer) -> Any:
        nonlocal ticks
        ticks += 1
        if ticks == call:
            raise Stopped
        return tick(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "tick", killed)
        if len(whole[1]) > 6 or call == 1:
            with pytest.raises(Stopped):
                in_session(study(), tmp_path, confirmed_by)
    found, repeats = in_session(study(), tmp_path, in_all)
    assert repeats == whole[1]
    assert replace(found, seconds=0.0) == replace(whole[0], seconds=0.0)


def test_repeats_are_lanes_of_their_own() -> None:
    lanes = [lane_of_repeat(number, repeat) for number in (-1, 0, 1, 10**6) for repeat in range(1, 21)]
    assert len(set(lanes)) == len(lanes)
    assert min(lanes) > 10**9, "no trial has such a number"
    assert lane_of_repeat(3, 2) == 2 * 2**32 + 3, "studies would not be repeatable otherwise"


def test_nothing_is_confirmed_where_it_is_off_or_too_short(tmp_path: Path) -> None:
    run(study(), tmp_path)
    for confirm_share in (0.0, 0.3):
        assert in_session(study(confirm_share), tmp_path, confirmed_by) is None


def test_without_finished_trials_nothing_is_confirmed(tmp_path: Path) -> None:
    assert in_session(study(), tmp_path, confirmed_by) is None


def test_a_study_that_searches_nothing_repeats_its_one_configuration(tmp_path: Path) -> None:
    fixed = {"model": 'family = "mlp"\nhidden = [8]', "optimizer": 'name = "adam"\nlearning_rate = 0.01'}
    spec = study(norm='kind = "none"', dropout="p = 0.1", **fixed)
    found, repeats = in_session(spec, tmp_path, in_all)
    assert found is not None
    assert {one["number"] for one in repeats} == {found.winner} == {found.default}
    assert (found.gain, found.leaders, found.others) == (None, (found.winner,), ())


def test_folds_are_averaged(tmp_path: Path) -> None:
    found, repeats = in_session(study(data='dataset = "wine"\nfolds = 2'), tmp_path, in_all)
    assert found is not None
    assert all(one["ended"] == "finished" and one["epochs"] == 2 for one in repeats)


def test_the_share_may_change_and_studies_of_before_have_none(tmp_path: Path) -> None:
    one, other = study(0.1), study(0.5)
    assert (fingerprint(one), changes(one, other)) == (fingerprint(other), [])
    plain_study = small_study()
    assert (plain_study.confirm, replace(plain_study, conventions=4).confirm) == (0.1, 0.0)


def test_more_trials_repeat_only_what_is_new(tmp_path: Path) -> None:
    _, before = in_session(study(), tmp_path, in_all)
    _, after = in_session(with_trials(study(), 10), tmp_path, in_all)
    kept = {(one["number"], one["repeat"]): one["value"] for one in before}
    assert {key: value for one in after if (key := (one["number"], one["repeat"])) in kept and (value := one["value"])}
    assert all(kept.get((one["number"], one["repeat"]), one["value"]) == one["value"] for one in after)


def test_everything_names_the_same_winner(tmp_path: Path) -> None:
    spec, url = study(), sqlite_url(tmp_path)
    result = run_study(spec, url, tmp_path, lambda now: None)
    winner = result.winner
    assert winner is not None
    assert winner.confirmation is not None
    assert winner.number == winner.confirmation.winner
    with closing(open_store(url)) as store:
        row = study_row(store, "small")
        assert confirmed(row) == winner.confirmation
        report = gather(store, "small")
        assert report.winner is not None
        assert (report.winner.number, row.winner_number) == (winner.number, winner.number)
        assert report.test
        text = (result.report.parent / "summary.md").read_text()
        assert "Trained again" in text
        assert (result.report.parent / "confirmation.csv").read_text().count("\n") == 1 + len(report.repeated)
        json.dumps(row.facts.as_dict(), allow_nan=False)
        delete_study(store, "small")
        assert repeats_of(store, row.study_id) == []


def test_a_winner_other_than_that_of_the_search(tmp_path: Path) -> None:
    """Repeats in which the search's second best is far better: it is scored, reported and exported."""
    spec, url = study(), sqlite_url(tmp_path)
    run(spec, tmp_path)

    def forge(session: Session) -> int:
        contest = contest_of(session)
        assert contest is not None
        _, second, *_ = contest.configs
        add_repeats(
            session.store,
            session.study_id,
            [
                Repeat(
                    number=number,
                    repeat=repeat,
                    length=2,
                    epochs=2,
                    best_epoch=2,
                    value=(0.99 if number == second else 0.2) + repeat / 1000,
                    valid_loss=0.1,
                    ended="finished",
                    seconds=0.1,
                )
                for number in contest.configs
                for repeat in (1, 2)
            ],
        )
        return second

    second = in_session(spec, tmp_path, forge)
    result = run_study(spec, url, tmp_path, lambda now: None)
    assert result.winner is not None
    assert result.winner.number == second
    from hpo.export.source import find_trial

    with closing(open_store(url)) as store:
        assert find_trial(store, "small", None).trial.number == second
        report = gather(store, "small")
        assert report.winner is not None
        assert report.winner.number == second
    # With more trials the search goes on: until it has ended again, nothing is confirmed.
    run(with_trials(spec, 9), tmp_path)
    assert len(trials_of(spec, tmp_path)) == 9
