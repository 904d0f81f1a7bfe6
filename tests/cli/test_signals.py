"""Ctrl-C and SIGTERM at a bad moment: while libraries load, twice, or while the report is made."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.runs import LIMIT, Project

AT_IMPORT = """
import os, signal, sys
from hpo.cli import main
number, times, module, *arguments = sys.argv[1:]

class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            for _ in range(int(times)):
                os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Hook())
main(arguments)
"""
"""The command with signals in the middle of the import of a module."""

IMPORTED = """
import os, signal, sys, time
from hpo.cli.terminal.signals import interruptible
sys.path.insert(0, ".")
try:
    with interruptible():
        import half
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", half.whole)
    print(signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""
HALF = "import os, signal\nos.kill(os.getpid(), signal.{name})\nfor n in range(100000): pass\nwhole = True\n"


def python(project: Project, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    process = project.start(*arguments, command=(sys.executable, "-c", script))
    out, err = process.communicate(timeout=LIMIT)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_import_is_finished_before_the_interrupt(name: str, project: Project) -> None:
    (project.folder / "half.py").write_text(HALF.format(name=name))
    assert python(project, IMPORTED).stdout == "interrupted True\nTrue\n"


BUILDING = """
import os, signal, time
from pydantic import GetCoreSchemaHandler, TypeAdapter
from hpo.cli.terminal.signals import interruptible

class Number:
    whole = False
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler: GetCoreSchemaHandler):
        os.kill(os.getpid(), signal.SIGINT)
        cls.whole = True
        return handler(int)

try:
    with interruptible():
        TypeAdapter(Number)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", Number.whole)
"""


def test_pydantic_builds_a_validator_to_its_end(project: Project) -> None:
    assert python(project, BUILDING).stdout == "interrupted True\n"


LOSING = """
import signal
send, sent = signal.pthread_kill, []
def lose_first(*arguments):
    sent.append(arguments)
    if len(sent) > 1:
        send(*arguments)
signal.pthread_kill = lose_first
"""
"""The first reminder has no effect, like one that arrives right before the main thread waits for something."""


def test_an_interrupt_is_sent_until_it_is_seen(project: Project) -> None:
    (project.folder / "half.py").write_text(HALF.format(name="SIGINT"))
    script = LOSING + IMPORTED.replace("time.sleep(60)", "time.sleep(5)")
    assert python(project, script).stdout == "interrupted True\nTrue\n"


def test_reminders_are_not_taken_for_a_second_signal(project: Project) -> None:
    """Two that arrive close together, as on a busy machine."""
    (project.folder / "half.py").write_text(
        HALF.format(name="SIGINT").replace("for n", "for _ in range(2): os.kill(os.getpid(), signal.SIGURG)\nfor n")
    )
    assert python(project, IMPORTED).stdout == "interrupted True\nTrue\n"


def test_a_signal_that_is_ignored_stays_so(project: Project) -> None:
    (project.folder / "half.py").write_text(HALF.format(name="SIGINT"))
    script = IMPORTED.replace("time.sleep(60)", "print(half.whole)")
    assert python(project, f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{script}").stdout == "True\n"


def test_a_long_import_that_is_waited_for_is_told(project: Project) -> None:
    (project.folder / "half.py").write_text(
        HALF.format(name="SIGINT").replace("for n", "import time; time.sleep(2)\nfor n")
    )
    process = project.start(command=(sys.executable, "-c", IMPORTED))
    out, err = process.communicate(timeout=LIMIT)
    assert out.startswith("interrupted True\n")
    assert err == "hpo: interrupting as soon as libraries are loaded; press Ctrl-C again to end at once\n"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["numpy.exceptions", "torch.nn.functional", "hpo.runtime.local_run"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_libraries_load(number: signal.Signals, module: str, project: Project) -> None:
    done = python(project, AT_IMPORT, int(number), 1, module, "run", "small.toml", "--workers", 2)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].strip().startswith("hpo run small.toml")


def test_asked_twice_while_libraries_load_it_ends_at_once(project: Project) -> None:
    done = python(project, AT_IMPORT, int(signal.SIGINT), 2, "numpy.exceptions", "run", "small.toml")
    assert (done.returncode, done.stderr) == (130, "hpo: interrupted\n")


@pytest.mark.parametrize("module", ["hpo.cli.prepare.check", "pydantic.main"])
def test_another_command_interrupted_while_it_loads(module: str, project: Project) -> None:
    done = python(project, AT_IMPORT, int(signal.SIGINT), 1, module, "check", "small.toml")
    assert done.returncode == 130
    *waited, last = done.stderr.strip().splitlines()
    assert last == "hpo: interrupted"
    assert all("as soon as libraries are loaded" in line for line in waited if line)


@pytest.mark.slow
def test_interrupted_while_the_report_is_made(project: Project) -> None:
    done = python(project, AT_IMPORT, int(signal.SIGTERM), 1, "hpo.reports.render.build", "run", "small.toml")
    assert done.returncode == 130
    assert done.stderr.strip().splitlines()[-1].strip() == "hpo run small.toml"
    again = project.hpo("run", "small.toml")
    assert again.returncode == 0
    folder: Path = project.folder / "runs" / "reports" / "small"
    assert {file.name for file in folder.iterdir()} == {
        "index.html",
        "trials.csv",
        "epochs.csv",
        "importances.csv",
        "summary.json",
        "summary.md",
    }
