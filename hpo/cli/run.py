"""`hpo run`: runs a study or continues it."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click
from click.core import ParameterSource

from hpo.cli.terminal.loading import loading
from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, checkpoints_option, place_options
from hpo.paths import argument


class CountOrAuto(click.ParamType["int | None"]):
    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in (None, "auto"):
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number of at least 1 nor auto", param, ctx)
        return int(value)


@click.command()
@click.argument("study")
@click.option("--trials", type=click.IntRange(min=1), help="Budget of trials, instead of search.trials of the file.")
@click.option(
    "--workers",
    type=CountOrAuto(),
    default="auto",
    show_default=True,
    help="Processes that train: a number, or auto: one per usable core, if the study is long enough to benefit.",
)
@click.option(
    "--lanes",
    type=CountOrAuto(),
    default="auto",
    show_default=True,
    help="Trials that train in one program: a number, or auto.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads, divided among workers."
)
@click.option(
    "--compile",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Compile training steps; auto: in long studies, where it saves time. Results differ by rounding only.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where workers run: on this machine, or on a Ray cluster.",
)
@click.option(
    "--address", metavar="ADDRESS", help="Address of the Ray cluster, or auto.  [default: one is found or started]"
)
@checkpoints_option("where the study's workers noted it")
@place_options
@click.pass_obj
def run(
    place: Place,
    study: str,
    trials: int | None,
    workers: int | None,
    lanes: int | None,
    device: str,
    threads: int,
    compile: Any,
    engine: Any,
    address: str | None,
    checkpoints: str | None,
) -> None:
    """Run STUDY, or continue it where it was interrupted.

    STUDY is the path of a study file or a name under studies/. The same command continues a study that was interrupted
    or killed; it ends with the same trials as without the interruption. A study that has ended continues with a larger
    --trials. The exit code is 1 if no trial finished.

    \b
    Examples:
      hpo run digits
      hpo run studies/digits.toml --trials 20
      hpo run digits --workers 4
      hpo run digits --engine ray --address auto
      hpo run digits --storage postgresql://me@localhost/hpo
    """
    from hpo.errors import InputError, Interrupted
    from hpo.reports.text import plural
    from hpo.studyfile.file import find_study, read_study_file
    from hpo.studyfile.study import with_budget

    if address is not None and engine != "ray":
        raise InputError(f"--address {address} names a Ray cluster; add --engine ray")
    spec = read_study_file(find_study(study))
    if trials is not None:
        spec = with_budget(spec, trials=trials)

    from hpo.execution.prestart import prestarted, useful_workers

    if workers is not None and (most := useful_workers(workers, spec)) < workers:
        say(
            f"hpo: --workers {workers}: {plural(most, 'worker')} will train, as the study has no more trials in flight "
            "(search.concurrency)",
            err=True,
        )
        workers = most
    try:
        with prestarted(place.home, workers if engine == "local" else None, spec) as pool:
            with loading():
                from hpo.cli.terminal.screen import conclusion, screen
                from hpo.runtime.local_run import run_study

            with screen(spec) as show:
                result = run_study(
                    spec,
                    place.storage_url,
                    place.home,
                    show.progress,
                    lanes=lanes,
                    device=device,
                    threads=threads,
                    compile=compile,
                    workers=workers,
                    engine=engine,
                    address=address,
                    checkpoints=checkpoints,
                    pool=pool,
                )
    except KeyboardInterrupt:
        command = f"hpo run {argument(study)}{_given(click.get_current_context())}{place.options}"
        raise Interrupted(
            f"interrupted. Every trial in flight is saved at its last complete epoch; to continue:\n  {command}"
        ) from None
    conclusion(spec, result)
    if result.winner is None:
        sys.exit(1)


def _given(context: click.Context) -> str:
    """The options given on the command line, except `--storage` and `--home`, as they are repeated in advice."""
    return "".join(
        f" {option.opts[0]} {shlex.quote(str(context.params[option.name] or 'auto'))}"
        for option in context.command.params
        if isinstance(option, click.Option)
        and option.name in context.params
        and context.get_parameter_source(option.name) == ParameterSource.COMMANDLINE
    )
