"""A study that is edited while it runs ends with the trials of one that gets the same files at the same places."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import InputError, StudyFileError
from hpo.registry import edits, studies
from hpo.registry.edits import Edit
from hpo.reports.facts import gather
from hpo.reports.render.csv import trials_csv
from hpo.reports.render.html import render
from hpo.reports.render.json import summary_of
from hpo.reports.render.markdown import summary
from hpo.runtime import ownership
from hpo.runtime.editing import edit_study
from hpo.runtime.local_run import run_study
from hpo.runtime.progress import Progress
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study

NARROW = {
    "optimizer": (
        "learning_rate = { low = 1e-3, high = 3e-2, log = true }\n"
        'choice = [{ name = "sgd", momentum = { low = 0.0, high = 0.9 } }, { name = "adam" }, { name = "adamw" }]'
    ),
    "norm": 'choice = [{ kind = "none" }, { kind = "layer" }]',
    "search": 'trials = 10\nconcurrency = 2\npruner = { name = "median", startup_trials = 1 }',
}
"""An edit of the small study: a range narrower, one choice wider and one narrower, more trials, fewer in flight."""
PROMOTED = {
    **NARROW,
    "training": "epochs = 5\nbatch_size = { choice = [16, 32] }",
    "search": 'trials = 11\nconcurrency = 3\nsampler = "gp"\npruner = "promotion"',
}
"""Another one: what was fixed is searched, more epochs, other strategies."""


class Killed(BaseException):
    """What ends the process in these tests; like a kill, nothing handles it."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "EDIT_CHECK_SECONDS", 0.0)


def run(spec: StudySpec, home: Path, observer: Callable[[Progress], None] = lambda now: None, **options: Any) -> None:
    run_study(spec, sqlite_url(home), home, observer, device="cpu", **options)


def edit(spec: StudySpec, home: Path, **place: int) -> Any:
    return edit_study(spec, sqlite_url(home), home, **place)


def table(home: Path) -> list[list[str]]:
    """`trials.csv` without times."""
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        rows = [line.split(",") for line in trials_csv(gather(store, "small")).splitlines()]
    left_out = [place for place, name in enumerate(rows[0]) if "seconds" in name]
    return [[cell for place, cell in enumerate(row) if place not in left_out] for row in rows]


def log_of(home: Path) -> list[Edit]:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return edits.edits_of(store, studies.study_row(store, "small").study_id)


def replayed(home: Path, log: list[Edit], **options: Any) -> list[list[str]]:
    """The table of a study that gets the files of a log at their places."""
    files = [parse_study(one.spec_text, one.spec_source) for one in log]
    with pytest.raises(Killed):  # the study is there, and has trained nothing
        run(files[0], home, _kill)
    for one, file in zip(log[1:], files[1:], strict=True):
        assert one.trials is not None
        assert one.epochs is not None
        edit(file, home, after_trials=one.trials, after_epochs=one.epochs)
    run(files[0] if log[1].epochs else files[-1], home, **options)
    assert [(one.trials, one.epochs) for one in log_of(home)] == [(one.trials, one.epochs) for one in log]
    return table(home)


def _kill(now: Progress) -> None:
    raise Killed


def editing(home: Path, *steps: tuple[int, StudySpec]) -> Callable[[Progress], None]:
    """Edits the study once it has trained so many epochs."""
    left = list(steps)

    def observe(now: Progress) -> None:
        if left and now.epochs >= left[0][0]:
            edit(left.pop(0)[1], home)

    return observe


STEPS = ((6, small_study(**NARROW)), (14, small_study(**PROMOTED)))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[str]], list[Edit]]:
    """The table and the log of a study that was edited twice while it ran."""
    home = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "EDIT_CHECK_SECONDS", 0.0)
        run(small_study(), home, editing(home, *STEPS), lanes=3)
    return table(home), log_of(home)


def test_a_study_goes_on_with_the_new_file(live: tuple[list[list[str]], list[Edit]]) -> None:
    rows, log = live
    assert len(rows) == 1 + 11
    assert [one.number for one in log] == [0, 1, 2]
    assert not any(one.waits for one in log)
    trials = [one.trials for one in log]
    assert 0 == trials[0] < trials[1] < 8
    assert any("training.batch_size" in line and line.endswith("is { choice = [16, 32] }") for line in log[2].changes)
    names = rows[0]
    later = [dict(zip(names, row, strict=True)) for row in rows[1 + (trials[1] or 0) :]]
    assert all(float(row["optimizer.learning_rate"]) <= 3e-2 for row in later)
    assert all(row["norm.kind"] != "batch" for row in later)


@pytest.mark.parametrize("lanes", [1, 3])
def test_the_same_log_gives_the_same_table(
    lanes: int, live: tuple[list[list[str]], list[Edit]], tmp_path: Path
) -> None:
    rows, log = live
    assert replayed(tmp_path, log, lanes=lanes) == rows


def test_a_study_that_was_killed_and_edited_meanwhile(tmp_path: Path) -> None:
    def dying(now: Progress) -> None:
        if now.epochs >= 7:
            raise Killed

    with pytest.raises(Killed):
        run(small_study(), tmp_path / "live", dying)
    done = edit(small_study(**NARROW), tmp_path / "live")
    assert done.edit.trials is not None, "nobody trains it, so the edit takes effect at once"
    with pytest.raises(Killed):
        run(small_study(**NARROW), tmp_path / "live", dying)
    run(small_study(**NARROW), tmp_path / "live")
    assert replayed(tmp_path / "again", log_of(tmp_path / "live")) == table(tmp_path / "live")


def test_a_study_that_has_ended_goes_on_and_its_trials_remain(tmp_path: Path) -> None:
    run(small_study(), tmp_path)
    before = table(tmp_path)
    with pytest.raises(StudyFileError, match=r"(?s)learning_rate: was .*`hpo edit small \S*small.toml`.*`hpo delete"):
        run(small_study(**NARROW), tmp_path)
    done = edit(small_study(**NARROW), tmp_path)
    assert done.row.finished_at is None
    assert done.outside, "else the study shows nothing"
    run(small_study(**NARROW), tmp_path)
    after = table(tmp_path)
    assert len(after) == 1 + 10
    assert after[:9] == before
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        report = gather(store, "small")
        (line,) = report.edits
        assert line.outside == done.outside
        assert summary_of(report).edits[0].trials == 8
    assert f"edit 1 by {line.editor}" in render(report)
    assert "Outside of it: " in summary(report).replace("\\", "")


def test_an_edit_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(small_study(), tmp_path, _kill)
    other = small_study(study='name = "small"\nseed = 4')
    for refused in (lambda: edit(other, tmp_path), lambda: run(other, tmp_path)):
        with pytest.raises(InputError, match=r"(?s)cannot change\n  study.seed: .*`hpo init --from small` writes"):
            refused()
    with pytest.raises(InputError, match="says what the study 'small' has already"):
        edit(small_study(), tmp_path)
    assert log_of(tmp_path) == []
