"""Any valid study, written out and read again, is the same study."""

from __future__ import annotations

import dataclasses
import json

from hypothesis import given, settings

from hpo.studyfile.file import changes, fingerprint, parse_study
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import as_written, toml
from tests.studyfile.generated import study_texts


def written(spec: StudySpec) -> str:
    records = {name: getattr(spec, name) for name in ("study", "data", "search", "checkpoints")}
    fixed = {name: record.model_dump(mode="json") for name, record in records.items() if record is not None}
    if "data" in fixed:
        fixed["data"] = {key: value for key, value in fixed["data"].items() if value is not None}
    return "\n".join(f"{name} = {toml(table)}" for name, table in {**fixed, **spec.tree}.items())


@settings(max_examples=60, deadline=None)
@given(study_texts())
def test_written_and_read_again_it_is_the_same(text: str) -> None:
    first = parse_study(text, "s.toml")
    again = parse_study(written(first), "s.toml")
    assert dataclasses.replace(again, text=first.text) == first
    assert fingerprint(again) == fingerprint(first)
    assert changes(first, again) == []


@settings(max_examples=30, deadline=None)
@given(study_texts())
def test_its_tree_is_json(text: str) -> None:
    document = as_written(parse_study(text, "s.toml").tree)
    assert json.loads(json.dumps(document)) == document


@settings(max_examples=40, deadline=None)
@given(study_texts(), study_texts())
def test_equal_fingerprints_mean_equal_settings(one: str, other: str) -> None:
    first, second = parse_study(one, "s.toml"), parse_study(other, "s.toml")
    assert (fingerprint(first) == fingerprint(second)) == (changes(first, second) == [])
