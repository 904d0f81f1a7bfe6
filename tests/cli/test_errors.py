"""What is wrong is answered with a sentence that names the place and the way out, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpo.cli import main
from tests.cli.runs import COMMAND, Project
from tests.runtime.small import run as run_small
from tests.runtime.small import small_study, small_text

CSV = "width,height,kind\n" + "".join(f"{n % 7}.5,{n % 5},{'ab'[n % 2]}\n" for n in range(40))
TABLE = 'dataset = "table.csv"\ntarget = "kind"'

Answer = tuple[int, str]


@pytest.fixture
def hpo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command in an empty folder: its exit code and standard error, where a traceback would be."""
    monkeypatch.chdir(tmp_path)
    for setting in ("HPO_HOME", "HPO_STORAGE"):
        monkeypatch.delenv(setting, raising=False)

    def call(*arguments: object) -> Answer:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err + shown.out
        assert isinstance(stop.value.code, int)
        return stop.value.code, shown.err

    return call


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"small.toml", "table.csv"}


FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "broken TOML": ('[study]\nname = "s\n', ("small.toml", "line 2", "column")),
    "nothing at all": ("", ("study.name", "data.dataset")),
    "an unknown table": (small_text(optimiser='name = "adam"'), ("optimiser", 'Did you mean "optimizer"?')),
    "an unknown key": (small_text(dropout="pp = 0.1"), ("dropout.pp", "Allowed here: p, input")),
    "a wrong type": (small_text(training='epochs = "ten"'), ("training.epochs", '"ten"', "whole number")),
    "a wrong name": (small_text(optimizer='name = "adamm"'), ("optimizer.name", '"adamm"', 'Did you mean "adam"?')),
    "an empty range": (small_text(dropout="p = { low = 0.5, high = 0.1 }"), ("dropout.p", "0.5", "0.1")),
    "an empty choice": (small_text(init="scheme = { choice = [] }"), ("init.scheme", "choice")),
    "a log range from zero": (
        small_text(dropout="p = { low = 0.0, high = 0.5, log = true }"),
        ("dropout.p", "log", "0.0"),
    ),
    "a range outside what is allowed": (small_text(dropout="p = { low = 0.0, high = 1.5 }"), ("dropout.p", "1.5")),
    "a searched number of epochs": (
        small_text(training="epochs = { low = 1, high = 9 }"),
        ("training.epochs", "same epoch"),
    ),
    "a grid over a continuous range": (
        small_text(dropout="p = { low = 0.0, high = 0.5 }", search='sampler = "grid"'),
        ("dropout.p", "add step"),
    ),
    "an unknown dataset": (small_text(data='dataset = "digit"'), ("data.dataset", '"digit"', 'Did you mean "digits"?')),
    "a file that is not there": (small_text(data='dataset = "none.csv"'), ("none.csv", "no such file")),
    "no target": (small_text(data='dataset = "table.csv"'), ("data.target", "width, height, kind")),
    "a target that is not there": (
        small_text(data='dataset = "table.csv"\ntarget = "sort"'),
        ("data.target", '"sort"', "width, height, kind"),
    ),
    "an objective of another task": (
        small_text(study='name = "small"\nobjective = "rmse"'),
        ("study.objective", "'rmse'", "classification", "accuracy"),
    ),
    "a task of another target": (
        small_text(data='dataset = "wine"\ntask = "regression"', study='name = "small"\nobjective = "rmse"'),
        ("data.task", "wine", "classification"),
    ),
    "images for a family that needs them": (
        small_text(model='family = "cnn"'),
        ("no model of this study fits", "wine"),
    ),
    "too many folds": (small_text(data='dataset = "wine"\nfolds = 60'), ("folds", "wine")),
}
"""Study files that are wrong, and what the answer names."""


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("mistake", FILES)
def test_a_wrong_study_file(mistake: str, command: str, hpo: Callable[..., Answer], tmp_path: Path) -> None:
    text, named = FILES[mistake]
    (tmp_path / "small.toml").write_text(text)
    (tmp_path / "table.csv").write_text(CSV)
    code, said = hpo(command, "small.toml")
    assert code == 2
    assert said.startswith("hpo: ")
    for part in named:
        assert part in said
    assert written(tmp_path) == set()


TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a missing target value": (CSV + "1.5,2,\n", ("table.csv", "kind", "row 41")),
    "one class": (CSV.replace(",b", ",a"), ("table.csv", "kind", "nothing to learn")),
    "a class of two examples": (CSV + "1.5,2,c\n1.5,2,c\n", ('"c"', "2")),
    "an empty file": ("", ("table.csv", "empty")),
    "names alone": ("width,height,kind\n", ("table.csv", "no rows")),
    "ragged rows": (CSV + "1,2,a,4,5\n", ("table.csv", "42")),
    "two columns of one name": (CSV.replace("height", "width", 1), ("table.csv", '"width"', "unique")),
    "another encoding": (CSV + "1.5,2,\xe9\n", ("table.csv", "line 42", "UTF-8")),
}
"""CSV files that cannot be used, and what the answer names."""


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("mistake", TABLES)
def test_a_wrong_table(mistake: str, command: str, hpo: Callable[..., Answer], tmp_path: Path) -> None:
    text, named = TABLES[mistake]
    (tmp_path / "small.toml").write_text(small_text(data=TABLE))
    (tmp_path / "table.csv").write_bytes(text.encode("latin1"))
    code, said = hpo(command, "small.toml")
    assert code == 2
    for part in named:
        assert part in said
    assert written(tmp_path) == set()


def test_a_study_that_is_not_there(hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "small.toml").write_text(small_text())
    code, said = hpo("run", "smal")
    assert code == 2
    assert 'Did you mean "small"?' in said
    assert written(tmp_path) == {"studies"}


@pytest.mark.parametrize("option", [("--lanes", 0), ("--trials", -1), ("--device", "tpu"), ("--device", "cuda:77")])
def test_a_wrong_option(option: tuple[str, object], hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    code, said = hpo("run", "small.toml", *option)
    assert code == 2
    assert option[0] in said
    assert written(tmp_path) == set()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of a study with two trials."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "table.csv").write_text(CSV)
    run_small(small_study(folder=folder, search="trials = 2", data=TABLE), folder / "runs")
    return folder / "runs"


@pytest.mark.parametrize(
    ("table", "line", "named"),
    [
        ("training", "epochs = 5", "training.epochs: was 4, is 5"),
        ("study", 'name = "small"\nseed = 4', "study.seed: was 3, is 4"),
        ("dropout", "p = 0.1", "dropout.p"),
    ],
)
def test_a_changed_file_of_a_study_with_trials(
    table: str, line: str, named: str, begun: Path, hpo: Callable[..., Answer], tmp_path: Path
) -> None:
    home = shutil.copytree(begun, tmp_path / "runs")
    before = (home / "hpo.db").read_bytes()
    (tmp_path / "table.csv").write_text(CSV)
    (tmp_path / "small.toml").write_text(small_text(**({"search": "trials = 2", "data": TABLE} | {table: line})))
    code, said = hpo("run", "small.toml")
    assert code == 2
    assert named in said
    assert "another study.name" in said
    assert (home / "hpo.db").read_bytes() == before


def test_changed_data_of_a_study_with_trials(begun: Path, hpo: Callable[..., Answer], tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "runs")
    (tmp_path / "table.csv").write_text(CSV.replace("0.5", "0.75", 1))
    (tmp_path / "small.toml").write_text(small_text(search="trials = 2", data=TABLE))
    code, said = hpo("run", "small.toml")
    assert code == 2
    assert "the data of 'table.csv' has changed" in said


# --- the machine: exit code 1 --------------------------------------------------------------------------------


def test_a_database_that_does_not_answer(hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else answers on this port
        port = taken.getsockname()[1]
        code, said = hpo("run", "small.toml", "--storage", f"postgresql://me:secret@127.0.0.1:{port}/hpo")
    assert code == 1
    assert f"127.0.0.1:{port}" in said
    assert "secret" not in said
    assert written(tmp_path) == set()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://me:secret@localhost/hpo",
        "sqlite://",
        "postgresql://localhost:port/hpo",
        "postgresql+pg9000://me:secret@localhost/hpo",
    ],
)
def test_a_url_of_no_database(url: str, hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    code, said = hpo("run", "small.toml", "--storage", url)
    assert code == 2
    assert "Write " in said
    assert "secret" not in said
    assert written(tmp_path) == set()


@pytest.mark.parametrize("wrong", [":99999/hpo", ":1/hpo?colour=red", ":1/hpo?sslmode=maybe"])
def test_a_url_that_the_driver_refuses(wrong: str, hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    code, said = hpo("run", "small.toml", "--storage", f"postgresql://me:secret@127.0.0.1{wrong}")
    assert code == 2
    assert "invalid" in said
    assert "Correct HPO_STORAGE or --storage" in said
    assert "secret" not in said


@pytest.mark.parametrize("command", [("run", "small.toml"), ("submit", "small.toml"), ("studies",)])
def test_a_misspelt_folder_of_a_database(command: tuple[str, ...], hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    code, said = hpo(*command, "--storage", f"sqlite:///{tmp_path}/no such/hpo.db")
    assert code == 2
    assert f"mkdir -p '{tmp_path}/no such'" in said
    assert written(tmp_path) == set()


def test_a_database_that_is_none(hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    (tmp_path / "table.csv").write_text(CSV * 50)
    code, said = hpo("run", "small.toml", "--storage", "sqlite:///table.csv")
    assert code == 1
    assert "table.csv" in said
    assert written(tmp_path) == set()
    assert (tmp_path / "table.csv").read_text() == CSV * 50


def test_a_home_that_is_a_file(hpo: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    (tmp_path / "table.csv").write_text(CSV)
    code, said = hpo("run", "small.toml", "--home", "table.csv/runs")
    assert code == 1
    assert "table.csv/runs" in said
    code, said = hpo("run", "small.toml", "--home", "table.csv")
    assert code == 2
    assert written(tmp_path) == set()


def without_rights() -> None:
    """In the child: root, too, has to keep to what the modes of files allow."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                os._exit(77)


def deprived(project: Project, *arguments: object) -> Answer:
    done = project.hpo(*arguments, preexec_fn=without_rights)
    if done.returncode == 77:
        pytest.skip("this root user cannot give up the right to write everywhere")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def read_only(project: Project) -> Iterator[Path]:
    """The project's home folder with a study in it, and no right to write there."""
    home = project.folder / "runs"
    run_small(small_study(search="trials = 2"), home)
    project.write(search="trials = 2", training="epochs = 4")
    paths = [home, *home.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_folder_without_the_right_to_write(project: Project) -> None:
    folder = project.folder / "locked"
    folder.mkdir(mode=0o555)
    code, said = deprived(project, "run", "small.toml", "--home", "locked/runs")
    assert code == 1
    assert "locked" in said
    assert list(folder.iterdir()) == []


def test_a_database_without_the_right_to_write(project: Project, read_only: Path) -> None:
    code, said = deprived(project, "run", "small.toml")
    assert code == 1
    assert "runs/hpo.db" in said
    assert "--home" in said or "--storage" in said


def test_reading_needs_no_right_to_write(project: Project, read_only: Path) -> None:
    assert deprived(project, "studies")[0] == 0


def test_a_terminal_that_knows_ascii_alone(project: Project) -> None:
    project.write()
    (project.folder / "small.toml").rename(project.folder / "größe.toml")
    done = project.hpo("check", "größe.toml", command=["env", "PYTHONIOENCODING=ascii", *COMMAND])
    assert done.returncode == 0, done.stderr
    assert "is a valid study" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("size", [40_000, 400_000])
def test_a_full_disk(size: int, project: Project) -> None:
    """No file may grow beyond the size: first the database, then the checkpoints hit the wall."""
    width = 8 if size < 100_000 else 4096
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    project.write(model=f'family = "mlp"\nhidden = [{width}]', search="trials = 2", norm='kind = "none"')
    done = project.hpo("run", "small.toml", before=limit)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "runs/" in done.stderr
    assert "--home" in done.stderr or "--storage" in done.stderr
    # With room again, the same command goes on to the end.
    assert "Winner" in project.run()
