"""`search.start`: configurations of one's own, by names of parameters or as in the study file, in the study's space."""

from __future__ import annotations

import pytest

from hpo.errors import StudyFileError
from hpo.studyfile.file import parse_tables
from hpo.studyfile.rules.cautions import cautions
from hpo.studyfile.settings import changes, fingerprint
from hpo.studyfile.starts import given_starts
from tests.runtime.small import small_study
from tests.studyfile.texts import study

OPTIMIZERS = """
choice = [
  { name = "sgd", momentum = { low = 0.0, high = 0.9 } },
  { name = "adam", weight_decay = { low = 1e-6, high = 1e-2, log = true } },
  { name = "adamw", weight_decay = { low = 1e-4, high = 1.0, log = true } },
]
learning_rate = { low = 1e-3, high = 3e-1, log = true }
"""


def started(start: str, trials: int = 8) -> list[dict[str, object]]:
    return given_starts(small_study(search=f"trials = {trials}\nstart = {start}", optimizer=OPTIMIZERS))


@pytest.mark.parametrize(
    "start",
    [
        '{ "model.hidden" = "12-8", "optimizer.name" = "adamw", "optimizer.adamw.weight_decay" = 1 }',
        '{ model = { hidden = [12, 8] }, optimizer = { name = "adamw", weight_decay = 1.0 } }',
    ],
)
def test_values_are_named_as_parameters_or_as_in_the_file(start: str) -> None:
    (found,) = started(f"[{start}]")
    assert found == {"model.hidden": "12-8", "optimizer.name": "adamw", "optimizer.adamw.weight_decay": 1.0}
    assert type(found["optimizer.adamw.weight_decay"]) is float


@pytest.mark.parametrize(
    ("start", "place", "text"),
    [
        (
            "{ optimizer.momentum = 0.1 }",
            "#1.optimizer.momentum",
            "searched only where optimizer.name is sgd. Give that",
        ),
        ("{ dropout.p = 1 }", "#1.dropout.p", "the study searches { low = 0.0, high = 0.4 }"),
        ("{ dropout.p = true }", "#1.dropout.p", "found true; the study searches"),
        ("{ model.hidden = [9] }", "#1.model.hidden", 'the study searches "8", "12-8"'),
        ("{ dropout.q = 0.1 }", "#1.dropout.q", 'no such parameter is searched. Did you mean "dropout.p"?'),
        ("{}", "#1", "has no value. Name a parameter"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_place_and_way_out(start: str, place: str, text: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        started(f"[{start}]")
    assert str(refused.value).startswith(f"small.toml: search.start{place}: ")
    assert text in str(refused.value)


@pytest.mark.parametrize("start", ["3", '["a"]', "{ dropout = 1 }"])
def test_starts_are_a_list_of_tables(start: str) -> None:
    with pytest.raises(StudyFileError, match="must be a list of tables"):
        started(start)


@pytest.mark.parametrize(("names", "text"), [('["small"]', "the study itself"), ('["a", "a"]', "twice")])
def test_a_study_starts_from_others_once(names: str, text: str) -> None:
    with pytest.raises(StudyFileError, match=text):
        small_study(search=f"warm_start = {names}")


def test_steps_and_whole_numbers_are_kept() -> None:
    def found(value: str) -> object:
        spec = study(search=f"start = [{{ dropout.p = {value} }}]", dropout="p = { low = 0.0, high = 0.5, step = 0.1 }")
        return given_starts(spec)[0]["dropout.p"]

    assert found("0.3") == 0.3
    with pytest.raises(StudyFileError, match=r"step = 0\.1"):
        found("0.25")


def test_a_study_given_as_a_dict_has_starts() -> None:
    tables = {
        "study": {"name": "dict"},
        "data": {"dataset": "wine"},
        "model": {"family": "mlp"},
        "optimizer": {"name": "adam", "learning_rate": {"low": 1e-3, "high": 0.1}},
        "search": {"start": [{"optimizer": {"learning_rate": 0.01}}, {"optimizer.learning_rate": 0.02}]},
    }
    assert given_starts(parse_tables(tables)) == [{"optimizer.learning_rate": 0.01}, {"optimizer.learning_rate": 0.02}]


def test_starts_belong_to_the_study_and_studies_without_them_stay_the_same() -> None:
    plain, default = small_study(), small_study(search="default_first = false")
    one, other = (small_study(search=f"start = [{{ dropout.p = {p} }}]") for p in (0.1, 0.2))
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(default) != fingerprint(small_study(search="")) == fingerprint(small_study(search="start = []"))
    assert any(line.startswith("search.start: was []") for line in changes(plain, one))


def test_more_starts_than_trials_are_named() -> None:
    text = "start = [{ dropout.p = 0.1 }, { dropout.p = 0.2 }]"
    assert [c.code for c in cautions(small_study(search=f"trials = 2\nconcurrency = 1\n{text}"))][-1] == "starts"
    assert not list(cautions(small_study(search=f"trials = 3\nsampler = 'random'\n{text}")))
