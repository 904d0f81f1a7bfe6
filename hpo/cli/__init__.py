"""The command line: thin commands over the library, one or a few per module. Heavy imports are inside the functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from hpo import __version__
from hpo.cli.terminal.output import guard_stderr, say, show_mistake
from hpo.cli.terminal.signals import EXIT_CODE, interruptible
from hpo.errors import HpoError

COMMANDS = {
    "run": "hpo.cli.run:run",
    "check": "hpo.cli.prepare.check:check",
    "init": "hpo.cli.prepare.init:init",
    "data": "hpo.cli.prepare.data:data",
    "submit": "hpo.cli.submit:submit",
    "worker": "hpo.cli.worker:worker",
    "stop": "hpo.cli.steer:stop",
    "resume": "hpo.cli.steer:resume",
    "extend": "hpo.cli.steer:extend",
    "edit": "hpo.cli.edit:edit",
    "studies": "hpo.cli.results.studies:studies",
    "show": "hpo.cli.results.studies:show",
    "report": "hpo.cli.results.report:report",
    "explain": "hpo.cli.results.explain:explain",
    "compare": "hpo.cli.results.report:compare",
    "export": "hpo.cli.results.export:export",
    "predict": "hpo.cli.results.predict:predict",
    "dashboard": "hpo.cli.results.dashboard:dashboard",
    "delete": "hpo.cli.delete:delete",
    "db": "hpo.cli.db:db",
}
"""Name -> module:function, in the order of `hpo --help`."""


class LazyGroup(click.Group):
    """Loads a command's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hpo")
def hpo() -> None:
    """Hyperparameter studies for PyTorch models.

    A study is one TOML file. `hpo run` searches it, trains every trial, prunes, checkpoints, and ends with a report.

    \b
    Examples:
      hpo init my --data my.csv   a first study file for data
      hpo check digits            what a study will do
      hpo run digits              run it, or continue it
      hpo report digits           write its report again
      hpo compare digits other    two studies of the same data side by side
    """


def main(args: Sequence[str] | None = None) -> None:
    """The console script. Every `HpoError` becomes a message and an exit code."""
    guard_stderr()
    with interruptible():
        try:
            hpo.main(args=args, standalone_mode=False)
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.ClickException as error:
            show_mistake(error)
            sys.exit(error.exit_code)
        except HpoError as error:
            say(f"hpo: {error}", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            say("hpo: interrupted", err=True)
            sys.exit(EXIT_CODE)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
