"""The live view of `hpo run`: the best score so far, and trials with what they differ in."""

from __future__ import annotations

import pytest

from hpo.cli.terminal.screen import Screen
from hpo.runtime.local_run import run_study
from hpo.runtime.progress import Progress, Running
from tests.cli.test_output import lines_of, terminal
from tests.runtime.small import small_study


def seen(*running: Running, best: tuple[int, float] | None = None) -> Progress:
    return Progress(
        budget=9, finished=1, pruned=0, failed=0, best=best, running=running, epochs=1, train_seconds=1.0,
        wall_seconds=1.0,
    )  # fmt: skip


def trial(number: int, best: float | None, **params: object) -> Running:
    params = {name.replace("__", "."): value for name, value in params.items()}
    return Running(number=number, epoch=2, value=best, best=best, params=params)


def headline(objective: str, now: Progress) -> str:
    screen = Screen(small_study(study=f'name = "small"\nobjective = "{objective}"'), terminal(80), live=False)
    screen.start = now
    return screen._headline(now)


@pytest.mark.parametrize(
    ("objective", "best", "running", "expected"),
    [
        ("accuracy", None, (trial(1, None),), "no score yet"),
        ("accuracy", None, (trial(1, 0.75),), "; best in training 0.75 (trial 1)"),
        ("accuracy", (0, 0.5), (trial(1, 0.75),), "; best 0.5 (trial 0), best in training 0.75 (trial 1)"),
        ("accuracy", (0, 0.8), (trial(1, 0.75),), "; best 0.8 (trial 0)"),
        ("loss", (0, 0.5), (trial(1, 0.25),), "; best 0.5 (trial 0), best in training 0.25 (trial 1)"),
        ("loss", (0, 0.5), (trial(1, 0.75),), "; best 0.5 (trial 0)"),
    ],
)
def test_the_best_score_is_there_before_a_trial_ends(objective, best, running, expected):
    assert headline(objective, seen(*running, best=best)).endswith(expected)


def test_columns_are_what_trials_differ_in():
    out = terminal(80)
    screen = Screen(small_study(), out, live=False)
    screen.start = now = seen(
        trial(1, 0.5, optimizer__name="sgd", optimizer__learning_rate=0.1, dropout__p=0.5, norm__kind="layer"),
        trial(2, 0.4, optimizer__name="adam", optimizer__learning_rate=0.2, dropout__p=0.5),
    )
    out.print(screen._view(now))
    assert [line.split() for line in lines_of(out)[-3:]] == [
        ["trial", "epoch", "accuracy", "best", "optimizer", "learning_rate", "norm"],
        ["1", f"2/{screen.epochs}", "0.5", "0.5", "sgd", "0.1", "layer"],
        ["2", f"2/{screen.epochs}", "0.4", "0.4", "adam", "0.2"],
    ]


def test_trials_in_training_are_shown_by_their_best_score(tmp_path):
    views: list[Progress] = []
    run_study(small_study(), f"sqlite:///{tmp_path}/hpo.db", tmp_path, views.append)
    trained = [view for view in views if len(view.running) > 1]
    assert trained
    for view in trained:
        assert all(one.params for one in view.running)
        scores = [one.best for one in view.running if one.best is not None]
        assert scores == sorted(scores, reverse=True)
        assert all(one.best >= one.value for one in view.running if one.best is not None)
