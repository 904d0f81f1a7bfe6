"""`hpo delete`: deletes a study permanently."""

from __future__ import annotations

import sys
from contextlib import closing

import click

from hpo.cli.terminal.output import ask, say
from hpo.cli.terminal.place import Place, checkpoints_option, place_options
from hpo.errors import InputError


@click.command()
@click.argument("study")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@checkpoints_option("where the study's workers noted it")
@place_options
@click.pass_obj
def delete(place: Place, study: str, yes: bool, checkpoints: str | None) -> None:
    """Delete STUDY permanently: its trials and everything else about it in the database, its checkpoints, and in the
    home folder the folders of a training function's trials.

    Its reports, exports and study file are not deleted. The command is refused while `hpo run` or workers work on the
    study: interrupt the run, or use `hpo stop` first.

    \b
    Examples:
      hpo delete digits
      hpo delete digits --yes
    """
    from hpo.cli.results.report import reading
    from hpo.cli.terminal.status import study_details
    from hpo.reports.text import plural
    from hpo.runtime.deletion import delete_study
    from hpo.runtime.sweeping import sweep
    from hpo.storage.open import open_store

    with reading(place) as store:
        found = study_details(store, study)
        trials = plural(found.ended_trials + found.running, "trial")
        where = store.place
    files = "its checkpoints" if found.function is None else "its checkpoints and folders"
    if not yes:
        _ask(f"Delete the study {study} with {trials} and {files} from {where}?")

    with closing(open_store(place.storage_url)) as store:
        done = delete_study(store, study, place.home, checkpoints)
        sweep(store, place.home, checkpoints)
    folders = ", the folders of its trials" if done.trial_folders else ""
    say(f"Study {study} is deleted: {trials}, {plural(done.files, 'checkpoint file')}{folders}.")
    if done.missing:
        say(
            f"{plural(done.missing, 'more checkpoint file')} that it named: not found in {' or '.join(done.places)}.",
            err=True,
        )
    if done.strange:
        say(
            f"Not deleted: {plural(len(done.strange), 'file')} that may belong to a study of this name in another "
            f"database: {', '.join(done.strange)}",
            err=True,
        )
    for refusal in done.refusals:
        say(refusal, err=True)
    if done.refusals:
        sys.exit(1)


def _ask(question: str) -> None:
    try:
        sure = ask(question)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        say(err=True)
        raise InputError("nothing was deleted, because nobody answered. To delete without asking, add --yes.") from None
    if not sure:
        raise InputError("nothing was deleted.")
