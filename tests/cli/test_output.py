"""How text leaves the commands: text of others never acts on a terminal, data is exact, words are never broken."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from contextlib import closing
from datetime import datetime
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpo.cli.prepare import check
from hpo.cli.results import report, studies
from hpo.cli.terminal.console import Terminal
from hpo.cli.terminal.records import BestTrial, Budgets, Failure, TrialInTraining
from hpo.cli.terminal.screen import Screen
from hpo.cli.terminal.secret import Scrubbed
from hpo.cli.terminal.status import StudyDetails
from hpo.data.describe import Description
from hpo.data.notes import Note
from hpo.data.parts.repeats import Repeats
from hpo.endings import Ended, Ending
from hpo.execution.rehearsal import Rehearsed
from hpo.printable import storable
from hpo.registry import studies as table
from hpo.registry.baselines import Baseline
from hpo.registry.summaries import StudySummary
from hpo.reports.comparison.measures import Measure
from hpo.reports.comparison.table import Comparison
from hpo.reports.health import Check, Verdict
from hpo.runtime.progress import Progress, Running
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.rules.cautions import Caution
from tests.cli.runs import COMMAND, LIMIT, Project
from tests.export import tiny
from tests.forked import Forked
from tests.runtime.small import small_study, small_text
from tests.storage.writers import end
from tests.test_printable import NASTY

CLI = sorted(Path("hpo").rglob("*.py"))
MARKUP = "[red]:cross_mark:[/red][link=http://x]y[/link]"
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc00-\udfff]")


def test_text_leaves_at_one_place() -> None:
    """Whoever writes to a stream, or makes a console or a log handler, passes by what keeps texts harmless: use `say`,
    `give`, `ask` and `console` of `hpo.cli.terminal.output`."""
    doors = re.compile(r"print|(click\.)?(s?echo|prompt|confirm)|(rich\.console\.)?Console|(logging\.)?StreamHandler")
    allowed = {("output.py", "click.echo"), ("output.py", "click.confirm"), ("worker.py", "logging.StreamHandler")}
    for path in CLI:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and doors.fullmatch(called := ast.unparse(node.func)):
                assert (path.name, called) in allowed, f"{path}:{node.lineno} calls {called}"


# --- nothing acts -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose failed trials, endings and worker say what nobody should."""
    home = tiny.run(tiny.WINE, tmp_path_factory.mktemp("wine"))
    with closing(open_store(sqlite_url(home))) as store:
        study_id = store.get_study_id_from_name("tiny")
        for number, trial_id in enumerate(store.create_trials(study_id, 20)):
            error = f"{NASTY}\nhpo: done {MARKUP}{'x' * 100_000 if number == 0 else ''}"
            end(store, trial_id, TrialState.FAIL, Ended(why=Ending.FAILED, detail=error))
        pruned = store.create_trials(study_id, 1)[0]
        end(store, pruned, TrialState.PRUNED, Ended(why=Ending.PRUNED, detail=NASTY, epoch=1))
        table.mark_unfinished(store, study_id)
    return home


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_show_lets_nothing_act(home: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = Project(folder=home).hpo("show", "tiny", "--home", home)
    assert done.returncode == 0, done.stderr
    assert not ACTING.search(done.stdout)
    assert "[red]:cross_mark:[/red]" in done.stdout, "no markup is taken from texts"
    assert "\nhpo: done" not in done.stdout
    assert "and 10 more" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 700
    assert done.stdout.isascii() or encoding == "utf-8"


def test_json_of_nasty_texts_is_exact_under_every_encoding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "ascii"):
        monkeypatch.setenv("PYTHONIOENCODING", encoding)
        done = Project(folder=home).hpo("show", "tiny", "--json", "--home", home)
        assert not ACTING.search(done.stdout)
        reasons = [failure["reason"] for failure in json.loads(done.stdout)["failures"]]
        assert all(reason.startswith(storable(f"{NASTY}\nhpo: done {MARKUP}")) for reason in reasons)


CSV = "width;kind\n" + "".join(f"{n % 7}.5;{'ab'[n % 2]}\n" for n in range(40))

MISTAKES: dict[str, str] = {
    "a key": small_text(dropout='"p\\u001b[31m\\u202E\\nhpo: x" = 0.1'),
    "a value": small_text(dropout='p = "\\u001b[31m\\u009b\\u202E"'),
    "a table": small_text() + '["\\u001b]0;title\\u0007"]\nx = 1\n',
    "an excerpt": small_text() + 'x = = "\u009b31m\u202e"\n',
    "a file name": small_text(data='dataset = "\\u001b[31mno.csv"'),
    "a target": small_text(data='dataset = "table.csv"\ntarget = "\\u001b[31m"'),
    "a long key": small_text(dropout=f"{'k' * 1_000_000} = 0.1"),
    "a long value": small_text(dropout=f'p = "{"v" * 1_000_000}"'),
    "a long list": small_text(dropout=f"p = [{'1, ' * 100_000}]"),
    "a long line": small_text() + f"x{'y' * 1_000_000} = =\n",
    "a long table": small_text() + f"[{'t' * 1_000_000}]\nx = 1\n",
    "many mistakes": small_text(dropout="\n".join(f"wrong_{n} = 1" for n in range(10_000))),
    "many tables": small_text() + "\n".join(f"[wrong_{n}]" for n in range(10_000)),
    "many options": small_text(dropout=f"p = {{ choice = [{', '.join(['2.0'] * 2_000)}] }}"),
    "twice the same key": small_text() + f"[{'t' * 100_000}]\n[{'t' * 100_000}]\n",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_briefly_and_harmlessly(mistake: str, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(MISTAKES[mistake], encoding="utf-8")
    (tmp_path / "table.csv").write_text(CSV)
    done = Project(folder=tmp_path).hpo("check", "small.toml")
    assert done.returncode == 2
    assert not ACTING.search(done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr) <= 5_000
    assert "\nhpo: x" not in done.stderr


def test_many_mistakes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(MISTAKES["many mistakes"], encoding="utf-8")
    told = Project(folder=tmp_path).hpo("check", "small.toml").stderr
    assert "10000 mistakes" in told
    assert "... and 9,980 more" in told


def test_many_columns_are_counted(tmp_path: Path) -> None:
    constant = [f"c\x1b{n}" for n in range(2_000)]
    rows = [["1"] * len(constant) + [str(n % 7), "ab"[n % 2]] for n in range(40)]
    lines = [",".join(cells) for cells in ([*constant, "width", "kind"], *rows)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    (tmp_path / "small.toml").write_text(small_text(data='dataset = "table.csv"\ntarget = "kind"'))
    done = Project(folder=tmp_path).hpo("check", "small.toml")
    assert done.returncode == 0, done.stderr
    assert "and 1,995 more." in done.stdout
    assert not ACTING.search(done.stdout)
    assert len(done.stdout) < 8_000


def test_a_mark_below_an_excerpt_points_at_the_place(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text("key = [" + "1, " * 10_000 + "'\u009b', = ]\n", encoding="utf-8")
    *_, line, mark = Project(folder=tmp_path).hpo("check", "small.toml").stderr.splitlines()
    assert len(line) < 200
    assert line[len(mark) - 1] == "="


@pytest.mark.parametrize(
    "arguments", [("check", "\x1b[31m"), ("\x1b[31m",), ("run", "digits", "--\x1b[31m"), ("show", "\x9b31m")]
)
def test_arguments_are_told_harmlessly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = Project(folder=tmp_path).hpo(*arguments)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert not ACTING.search(done.stderr)


def test_log_lines_are_harmless_and_cannot_be_forged() -> None:

    record = logging.LogRecord(
        "hpo", logging.WARNING, "", 0, "%s", (f"{NASTY}\n2026-01-01 00:00:00 all is well",), None
    )
    line = Scrubbed("sqlite:///x.db").format(record)
    assert not ACTING.search(line)
    assert "\n  2026" in line


def test_tracebacks_and_warnings_are_harmless(tmp_path: Path) -> None:
    code = (
        "from hpo.cli.terminal.output import guard_stderr; guard_stderr(); import logging, warnings\n"
        "nasty = chr(27) + '[31m' + chr(0x9b) + 'x' * 100_000\n"
        "warnings.warn(nasty); logging.getLogger('hpo').warning(nasty); raise RuntimeError(nasty)"
    )
    done = Project(folder=tmp_path).hpo("-c", code, command=COMMAND[:1])
    assert done.stderr.count(r"\x1b[31m\x9b") == 3
    assert not ACTING.search(done.stderr)
    assert len(done.stderr) < 40_000


def test_data_is_exact(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo.cli.terminal.output import write_data

    text = f"Zoë,{NASTY.replace(chr(0xDCE9), '')}\r\n"
    for encoding in ("utf-8", "ascii"):
        with monkeypatch.context() as patch:
            out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
            patch.setattr("sys.stdout", out)
            write_data(text)
            out.flush()
            assert out.buffer.getvalue() == text.encode()  # type: ignore[attr-defined]  # it is the BytesIO above


# --- narrow terminals ---------------------------------------------------------------------------------------

WIDTHS = (80, 60, 40)
LONG = "model.arguments.dropout_rate_of_the_last_block"


def terminal(width: int, encoding: str = "utf-8") -> Terminal:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    return Terminal(file=out, width=width, height=24, force_terminal=True, color_system=None)


def lines_of(out: Terminal) -> list[str]:
    assert isinstance(out.file, io.TextIOWrapper)
    out.file.flush()
    text = out.file.buffer.getvalue().decode(out.file.encoding)  # type: ignore[attr-defined]  # a BytesIO
    return [line.rstrip() for line in text.splitlines()]


def assert_whole(lines: list[str], width: int, words: set[str]) -> None:
    from rich.cells import cell_len

    assert max(map(cell_len, lines)) <= width, lines
    there = set(" ".join(lines).split())
    assert words <= there, (words - there, "\n".join(lines))


def progress(running: int) -> Progress:
    return Progress(
        budget=12_000, finished=1_000, pruned=9_000, failed=1, best=(10_345, 0.98765),
        running=tuple(Running(number=11_000 + n, epoch=n, value=None if n % 2 else 0.123456) for n in range(running)),
        epochs=100_000, train_seconds=9_000.0, wall_seconds=12_345.0, workers=16, deaths=2,
    )  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("running", [0, 3, 64])
def test_the_live_view_breaks_no_word(width: int, running: int) -> None:
    spec = small_study(study='name = "small"\nobjective = "balanced_accuracy"')
    out = terminal(width)
    shown = Screen(spec, out, live=False)
    shown.start = progress(0)
    now = progress(running)
    out.print(shown._view(now))
    words = {*shown._headline(now).split(), "trial", "epoch", "balanced_accuracy", f"{now.ended}/12000"}
    lines = lines_of(out)
    assert_whole(lines, width, words)
    assert len(lines) < 24


SUMMARY: dict[str, Any] = {
    "state": "unfinished", "priority": 5, "workers": 3, "worker_names": ("host-1-with-a-long-name",),
    "objective": "balanced_accuracy", "direction": "maximize", "best": 0.98765,
    "finished": 100, "pruned": 1000, "failed": 3, "running": 16, "waiting": 0, "others": 0,
    "created_at": datetime(2026, 1, 1), "finished_at": None,
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_of_studies_breaks_no_word(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out = terminal(width)
    monkeypatch.setattr(studies, "console", lambda: out)
    studies._print_studies([StudySummary(name=name, **SUMMARY) for name in ("digits", "a-long-name-of-a-study")])
    assert_whole(
        lines_of(out), width, {"a-long-name-of-a-study:", "unfinished;", "balanced_accuracy", "0.9877;", "Workers"}
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_show_breaks_no_word(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out = terminal(width)
    monkeypatch.setattr(studies, "console", lambda: out)
    best = BestTrial(
        number=12_345, value=0.98765, values={"loss": 0.98765}, level=0.98, spread=None, epochs=300, best_epoch=299,
        params={LONG: 0.1, "norm.kind": "batch", "model.hidden": "512-512-256", "größe": "日本"}, signs=(), seconds=4e3
    )  # fmt: skip
    details = StudyDetails(
        name="a-long-name-of-a-study", **SUMMARY, source="digits.toml", submitted_at=None, budget=2000, function=None,
        budgets=Budgets(epochs=None, wall_seconds=None, cpu_seconds=None), epochs_spent=0, train_seconds=3_000.0,
        wall_seconds=4_000.0, cpu_seconds=0.0, winner=12_345, models=1, test={"balanced_accuracy": 0.9}, refit=None,
        test_ensemble=None, ended={"pruned by successive_halving": 900}, worker_status=(), best_trials=(best,) * 5,
        in_training=(TrialInTraining(number=1, worker="host-1-with-a-long-name", epoch=3, value=0.5),),
        failures=(Failure(number=2, reason=f"RuntimeError: {MARKUP} and a longer explanation of what happened"),),
        signs=(), confirmation=None, foreign=(), next=None, sampler="tpe", starts=(), edits=(), objectives=(), front=(),
        ahead=9, baselines=(Baseline(name="majority", validation={"accuracy": 0.5}, test={"accuracy": 0.5}),),
        health=(Check(code="edges", verdict=Verdict.WARN, sentence=f"{MARKUP} is bad.", way_out=""),),
    )  # fmt: skip
    studies._print_study(details, "")
    words = {"best", "trials", "12345", "0.9877", "norm.kind", "batch", "explanation", "successive_halving"}
    assert_whole(lines := lines_of(out), width, words)
    assert LONG in "".join(line.split("  ")[0] for line in lines)


def comparison(names: list[str], **more: str) -> Comparison:
    cells = tuple({"study": name, "best": 0.5, **more} for name in names)
    measure = Measure(name="accuracy", minimized=False)
    return Comparison(measure=measure, rows=(), cells=cells, curves=(), notes=())


@pytest.mark.parametrize("width", WIDTHS)
def test_compare_breaks_no_heading(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out = terminal(width)
    monkeypatch.setattr(report, "console", lambda: out)
    names = ["digits", "digits-cnn", "breast_cancer", "my-fairly-long-study"]
    report.print_comparison(comparison(names, **{f"winner.{LONG}": "none"}))
    assert_whole(lines_of(out), width, {*names[:3], "best"})


@pytest.mark.parametrize("width", WIDTHS)
def test_check_breaks_no_word(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out = terminal(width)
    monkeypatch.setattr(check, "console", lambda: out)
    placement = 'placement = { choice = ["before_activation", "after_activation"] }'
    names = tuple(f"measurement_{n}" for n in range(30))
    note = Note(kind="read_as", text="Read as numbers with a decimal comma", column="measurement_0")
    found = Description(
        rows=12_345, kind="tabular", shape=(30,), columns={"numeric": names, "categorical": ("colour",)},
        missing_share=0.01, missing=dict.fromkeys(names, 0.1), target="outcome", task="classification",
        task_reason="3 distinct texts", classes={"benign": 0.6, "malignant": 0.4}, numbers=None,
        lengths=None,
        constant=("serial_number",), alike=(names[:2],), skewed={"measurement_3": 12.3}, duplicates=17, notes=(note,),
    )  # fmt: skip
    caution = Caution(code="memory", text="a lane needs about 3 GiB of memory")
    rehearsed = Rehearsed(models=2, parameters=(1_000, 2_000_000), cautions=())
    findings = check.Findings(data=found, balance=(), repeats=Repeats(rows=3), rehearsed=rehearsed, cautions=(caution,))
    check._print(small_study(norm=f'choice = [{{ kind = "batch", {placement} }}, {{ kind = "none" }}]'), findings)
    words = {"before_activation", "after_activation", "norm.placement", "optimizer.learning_rate"}
    words |= {"categorical", "measurement_5,", "(12.3)", "malignant", "serial_number", "decimal", "memory."}
    words |= {'"quantile"'}
    assert_whole(lines_of(out), width, words)


def test_a_wide_table_stays_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"study-{'x' * 90}-{n}" for n in range(9)]
    report.print_comparison(comparison(names))
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == names
    assert line.split() == ["best", *["0.5"] * 9]


# --- a real terminal ----------------------------------------------------------------------------------------


def on_terminal(folder: Path, *arguments: str, width: int = 80, **settings: str) -> str:
    """What the command writes to a terminal of so many columns."""
    main, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")} | {"TERM": "xterm"} | settings
    process: Forked | subprocess.Popen[bytes]
    with open(child, "r+b", buffering=0) as terminal:
        if "PYTHONIOENCODING" in settings:  # read as Python starts
            process = subprocess.Popen(
                [*COMMAND, *arguments], cwd=folder, stdin=terminal, stdout=terminal, stderr=terminal, env=env
            )
        else:
            process = Forked(arguments, cwd=folder, env=env, log=terminal)
    told, deadline = b"", time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                told += os.read(main, 65536)
            except OSError:
                break
    os.close(main)
    assert process.wait(10) == 0, told
    return told.decode()


@pytest.mark.parametrize("settings", [{"TERM": "dumb"}, {"TERM": "dumb", "PYTHONIOENCODING": "ascii"}])
def test_a_dumb_terminal_gets_lines(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    told = on_terminal(tmp_path, "run", "small.toml", **settings)
    assert "\x1b" not in told
    assert "Study small begins" in told
    assert "Winner: trial" in told
    assert "\x1b" not in on_terminal(tmp_path, "show", "small", "--watch", **settings)


def test_a_live_view_is_taken_down(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(small_text())
    told = on_terminal(tmp_path, "run", "small.toml", NO_COLOR="1")
    assert "\x1b[?25l" in told, "the cursor is hidden while the view stands"
    assert told.rindex("\x1b[?25h") < told.index("Winner: trial")
    assert not re.search(r"\x1b\[3\d", told), "no colours"
    shutil.rmtree(tmp_path / "runs")
