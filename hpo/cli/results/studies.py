"""`hpo studies` and `hpo show`: what is in `registry.summaries` and `terminal.status`, for people or as JSON."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

import click

from hpo.attributes.starts import in_words
from hpo.cli.terminal.output import console, redraws, say
from hpo.cli.terminal.place import Place, place_options
from hpo.cli.terminal.watching import follow, follow_json, line_of
from hpo.endings import Ended, Ending
from hpo.paths import argument, run_command
from hpo.printable import listed

if TYPE_CHECKING:
    from rich.table import Table

    from hpo.cli.terminal.console import Terminal
    from hpo.cli.terminal.status import StudyDetails
    from hpo.registry.summaries import StudySummary


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--watch",
    is_flag=True,
    help="Show changes until all have ended or Ctrl-C; without a terminal, one line per change.",
)
@place_options
@click.pass_obj
def studies(place: Place, as_json: bool, watch: bool) -> None:
    """List the studies in the database, and the workers of each.

    With --json a list, oldest first, of objects with name, state ("finished", "unfinished" or "stopped"), priority,
    workers (how many work on it), worker_names (of these), objective, direction, best (value or null), finished,
    pruned, failed, running, waiting (trials that were enqueued), others (trials that other programs added, train or
    ended, and enqueued ones that were refused), created_at, finished_at (UTC, or null).

    \b
    Examples:
      hpo studies
      hpo studies --json
      hpo studies --watch
    """
    from hpo.cli.results.report import reading
    from hpo.registry.summaries import list_studies

    def over(found: list[StudySummary]) -> bool:
        return not watch or all(study.state == "finished" for study in found)

    with reading(place) as store:
        look = partial(list_studies, store)
        if as_json:
            follow_json(look, over=over)
        elif watch:
            follow(look, over=over, show=_print_studies, lines=_lines)
        else:
            _print_studies(look())


@click.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--watch", is_flag=True, help="Show changes until it ends or Ctrl-C; without a terminal, one line per change."
)
@click.option("--trial", "number", type=click.IntRange(min=0), metavar="N", help="Show this trial of it.")
@place_options
@click.pass_obj
def show(place: Place, study: str, as_json: bool, watch: bool, number: int | None) -> None:
    """Show the progress of STUDY, its workers, its best trials, signs of trouble and how the others ended.

    With --trial one of its trials: how it ended, its parameters, what it cost, its signs of trouble, with the way out,
    and its weights, layer by layer.

    With --json an object: what `hpo studies --json` says of the study, and source, submitted_at, budget (of trials),
    budgets (the other ones), epochs_spent, train_seconds, wall_seconds, cpu_seconds, winner (trial number or null),
    models (of each trial: one for each fold and repeat), function (that trains, or null), test (metric to value, the
    mean over the winner's models, or null), test_ensemble (metric to value, of what these models answer together; null
    where there is one), refit (how the winner was trained again on training and validation rows, or null: trial,
    epochs, examples, models, seconds), baselines (simple models, each with name, validation and test, which are metric
    to value, note, seconds), confirmation (what the repeats of the leading configurations say, or null: winner, value,
    which is mean, low and high of its 95 % interval, spread, repeats, configurations, leaders, others, searched,
    optimism, gain, default, epochs, seconds), ahead (the trial that ranks first, where the winner follows from what
    similar trials scored and is another one, or null), sampler (where the file says "auto", the chosen one), starts (of
    its first trials, each with source ("default", "file", "study" or "known"), values, study, trial), ended (reason to
    count of trials), worker_status (of those that work on it, have fallen silent or cannot work on it, each with name,
    host, pid, alive, trials, complaint), objectives (their names), best_trials (the best first, each with number,
    value, values (objective to value), level (the mean of the last third of its values, by which they are ordered, or
    null), spread, epochs, best_epoch, seconds, params, signs), front (the same of the trials on the Pareto front, where
    there are several objectives), signs (of trouble, each with code, trials, example, way_out), in_training (each with
    number, worker, epoch, value), failures (each with number, reason), foreign (the waiting and the others, each with
    number, kind, which is "waiting", "refused", "running", "added" or "taken", i.e. ended by another program, and
    reason), edits (of the study file, each with number, edited_at, editor, source, changes, trials and epochs when it
    took effect, or null, and outside: trials that it does not allow) and health (what the checks of docs/report.md
    found, the gravest first, each with code, verdict, which is "fail", "warn", "pass" or "not_applicable", sentence,
    figure and way_out; empty with --watch) and next (what to search next, or null: name, command, which writes its
    file, and changes, each with path, before, after and why).

    With --trial and --json an object with number, state, reason, value, values, level, spread, epochs, best_epoch,
    params, seconds, parameters (of the model), optimizer_state_bytes, flops (of an example), peak_memory_bytes,
    peak_gpu_memory_bytes (of a training function), signs, weights (docs/diagnosis.md; of each layer name, count,
    update_ratio, near_zero, variation), drawn_after and decided_after (epoch to the same): what the sampler and the
    pruner had seen of a study whose trials advance at their own pace, with trials (their number) and training (number
    of each that was in training to the epochs that it had reported; all others had ended).

    \b
    Examples:
      hpo show digits
      hpo show digits --trial 7
      hpo show digits --json
      hpo show digits --watch
    """
    from hpo.cli.results.report import reading
    from hpo.cli.terminal.status import study_details
    from hpo.cli.terminal.trial import show_trial

    def over(found: StudyDetails) -> bool:
        return not watch or found.state == "finished"

    def show_whole(found: StudyDetails) -> None:
        _print_study(found, place.options)

    if watch and number is not None:
        raise click.UsageError("--watch follows a study: leave it out, or leave out --trial.")
    with reading(place) as store:
        if number is not None:
            show_trial(store, study, number, as_json=as_json)
            return
        look = partial(study_details, store, study, health=not watch)
        if as_json:
            follow_json(look, over=over)
        elif watch:
            last = follow(look, over=over, show=show_whole, lines=_line)
            if not redraws():
                show_whole(last)
        else:
            show_whole(look())


def _lines(found: list[StudySummary]) -> dict[str, str]:
    return {study.name: line_of(study) for study in found}


def _line(found: StudyDetails) -> dict[str, str]:
    from hpo.cli.terminal.lines import worker_line

    refusals = (worker_line(worker) for worker in found.worker_status if worker.alive and worker.complaint)
    return {found.name: "; ".join((line_of(found), *refusals))}


def _print_studies(found: list[StudySummary]) -> None:
    if not found:
        say("No studies yet. Start one with: hpo run STUDY")
        return
    out = console()
    if out.fits(table := _studies_table(found)):
        out.print(table)
    else:
        for line in _lines(found).values():
            out.say(line)
    out.list_of("Workers", [f"{name}: {study.name}" for study in found for name in study.worker_names])


def _studies_table(found: list[StudySummary]) -> Table:
    from hpo.cli.terminal.console import plain_table
    from hpo.reports.text import format_number

    served = any(study.workers or study.priority for study in found)
    foreign = [count for count in ("waiting", "others") if any(getattr(study, count) for study in found)]
    counts = ("finished", "pruned", "failed", "running", *foreign, *(("workers", "priority") if served else ()))
    table = plain_table()
    for name in ("study", "state", *counts, "best", "objective", "created"):
        left = name in ("study", "state", "objective", "created")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for study in found:
        created = study.created_at.replace(tzinfo=UTC).astimezone()
        table.add_row(
            study.name,
            study.state,
            *(str(getattr(study, count)) for count in counts),
            format_number(study.best),
            study.objective,
            f"{created:%Y-%m-%d %H:%M}",
        )
    return table


def _print_study(found: StudyDetails, options: str) -> None:
    from hpo.cli.terminal.lines import front_lines, sign_line, training_line, worker_line
    from hpo.reports.baselines import baseline_sentence
    from hpo.reports.edits import edit_sentences
    from hpo.reports.foreign import sentences
    from hpo.reports.health import counted
    from hpo.reports.text import describe_training, format_duration, plural

    out = console()
    more = found.state != "finished" and found.budget is not None
    trials = f"{found.ended_trials} of {found.budget} trials" if more else plural(found.ended_trials, "trial")
    wall, train = found.wall_seconds, found.train_seconds
    out.say(
        f"{found.name}: {found.state}, {trials} "
        f"({found.finished} finished, {found.pruned} pruned, {found.failed} failed), {format_duration(wall)}"
        + (f", {describe_training(train, wall, shared=found.submitted_at is not None)}" if wall else "")
    )
    finished = Ended(why=Ending.FINISHED).cause
    reasons = listed(f"{count} {reason}" for reason, count in found.ended.items() if reason != finished)
    if reasons:
        out.say(f"Ended early: {reasons}")
    if found.sampler:
        out.say(f"Sampler: {found.sampler}")
    if found.starts:
        out.say(f"First tried: {in_words(found.starts)}")
    if found.best_trials:
        out.print()
        _print_best(out, found)
    out.list_of("Pareto front", front_lines(found.front))
    if found.confirmation is not None:
        from hpo.reports.render.confirmation import sentences as confirmed

        out.list_of(f"Confirmed, trial {found.winner}", confirmed(found.confirmation, found.objective))
    elif found.ahead is not None and found.winner is not None:
        from hpo.reports.render.confirmation import expected_sentence

        out.say(expected_sentence(found.winner, found.ahead))
    if found.refit is not None:
        from hpo.reports.render.confirmation import refit_sentence

        out.list_of(f"Trained again, trial {found.winner}", [refit_sentence(found.refit, tested=bool(found.test))])
    out.list_of("Baselines", [baseline_sentence(one, found.objective) for one in found.baselines])
    out.list_of("Signs of trouble", [sign_line(sign) for sign in found.signs])
    out.list_of("Workers", [worker_line(worker) for worker in found.worker_status])
    out.list_of("In training", [training_line(trial) for trial in found.in_training])
    out.list_of("Failed", [f"trial {trial.number}: {trial.reason}" for trial in found.failures])
    out.list_of("Edits", edit_sentences(found.edits, found.winner))
    for sentence in sentences(found.foreign):
        out.say(f"\n{sentence}")
    if found.health:
        title = f"Health: {counted(found.health)}"
        told = [check for check in found.health if check.raised and check.code != "other_programs"]
        out.list_of(title, [f"{check.verdict.label} {check.title}: {check.text}".replace("`", "") for check in told])
        if not told:
            out.say(f"\n{title}")
    if found.next and found.next.changes and found.state == "finished":
        out.list_of("What next", [change.text for change in found.next.changes])
        out.say_command(f"\nTo write the next study: {found.next.command}{options}")
    if way_on := _way_on(found, options):
        out.say_command(f"\n{way_on}")


def _way_on(found: StudyDetails, options: str) -> str | None:
    """The command that continues a study on which nobody works."""
    if found.state == "stopped":
        return f"To continue: hpo resume {argument(found.name)}{options}"
    if found.state == "finished" or any(worker.works for worker in found.worker_status):
        return None
    if found.submitted_at is None:
        way_on = run_command(found.source)
        return f"To continue: {way_on}{options if way_on.startswith('hpo run') else ''}"
    if any(worker.alive for worker in found.worker_status):
        return (
            "No worker can work on it. Once the reason above is resolved, a worker tries again after a while; to try "
            f"at once, start a new one, there or on another machine: hpo worker{options}"
        )
    return f"To continue: hpo worker{options}"


def _print_best(out: Terminal, found: StudyDetails) -> None:
    """One column for each trial, as trials are few and parameters many."""
    from hpo.reports.text import format_duration, format_number, scores_on_test

    best = found.best_trials
    objective = found.objective
    part = "validation " if found.function is None else ""
    rows = {f"{part}{objective}": [format_number(trial.value) for trial in best]}
    if any(trial.level is not None for trial in best):
        rows["level (last third)"] = ["" if trial.level is None else format_number(trial.level) for trial in best]
    rows |= {name: [format_number(trial.values[name]) for trial in best] for name in found.objectives[1:]}
    tested = found.test or {}, found.test_ensemble, found.refit.models if found.refit else found.models
    for name, score in scores_on_test(objective, *tested, name=objective):
        rows[name] = [score if trial.number == found.winner else "" for trial in best]
    rows["best epoch"] = [f"{format_number(trial.best_epoch)} of {trial.epochs}" for trial in best]
    rows["time"] = [format_duration(trial.seconds) for trial in best]
    for name in dict.fromkeys(name for trial in best for name in trial.params):
        rows[name] = [format_number(trial.params[name]) if name in trial.params else "" for trial in best]
    if any(trial.signs for trial in best):
        rows["signs"] = [str(len(trial.signs) or "") for trial in best]
    out.side_by_side("best trials", [str(trial.number) for trial in best], rows)
