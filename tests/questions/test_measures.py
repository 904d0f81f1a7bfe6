"""Figures of a study, taken from a report that is made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpo.errors import InputError
from hpo.questions.measures import measured, trouble_with


def trial(value: float | None, *, why: str = "finished", signs: tuple[str, ...] = (), rate: float = 0.1) -> Any:
    return SimpleNamespace(
        value=value,
        params={"optimizer.learning_rate": rate},
        signs=[SimpleNamespace(code=sign) for sign in signs],
        ended=SimpleNamespace(why=why),
        model_parameters=100,
        optimizer_state_bytes=800,
    )


TRIALS = [
    trial(0.9, signs=("overfits", "dead_units"), rate=0.3),
    trial(0.89),
    trial(0.5, signs=("saturated_units",)),
    trial(None, why="diverged"),
]
REPORT: Any = SimpleNamespace(
    name="one", trials=TRIALS, best_first=[TRIALS[1], TRIALS[0], TRIALS[2]], winner=TRIALS[0], test={"accuracy": 0.8},
    objective="accuracy", sign=1.0,
)  # fmt: skip
WEIGHTS = [np.array([[1.0, 1.0], [1.0, 0.001]]), np.array([[2.0, 0.0]])]


def figure(key: str, **changed: Any) -> float | None:
    return measured(SimpleNamespace(**vars(REPORT) | changed), key, lambda: WEIGHTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("test.objective", 0.8),
        ("test.accuracy", 0.8),
        ("winner.optimizer.learning_rate", 0.3),
        ("near_best(0.02)", 0.5),
        ("signs.overfits", 0.25),
        ("signs.saturated_units+dead_units", 0.5),
        ("endings.diverged", 0.25),
        ("optimizer_state_bytes", 800.0),
        ("training_bytes", 1200.0),
        ("weights.near_zero", 2 / 6),
        ("weights.variation", (0.5766 + 1.0) / 2),
    ],
)
def test_figures(key: str, value: float) -> None:
    assert figure(key) == pytest.approx(value, abs=1e-3)


def test_a_study_without_a_winner_has_figures_of_its_trials_alone() -> None:
    assert figure("endings.diverged", winner=None) == 0.25
    assert figure("test.objective", winner=None) is None
    assert figure("winner.optimizer.learning_rate", winner=None) is None


def test_what_a_study_cannot_have_is_no_missing_figure() -> None:
    with pytest.raises(InputError, match=r"one does not search dropout\.p\. It searches: optimizer\.learning_rate"):
        figure("winner.dropout.p")
    with pytest.raises(InputError, match=r"one has no test part, so it has no test\.accuracy\. Give data\.test"):
        figure("test.objective", test={})


@pytest.mark.parametrize(
    ("measure", "trouble"),
    [
        ("signs.overfits+dead", 'no sign "dead"'),
        ("endings.stopped", 'no ending "stopped"'),
        ("weights.small", 'no measure "weights.small"'),
        ("near_best", "near_best needs `within`"),
    ],
)
def test_names_that_are_wrong_before_anything_has_run(measure: str, trouble: str) -> None:
    assert trouble in (trouble_with(measure, None) or "")
