"""`hpo submit`: submits a study to the workers of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hpo import endings
from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, place_options
from hpo.paths import argument

if TYPE_CHECKING:
    from hpo.registry.studies import StudyRow


@click.command()
@click.argument("study")
@click.option("--trials", type=click.IntRange(min=1), help="Budget of trials, instead of search.trials of the file.")
@click.option(
    "--priority",
    type=int,
    help="Workers take the study with the highest priority first, then the oldest.  [default: as before, at first 0]",
)
@place_options
@click.pass_obj
def submit(place: Place, study: str, trials: int | None, priority: int | None) -> None:
    """Put STUDY into the database for workers (`hpo worker`) to run.

    STUDY is the path of a study file or a name under studies/. A data set of your own must have the same path on the
    workers' machines. A study that is in the database already gets the budgets of the file, which also replace that of
    `hpo extend --trials`; none of its trials is lost, and trials that ended because a smaller budget was spent
    continue. A stopped study remains stopped, and an ended one remains ended if its budgets leave nothing to train.

    \b
    Examples:
      hpo submit digits
      hpo submit digits --trials 500 --priority 5
      hpo submit digits --storage postgresql://me@dbhost/hpo
    """
    from hpo.studyfile.file import find_study, read_study_file
    from hpo.studyfile.study import with_budget

    spec = read_study_file(find_study(study))
    if trials is not None:
        spec = with_budget(spec, trials=trials)

    from hpo.runtime.setup.specs import spent_by
    from hpo.runtime.setup.submission import submit_study

    found, name = submit_study(spec, place.storage_url, place.home, priority=priority), spec.study.name
    before, now = found.before, found.now
    if before is None or before.submitted_at is None:
        say(f"Study {name} is submitted.")
    if before is not None and before.max_trials is not None:
        say(f"Study {name} has {_settings(before, now)}.")
    if now.max_trials is not None and found.trials > now.max_trials:
        say(f"It has {found.trials} trials already: these are finished, and no new ones are started.")
    if now.finished_at is not None:
        more = "" if spent_by(spec, now) else f", or hpo extend {argument(name)} --epochs N{place.options}"
        say(f"It has ended, and its budgets leave nothing to train. For more: larger budgets in the study file{more}")
        return
    if now.stopped_at is not None:
        say(f"It is stopped. To continue it: hpo resume {argument(name)}{place.options}")
    say(f"Follow it with: hpo show {argument(name)} --watch{place.options}", err=True)


def _settings(before: StudyRow, now: StudyRow) -> str:
    """Priority and budgets in words, with the values from before."""
    units = {f"max_{setting}": unit for setting, unit in {"trials": "trials", **endings.UNITS}.items()}
    budgets = []
    for column, unit in units.items():
        limit, old = getattr(now, column), getattr(before, column)
        if limit is not None or old is not None:
            now_has = f"any number of {unit}" if limit is None else endings.amount(limit, unit)
            budgets.append(f"{now_has}{_was(old, limit)}")
    return f"priority {now.priority}{_was(before.priority, now.priority)} and a budget of {', '.join(budgets)}"


def _was(old: float | None, new: float | None) -> str:
    if old == new:
        return ""
    return f" (before: {'any number' if old is None else f'{old:.15g}'})"
