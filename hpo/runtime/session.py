"""From a spec to everything a run needs: the study's row, the searcher, and what its shards are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.execution.job import TrainingJob
from hpo.execution.resources import CPU, Resources
from hpo.models import source
from hpo.registry import studies
from hpo.runtime.inputs import Inputs, references
from hpo.runtime.registration import register
from hpo.search.searcher import Searcher
from hpo.storage.own_view import own_trials_of
from hpo.storage.store import Store
from hpo.studyfile.file import StudySpec
from hpo.training import batches, packing
from hpo.training.batches import Examples


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """What the loop works with."""

    spec: StudySpec
    inputs: Inputs
    store: Store
    study_id: int
    searcher: Searcher
    job: TrainingJob
    """What whoever trains its trials needs."""
    home: Path
    checkpoint_store: CheckpointStore | None = None
    """Where workers keep checkpoints; None: in the home folder, which is looked through in any case."""

    def content(self, path: str, sha256: str) -> dict[str, Any] | None:
        """A checkpoint that the database names; None if it is missing or damaged."""
        for checkpoint_store in self._checkpoint_stores():
            data = checkpoint_store.get(path)
            if data is not None and packing.is_whole(data, sha256):
                return packing.unpack(data)
        return None

    @property
    def places(self) -> str:
        """Where `content` looks, in words."""
        return " or ".join(checkpoint_store.place for checkpoint_store in self._checkpoint_stores())

    def _checkpoint_stores(self) -> Iterator[CheckpointStore]:
        home = Directory(self.home)
        if self.checkpoint_store is not None and self.checkpoint_store.place != home.place:
            yield self.checkpoint_store
        yield home


def open_session(
    spec: StudySpec,
    inputs: Inputs,
    store: Store,
    home: Path,
    resources: Resources,
    dtype: torch.dtype = torch.float32,
    *,
    claim: Callable[[int], None] = lambda study_id: None,
) -> Session:
    """Registers the study, or opens it if the database has it and its file has not changed. A study that has begun
    is given with the conventions that it began with, see `specs.as_begun`.

    `claim` is given the study's id in the transaction that notes how it is to be run, and may refuse by raising.
    """
    examples = batches.on_device(inputs.prepared, device=CPU, dtype=dtype)
    study_id, compiled = register(spec, store, inputs, examples, resources, claim)
    return _session(spec, inputs, store, study_id, home, resources, examples, compiled=compiled)


def anew(session: Session) -> Session:
    """The same session, which knows nothing of the trials but what the database has."""
    session.store.forget(session.study_id)
    return replace(
        session, searcher=Searcher(session.spec, own_trials_of(session.store), session.store, session.study_id)
    )


def session_of(
    spec: StudySpec, inputs: Inputs, store: Store, study_id: int, home: Path, resources: Resources
) -> Session:
    """The session of a study that is in the database; writes nothing."""
    examples = batches.on_device(inputs.prepared, device=CPU, dtype=torch.float32)
    compiled = bool(studies.study_row(store, spec.study.name).facts.get("compiled"))
    return _session(spec, inputs, store, study_id, home, resources, examples, compiled=compiled)


def _session(
    spec: StudySpec,
    inputs: Inputs,
    store: Store,
    study_id: int,
    home: Path,
    resources: Resources,
    examples: Examples,
    *,
    compiled: bool,
) -> Session:
    job = TrainingJob(
        spec=spec,
        examples=examples,
        device=str(resources.device),
        lanes=resources.lanes,
        compiled_lanes=resources.compiled_lanes(spec, examples, compiled=compiled),
        lanes_file=home / "cache" / "lanes.json",
        sources=source.pinned(references(spec)),
    )
    return Session(
        spec=spec,
        inputs=inputs,
        store=store,
        study_id=study_id,
        searcher=Searcher(spec, own_trials_of(store), store, study_id),
        job=job,
        home=home,
    )
