"""The facts of a study and their JSON."""

from __future__ import annotations

import pytest

from hpo.conventions import FIRST, NEWEST
from hpo.database.faults import UndecodableError
from hpo.registry.facts import StudyFacts

STORED = {
    "conventions": NEWEST,
    "budget": 4,
    "compiled": False,
    "replicas": 3,
    "test_looks": [3, 0],
    "being deleted": True,
    "sha256 of net.py": "ab",
    "task": "regression",
    "examples": 100,
    "test": 20,
    "device": "cpu",
    "torch": "2.13.0",
    "note of a later version": {"a": [1]},
}


def test_all_that_is_stored_is_read_and_written_again() -> None:
    facts = StudyFacts.of(STORED)
    assert (facts.test_looks, facts.sources, facts.test_examples) == ((3, 0), {"net.py": "ab"}, 20)
    assert facts.circumstances.keys() == {"device", "torch", "note of a later version"}
    assert facts.as_dict() == STORED


def test_a_study_of_the_first_version_noted_nothing() -> None:
    facts = StudyFacts.of({})
    assert (facts.conventions, facts.models, facts.budget, facts.test_looks) == (FIRST, 1, None, ())
    assert facts.as_dict() == {}, "what was not noted is not shown either"


def test_newer_facts_leave_the_others_as_they_are() -> None:
    newer = StudyFacts(budget=9, sources={"loss.py": "cd"}, circumstances={"torch": "2.14.0"})
    expected = {**STORED, "budget": 9, "sha256 of loss.py": "cd", "torch": "2.14.0"}
    assert StudyFacts.of(STORED).updated(newer).as_dict() == expected


@pytest.mark.parametrize("damage", [{"budget": "many"}, {"test_looks": 3}, {"conventions": None}])
def test_damaged_facts_are_refused_with_their_key(damage: dict[str, object]) -> None:
    with pytest.raises(UndecodableError, match=f"^hpo_studies holds .* as {next(iter(damage))}: "):
        StudyFacts.of({**STORED, **damage}, "hpo_studies")
