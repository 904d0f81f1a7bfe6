"""Signs as rows of trials store them, and in words."""

from __future__ import annotations

from typing import Any

import pytest

from hpo import signs
from hpo.signs import SIGNS, Code, Sign


def test_stored_signs_are_read_again() -> None:
    found = [Sign(code=code, figure=0.123456, where="linear1") for code in Code]
    assert signs.of({SIGNS: signs.stored(found)}) == tuple(
        Sign(code=code, figure=0.1235, where="linear1") for code in Code
    )


@pytest.mark.parametrize(
    "junk",
    [
        None,
        "x",
        3,
        [1],
        [["no_such_code", 1.0, ""]],
        [["dead_units", "much", ""]],
        {},
        [[[], 1.0, ""]],
        [["dead_units", 10**400, ""]],
    ],
)
def test_what_other_programs_wrote_under_this_name_is_no_sign(junk: Any) -> None:
    assert signs.of({SIGNS: junk}) == ()


@pytest.mark.parametrize("code", Code)
def test_a_sign_in_words(code: Code) -> None:
    sign = Sign(code=code, figure=0.5, where="linear2")
    assert "{" not in str(sign)
    assert sign.way_out


@pytest.mark.parametrize(
    ("sign", "text"),
    [
        (
            Sign(code=Code.DEAD_UNITS, figure=0.5, where="linear2"),
            "50 % of the units of linear2 are 0 for every example",
        ),
        (Sign(code=Code.GRADIENT_EXPLODES, figure=284.0), "the gradient grew to 280 times its median"),
        (
            Sign(code=Code.STEPS_TOO_SMALL, figure=0.000123),
            "the training loss changed by 0.012 % in the whole training",
        ),
        (
            Sign(code=Code.SMALL_NORMALISED_BATCHES, figure=2),
            "batch normalisation takes its statistics from batches of 2",
        ),
    ],
)
def test_figures_as_a_person_would_write_them(sign: Sign, text: str) -> None:
    assert str(sign) == text
