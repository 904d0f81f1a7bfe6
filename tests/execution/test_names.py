"""What a training function may report: names that every table, database and terminal can show."""

from __future__ import annotations

import re

import pytest

from hpo.execution.functions.names import LONGEST, MOST, TAKEN, as_values


def test_values_are_plain_numbers_by_name() -> None:
    metrics = {"größe (m²)": True, "loss": 2, "a" * LONGEST: 0.5}
    assert as_values(metrics, "loss") == {"größe (m²)": 1.0, "loss": 2.0, "a" * LONGEST: 0.5}


def test_the_objective_has_a_column_of_its_own() -> None:
    assert as_values({"seconds": 3}, "seconds") == {"seconds": 3.0}


@pytest.mark.parametrize("name", ["", "a" * (LONGEST + 1), "a\0b", "\x1b[31mred", "two\nlines", "\ud800", "\u202elive"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"found a metric named .* a name has 1 to 100 characters") as refused:
        as_values({name: 1.0}, "score")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", TAKEN)
def test_a_column_that_is_there_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name!r}, which is a column of epochs.csv already")):
        as_values({name: 1.0}, "score")


def test_so_many_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1,001 metrics, but a report has at most 1,000"):
        as_values({f"m{number}": 0.0 for number in range(MOST + 1)}, "score")
