"""`hpo check`: what it prints about a valid study, and what it says about a broken one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli.prepare.check import check
from hpo.errors import StudyFileError
from hpo.studyfile.file import find_study, fingerprint, read_study_file
from hpo.studyfile.schema import study_schema
from tests.data.catalogue.standins import stand_in
from tests.studyfile.texts import study_text

STUDIES = sorted(path.stem for path in Path("studies").glob("*.toml"))


def printed(*arguments: str, quick: bool = True) -> str:
    options = ["--quick"] if quick else []
    return CliRunner().invoke(check, [*arguments, *options], catch_exceptions=False).output


def printed_for(folder: Path, *, quick: bool = True, **tables: str) -> str:
    path = folder / "s.toml"
    path.write_text(study_text(**tables))
    return printed(str(path), quick=quick)


def test_the_shipped_studies_are_there() -> None:
    assert {"digits", "digits-cnn", "digits-quick", "wine", "breast_cancer"} <= set(STUDIES)
    assert {"mnist5k", "spoken_digits", "clothing_reviews"} <= set(STUDIES)
    assert {"adult_balanced", "adult_embeddings", "california_housing", "fashion_mnist"} <= set(STUDIES)
    assert {"clothing_reviews_words", "japanese_vowels", "mnist5k_augmented"} <= set(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_shipped_studies_are_valid_and_named_like_their_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their models are built and trained on a batch, of stand-ins where data sets would be fetched."""
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    spec = read_study_file(find_study(name))
    assert spec.study.name == name
    assert spec.data is not None
    stand_in(spec.data.dataset, monkeypatch)
    output = printed(name, quick=False)
    assert output.startswith(f"studies/{name}.toml is a valid study.")
    assert ("built and trained on a batch" in output) == (spec.function is None)
    assert "continuous" in output


def test_the_summary_tells_goal_data_budget_and_strategies() -> None:
    lines = {line.split()[0]: line for line in printed("digits").splitlines() if line.strip()}
    assert "digits, seed 0" in lines["study"]
    assert "highest accuracy of the validation part, best epoch" in lines["objective"]
    assert "digits: 20% test, 20% validation, standard scaling" in lines["data"]
    assert "trials of up to 30 epochs, 8 in flight" in lines["budget"]
    assert "tpe (startup_trials = 10)" in lines["sampler"]
    assert "promotion" in lines["pruner"]
    assert "9 parameters, continuous" in lines["space"]
    assert "0.0001 to 1.0, log" in lines["optimizer.learning_rate"]
    assert "false | true" in lines["optimizer.nesterov"]
    assert "norm.kind is batch or layer" in lines["norm.placement"]
    assert 'family = "mlp", hidden = [64, 64]' in lines["model"]


def test_the_summary_shows_numbers_with_all_their_digits(tmp_path: Path) -> None:
    output = printed_for(
        tmp_path, data='dataset = "digits"\ntest = 0.125\nvalidation = 0.07', search="trials = 10\nepochs = 1234567"
    )
    assert "12.5% test, 7% validation" in output
    assert "1234567 epochs in all" in output


def test_the_summary_of_a_finite_space_counts_it(tmp_path: Path) -> None:
    output = printed_for(tmp_path, dropout="p = { low = 0.0, high = 0.5, step = 0.25 }", study='objective = "loss"')
    assert "1 parameter, 3 combinations, fewer than trials" in output
    assert "0.0 to 0.5, step 0.25" in output
    assert "lowest loss" in output


def test_a_study_without_search_says_so(tmp_path: Path) -> None:
    output = printed_for(tmp_path, data='test = 0\nfolds = 5\nrepeats = 3\nscaling = "none"', study="smoothing = 0.5")
    assert "nothing is searched" in output
    assert "Only if" not in output
    assert "digits: no test part, 5 folds, 3 repeats, not scaled" in output
    assert "smoothed by 0.5" in output


def test_json_holds_parameters_and_every_fixed_value() -> None:
    found = json.loads(printed("digits-quick", "--json"))
    assert found["fingerprint"] == fingerprint(read_study_file(find_study("digits-quick")))
    assert found["combinations"] is None
    assert found["search"]["trials"] == 24
    assert found["parameters"][1] == {
        "name": "dropout.p",
        "type": "float",
        "low": 0.0,
        "high": 0.4,
        "log": False,
        "step": 0.1,
        "condition": None,
    }
    assert found["fixed"]["training.epochs"] == 8
    assert found["fixed"]["norm.kind"] == "none"
    assert not found["fixed"].keys() & {parameter["name"] for parameter in found["parameters"]}


def test_schema_is_printed_without_a_study() -> None:
    assert json.loads(printed("--schema")) == study_schema()


def test_no_study_is_a_usage_error() -> None:
    result = CliRunner().invoke(check, [])
    assert result.exit_code == 2
    assert "Name a study file, or use --schema" in result.output


def test_mistakes_and_unknown_names_are_study_file_errors(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(study_text(dropout="p = 2"))
    with pytest.raises(StudyFileError, match=r"s.toml: dropout.p: found 2;"):
        printed(str(tmp_path / "s.toml"))
    with pytest.raises(StudyFileError, match=r'Did you mean "digits"\?'):
        printed("digitz")


def test_the_examples_of_the_help_work() -> None:
    lines = [line.strip() for line in (check.help or "").splitlines()]
    examples = [line for line in lines if line.startswith("hpo check")]
    assert len(examples) == 4
    for example in examples:
        arguments = example.partition(" > ")[0].split()[2:]
        assert CliRunner().invoke(check, arguments).exit_code == 0


def test_what_the_reader_of_the_data_left_out_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{row % 7},1,{row % 2}\n" for row in range(40))
    (tmp_path / "table.csv").write_text(f"width,same,kind\n{rows}")
    output = printed_for(tmp_path, data='dataset = "table.csv"\ntarget = "kind"')
    assert "Note: Left out because constant: same." in output.splitlines()


def table(rows: int = 40) -> str:
    head = "width,height,colour,kind\n"
    return head + "".join(f"{n % 7},{n % 5}.5,{['red', 'blue'][n % 2]},{'ab'[n % 2]}\n" for n in range(rows))


def test_what_was_found_in_the_data_is_shown(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table(80))
    output = printed_for(tmp_path, data='dataset = "table.csv"\ntarget = "kind"')
    lines = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    assert "80, 10 of them repeat an earlier one (12.5%)" in " ".join(lines["rows"].split())
    assert "2: width, height" in lines["numeric"]
    assert "1: colour" in lines["categorical"]
    assert "kind: classification (2 distinct texts)" in lines["target"]
    assert "a (50%), b (50%)" in lines["classes"]


def test_the_split_is_shown_and_rows_that_repeat_are_a_caution(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table(80).replace("red,a", "red,b", 1))
    output = printed_for(tmp_path, data='dataset = "table.csv"\ntarget = "kind"')
    (line,) = (line for line in output.splitlines() if line.startswith("split "))
    assert re.search(r"\d+ train, \d+ validation, \d+ test; shares differ by at most [\d.]+ percentage points", line)
    assert "Caution: 10 rows have the same features as an earlier row, and rows with the same features" in output
    assert "Caution: 2 rows have the same features as a row with another target, which no model" in output
    lines = [f"{n},{n // 8},{'ab'[n % 2]}" for n in range(80)]
    (tmp_path / "table.csv").write_text("\n".join(["width,height,kind", *lines, ""]))
    data = 'dataset = "table.csv"\ntarget = "kind"\ntest = 0\nfolds = 2\ngroup = "height"'
    output = printed_for(tmp_path, data=data)
    assert 'no test part, groups by "height", 2 folds' in output
    assert "train (2 folds), " in output


def test_json_holds_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table().replace("red", "", 3))
    (tmp_path / "s.toml").write_text(study_text(data='dataset = "table.csv"\ntarget = "kind"'))
    found = json.loads(printed(str(tmp_path / "s.toml"), "--json", quick=False))["found"]
    assert found["data"]["columns"] == {"numeric": ["width", "height"], "categorical": ["colour"]}
    assert found["data"]["missing"] == {"colour": 3 / 40}
    assert {row["role"] for row in found["balance"]} == {"all", "train", "validation", "test"}
    assert found["repeats"] == {"rows": 0, "conflicting": 0, "across": 0}
    assert found["rehearsed"]["models"] == 1
    assert found["rehearsed"]["parameters"][0] > 0
    assert [caution["code"] for caution in found["cautions"]] == ["batch_size"]
    assert json.loads(printed(str(tmp_path / "s.toml"), "--json"))["found"]["rehearsed"] is None


def test_the_models_are_built_and_train_a_batch(tmp_path: Path) -> None:
    model = 'choice = [{ family = "mlp", hidden = [8] }, { family = "cnn", channels = { choice = [[4], [4, 8]] } }]'
    assert "models     3 built and trained on a batch, 610 to 690 parameters" in printed_for(
        tmp_path, model=model, quick=False
    )


def test_a_model_that_run_would_refuse_is_refused(tmp_path: Path) -> None:
    tables = {"data": 'dataset = "wine"', "model": 'family = "cnn"'}
    assert "is a valid study" in printed_for(tmp_path, **tables)
    with pytest.raises(StudyFileError, match="no model of this study fits 'wine'"):
        printed_for(tmp_path, quick=False, **tables)


def test_cautions_are_told(tmp_path: Path) -> None:
    output = printed_for(
        tmp_path,
        quick=False,
        model='family = "cnn"\nchannels = { choice = [[4], [4, 4, 4, 4]] }',
        dropout="p = { low = 0.0, high = 0.5 }",
        search="trials = 20\nconcurrency = 16",
        training="batch_size = 2000",
    )
    cautions = [line for line in output.splitlines() if line.startswith("Caution: ")]
    assert len(cautions) == 3
    assert "16 of 20 trials are drawn before the first one has ended" in cautions[0]
    assert "take search.concurrency = 4, or more trials." in cautions[0]
    assert "training.batch_size = 2000 is more than the 1079 examples" in cautions[1]
    assert "every trial that draws it: InputError: model.channels" in cautions[2]
