"""`hpo explain`: why the winner is better than the default configuration, by experiment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from hpo.cli.run import CountOrAuto
from hpo.cli.terminal.loading import loading
from hpo.cli.terminal.output import console, redraws, say
from hpo.cli.terminal.place import Place, place_options
from hpo.paths import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo.runtime.explanation.study import Explained

QUIET_SECONDS = 20.0
"""Time between two lines of progress where there is no terminal."""


@click.command()
@click.argument("study")
@click.option(
    "--share",
    type=float,
    metavar="SHARE",
    help="Share of the epochs of the search that may be trained.  [default: 0.1, or 12 trainings if these are at most "
    "a third of the search]",
)
@click.option("--epochs-budget", type=click.IntRange(min=1), metavar="N", help="Epochs that may be trained, instead.")
@click.option(
    "--workers",
    type=CountOrAuto(),
    default="1",
    show_default=True,
    help="Processes that train: a number, or auto: one per usable core, if there is enough to train.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads, divided among workers."
)
@place_options
@click.pass_obj
def explain(
    place: Place,
    study: str,
    share: float | None,
    epochs_budget: int | None,
    workers: int | None,
    device: str,
    threads: int,
) -> None:
    """Explain by experiment why the winner of STUDY is better than the default configuration.

    Once the study has ended, configurations between the two are trained with several seeds: one change after the other,
    the leading changes in pairs, and the winner with changes set back to the default. The table, which the report
    shows, too, says what each change gains, and which simpler configuration is no worse. What has been trained is
    kept: the same command goes on where it was interrupted, and a larger --share adds to it.

    \b
    Examples:
      hpo explain digits
      hpo explain digits --share 0.5
      hpo explain digits --epochs-budget 2000 --workers 4
    """
    from hpo.errors import Interrupted

    if share is not None and epochs_budget is not None:
        raise click.UsageError("--share and --epochs-budget both say how much is trained: give one of them.")
    with loading():
        from hpo.runtime.explanation.study import explain_study
    try:
        with _progress() as watch:
            found = explain_study(
                study,
                place.storage_url,
                place.home,
                share=share,
                epochs=epochs_budget,
                workers=workers,
                device=device,
                threads=threads,
                watch=watch,
            )
    except KeyboardInterrupt:
        given = (
            f" --share {share:g}" if share is not None else f" --epochs-budget {epochs_budget}" if epochs_budget else ""
        )
        command = f"hpo explain {argument(study)}{given}{place.options}"
        raise Interrupted(f"interrupted. Every round that has ended is saved; to continue:\n  {command}") from None
    _print(found)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows the progress: in one line that changes on a terminal, else in a line now and then."""
    out = console()
    if redraws():
        with out.status("loading the data") as status:
            yield lambda text: status.update(out.render_str(text))
        return
    last = -QUIET_SECONDS

    def line(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= QUIET_SECONDS:
            last = time.monotonic()
            out.say(text)

    yield line


def _print(found: Explained) -> None:
    from hpo.reports.render.explanation import PAIR_HEADER, pair_cells, rung_cells, rung_header, rungs, sentences

    explanation, out = found.explanation, console()
    lines = rungs(explanation)
    rows = {f"{place}. {line.title}" if place else line.title: rung_cells(line) for place, line in enumerate(lines)}
    out.side_by_side("step", rung_header(found.objectives[0]), rows)
    if explanation.pairs:
        say()
        pairs = [pair_cells(pair) for pair in explanation.pairs]
        out.side_by_side(PAIR_HEADER[0], PAIR_HEADER[1:], {cells[0]: cells[1:] for cells in pairs})
    details = [f"{place}. {'; '.join(line.details)}" for place, line in enumerate(lines) if place]
    out.list_of("What the steps change", details)
    say()
    for sentence in sentences(explanation, found.objectives):
        out.say(sentence)
    out.say_command(f"Report: {found.report}")
