"""`hpo edit`: gives a study another study file while it runs, or after it has ended."""

from __future__ import annotations

import click

from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, place_options
from hpo.errors import InputError
from hpo.paths import argument, run_command


@click.command()
@click.argument("study")
@click.argument("file")
@click.option("--after-trials", type=click.IntRange(min=0), default=0, help="Wait until it has asked for N trials.")
@click.option("--after-epochs", type=click.IntRange(min=0), default=0, help="Wait until it has trained N trial-epochs.")
@place_options
@click.pass_obj
def edit(place: Place, study: str, file: str, after_trials: int, after_epochs: int) -> None:
    """Give STUDY the study file FILE while it runs, or after it has ended.

    Ranges and choices may become wider or narrower, and everything else may change that new trials depend on: models,
    optimizers, sampler, pruner, concurrency, budgets, more epochs. The data, the objective and the seed may not. The
    trials that the study has remain, and keep the settings that they began with; nothing is trained again. Processes
    that run the study go on with the new file after their present epoch. Edits take effect in their order, and `hpo
    show` lists them.

    \b
    Examples:
      hpo edit digits studies/digits.toml
      hpo edit digits narrow.toml --after-trials 40
    """
    from hpo.studyfile.file import find_study, read_study_file

    spec = read_study_file(find_study(file))
    if spec.study.name != study:
        raise InputError(
            f'{spec.source}: study.name is {spec.study.name!r}, not {study!r}. Write name = "{study}" under [study].'
        )

    from hpo.reports.text import plural
    from hpo.runtime.editing import edit_study

    done = edit_study(spec, place.storage_url, place.home, after_trials=after_trials, after_epochs=after_epochs)
    made, row = done.edit, done.row
    say(f"Edit {made.number} of study {study}:")
    for line in made.changes:
        say(f"  {line}")
    if done.outside:
        say(f"Outside of its ranges and choices: {plural(len(done.outside), 'trial')}, which remain.")
    if made.waits and (after_trials or after_epochs):
        say("It waits until the study has come so far.")
    elif made.waits:
        say("It takes effect after the present epoch.")
    elif row.finished_at is not None:
        say("The study has ended, and its budgets leave nothing to train.")
    elif row.submitted_at is None:
        say(f"The study goes on with: {run_command(row.spec_source)}{place.options}")
    elif row.stopped_at is not None:
        say(f"It is stopped. To continue it: hpo resume {argument(study)}{place.options}")
