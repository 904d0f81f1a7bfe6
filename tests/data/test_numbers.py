"""Texts that are numbers, in the forms in which people and spreadsheets write them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data.columns.numbers import FORMS, PLAIN, NumberForm, parse


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2.5", "1e3", "+.5", "3."], [1, -2.5, 1000, 0.5, 3]),
        (["0,13", "-0,1", "10"], [0.13, -0.1, 10]),
        (["1,234.5", "2", "3,000,000"], [1234.5, 2, 3e6]),
        (["1.234,5", "2", "3.000.000"], [1234.5, 2, 3e6]),
        (["1 234", "12 345,6"], [1234, 12345.6]),
        (["1\u202f234,5", "2"], [1234.5, 2]),
        (["1'234.5", "2"], [1234.5, 2]),
        (["12 %", "7.5%", "0"], [12, 7.5, 0]),
        (["$1,000.50", "$2", "-$3"], [1000.5, 2, -3]),
        (["1,50 €", "2,00 €"], [1.5, 2]),
        (["\u22125", "5"], [-5, 5]),
    ],
)
def test_one_form_fits_a_column(texts: list[str], values: list[float]) -> None:
    found = parse(texts)
    np.testing.assert_array_equal(found.values_U, values)
    assert found.ambiguous is None


@pytest.mark.parametrize("texts", [["1,234"], ["1,234", "5,678", "9"], ["1.234,5", "7,888,999.5"][:1] + ["1,234"][:0]])
def test_a_mark_that_may_be_either_is_ambiguous_only_where_nothing_decides(texts: list[str]) -> None:
    assert parse(texts).ambiguous == (None if "1.234,5" in texts else "1,234")
    assert parse([*texts, "0,5"] if "1,234" in texts else texts).ambiguous is None


def test_marks_that_are_known_decide() -> None:
    assert parse(["1,234"], decimal=",").values_U.tolist() == [1.234]
    assert parse(["1,234"], thousands=",").values_U.tolist() == [1234]
    assert parse(["1.234"], decimal=".").values_U.tolist() == [1.234]
    assert parse(["1.234"], decimal=",", thousands=".").values_U.tolist() == [1234]


@pytest.mark.parametrize("text", ["", "x", "1x", "--1", "1,2,3", "12,34.5", "1 2", "e5", "%", "1.2.3", "0x10", "1_000"])
def test_what_is_no_number(text: str) -> None:
    assert math.isnan(parse([text]).values_U[0])


def test_a_number_without_the_others_sign_is_none() -> None:
    assert np.isnan(parse(["5 %", "7 %", "3"]).values_U).tolist() == [False, False, True]


@given(st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 3)), min_size=1), st.sampled_from(FORMS))
def test_every_form_gives_back_what_was_written(values: list[float], form: NumberForm) -> None:
    written = [f"{value:,.3f}" for value in values]
    marks = {",": form.thousands, ".": form.decimal}
    texts = ["".join(marks.get(letter, letter) for letter in text) for text in written]
    found = parse(texts, form.decimal, form.thousands)
    np.testing.assert_array_equal(found.values_U, values)
    assert (found.form == PLAIN) == (form == PLAIN)
