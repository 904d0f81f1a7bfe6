"""Deleting a study with its checkpoints, in the home folder and where workers keep them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpo.errors import MachineError
from hpo.storage import deletion
from hpo.storage.store import Store
from hpo.storage.studies import study_row
from hpo.workers.depot import Depot, Folder
from hpo.workers.kept import kept_elsewhere
from hpo.workers.lock import exclusive


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """What became of a study's checkpoints."""

    files: int
    """How many were deleted."""
    missing: int
    """How many the database named that lie in none of the places."""
    places: tuple[str, ...]
    """Where they were looked for."""
    refusals: tuple[str, ...]
    """Why some are still there."""


def delete_study(store: Store, name: str, home: Path, checkpoints: str | None = None) -> Deletion:
    """Deletes a study that nobody works on, then its checkpoints. `checkpoints`: where workers kept them, if not where
    they noted it."""
    depots: list[Depot] = [Folder(home)]
    elsewhere = kept_elsewhere(store, study_row(store, name).study_id, checkpoints, home)
    if elsewhere is not None and elsewhere.place != depots[0].place:
        depots.append(elsewhere)
    folder = f"checkpoints/{name}"
    with _locked(home / folder) as last:
        # Their names before the transaction: what is written after it belongs to another study of the same name.
        there = [{path for path in depot.names(f"{folder}/") if _is_checkpoint(path)} for depot in depots]
        named = deletion.delete_study(store, name, dead=last)
        refusals = [*_delete(depots, there)]
    return Deletion(
        files=sum(map(len, there)) - len(refusals),
        missing=len(named.difference(*there)),
        places=tuple(depot.place for depot in depots),
        refusals=tuple(refusals),
    )


def _locked(folder: Path) -> AbstractContextManager[str | None]:
    """Keeps `hpo run` out of a folder; one that is not there needs no lock."""
    return exclusive(folder, "") if folder.is_dir() else nullcontext()


def _is_checkpoint(path: str) -> bool:
    """Also one that was being written when its process was killed."""
    return ".pt" in PurePosixPath(path).suffixes


def _delete(depots: list[Depot], there: list[set[str]]) -> list[str]:
    refusals = []
    for depot, paths in zip(depots, there, strict=True):
        for path in sorted(paths):
            try:
                depot.delete(path)
            except MachineError as error:
                refusals.append(str(error))
    return refusals
