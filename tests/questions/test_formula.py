"""Formulas of arms."""

from __future__ import annotations

import pytest

from hpo.questions.formula import FormulaError, names_in, value_of


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("a - b", -3.0),
        ("(b - a) / a * 2", 6.0),
        ("-a + 0.5", -0.5),
        ("log10(a * 100) - mean(a, b)", -0.5),
        ("max(a, b) - min(a, b)", 3.0),
        ("abs(a - b)", 3.0),
    ],
)
def test_values(formula: str, value: float) -> None:
    assert value_of(formula, {"a": 1.0, "b": 4.0}) == pytest.approx(value)
    assert names_in(formula)[0] in ("a", "b")


@pytest.mark.parametrize("formula", ["log10(a)", "a / b", "1 / 0", "a * 1e308 * 1e308 + 1e308 * 1e308"])
def test_no_finite_value_is_none(formula: str) -> None:
    assert value_of(formula, {"a": 0.0, "b": 0.0}) is None


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "a -",
        "a.b",
        "__import__('os')",
        "open(a)",
        "a if b else a",
        "[a]",
        "a ** b",
        "'a'",
        "True",
        "max()",
        "x" * 2000,
        "log10(a, base=2)",
        "1j",
        "a; b",
        "lambda: a",
        "(" * 900,
    ],
)
def test_nothing_else_is_a_formula(formula: str) -> None:
    with pytest.raises(FormulaError):
        names_in(formula)
