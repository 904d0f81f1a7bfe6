"""Questions that are run: five of the shipped claims in their quick form, with stand-ins for data sets that would be
fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.questions.answer import answer_of
from hpo.questions.file import read_question
from hpo.questions.run import QuestionProgress, keys_of, run_question, stored_values
from hpo.questions.verdict import Verdict
from hpo.storage.open import sqlite_url
from tests.data.catalogue.standins import stand_in


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["C04-batch", "C06-penalties", "C08-equal_weights", "C10-norm_rates", "C15-norm_family"]
)
def test_claims_in_their_quick_form(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed: every study has all figures that the claim needs, and nothing is decided."""
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    question = read_question(Path(f"studies/claims/{name}.toml"), quick=True)
    for data in {study.spec.data.dataset for study in question.studies if study.spec.data}:
        stand_in(data, monkeypatch)
    seen: list[QuestionProgress] = []
    home, url = tmp_path / "home", sqlite_url(tmp_path / "home")
    assert stored_values(question, home, url) == {}
    values = run_question(question, home, url, jobs=1, progress=seen.append)
    assert set(values) == {study.name for study in question.studies}
    assert all(set(figures) == set(keys_of(question)) for figures in values.values())
    assert all(figure is not None for figures in values.values() for figure in figures.values())
    assert (seen[0].done, seen[-1].done, seen[-1].ran) == (0, seen[-1].all, seen[-1].all)
    assert stored_values(question, home, url) == values
    found = answer_of(question, values)
    assert (found.verdict, found.complete, found.seeds) == (Verdict.UNDECIDED, True, 1)
