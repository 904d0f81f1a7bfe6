"""Registering a study in the database, or checking that the registered one is the same; and facts recorded for
people."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from optuna.trial import TrialState

from hpo import __version__, space
from hpo.data.parts.lone_feature import lone_feature
from hpo.errors import StudyFileError, StudyStateError
from hpo.execution.resources import Resources
from hpo.paths import DICT, argument
from hpo.registry import studies
from hpo.registry.facts import StudyFacts
from hpo.registry.lone_feature import LoneFeature
from hpo.registry.reopening import reopen_cut
from hpo.registry.studies import StudyRow
from hpo.runtime.setup.commit import commit_of
from hpo.runtime.setup.inputs import Inputs
from hpo.runtime.setup.specs import known_study, spec_of, spent_by
from hpo.runtime.setup.starts import starts_of
from hpo.search.pruning.by_name import promotion_of
from hpo.storage.store import Store
from hpo.studyfile.edits import refusals
from hpo.studyfile.file import StudySpec, changes, fingerprint
from hpo.training.batches import Examples


def register(
    spec: StudySpec,
    store: Store,
    inputs: Inputs,
    examples: Examples | None,
    resources: Resources,
    claim: Callable[[int], None],
) -> tuple[int, bool]:
    """Registers the study, or checks that it has not changed, and claims it. Returns its id, and whether its training
    steps are compiled. `examples`: None where a training function of the user's own trains."""
    study_id = studies.register_study(
        store,
        name=spec.study.name,
        direction=spec.study.directions[0],
        metric=spec.study.metric,
        further=dict(zip(spec.study.objectives[1:], spec.study.directions[1:], strict=True)),
        spec_text=spec.text,
        source=str(Path(spec.source).resolve()),
        fingerprint=fingerprint(spec),
        dataset_fingerprint=inputs.dataset.fingerprint,
        seed=spec.study.seed,
        hpo_version=__version__,
        conventions=spec.conventions,
        split=inputs.splits.fingerprint,
        starts=starts_of(spec, store) if known_study(store, spec) is None else (),
    )
    row = studies.study_row(store, spec.study.name)
    _refuse_changes(spec, row, store.place)
    if row.facts.conventions != spec.conventions:  # another process registered it after this one had split the data
        raise StudyStateError(f"the study {row.name!r} was begun at this moment. Run the same command again.")
    refuse_other_inputs(spec, row, inputs)
    compiled = examples is not None and resources.compiles(spec, examples, row.facts.compiled)
    with store.transaction():
        claim(study_id)
        now = studies.study_row(store, spec.study.name)
        if now.fingerprint != row.fingerprint:
            raise StudyStateError(f"the study {row.name!r} was edited at this moment. Run the same command again.")
        if now.facts.is_being_deleted:
            raise StudyStateError(f"the study {row.name!r} is just being deleted. Run the same command again.")
        studies.set_balance(store, study_id, inputs.splits.balance)
        facts = replace(now.facts, budget=space.budget(spec), compiled=compiled, roles=spec.study.roles or None)
        if not now.facts.circumstances and (commit := commit_of(Path(spec.source).resolve().parent)):
            facts = replace(facts, circumstances={"commit": commit})  # that of the beginning
        if has_work(spec, store, now) or now.finished_at is None:  # else the study stays finished, with its facts
            facts = facts.updated(circumstances(spec, inputs, resources.device))
            studies.mark_unfinished(store, study_id)
        studies.set_facts(store, study_id, facts)
        for key, value in _dashboard_attributes(spec, inputs).items():
            store.set_study_user_attr(study_id, key, value)
    store.forget(study_id)
    return study_id, compiled


def changed_sources(inputs: Inputs, row: StudyRow) -> list[str]:
    """The files or modules whose code has changed since the study began."""
    return [name for name, digest in inputs.sources.items() if row.facts.sources.get(name, digest) != digest]


def changed_split(inputs: Inputs, row: StudyRow) -> str | None:
    """That the data is divided into other parts than when the study began, and what may be the reason; None where it is
    divided alike, or the study did not note how."""
    if row.facts.split in (None, inputs.splits.fingerprint):
        return None
    began = row.facts.circumstances
    others = [f"{name} {began[name]}, not {now}" for name, now in _drawing().items() if began.get(name, now) != now]
    reason = f" (it began with {' and '.join(others)})" if others else ""
    return f"the data of {inputs.dataset.name!r} is split differently than when study {row.name!r} began{reason}"


def check_unchanged(inputs: Inputs, row: StudyRow, *, of_data: str, of_code: str) -> None:
    """Raises `StudyStateError` where the data, its parts or the code have changed since the study began. `of_data`,
    `of_code`: what follows from that, in words."""
    if inputs.dataset.fingerprint != row.dataset_fingerprint:
        raise StudyStateError(
            f"the data of {inputs.dataset.name!r} has changed since the study {row.name!r} began, so {of_data}. "
            "Restore the data."
        )
    if other := changed_split(inputs, row):
        raise StudyStateError(f"{other}, so {of_data}. Install the versions that it began with.")
    if changed := changed_sources(inputs, row):
        raise StudyStateError(
            f"{' and '.join(changed)} has changed since the study {row.name!r} began, so {of_code}. Restore the code."
        )


def _drawing() -> dict[str, str]:
    """Versions of the libraries that draw the split."""
    return {name: version(name) for name in ("numpy", "scikit-learn")}


def has_work(spec: StudySpec, store: Store, row: StudyRow) -> bool:
    """In a transaction: whether the study's budgets leave anything to train. Where no budget is spent, trials that a
    budget had cut run again."""
    own = store.own_trials(row.study_id)
    running = any(trial.state == TrialState.RUNNING for trial in own)
    if spent_by(spec, row) is not None:
        return running
    unasked = len(own) < space.budget(spec)
    promotion = promotion_of(spec, own)
    paused = promotion is not None and bool(promotion.promotable(last=not unasked))
    return reopen_cut(store, row.study_id) > 0 or running or unasked or paused


def _refuse_changes(spec: StudySpec, known: StudyRow, place: str) -> None:
    """Raises `StudyFileError` where the file differs from that of the study."""
    if known.fingerprint == fingerprint(spec):
        return
    before, name = spec_of(known), spec.study.name
    found = "\n".join(f"  {line}" for line in changes(before, spec))
    if refused := refusals(before, spec):
        way_on = f"{cannot_change(name, refused)}. Or undo the change"
    else:
        way_on = (
            f"To go on with this file, edit the study with `hpo edit {argument(name)} {_file(spec)}`: the trials that "
            "it has remain. Or undo the change"
        )
    raise StudyFileError(
        f"{spec.source}: study {name!r} already has trials from another version of this file:\n{found}\n"
        f"{way_on}, give the changed study another study.name, or delete its trials from {place} with "
        f"`hpo delete {argument(name)}`."
    )


def cannot_change(name: str, refused: Sequence[str]) -> str:
    """The message about changes that no edit of a study can make, each with its reason."""
    lines = "\n".join(f"  {line}" for line in refused)
    return (
        f"An edit of the study {name!r} cannot change\n{lines}\n"
        f"`hpo init --from {argument(name)}` writes the file of the next study, with what this one found"
    )


def _file(spec: StudySpec) -> str:
    return "FILE" if Path(spec.source).name == DICT else argument(spec.source)


def refuse_other_inputs(spec: StudySpec, known: StudyRow, inputs: Inputs) -> None:
    """Raises `StudyFileError` where the data, their split or the code differ from those that the study began with."""
    name = spec.study.name
    if known.dataset_fingerprint != inputs.dataset.fingerprint:
        raise StudyFileError(
            f"{spec.source}: the data of {inputs.dataset.name!r} has changed since study {name!r} began, so new "
            "trials would not be comparable. Restore the data, or give the study another study.name."
        )
    if changed := changed_sources(inputs, known):
        raise StudyFileError(
            f"{spec.source}: {' and '.join(changed)} has changed since study {name!r} began, so new trials would not "
            "be comparable. Restore the code, or give the study another study.name."
        )
    if other := changed_split(inputs, known):
        raise StudyFileError(
            f"{spec.source}: {other}, so new trials would not be comparable. Continue the study with the versions that "
            "it began with, or give it another study.name."
        )


def _dashboard_attributes(spec: StudySpec, inputs: Inputs) -> dict[str, Any]:
    """User attributes that optuna-dashboard shows of the study."""
    further = f"; {' and '.join(spec.study.objectives[1:])}" if len(spec.study.objectives) > 1 else ""
    if spec.data is None:
        about = {"objective": f"{spec.study.metric}, {spec.study.epoch} epoch{further}"}
    else:
        about = {
            "data": f"{inputs.dataset.name}, {inputs.dataset.size} examples, {inputs.dataset.task}",
            "objective": f"validation {spec.study.metric}, {spec.study.epoch} epoch{further}",
        }
    return {
        **about,
        "sampler": spec.sampler.name,
        "pruner": spec.pruner.name,
        "seed": spec.study.seed,
        "study file": spec.source,
    }


def circumstances(spec: StudySpec, inputs: Inputs, device: torch.device) -> StudyFacts:
    """Facts of this run: the budget, the data, the code, versions and the machine."""
    dataset, splits = inputs.dataset, inputs.splits
    about = StudyFacts(
        budget=space.budget(spec),
        sources=inputs.sources,
        function=None if spec.function is None else str(spec.function),
        circumstances={
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "hpo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.processor() or platform.machine(),
        },
    )
    if spec.data is None:
        return about
    return replace(
        about,
        replicas=len(splits.replicas),
        task=dataset.task,
        examples=dataset.size,
        test_examples=len(splits.test_idx),
        split=splits.fingerprint,
        reshuffled=inputs.reshuffled is not None,
        repeated=splits.repeats.rows,
        conflicting=splits.repeats.conflicting,
        across=splits.repeats.across,
        lone_feature=_lone_feature(inputs),
        circumstances={**about.circumstances, "dataset": dataset.name, **_drawing()},
    )


def _lone_feature(inputs: Inputs) -> LoneFeature | None:
    """The feature that predicts the first validation part best alone."""
    first = inputs.splits.replicas[0]
    found = lone_feature(inputs.dataset, first.train_idx, first.valid_idx)
    return None if found is None else LoneFeature(**asdict(found))
