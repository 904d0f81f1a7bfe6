"""`hpo submit`: gives a study to the workers of the service."""

from __future__ import annotations

import click

from hpo.cli.place import Place, place_options


@click.command()
@click.argument("study")
@click.option("--trials", type=click.IntRange(min=1), help="Budget of trials, instead of the file's search.trials.")
@click.option(
    "--priority", type=int, default=0, show_default=True, help="Workers turn to the highest first, then to the oldest."
)
@place_options
@click.pass_obj
def submit(place: Place, study: str, trials: int | None, priority: int) -> None:
    """Put STUDY into the database for workers (`hpo worker`) to run.

    STUDY is the path of a study file or a name under studies/. A data set of its own must lie at the same path on the
    workers' machines. A study that is there already gets the file's budgets and the priority; nothing of it is lost.

    \b
    Examples:
      hpo submit digits
      hpo submit digits --trials 500 --priority 5
      hpo submit digits --storage postgresql://me@dbhost/hpo
    """
    from hpo.spec.file import find_study, read_study
    from hpo.spec.study import with_budget

    spec = read_study(find_study(study))
    if trials is not None:
        spec = with_budget(spec, trials=trials)

    from hpo.workers.submitting import submit_study

    new = submit_study(spec, place.storage_url, place.home, priority=priority)
    name = spec.study.name
    click.echo(f"Study {name} {'is submitted' if new else 'has its budgets and priority'}.")
    click.echo(f"Follow it with: hpo show {name} --watch{place.options}", err=True)
