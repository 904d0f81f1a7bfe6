"""The checkpoints of one study: the rows about them, and the stores that hold them. Which are kept is decided in
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
    """What is needed to find a study's checkpoints, and to decide which of them are kept."""

    store: Store
    study_id: int
    name: str
    """Name of the study."""
    searcher: Searcher
    keep: int
    """How many of the best trials keep their weights and their last state."""
    home: Path
    checkpoint_store: CheckpointStore | None = None
    """The store in which workers keep checkpoints; None: the home folder, which is searched in any case."""

    def content(self, path: str, sha256: str) -> dict[str, Any] | None:
        """Contents of a checkpoint, given the path and SHA-256 of its row; None if it is missing or damaged."""
        for checkpoint_store in self._stores():
            data = checkpoint_store.get(path)
            if data is not None and packing.is_whole(data, sha256):
                return packing.unpack(data)
        return None

    @property
    def places(self) -> str:
        """The stores that `content` searches, for messages."""
        return " or ".join(checkpoint_store.place for checkpoint_store in self._stores())

    def _stores(self) -> Iterator[CheckpointStore]:
        home = Directory(self.home)
        if self.checkpoint_store is not None and self.checkpoint_store.place != home.place:
            yield self.checkpoint_store
        yield home
