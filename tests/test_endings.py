"""Why trials end: the words of every code, what rows hold of it, and which trials more epochs let go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo import endings
from hpo.endings import Ended, Ending, Spent

CUT = Ended(why=Ending.BUDGET, detail=Spent(setting="cpu_seconds", limit=90.0), epoch=3)
WORDS = {
    Ended(why=Ending.FINISHED): ("finished", "finished"),
    Ended(why=Ending.STOPPED_EARLY, epoch=2): ("early stopping", "early stopping at epoch 2"),
    Ended(why=Ending.PRUNED, detail="median", epoch=12): ("pruned by median", "pruned by median at epoch 12"),
    Ended(why=Ending.DIVERGED, epoch=1): ("diverged", "diverged at epoch 1: the loss is not finite"),
    Ended(why=Ending.UNDEFINED, detail="r2", epoch=1): (
        "objective undefined",
        "objective undefined at epoch 1: r2 has no finite value on the validation part",
    ),
    Ended(why=Ending.UNDEFINED, epoch=1): ("objective undefined", "diverged at epoch 1: the objective is not finite"),
    CUT: (
        "the study's budget of 90 processor seconds was spent",
        "the study's budget of 90 processor seconds was spent at epoch 3",
    ),
    Ended(why=Ending.FAILED, detail="E: {detail} at epoch 1"): ("failed: E: {detail} at epoch 1",) * 2,
    Ended(why=Ending.REFUSED, detail="x: no such parameter"): ("refused: x: no such parameter",) * 2,
    Ended(why=None, detail="a client's text"): ("a client's text",) * 2,
    Ended(why=None): ("", ""),
}


def test_every_code_has_words() -> None:
    assert {ended.why for ended in WORDS} == {*Ending, None}
    for ended, (cause, words) in WORDS.items():
        assert (ended.cause, str(ended)) == (cause, words)


@pytest.mark.parametrize("ended", [ended for ended in WORDS if ended.why], ids=str)
def test_what_a_row_holds_is_read_as_it_was_written(ended: Ended) -> None:
    held = ended.attributes()
    assert held["ended"] == ended.why
    assert held.keys() <= {*endings.ATTRIBUTES}
    assert endings.of(json.loads(json.dumps(held))) == ended
    assert endings.of({**held, "epochs": 7}) == ended


MALFORMED: list[Any] = [
    None,
    7,
    1.5,
    True,
    [],
    {},
    [1],
    {"setting": "trials", "limit": 1.0},
    {"setting": [], "limit": 1.0},
]
"""What no attribute holds in a row of this program."""


@pytest.mark.parametrize("code", [*Ending, "pruned by median at epoch 3", "no word of ours", "", *MALFORMED], ids=repr)
def test_attributes_in_another_form_give_no_code_and_harm_nobody(code: Any) -> None:
    for detail in (*MALFORMED, {"setting": "epochs", "limit": 10**400}, "text"):
        for epoch in (*MALFORMED, "1", 10**400):
            ended = endings.of({"ended": code, "ended_detail": detail, "ended_epoch": epoch})
            assert isinstance(str(ended), str)
            assert isinstance(ended.cause, str)
            if ended.why is None:
                assert str(ended) == (code if isinstance(code, str) else "")
                assert not ended.goes_on(also_pruned=True)
            else:
                assert ended.why == code


@given(st.dictionaries(st.sampled_from(endings.ATTRIBUTES), st.sampled_from([*Ending]) | st.text() | st.integers()))
def test_any_attributes_have_words(attributes: dict[str, Any]) -> None:
    assert isinstance(str(endings.of(attributes)), str)


@pytest.mark.parametrize("ended", WORDS, ids=str)
def test_trials_that_lacked_nothing_but_epochs_go_on(ended: Ended) -> None:
    lacked_epochs = ended.why in (Ending.FINISHED, Ending.BUDGET)
    assert ended.goes_on(also_pruned=False) == lacked_epochs
    assert ended.goes_on(also_pruned=True) == (lacked_epochs or ended.why is Ending.PRUNED)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (1, "1 processor second"),
        (1.0, "1 processor second"),
        (0.5, "0.5 processor seconds"),
        (1234567, "1234567 processor seconds"),
        ("1e+06", "1e+06 processor seconds"),
    ],
)
def test_limits_of_budgets(limit: float | str, words: str) -> None:
    spent = Spent(setting="cpu_seconds", limit=limit)
    assert str(spent) == f"the study's budget of {words} was spent"
    assert str(endings.of(Ended(why=Ending.BUDGET, detail=spent, epoch=0).attributes())) == f"{spent} at epoch 0"
