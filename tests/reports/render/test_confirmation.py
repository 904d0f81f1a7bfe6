"""What repeats say, in sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpo.conclusions import Interval
from hpo.conclusions.confirmation import Confirmation
from hpo.reports.render.confirmation import expected_sentence, sentences

FOUND = Confirmation(
    winner=3,
    value=Interval(mean=0.9, low=0.88, high=0.92),
    spread=0.01,
    repeats=4,
    configurations=3,
    leaders=(3, 5),
    others=(),
    searched=0.93,
    optimism=0.03,
    gain=Interval(mean=0.1, low=0.05, high=0.15),
    default=None,
    epochs=80,
    seconds=2.0,
)


@pytest.mark.parametrize(
    ("searched", "optimism", "end"),
    [
        (0.93, 0.03, "it was 0.93, 0.03 better."),
        (0.87, -0.03, "it was 0.87, 0.03 worse."),
        (0.9000003, 3e-7, "it was 0.9, too."),
    ],
)
def test_the_value_in_the_search_stands_beside_the_mean(searched: float, optimism: float, end: str) -> None:
    result, *_ = sentences(replace(FOUND, searched=searched, optimism=optimism), "accuracy")
    assert result.startswith("Trained again 4 times with other seeds, the winner has a validation accuracy of 0.9 on")
    assert result.endswith(end)


def test_who_cannot_be_told_from_the_winner() -> None:
    _, leaders, gain, cost = sentences(FOUND, "accuracy")
    assert leaders == "Of 3 repeated configurations, trial 5 cannot be told from it."
    assert gain == "It is better than the default configuration by 0.1 (95 % interval 0.05 to 0.15)."
    assert "80 epochs" in cost
    alone = sentences(replace(FOUND, leaders=(3,), others=(7, 9)), "accuracy")[1]
    assert "no other repeated configuration comes close to it; trials 7, 9, not repeated, may be as good." in alone


def test_a_winner_that_was_not_confirmed_and_the_trial_that_scored_better_are_named() -> None:
    text = expected_sentence(4, 7)
    assert text.startswith("Trial 7 scored better in the search")
    assert "trial 4" in text
