"""`hpo studies` and `hpo show`: the studies in the database, for people or as JSON. The facts are in
`terminal.status`."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.terminal.output import console, redraws, say
from hpo.cli.terminal.place import Place, place_options
from hpo.cli.terminal.watching import follow, follow_json, line_of
from hpo.endings import Ended, Ending
from hpo.paths import argument, running
from hpo.printable import listed

if TYPE_CHECKING:
    from rich.table import Table

    from hpo.cli.terminal.console import Terminal


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--watch",
    is_flag=True,
    help="Follow them until all have ended or Ctrl-C; a line a change, if not on a terminal.",
)
@place_options
@click.pass_obj
def studies(place: Place, as_json: bool, watch: bool) -> None:
    """List the studies in the database, and who works on them.

    With --json a list, oldest first, of objects with name, state ("finished", "unfinished" or "stopped"), priority,
    workers (how many work on it), worker_names, objective, direction, best (value or null), finished, pruned, failed,
    running, waiting (trials that were enqueued), others (trials that other programs added, train or ended, and
    enqueued ones that were refused), created_at, finished_at (UTC, or null).

    \b
    Examples:
      hpo studies
      hpo studies --json
      hpo studies --watch
    """
    from hpo.cli.report import reading
    from hpo.cli.terminal.status import status_of_all

    def over(found: list[dict[str, Any]]) -> bool:
        return not watch or all(study["state"] == "finished" for study in found)

    with reading(place) as store:
        look = partial(status_of_all, store)
        if as_json:
            follow_json(look, over=over)
        elif watch:
            follow(look, over=over, show=_print_studies, lines=_lines)
        else:
            _print_studies(look())


@click.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Follow it until it ends or Ctrl-C; a line a change, if not on a terminal.")
@place_options
@click.pass_obj
def show(place: Place, study: str, as_json: bool, watch: bool) -> None:
    """Show STUDY: where it stands, who works on it, its best trials and how the others ended.

    With --json an object: what `hpo studies --json` says of the study (best and workers are lists here) and source,
    submitted_at, budget (of trials), budgets (the other ones), epochs_spent, train_seconds, wall_seconds, cpu_seconds,
    winner (trial number or null), models (of each trial: one for each fold and repeat), test (metric to value, the
    mean over the winner's models, or null), test_ensemble (metric to value, of what these models answer together; null
    where there is one), ended (reason to count of trials), workers (each with name, host, pid, alive, trials,
    complaint), best (the best trials first, each with number, value, spread, epochs, best_epoch, seconds, params),
    in_training (each with number, worker, epoch, value), failures (each with number, reason) and foreign (the waiting
    and the others, each with number, kind, which is "waiting", "refused", "running", "added" or "taken", i.e. ended by
    another program, and reason).

    \b
    Examples:
      hpo show digits
      hpo show digits --json
      hpo show digits --watch
    """
    from hpo.cli.report import reading
    from hpo.cli.terminal.status import study_status

    def over(found: dict[str, Any]) -> bool:
        return not watch or found["state"] == "finished"

    def show_whole(found: dict[str, Any]) -> None:
        _print_study(found, place.options)

    with reading(place) as store:
        look = partial(study_status, store, study)
        if as_json:
            follow_json(look, over=over)
        elif watch:
            last = follow(look, over=over, show=show_whole, lines=_line)
            if not redraws():
                show_whole(last)
        else:
            show_whole(look())


def _lines(found: list[dict[str, Any]]) -> dict[str, str]:
    return {study["name"]: line_of(study, study["best"], study["workers"]) for study in found}


def _line(found: dict[str, Any]) -> dict[str, str]:
    best = found["best"][0]["value"] if found["best"] else None
    line = line_of(found, best, sum(_at_work(worker) for worker in found["workers"]))
    refusals = (_worker(worker) for worker in found["workers"] if worker["alive"] and worker["complaint"])
    return {found["name"]: "; ".join((line, *refusals))}


def _print_studies(found: list[dict[str, Any]]) -> None:
    if not found:
        say("No studies yet. Begin one with: hpo run STUDY")
        return
    out = console()
    if out.fits(table := _studies_table(found)):
        out.print(table)
    else:
        for line in _lines(found).values():
            out.say(line)
    out.list_of("Workers", [f"{name}: {study['name']}" for study in found for name in study["worker_names"]])


def _studies_table(found: list[dict[str, Any]]) -> Table:
    from hpo.cli.terminal.console import plain_table
    from hpo.reports.text import number

    served = any(study["workers"] or study["priority"] for study in found)
    foreign = [count for count in ("waiting", "others") if any(study[count] for study in found)]
    counts = ("finished", "pruned", "failed", "running", *foreign, *(("workers", "priority") if served else ()))
    table = plain_table()
    for name in ("study", "state", *counts, "best", "objective", "created"):
        left = name in ("study", "state", "objective", "created")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for study in found:
        created = datetime.fromisoformat(study["created_at"]).astimezone()
        table.add_row(
            study["name"],
            study["state"],
            *(str(study[count]) for count in counts),
            number(study["best"]),
            study["objective"],
            f"{created:%Y-%m-%d %H:%M}",
        )
    return table


def _print_study(found: dict[str, Any], options: str) -> None:
    from hpo.reports.foreign import ForeignTrial, sentences
    from hpo.reports.text import duration, plural, training

    out = console()
    ended = found["finished"] + found["pruned"] + found["failed"]
    more = found["state"] != "finished" and found["budget"] is not None
    trials = f"{ended} of {found['budget']} trials" if more else plural(ended, "trial")
    wall, train = found["wall_seconds"], found["train_seconds"]
    out.say(
        f"{found['name']}: {found['state']}, {trials} "
        f"({found['finished']} finished, {found['pruned']} pruned, {found['failed']} failed), {duration(wall)}"
        + (f", {training(train, wall, shared=found['submitted_at'] is not None)}" if wall else "")
    )
    finished = Ended(why=Ending.FINISHED).cause
    reasons = listed(f"{count} {reason}" for reason, count in found["ended"].items() if reason != finished)
    if reasons:
        out.say(f"Ended early: {reasons}")
    if found["best"]:
        out.print()
        _print_best(out, found)
    out.list_of("Workers", [_worker(worker) for worker in found["workers"]])
    out.list_of("In training", [_progress(trial) for trial in found["in_training"]])
    out.list_of("Failed", [f"trial {trial['number']}: {trial['reason']}" for trial in found["failures"]])
    for sentence in sentences([ForeignTrial(**trial) for trial in found["foreign"]]):
        out.say(f"\n{sentence}")
    if way_on := _way_on(found, options):
        out.say_command(f"\n{way_on}")


def _way_on(found: dict[str, Any], options: str) -> str | None:
    """The command that continues a study on which nobody works."""
    if found["state"] == "stopped":
        return f"To continue: hpo resume {argument(found['name'])}{options}"
    if found["state"] == "finished" or any(_at_work(worker) for worker in found["workers"]):
        return None
    if found["submitted_at"] is None:
        way_on = running(found["source"])
        return f"To continue: {way_on}{options if way_on.startswith('hpo run') else ''}"
    if any(worker["alive"] for worker in found["workers"]):
        return (
            "No worker can work on it. Where the reason above is mended, a worker tries again by itself after a "
            f"while; a new one, there or on another machine, at once: hpo worker{options}"
        )
    return f"To continue: hpo worker{options}"


def _print_best(out: Terminal, found: dict[str, Any]) -> None:
    """One column for each trial, as trials are few and parameters many."""
    from hpo.reports.text import duration, number, scores_on_test

    best = found["best"]
    objective = found["objective"]
    rows = {f"validation {objective}": [number(trial["value"]) for trial in best]}
    tested = found["test"] or {}, found["test_ensemble"], found["models"]
    for name, score in scores_on_test(objective, *tested, name=objective):
        rows[name] = [score if trial["number"] == found["winner"] else "" for trial in best]
    rows["best epoch"] = [f"{number(trial['best_epoch'])} of {trial['epochs']}" for trial in best]
    rows["time"] = [duration(trial["seconds"]) for trial in best]
    for name in dict.fromkeys(name for trial in best for name in trial["params"]):
        rows[name] = [number(trial["params"][name]) if name in trial["params"] else "" for trial in best]
    out.side_by_side("best trials", [str(trial["number"]) for trial in best], rows)


def _progress(trial: dict[str, Any]) -> str:
    from hpo.reports.text import number

    value = "" if trial["value"] is None else f", {number(trial['value'])}"
    worker = "" if trial["worker"] is None else f", {trial['worker']}"
    return f"trial {trial['number']}: epoch {trial['epoch']}{value}{worker}"


def _worker(worker: dict[str, Any]) -> str:
    if worker["complaint"]:
        return f"{worker['name']}: cannot work on it: {worker['complaint']}"
    return f"{worker['name']}: {worker['trials']} trials" if worker["alive"] else f"{worker['name']}: silent"


def _at_work(worker: dict[str, Any]) -> bool:
    return worker["alive"] and not worker["complaint"]
