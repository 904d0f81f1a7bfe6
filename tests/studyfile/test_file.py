"""Finding, opening and parsing study files, and what a valid one becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.errors import StudyFileError
from hpo.studyfile.file import find_study, parse_study, read_study_file
from hpo.studyfile.records import Hyperband, Tpe
from hpo.studyfile.tree import Choice, Range
from tests.studyfile.texts import study, study_text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with studies/digits.toml."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.toml").write_text(study_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_is_found_by_name_by_file_name_and_by_path(folder: Path) -> None:
    expected = Path("studies") / "digits.toml"
    assert find_study("digits") == expected
    assert find_study("digits.toml") == expected
    assert find_study("studies/digits.toml") == expected
    assert find_study(str(folder / "studies" / "digits.toml")) == folder / expected


def test_a_folder_of_the_same_name_hides_no_study(folder: Path) -> None:
    (folder / "digits").mkdir()
    assert find_study("digits") == Path("studies") / "digits.toml"


def test_an_unknown_study_is_answered_with_the_nearest_one(folder: Path) -> None:
    with pytest.raises(StudyFileError, match=r'digitz: no such study file.*Did you mean "digits"\?.*digits'):
        find_study("digitz")


def test_the_name_of_a_file_here_is_that_file_unless_studies_has_one(folder: Path) -> None:
    (folder / "mine.toml").write_text(study_text())
    assert find_study("mine") == Path("mine.toml")
    (folder / "digits.toml").write_text(study_text())
    assert find_study("digits") == Path("studies") / "digits.toml"


def test_a_name_that_no_file_can_have_is_answered_like_an_unknown_one(folder: Path) -> None:
    for name in ("a" * 300, "a" * 5000, "a/" * 3000, "a\0b"):
        with pytest.raises(StudyFileError, match="no such study file"):
            find_study(name)


@pytest.mark.parametrize("line", ['dataset = "a\\u0000.csv"', '"tar\\u0000get" = "x"'])
def test_a_text_with_a_zero_character_is_refused(line: str) -> None:
    with pytest.raises(StudyFileError, match=r"s.toml: .*holds the character \\u0000"):
        study(data=line)


def test_without_a_studies_folder_the_answer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyFileError, match="There is no folder studies/ with studies here"):
        find_study("digits")


def test_reading_keeps_text_and_path(folder: Path) -> None:
    spec = read_study_file(Path("studies/digits.toml"))
    assert spec.source == "studies/digits.toml"
    assert spec.text == study_text()


def test_windows_line_ends_and_byte_order_mark_are_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xef\xbb\xbf" + study_text().replace("\n", "\r\n").encode())
    assert read_study_file(path).study.name == "s"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"')
    with pytest.raises(StudyFileError, match=r"latin.toml: byte 8 is not UTF-8"):
        read_study_file(latin)
    with pytest.raises(StudyFileError, match=r"absent.toml: cannot be read \(No such file"):
        read_study_file(tmp_path / "absent.toml")
    with pytest.raises(StudyFileError, match=r"cannot be read \(Is a directory"):
        read_study_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[study]\nname = = 1", "s.toml: broken TOML in line 2, column 8: Invalid value\n  name = = 1\n         ^"),
        ("[study\r\n", "line 1, column 7: Expected ']' at the end of a table declaration\n  [study\n        ^"),
        ("a = [", "s.toml: broken TOML: Invalid value (at end of document)"),
        ("a = 1\na = 2\n", "s.toml: broken TOML in line 2, column 6: a key stands twice in its table\n  a = 2"),
        ("a = " + "[" * 5000, "s.toml: brackets are nested too deeply"),
        ("a = " + "9" * 5000, "s.toml: a number has thousands of digits"),
    ],
)
def test_broken_toml_is_shown_where_it_breaks(text: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text, "s.toml")
    assert message in str(caught.value)


def test_the_smallest_study_has_the_defaults_of_the_records() -> None:
    spec = study()
    assert spec.search.trials == 50
    assert spec.data.validation == 0.2
    assert spec.tree == {"model": {"family": "mlp"}, "optimizer": {"name": "adam"}}


def test_a_sampler_or_pruner_may_be_its_name_alone() -> None:
    short = study(search='sampler = "tpe"\npruner = "hyperband"').search
    assert short == study(search='sampler = { name = "tpe" }\npruner = { name = "hyperband" }').search
    assert short.sampler == Tpe()
    assert short.pruner == Hyperband()


def test_numbers_take_the_type_of_their_field() -> None:
    spec = study(dropout="p = 0", training="batch_size = { low = 16, high = 64, step = 16 }")
    assert repr(spec.tree["dropout"]["p"]) == "0.0"
    assert spec.tree["training"]["batch_size"] == Range(low=16, high=64, step=16)
    ends = study(dropout="p = { low = 0, high = 0.5, step = 0.25 }").tree["dropout"]["p"]
    assert (repr(ends.low), ends.high, ends.step) == ("0.0", 0.5, 0.25)


def test_choices_of_values_get_scalar_labels() -> None:
    tree = study(
        model="hidden = { choice = [[], [32], [64, 64]] }",
        dropout='first = { choice = ["none", 0.5] }\nspatial = { choice = [false] }',
        training="batch_size = { choice = [16, 32] }",
    ).tree
    assert tree["model"]["hidden"] == Choice(options=([], [32], [64, 64]), labels=("none", "32", "64-64"))
    assert tree["dropout"]["first"] == Choice(options=(None, 0.5), labels=("none", 0.5))
    assert tree["dropout"]["spatial"].labels == (False,)
    assert tree["training"]["batch_size"].labels == (16, 32)


def test_keys_beside_a_choice_go_into_every_option_and_give_way_to_its_own() -> None:
    spec = study(
        optimizer="learning_rate = { low = 1e-4, high = 1.0, log = true }\n"
        'choice = [{ name = "sgd", learning_rate = 0.1 }, { name = "adam" }]'
    )
    assert spec.tree["optimizer"] == Choice(
        options=(
            {"name": "sgd", "learning_rate": 0.1},
            {"name": "adam", "learning_rate": Range(low=1e-4, high=1.0, log=True)},
        ),
        labels=("sgd", "adam"),
        tag="name",
    )


def test_a_choice_of_names_is_a_choice_of_tables() -> None:
    short = study(optimizer='name = { choice = ["sgd", "adam"] }\nweight_decay = 0.1')
    spelled = study(optimizer='weight_decay = 0.1\nchoice = [{ name = "sgd" }, { name = "adam" }]')
    assert short.tree == spelled.tree


def test_an_option_may_itself_be_a_choice_of_names() -> None:
    spec = study(
        optimizer='choice = [{ name = { choice = ["adam", "adamw"] }, beta1 = 0.8 }, { name = "sgd", momentum = 0.9 }]'
    )
    assert spec.tree["optimizer"].labels == ("adam", "adamw", "sgd")
    assert spec.tree["optimizer"].options[1] == {"name": "adamw", "beta1": 0.8}


def test_options_of_one_name_are_numbered() -> None:
    options = '{ kind = "batch" }, { kind = "none" }, { kind = "batch", every = 2 }, { kind = "batch", every = 3 }'
    assert study(norm=f"choice = [{options}]").tree["norm"].labels == ("batch", "none", "batch#2", "batch#3")


def test_tables_without_a_name_of_their_own_are_labelled_by_their_keys() -> None:
    node = study(regularization="choice = [{}, { l1 = 0.1 }, { l2 = 0.1, max_norm = 3 }, { l1 = 0.2 }]").tree
    assert node["regularization"].labels == ("none", "l1", "l2+max_norm", "l1#2")
    assert node["regularization"].tag == "choice"


def test_an_optional_table_may_be_fixed_searched_or_absent() -> None:
    def early_stopping(text: str) -> object:
        return study(training=f"early_stopping = {text}").tree["training"]["early_stopping"]

    assert early_stopping('"none"') is None
    assert early_stopping("{ patience = 3 }") == {"patience": 3}
    assert early_stopping("{ patience = { low = 2, high = 8 } }") == {"patience": Range(low=2, high=8)}
    assert early_stopping('{ choice = ["none", { patience = 3 }] }') == Choice(
        options=(None, {"patience": 3}), labels=("none", "patience"), tag="choice"
    )


def test_an_initialisation_has_the_fields_of_its_scheme() -> None:
    spec = study(init='choice = [{ scheme = "small_normal", std = 0.1 }, { scheme = "orthogonal" }]')
    assert spec.tree["init"].labels == ("small_normal", "orthogonal")
    assert spec.tree["init"].tag == "scheme"


def test_the_order_of_tables_and_keys_means_nothing() -> None:
    text = study_text(dropout="p = 0.1\ninput = 0.2", training="epochs = 3")
    tables = text.strip().split("\n\n[")
    shuffled = "\n\n".join(["[" + table.removeprefix("[") for table in reversed(tables)])
    shuffled = shuffled.replace("p = 0.1\ninput = 0.2", "input = 0.2\np = 0.1")
    assert shuffled != text
    assert list(parse_study(shuffled, "s").tree) == list(parse_study(text, "s").tree)
    assert list(parse_study(shuffled, "s").tree["dropout"]) == ["p", "input"]
