"""`hpo dashboard`: optuna-dashboard on the database of the home folder."""

from __future__ import annotations

import click

from hpo.cli.place import Place, place_options


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@place_options
@click.pass_obj
def dashboard(place: Place, host: str, port: int) -> None:
    """Browse all studies in optuna-dashboard.

    The dashboard has no passwords and can change and delete studies: keep it on an address that only you reach.

    \b
    Examples:
      hpo dashboard
      hpo dashboard --port 9000
    """
    from hpo.storage.engine import open_store

    open_store(place.storage_url, readonly=True).close()
    import optuna_dashboard

    click.echo(f"optuna-dashboard on http://{host}:{port} (Ctrl-C ends it)", err=True)
    optuna_dashboard.run_server(place.storage_url, host=host, port=port)
