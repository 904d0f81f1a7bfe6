"""Nodes written as TOML read back as the same value."""

from __future__ import annotations

import datetime
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.studyfile.tree import Choice, Range, as_written, join, toml

SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@given(VALUES)
def test_every_value_survives_toml(value: Any) -> None:
    assert tomllib.loads(f"value = {toml(value)}") == {"value": value}


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (None, '"none"'),
        (Range(low=0.0, high=0.5), "{ low = 0.0, high = 0.5 }"),
        (Range(low=1, high=9, log=True), "{ low = 1, high = 9, log = true }"),
        (Range(low=1, high=9, step=4), "{ low = 1, high = 9, step = 4 }"),
        (Choice(options=(None, 1.0), labels=("none", 1.0)), '{ choice = ["none", 1.0] }'),
        (
            Choice(options=({"kind": "batch", "every": Range(low=1, high=3)},), labels=("batch",), tag="kind"),
            '{ choice = [{ kind = "batch", every = { low = 1, high = 3 } }] }',
        ),
        ({}, "{}"),
        (datetime.date(1979, 5, 27), "1979-05-27"),
    ],
)
def test_nodes_are_written_as_they_were_read(node: Any, text: str) -> None:
    assert toml(node) == text


def test_what_toml_has_no_value_for_is_refused() -> None:
    with pytest.raises(TypeError, match="TOML has no value like"):
        toml(object())


def test_plain_leaves_no_node() -> None:
    assert as_written({"p": Range(low=0, high=1), "hidden": (1, None)}) == {
        "p": {"low": 0, "high": 1},
        "hidden": [1, "none"],
    }


def test_join_starts_without_a_dot() -> None:
    assert join("", "norm") == "norm"
    assert join("norm", "kind") == "norm.kind"
