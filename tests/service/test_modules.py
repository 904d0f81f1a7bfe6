"""`hpo worker --modules`: which code of studies' own a worker runs."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from hpo.errors import InputError
from hpo.registry import leases
from hpo.service.modules import Modules
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study
from tests.service.working import row_of, serve, submit, wait_for, working
from tests.studyfile.texts import study_text

NET = """
from pathlib import Path
from torch import nn

if Path(__file__).with_name("watched").exists():
    Path(__file__).with_name("was run").touch()


class Net(nn.Linear):
    def __init__(self, input_shape, outputs):
        super().__init__(input_shape[0], outputs)
"""


def own(folder: Path, module: str = '"net.py:Net"') -> StudySpec:
    tables = {
        "study": 'name = "own"',
        "data": 'dataset = "wine"',
        "model": f'family = "custom"\nmodule = {module}',
        "optimizer": 'name = "sgd"\nlearning_rate = { low = 1e-3, high = 1e-1, log = true }',
        "training": "epochs = 2",
        "search": "trials = 2",
    }
    return parse_study(study_text(**tables), str(folder / "own.toml"))


@pytest.mark.parametrize(
    "patterns",
    [
        (),
        ("*:*",),
        ("net.py:Net",),
        ("*.py:*",),
        ("ours.nets:*", "net.py:*"),
        ("{folder}/net.py:Net",),
        ("{folder}/*:Net",),
        ("/*/net.py:Net",),
    ],
)
def test_files_that_are_run(patterns: tuple[str, ...], tmp_path: Path) -> None:
    Modules.of([pattern.replace("{folder}", str(tmp_path)) for pattern in patterns]).refuse_others(own(tmp_path))


@pytest.mark.parametrize(
    "patterns", [("none",), ("ours.*:*",), ("NET.py:Net",), ("net.py:Net2",), ("/shared/*:*",), ("{folder}/sub/*:*",)]
)
def test_files_that_are_not(patterns: tuple[str, ...], tmp_path: Path) -> None:
    modules = Modules.of([pattern.replace("{folder}", str(tmp_path)) for pattern in patterns])
    with pytest.raises(InputError, match=r"model\.module /.*net\.py:Net: this worker does not run it \(--modules "):
        modules.refuse_others(own(tmp_path))


def test_a_path_is_what_it_leads_to(tmp_path: Path) -> None:
    allowed = Modules.of([f"{tmp_path}/shared/*:*"])
    with pytest.raises(InputError):
        allowed.refuse_others(own(tmp_path / "shared", '"../elsewhere/net.py:Net"'))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "net.py").symlink_to(tmp_path / "net.py")
    with pytest.raises(InputError):
        allowed.refuse_others(own(tmp_path / "shared"))


@pytest.mark.parametrize(
    ("patterns", "runs"),
    [(("ours.nets:Net",), True), (("ours.*:*",), True), (("ours:*",), False), (("*.py:*",), False), (("none",), False)],
)
def test_installed_modules(patterns: tuple[str, ...], runs: bool, tmp_path: Path) -> None:
    refused = False
    try:
        Modules.of(patterns).refuse_others(own(tmp_path, '"ours.nets:Net"'))
    except InputError:
        refused = True
    assert refused != runs


def test_each_of_several_must_be_allowed(tmp_path: Path) -> None:
    several = own(tmp_path, '{ choice = ["net.py:Net", "os:system"] }')
    with pytest.raises(InputError, match=r"model\.module os:system"):
        Modules.of(["net.py:*"]).refuse_others(several)


@pytest.mark.parametrize("key", ["dataset", "test"])
@pytest.mark.parametrize(("patterns", "runs"), [(("load.py:*",), True), (("net.py:*",), False), (("none",), False)])
def test_functions_that_give_data_are_such_code(
    key: str, patterns: tuple[str, ...], runs: bool, tmp_path: Path
) -> None:
    lines = {"dataset": "./rows.csv", "target": "y"} | {key: "load.py:rows"}
    data = "\n".join(f'{name} = "{value}"' for name, value in lines.items())
    spec = parse_study(study_text(data=data), str(tmp_path / "s.toml"))
    if runs:
        Modules.of(patterns).refuse_others(spec)
        return
    with pytest.raises(InputError, match=rf"data\.{key} /.*load\.py:rows: this worker does not run it"):
        Modules.of(patterns).refuse_others(spec)


def test_training_functions_are_such_code(tmp_path: Path) -> None:
    text = '[study]\nname = "own"\nobjective = "accuracy"\n[trial]\nfunction = "train.py:train"'
    with pytest.raises(InputError, match=r"trial\.function /.*train\.py:train: this worker does not run it"):
        Modules.of(["none"]).refuse_others(parse_study(text, str(tmp_path / "own.toml")))


def test_studies_without_such_modules_are_anyones() -> None:
    Modules.of(["none"]).refuse_others(small_study())


@pytest.mark.parametrize("patterns", [("net.py",), ("",), ("none", "net.py:Net"), ("a:b:c",), ("a.py:b/c",)])
def test_what_is_no_pattern_is_said(patterns: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"--modules .*found "):
        Modules.of(patterns)


def test_a_worker_leaves_such_a_study_to_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="hpo")
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    submit(own(tmp_path), tmp_path, priority=1)
    submit(small_study(search="trials = 2"), tmp_path)
    (tmp_path / "watched").touch()
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path, modules=Modules.of(["none"])):
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
        (worker,) = leases.workers(store)
        assert "this worker does not run it (--modules none)." in worker.refusals["own"]
    assert row_of(tmp_path, "own").finished_at is None
    (line,) = [line for line in caplog.messages if "--modules" in line]
    assert line.startswith("own: left to other workers for a while: model.module ")
    assert not (tmp_path / "was run").exists()
    serve(tmp_path, "own", modules=Modules.of(["net.py:Net"]))
