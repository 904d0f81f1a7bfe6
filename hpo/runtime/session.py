"""A session: everything that running a study needs, i.e. its spec, inputs, database, searcher and training job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hpo import own_code, space
from hpo.checkpoints.store import CheckpointStore
from hpo.checkpoints.study import StudyCheckpoints
from hpo.checkpoints.trial_folders import trial_folder
from hpo.execution.functions.job import FunctionJob, TrialData
from hpo.execution.job import TrainingJob
from hpo.execution.resources import CPU, Resources
from hpo.registry import studies
from hpo.runtime.setup.inputs import Inputs, references
from hpo.runtime.setup.registration import register
from hpo.runtime.setup.specs import versions_of
from hpo.search.searcher import Searcher
from hpo.storage.own_view import own_trials_of
from hpo.storage.store import Store
from hpo.studyfile.custom import Reference
from hpo.studyfile.file import StudySpec
from hpo.studyfile.records import FunctionCall
from hpo.training import batches
from hpo.training.batches import Examples
from hpo.training.feed.reshuffled import with_shared_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A study opened to be run. The coordinator works with it."""

    spec: StudySpec
    inputs: Inputs
    store: Store
    study_id: int
    searcher: Searcher
    job: TrainingJob | FunctionJob
    """What the executor needs to train the trials."""
    home: Path
    checkpoint_store: CheckpointStore | None = None
    """Where workers keep checkpoints, besides the home folder, which is searched in any case; None: only there."""

    @property
    def training_job(self) -> TrainingJob:
        """The job of a study that trains models."""
        assert isinstance(self.job, TrainingJob)
        return self.job

    @property
    def left(self) -> float:
        """Share of the budget of trials that has not ended, from 0 to 1."""
        ended = sum(trial.state.is_finished() for trial in self.searcher.all_trials())
        return max(0.0, 1 - ended / space.budget(self.spec))

    @property
    def checkpoints(self) -> StudyCheckpoints:
        """The study's checkpoints."""
        return StudyCheckpoints(
            store=self.store,
            study_id=self.study_id,
            name=self.spec.study.name,
            searcher=self.searcher,
            keep=self.spec.checkpoints.keep,
            home=self.home,
            checkpoint_store=self.checkpoint_store,
        )


def open_session(
    spec: StudySpec,
    inputs: Inputs,
    store: Store,
    home: Path,
    resources: Resources,
    *,
    claim: Callable[[int], None] = lambda study_id: None,
) -> Session:
    """Registers the study, or opens it if it is registered and its file has not changed. The spec of a study that has
    begun must have the conventions that it began with, see `specs.as_begun`.

    `claim` is called with the study's id in the transaction that records how the study is run; it may raise to refuse.
    """
    examples = _examples(spec, inputs)
    study_id, compiled = register(spec, store, inputs, examples, resources, claim)
    return _session(spec, inputs, store, study_id, home, resources, examples, compiled=compiled)


def anew(session: Session) -> Session:
    """The same session with a new searcher, so that all trials are read from the database again."""
    session.store.forget(session.study_id)
    return replace(session, searcher=_searcher(session.searcher.versions, session.store, session.study_id))


def _searcher(versions: Sequence[StudySpec], store: Store, study_id: int) -> Searcher:
    starts = studies.study_row(store, versions[-1].study.name).facts.starts
    return Searcher(versions[-1], own_trials_of(store), store, study_id, earlier=versions[:-1], starts=starts)


def session_of(
    spec: StudySpec, inputs: Inputs, store: Store, study_id: int, home: Path, resources: Resources
) -> Session:
    """Opens a session of a registered study; writes nothing."""
    examples = _examples(spec, inputs)
    compiled = bool(studies.study_row(store, spec.study.name).facts.compiled)
    return _session(spec, inputs, store, study_id, home, resources, examples, compiled=compiled)


def _examples(spec: StudySpec, inputs: Inputs) -> Examples | None:
    """The examples as tensors; None where a training function of the user's own trains."""
    if spec.function is not None:
        return None
    if inputs.reshuffled is not None:
        return with_shared_rows(inputs.prepared, inputs.splits, inputs.reshuffled, device=CPU, dtype=torch.float32)
    return batches.on_device(inputs.prepared, device=CPU, dtype=torch.float32)


def _function_job(spec: StudySpec, inputs: Inputs, function: Reference, folder: Path, device: str) -> FunctionJob:
    call = FunctionCall.model_validate(spec.tree["trial"] | {"arguments": {}})
    return FunctionJob(
        study=spec.study.name,
        function=function.below(Path(spec.source).parent),
        sources=own_code.pinned(references(spec)),
        objectives=spec.study.objectives,
        seed=spec.study.seed,
        data=None if spec.data is None else TrialData.of(inputs.prepared),
        folder=folder,
        device=device,
        resources=call.resources,
        seconds=call.seconds,
        at_own_pace=spec.at_own_pace,
    )


def _session(
    spec: StudySpec,
    inputs: Inputs,
    store: Store,
    study_id: int,
    home: Path,
    resources: Resources,
    examples: Examples | None,
    *,
    compiled: bool,
) -> Session:
    job: TrainingJob | FunctionJob
    versions = versions_of(spec, store, study_id)
    spec = versions[-1]
    if examples is None:
        assert spec.function is not None
        folder = trial_folder(store, studies.study_row(store, spec.study.name), home, claim=True)
        job = _function_job(spec, inputs, spec.function, folder, str(resources.device))
    else:
        job = TrainingJob(
            spec=spec,
            examples=examples,
            device=str(resources.device),
            lanes=resources.lanes,
            compiled_lanes=resources.compiled_lanes(spec, examples, compiled=compiled),
            lanes_file=home / "cache" / "lanes.json",
            sources=own_code.pinned(list(dict.fromkeys(one for version in versions for one in references(version)))),
            reshuffled=inputs.reshuffled,
            earlier=versions[:-1],
        )
    return Session(
        spec=spec,
        inputs=inputs,
        store=store,
        study_id=study_id,
        searcher=_searcher(versions, store, study_id),
        job=job,
        home=home,
    )
