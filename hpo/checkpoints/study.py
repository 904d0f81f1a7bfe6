"""The checkpoints of one study: what its database says of them, and where they lie. Which are kept is in
`retention`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.search.searcher import Searcher
from hpo.storage.store import Store
from hpo.training import packing


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyCheckpoints:
    """Where a study's checkpoints are looked for, and what decides which of them are kept."""

    store: Store
    study_id: int
    name: str
    """Of the study."""
    searcher: Searcher
    keep: int
    """How many of the best trials keep their weights and their last state."""
    home: Path
    checkpoint_store: CheckpointStore | None = None
    """Where workers keep checkpoints; None: in the home folder, which is looked through in any case."""

    def content(self, path: str, sha256: str) -> dict[str, Any] | None:
        """A checkpoint that the database names; None if it is missing or damaged."""
        for checkpoint_store in self._stores():
            data = checkpoint_store.get(path)
            if data is not None and packing.is_whole(data, sha256):
                return packing.unpack(data)
        return None

    @property
    def places(self) -> str:
        """Where `content` looks, in words."""
        return " or ".join(checkpoint_store.place for checkpoint_store in self._stores())

    def _stores(self) -> Iterator[CheckpointStore]:
        home = Directory(self.home)
        if self.checkpoint_store is not None and self.checkpoint_store.place != home.place:
            yield self.checkpoint_store
        yield home
