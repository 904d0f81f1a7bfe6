"""The words of endings, and which trials more epochs let go on."""

from __future__ import annotations

import pytest

from hpo import endings
from hpo.endings import Spent

CUT = endings.cut(Spent(setting="cpu_seconds", limit=90.0), 3)


def test_a_spent_budget_is_named_with_its_limit() -> None:
    assert CUT == "the study's budget of 90 processor seconds was spent at epoch 3"
    assert endings.without_epoch(CUT) == "the study's budget of 90 processor seconds was spent"


@pytest.mark.parametrize(
    ("ended", "goes_on", "with_pruned"),
    [
        (endings.FINISHED, True, True),
        (CUT, True, True),
        (endings.pruned("median", 2), False, True),
        (endings.stopped_early(2), False, False),
        (endings.diverged(2), False, False),
        (endings.undefined("r2", 2), False, False),
        ("failed: RuntimeError: planted", False, False),
        ("", False, False),
    ],
)
def test_trials_that_lacked_nothing_but_epochs_go_on(ended: str, goes_on: bool, with_pruned: bool) -> None:
    assert endings.goes_on(ended, also_pruned=False) == goes_on
    assert endings.goes_on(ended, also_pruned=True) == with_pruned


def test_a_divergence_is_told_from_other_endings() -> None:
    assert endings.has_diverged(endings.diverged(4))
    assert not endings.has_diverged(endings.FINISHED)


@pytest.mark.parametrize(
    "ended", [endings.undefined("r2", 1), "diverged at epoch 1: the objective is not finite"], ids=["now", "0.1.0"]
)
def test_an_undefined_objective_is_no_divergence(ended: str) -> None:
    assert endings.is_undefined(ended)
    assert not endings.has_diverged(ended)
    assert endings.without_epoch(ended) == "objective undefined"
    assert not endings.is_undefined(endings.diverged(1))


@pytest.mark.parametrize(
    ("limit", "words"), [(1, "1 processor second"), (1.0, "1 processor second"), (0.5, "0.5 processor seconds")]
)
def test_one_of_a_unit(limit: float, words: str) -> None:
    assert str(Spent(setting="cpu_seconds", limit=limit)) == f"the study's budget of {words} was spent"
