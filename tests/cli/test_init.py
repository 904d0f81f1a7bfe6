"""`hpo init`: a study file for data, which runs as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpo.cli import hpo
from hpo.cli.prepare import init
from hpo.errors import DataError, InputError
from hpo.studyfile.file import read_study_file
from hpo.studyfile.records import DataTable

ROWS = [(n % 3 + n % 7 / 10, n % 5, ("red", "blue")[n % 2], ("rose", "iris", "tulip")[n % 3]) for n in range(60)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(last: str = "species", *, first: str = "length", name: str = "flowers.csv") -> None:
    lines = [(first, "width", "colour", last), *ROWS]
    Path(name).write_text("".join(",".join(map(str, line)) + "\n" for line in lines))


def called(*arguments: str) -> Result:
    return CliRunner().invoke(hpo, arguments, catch_exceptions=False)


def test_the_file_is_valid_and_runs_as_it_is() -> None:
    write()
    done = called("init", "flowers", "--data", "flowers.csv", "--target", "species")
    assert done.exit_code == 0
    assert done.stdout == "flowers.toml\n"
    checked = called("check", "flowers.toml").output
    assert "flowers.toml is a valid study." in checked
    assert "built and trained on a batch" in checked
    assert "Caution" not in checked
    ran = called("run", "flowers.toml", "--trials", "2")
    assert ran.exit_code == 0
    assert "Winner: trial" in ran.output
    assert "0 failed" in ran.output
    following = called("init", "--from", "flowers")
    assert following.exit_code == 0
    assert Path(following.stdout.strip()) == Path("flowers-2.toml").resolve()
    spec = read_study_file(Path("flowers-2.toml"))
    assert spec.study.name == "flowers-2"
    assert "flowers-2.toml is a valid study." in called("check", "flowers-2.toml", "--quick").output
    assert "hpo init --from flowers" in Path("runs/reports/flowers/index.html").read_text()
    with pytest.raises(InputError, match=r"flowers-2\.toml exists\. Take another name, or --force"):
        called("init", "--from", "flowers")
    assert called("init", "wider", "--from", "flowers").exit_code == 0
    assert "wider" in Path("wider.toml").read_text()


@pytest.mark.parametrize("arguments", [(), ("flowers",), ("--from", "flowers", "--data", "flowers.csv")])
def test_init_says_how_it_is_called(arguments: tuple[str, ...]) -> None:
    done = called("init", *arguments)
    assert done.exit_code == 2
    assert "--from" in done.output


def test_images_of_the_catalogue_get_a_convolutional_network() -> None:
    called("init", "my-digits", "--data", "digits")
    spec = read_study_file(Path("my-digits.toml"))
    assert spec.tree["model"]["family"] == "cnn"
    assert spec.data.target is None
    assert "is a valid study" in called("check", "my-digits.toml").output


def test_a_regression_gets_its_own_objective() -> None:
    called("init", "sugar", "--data", "diabetes")
    assert read_study_file(Path("sugar.toml")).study.objective == "rmse"


@pytest.mark.parametrize("name", ["target", "Label", "CLASS", "y"])
def test_an_obvious_target_is_taken(name: str) -> None:
    write(name)
    called("init", "s", "--data", "flowers.csv")
    assert read_study_file(Path("s.toml")).data.target == name


def test_without_an_obvious_target_the_columns_are_listed() -> None:
    write()
    with pytest.raises(InputError, match=r"--target\. Columns: length, width, colour, species"):
        called("init", "s", "--data", "flowers.csv")
    write("label", first="y")
    with pytest.raises(InputError, match="Columns: y, label"):
        called("init", "s", "--data", "flowers.csv")
    assert not Path("s.toml").exists()


def test_on_a_terminal_the_last_column_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    asked: list[str] = []
    monkeypatch.setattr(init.sys, "stdin", type("Terminal", (), {"isatty": staticmethod(lambda: True)})())
    monkeypatch.setattr(init, "ask", lambda question: asked.append(question) or True)
    assert init._target_in(DataTable(dataset="flowers.csv"), Path()) == "species"
    assert '"species"' in asked[0]


def test_a_file_is_replaced_only_by_force() -> None:
    write("label")
    Path("s.toml").write_text("mine")
    with pytest.raises(InputError, match=r"s.toml exists.*--force"):
        called("init", "s", "--data", "flowers.csv")
    assert Path("s.toml").read_text() == "mine"
    assert called("init", "s.toml", "--data", "flowers.csv", "--force").exit_code == 0
    assert read_study_file(Path("s.toml")).study.name == "s"


@pytest.mark.parametrize("name", ["a/b", "../x", "-", "", "a b"])
def test_a_name_is_a_plain_one(name: str) -> None:
    write("label")
    with pytest.raises(InputError, match="no name for a study"):
        called("init", "--data", "flowers.csv", "--", name)


def test_small_classes_get_fewer_folds_and_smaller_ones_are_named() -> None:
    text = "x,label\n" + "".join(f"{n},{'a' if n < 90 else 'b'}\n" for n in range(94))
    Path("t.csv").write_text(text.replace("93,b", "93,a"))
    with pytest.raises(DataError, match=r'class "b" of t\.csv has 3 examples'):
        called("init", "s", "--data", "t.csv")
    assert not Path("s.toml").exists()
    Path("t.csv").write_text("x,label\n" + "".join(f"{n},{'a' if n < 90 else 'b'}\n" for n in range(95)))
    called("init", "s", "--data", "t.csv")
    assert read_study_file(Path("s.toml")).data.folds == 3


def test_data_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="no such file"):
        called("init", "s", "--data", "nothing.csv")
    with pytest.raises(DataError, match='Did you mean "digits"'):
        called("init", "s", "--data", "digit")


def test_what_the_data_need_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{number % 7},{number % 5},{('süß', 'herb')[number % 2]}" for number in range(60)]
    (tmp_path / "t.csv").write_bytes("\n".join(rows).encode("cp1252"))
    given = ["--set", "encoding=cp1252", "--set", "header=false", "--set", 'columns={"column 1" = "categorical"}']
    done = CliRunner().invoke(
        init.init, ["s", "--data", "t.csv", "--target", "column 3", *given], catch_exceptions=False
    )
    assert done.exit_code == 0
    data = read_study_file(tmp_path / "s.toml").data
    assert (data.encoding, data.header, data.columns) == ("cp1252", False, {"column 1": "categorical"})
    assert 'task = "regression"' not in (tmp_path / "s.toml").read_text(), "words are no numbers"
    for wrong, expected in (
        ("header=maybe", "found 'maybe'"),
        ("folds=3", "must be KEY=VALUE"),
        ("header", "KEY=VALUE"),
    ):
        with pytest.raises(InputError, match=expected):
            CliRunner().invoke(init.init, ["t", "--data", "t.csv", "--set", wrong], catch_exceptions=False)
