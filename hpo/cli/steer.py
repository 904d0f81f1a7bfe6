"""`hpo stop`, `hpo resume` and `hpo extend`: changing a submitted study while workers run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from hpo import endings
from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, place_options
from hpo.errors import InputError
from hpo.paths import argument

if TYPE_CHECKING:
    from hpo.registry.studies import StudyRow
    from hpo.storage.store import Store


@click.command()
@click.argument("study")
@place_options
@click.pass_obj
def stop(place: Place, study: str) -> None:
    """Stop STUDY: its workers finish and save the current epoch, then work on other studies.

    \b
    Examples:
      hpo stop digits
    """
    from hpo.registry import control

    with _writing(place) as store:
        control.stop(store, study)
    say(f"Study {study} is stopped. To continue it: hpo resume {argument(study)}{place.options}")


@click.command()
@click.argument("study")
@place_options
@click.pass_obj
def resume(place: Place, study: str) -> None:
    """Let workers continue STUDY after `hpo stop`.

    \b
    Examples:
      hpo resume digits
    """
    from hpo.registry import control

    with _writing(place) as store:
        before = control.resume(store, study)
    ended = before.finished_at is not None
    say(f"Study {study} {'is no longer stopped, and has ended' if ended else 'continues'}.")


@click.command()
@click.argument("study")
@click.option("--trials", type=click.IntRange(min=1), help="New budget of trials: their total number.")
@click.option("--epochs", type=click.IntRange(min=1), help="New length of every trial: its total number of epochs.")
@click.option("--pruned", is_flag=True, help="With --epochs: continue pruned trials, too.")
@place_options
@click.pass_obj
def extend(place: Place, study: str, trials: int | None, epochs: int | None, pruned: bool) -> None:
    """Give STUDY more trials, or its trials more epochs, also while workers run it.

    With more epochs, finished trials continue under their numbers: the best ones from their last states, which are
    kept, the others from the start, with the same results as before. The command is refused if the study's budget of
    epochs or of time is spent: raise it in the study file, then `hpo submit` it again.

    \b
    Examples:
      hpo extend digits --trials 200
      hpo extend digits --epochs 60
      hpo extend digits --epochs 60 --pruned
    """
    if pruned and epochs is None:
        raise click.UsageError("--pruned says which trials get more epochs: add --epochs N.")
    if trials is None and epochs is None:
        raise click.UsageError("Nothing to extend: give --trials N, --epochs N or both.")
    with _writing(place) as store:
        row, lines = _extend(store, study, trials, epochs, pruned)
    for line in lines:
        say(line)
    if row.stopped_at is not None:
        say(f"It is stopped. To continue it: hpo resume {argument(study)}{place.options}")


def _extend(
    store: Store, study: str, trials: int | None, epochs: int | None, pruned: bool
) -> tuple[StudyRow, list[str]]:
    """Extends the study in one transaction, so that both extensions are made or none. Returns the study's row from
    before, and messages."""
    from hpo.database.patience import retried
    from hpo.registry import control

    def extend() -> tuple[StudyRow, list[str]]:
        lines = []
        with store.transaction(), control.locked(store, control.submitted(store, study)) as row:
            if trials is not None:
                lines.append(_extend_trials(store, row, trials))
            if epochs is not None:
                lines.append(_extend_epochs(store, row, epochs, pruned))
        return row, lines

    return retried(extend)


def _extend_trials(store: Store, row: StudyRow, count: int) -> str:
    from hpo import space
    from hpo.registry import control, queue
    from hpo.studyfile.file import parse_study
    from hpo.studyfile.study import with_budget

    now = queue.status(store, row.study_id)
    assert now is not None
    most = max(now.trials, now.max_trials or 0)
    if count <= most:
        raise InputError(f"--trials {count}: the study {row.name!r} has {most} already; give a larger number.")
    budget = space.budget(with_budget(parse_study(row.spec_text, row.spec_source), trials=count))
    if budget <= most:
        raise InputError(
            f"--trials {count}: the grid of {row.name!r} has only {budget} combinations, and it has all of them."
        )
    control.extend_trials(store, row, budget)
    whole = "" if budget == count else ", its whole grid"
    return f"Study {row.name} has a budget of {endings.amount(budget, 'trials')}{whole}."


def _extend_epochs(store: Store, row: StudyRow, epochs: int, pruned: bool) -> str:
    from hpo.registry import control
    from hpo.studyfile.file import parse_study
    from hpo.studyfile.settings import fingerprint
    from hpo.studyfile.study import trial_epochs, with_epochs

    spec = parse_study(row.spec_text, row.spec_source)
    before = row.trial_epochs or trial_epochs(spec)
    if epochs <= before:
        raise InputError(f"--epochs {epochs}: trials of {row.name!r} train {before} already; give a larger number.")
    meaning = fingerprint(with_epochs(spec, epochs))
    numbers = control.extend_epochs(store, row, epochs, before=before, fingerprint=meaning, pruned=pruned)
    line = f"Trials of {row.name} train {epochs} epochs; {len(numbers)} that had ended continue."
    if spec.function is None:
        return line
    return (
        f"{line} {spec.function} is called for them again, and decides itself how long it trains: it must train until "
        "trial.epochs, or until trial.should_stop(), and not for a number of its own, e.g. of trial.arguments."
    )


@contextmanager
def _writing(place: Place) -> Iterator[Store]:
    from hpo.storage.open import open_store

    # Opening it read-only first raises if there is no database; the command must not create one.
    open_store(place.storage_url, readonly=True).close()
    with closing(open_store(place.storage_url)) as store:
        yield store
