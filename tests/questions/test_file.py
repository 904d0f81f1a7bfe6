"""Question files: what they mean, and what is said of mistakes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.data.study import check_objective, load_data
from hpo.errors import InputError, StudyFileError
from hpo.execution.rehearsal import rehearse
from hpo.questions.file import find_questions, flat, merged, read_question
from hpo.questions.page import plan_lines
from tests.data.catalogue.standins import stand_in

CLAIMS = sorted(Path("studies/claims").glob("*.toml"))
TEXT = """
[question]
claim = "Two is more than one."
seeds = 3
[arms]
one = { model.hidden = [4] }
two = { model.hidden = [8], training.epochs = 3 }
[cases]
wine = { data.dataset = "wine" }
iris = { data.dataset = "iris", data.test = 0.4 }
[[effects]]
effect = "two - one"
by = 0.01
[study]
objective = "accuracy"
[model]
family = "mlp"
[optimizer]
name = "adam"
learning_rate = { choice = [0.01, 0.1] }
[training]
epochs = 2
[search]
trials = 2
sampler = "grid"
[quick]
training.epochs = 1
"""


def written(folder: Path, text: str = TEXT, name: str = "more") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, old: str, new: str) -> str:
    assert old in TEXT
    with pytest.raises(StudyFileError) as caught:
        read_question(written(folder, TEXT.replace(old, new)))
    return str(caught.value)


def test_every_arm_case_and_seed_is_a_study(tmp_path: Path) -> None:
    found = read_question(written(tmp_path))
    assert [(s.seed, s.case, s.arm) for s in found.studies][:5] == [
        (0, "wine", "one"),
        (0, "wine", "two"),
        (0, "iris", "one"),
        (0, "iris", "two"),
        (1, "wine", "one"),
    ]
    assert len({study.name for study in found.studies}) == 12
    last = found.studies[-1].spec
    assert (last.study.seed, last.data and last.data.test, last.tree["training"]["epochs"]) == (2, 0.4, 3)
    assert last.tree["model"] == {"family": "mlp", "hidden": [8]}
    assert re.fullmatch(r"more\.two\.iris\.2-[0-9a-f]{6}", last.study.name)


def test_only_changed_studies_have_new_names(tmp_path: Path) -> None:
    before = read_question(written(tmp_path))
    after = read_question(written(tmp_path, TEXT.replace("[8]", "[9]").replace("by = 0.01", "by = 0.02")))
    for old, new in zip(before.studies, after.studies, strict=True):
        assert (old.name == new.name) == (old.arm == "one")


def test_seeds_and_quick_settings(tmp_path: Path) -> None:
    path = written(tmp_path)
    quick = read_question(path, quick=True)
    assert {study.spec.tree["training"]["epochs"] for study in quick.studies} == {1}
    assert len(quick.studies) == 4
    assert {study.seed for study in read_question(path, first_seed=7, seeds=2).studies} == {7, 8}


def test_tables_of_a_study_file_hold_where_the_question_does_not_give_them(tmp_path: Path) -> None:
    base, rest = TEXT.index("[model]"), TEXT.index("[quick]")
    (tmp_path / "base.toml").write_text('[study]\nname = "base"\nseed = 9\n' + TEXT[base:rest], encoding="utf-8")
    text = TEXT[:base].replace("seeds = 3", 'seeds = 3\nstudy = "base.toml"') + "[training]\nepochs = 7\n"
    found = read_question(written(tmp_path, text)).studies[0].spec
    assert (found.tree["training"]["epochs"], found.search.trials, found.study.seed) == (7, 2, 0)


def test_a_range_or_a_choice_is_one_value() -> None:
    base = {"optimizer": {"name": "sgd", "learning_rate": {"low": 0.1, "high": 1.0, "log": True}}}
    found = merged(base, {"optimizer": {"learning_rate": {"choice": [1, 2]}}})
    assert found == {"optimizer": {"name": "sgd", "learning_rate": {"choice": [1, 2]}}}
    assert flat(found) == {"optimizer.name": "sgd", "optimizer.learning_rate": {"choice": [1, 2]}}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[cases]", "[case]", 'case: unknown table. Did you mean "cases"?'),
        (
            'effect = "two - one"',
            'effect = "tow - one"',
            'effects#1.effect: there is no arm "tow". Did you mean "two"?',
        ),
        ('effect = "two - one"', 'effect = "two ** one"', "holds more than names of arms, numbers"),
        ("by = 0.01", "by = 0", "effects#1.by: found 0; must be a number (above 0)"),
        ("by = 0.01", 'by = 0.01\nmeasure = "signs.overfit"', 'there is no sign "overfit". Measures: test.METRIC'),
        ("by = 0.01", "by = 0.01\nwithin = 0.1", "near_best needs `within`, and nothing else has it"),
        (
            "by = 0.01",
            'by = 0.01\ncases = ["wines"]',
            'effects#1.cases: there is no case "wines". Did you mean "wine"?',
        ),
        ("two = ", "2 = ", "arms.2: a name begins with a letter"),
        ("one = { model.hidden = [4] }\n", "", "arms: must hold two tables or more"),
        ("two = ", "with = ", 'arms.with: formulas cannot hold the word "with"; take another name, e.g. with_it'),
        ("model.hidden = [4]", "study = 4", "study: found 4; must be a table. The path of a study file"),
        ("model.hidden = [4]", "study.seed = 4", "names and seeds of studies are not given; see [question]"),
        (
            "model.hidden = [4]",
            "model.hiden = [4]",
            'arm one, case wine: model.hiden: unknown key. Did you mean "hidden"?',
        ),
        ("claim =", "clam =", "question.claim: missing"),
        ("[quick]", "[quick", "broken TOML"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refused(tmp_path, old, new)


def test_files_and_folders(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert find_questions([str(tmp_path)]) == [path]
    with pytest.raises(InputError, match="two question files are called more"):
        find_questions([str(tmp_path), str(path)])
    with pytest.raises(InputError, match="no question file"):
        find_questions([str(tmp_path / "absent.toml")])


def test_the_plan_warns_of_what_speaks_against_the_comparison(tmp_path: Path) -> None:
    text = TEXT.replace("{ choice = [0.01, 0.1] }", "0.01").replace("seeds = 3", "seeds = 2")
    lines = plan_lines(read_question(written(tmp_path, text)))
    assert lines[1] == "8 studies of 16 trials in all"
    assert "caution: no learning rate is searched in one, two; an effect may be one of the rate alone" in lines
    assert "caution: with fewer than 3 seeds nothing is decided" in lines


def test_there_are_twenty_claims() -> None:
    assert [path.stem[:3] for path in CLAIMS] == [f"C{number:02}" for number in range(1, 21)]


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.stem)
def test_the_shipped_claims_pass_hpo_check(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arm on every case, of small stand-ins where data sets would be fetched, with parts that these can be cut
    into; a model of each family is trained on a batch."""
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    question = read_question(path)
    assert question.table.family == len(CLAIMS)
    assert question.table.seeds >= 5
    names, families = set[str](), set[str]()
    for study in question.studies[: len(question.arms) * len(question.cases)]:
        assert study.spec.data is not None
        if study.spec.data.target is not None:
            continue  # the stand-in for reviews has the same rating everywhere
        given = study.spec.data.model_copy(
            update={} if study.spec.data.test is None else {"test": 0.2, "validation": 0.2}
        )
        spec = replace(study.spec, data=given)
        if given.dataset not in names:
            names.add(given.dataset)
            stand_in(given.dataset, monkeypatch)
        data = load_data(spec)
        check_objective(spec, data)
        if (family := spec.tree["model"]["family"]) not in families:
            families.add(family)
            rehearse(spec, data.prepared)
