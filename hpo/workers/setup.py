"""From a spec to everything a run needs: the study's row, the searcher, and what its shards are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hpo.models import source
from hpo.search.searcher import Searcher
from hpo.spec.file import StudySpec
from hpo.storage import studies
from hpo.storage.own import own_trials_of
from hpo.storage.store import Store
from hpo.training import batches, checkpoints
from hpo.training.batches import Examples
from hpo.workers.depot import Depot, Folder
from hpo.workers.material import Material, references
from hpo.workers.means import CPU, Means
from hpo.workers.outfit import Outfit
from hpo.workers.register import register


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What the loop works with."""

    spec: StudySpec
    material: Material
    store: Store
    study_id: int
    searcher: Searcher
    outfit: Outfit
    """What whoever trains its trials needs."""
    home: Path
    depot: Depot | None = None
    """Where workers keep checkpoints; None: in the home folder, which is looked through in any case."""

    def content(self, path: str, sha256: str) -> dict[str, Any] | None:
        """A checkpoint that the database names; None if it is missing or damaged."""
        for depot in self._depots():
            data = depot.get(path)
            if data is not None and checkpoints.is_whole(data, sha256):
                return checkpoints.unpack(data)
        return None

    @property
    def places(self) -> str:
        """Where `content` looks, in words."""
        return " or ".join(depot.place for depot in self._depots())

    def _depots(self) -> Iterator[Depot]:
        home = Folder(self.home)
        if self.depot is not None and self.depot.place != home.place:
            yield self.depot
        yield home


def open_bench(
    spec: StudySpec,
    material: Material,
    store: Store,
    home: Path,
    means: Means,
    dtype: torch.dtype = torch.float32,
    *,
    claim: Callable[[int], None] = lambda study_id: None,
) -> Bench:
    """Registers the study, or opens it if the database has it and its file has not changed. A study that has begun
    is given with the conventions that it began with, see `specs.as_begun`.

    `claim` is given the study's id in the transaction that notes how it is to be run, and may refuse by raising.
    """
    examples = batches.on_device(material.prepared, device=CPU, dtype=dtype)
    study_id, compiled = register(spec, store, material, examples, means, claim)
    return _bench(spec, material, store, study_id, home, means, examples, compiled=compiled)


def anew(bench: Bench) -> Bench:
    """The same bench, which knows nothing of the trials but what the database has."""
    bench.store.forget(bench.study_id)
    return replace(bench, searcher=Searcher(bench.spec, own_trials_of(bench.store), bench.store, bench.study_id))


def bench_of(spec: StudySpec, material: Material, store: Store, study_id: int, home: Path, means: Means) -> Bench:
    """The bench of a study that is in the database; writes nothing."""
    examples = batches.on_device(material.prepared, device=CPU, dtype=torch.float32)
    compiled = bool(studies.study_row(store, spec.study.name).facts.get("compiled"))
    return _bench(spec, material, store, study_id, home, means, examples, compiled=compiled)


def _bench(
    spec: StudySpec,
    material: Material,
    store: Store,
    study_id: int,
    home: Path,
    means: Means,
    examples: Examples,
    *,
    compiled: bool,
) -> Bench:
    outfit = Outfit(
        spec=spec,
        examples=examples,
        device=str(means.device),
        lanes=means.lanes,
        compiled_lanes=means.compiled_lanes(spec, examples, compiled=compiled),
        notebook=home / "cache" / "lanes.json",
        sources=source.pinned(references(spec)),
    )
    return Bench(
        spec=spec,
        material=material,
        store=store,
        study_id=study_id,
        searcher=Searcher(spec, own_trials_of(store), store, study_id),
        outfit=outfit,
        home=home,
    )
