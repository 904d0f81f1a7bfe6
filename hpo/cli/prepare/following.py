"""`hpo init --from STUDY`: writes the file of the study after a study that has been searched."""

from __future__ import annotations

import os
from pathlib import Path

from hpo import disk
from hpo.cli.results.report import reading
from hpo.cli.terminal.output import say, write_path
from hpo.cli.terminal.place import Place
from hpo.errors import InputError, MachineError
from hpo.paths import OBJECT, argument
from hpo.studyfile.file import parse_study


def write_following(place: Place, study: str, name: str | None, *, force: bool) -> None:
    """Write the file beside that of `study`, because paths in it start there, and print its path and what differs.
    `name`: of the new study; None: the old one with the next number."""
    from hpo.reports.facts import gather
    from hpo.reports.next_study import text_of

    with reading(place) as store:
        report = gather(store, study)
    if report.next is None:
        reason = "this version cannot read its file" if report.winner else "none of its trials has finished"
        raise InputError(f"nothing tells what to search after the study {study!r}: {reason}.")
    if f'"{OBJECT}"' in report.spec_text:
        raise InputError(
            f"the study {study!r} has data that were given as an object of Python, which no file can name. Change its "
            f"dict as `hpo show {argument(study)}` says under what next."
        )
    name = name or report.next.name
    path = Path(report.source).parent / f"{name}.toml"
    if os.path.lexists(path) and not force:
        raise InputError(f"{path} exists. Take another name, or --force to replace it.")
    spec = parse_study(report.spec_text, report.source)
    text = text_of(spec, report, report.importances, report.checks, name)
    try:
        disk.save(path, text.encode("utf-8"))
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror}. It belongs beside the file of {study}, {report.source}: run the "
            "command in the folder in which that study was run."
        ) from error
    write_path(path)
    for change in report.next.changes:
        say(change.text, err=True)
    if not report.next.changes:
        say(f"Nothing that {study} found calls for a change: the file differs in its name alone.", err=True)
    say(f"To see what it asks for: hpo check {argument(path)}\nTo run it: hpo run {argument(path)}", err=True)
