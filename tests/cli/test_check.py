"""`hpo check`: what it prints about a valid study, and what it says about a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli.check import check
from hpo.errors import StudyFileError
from hpo.studyfile.file import find_study, fingerprint, read_study_file
from hpo.studyfile.schema import study_schema
from tests.studyfile.texts import study_text

STUDIES = sorted(path.stem for path in Path("studies").glob("*.toml"))


def printed(*arguments: str) -> str:
    return CliRunner().invoke(check, arguments, catch_exceptions=False).output


def printed_for(folder: Path, **tables: str) -> str:
    path = folder / "s.toml"
    path.write_text(study_text(**tables))
    return printed(str(path))


def test_the_shipped_studies_are_there() -> None:
    assert {"digits", "digits-cnn", "digits-quick", "wine", "breast_cancer"} <= set(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_shipped_studies_are_valid_and_named_like_their_file(name: str) -> None:
    spec = read_study_file(find_study(name))
    assert spec.study.name == name
    output = printed(name)
    assert output.startswith(f"studies/{name}.toml is a valid study.")
    assert "continuous" in output


def test_the_summary_tells_goal_data_budget_and_strategies() -> None:
    lines = {line.split()[0]: line for line in printed("digits").splitlines() if line.strip()}
    assert "digits, seed 0" in lines["study"]
    assert "highest accuracy of the validation part, best epoch" in lines["objective"]
    assert "digits: 20% test, 20% validation, standardized" in lines["data"]
    assert "trials of up to 30 epochs, 16 in flight" in lines["budget"]
    assert "tpe (startup_trials = 10)" in lines["sampler"]
    assert "hyperband" in lines["pruner"]
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
    output = printed_for(
        tmp_path, data="test = 0\nfolds = 5\nrepeats = 3\nstandardize = false", study="smoothing = 0.5"
    )
    assert "nothing is searched" in output
    assert "Only if" not in output
    assert "digits: no test part, 5 folds, 3 repeats, not standardized" in output
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
    assert len(examples) == 3
    for example in examples:
        arguments = example.partition(" > ")[0].split()[2:]
        assert CliRunner().invoke(check, arguments).exit_code == 0


def test_what_the_reader_of_the_data_left_out_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{row % 7},1,{row % 2}\n" for row in range(40))
    (tmp_path / "table.csv").write_text(f"width,same,kind\n{rows}")
    output = printed_for(tmp_path, data='dataset = "table.csv"\ntarget = "kind"')
    assert "Note: Left out because constant: same." in output.splitlines()
