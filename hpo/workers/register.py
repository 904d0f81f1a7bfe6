"""Putting a study into the database, or finding it there unchanged; and what is noted of it for people."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from optuna.trial import TrialState

from hpo import __version__, space
from hpo.errors import StudyFileError, StudyStateError
from hpo.paths import argument
from hpo.search.objective import direction
from hpo.spec.file import StudySpec, changes, fingerprint
from hpo.spec.study import trial_epochs
from hpo.storage import studies
from hpo.storage.reopening import reopen_cut
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.training.batches import Examples
from hpo.workers.budgets import spent_by
from hpo.workers.material import Material
from hpo.workers.means import Means
from hpo.workers.specs import spec_of


def register(
    spec: StudySpec,
    store: Store,
    material: Material,
    examples: Examples,
    means: Means,
    claim: Callable[[int], None],
) -> tuple[int, bool]:
    """Registers the study, or finds it unchanged, and claims it. Its id, and whether its steps are compiled."""
    study_id = studies.register_study(
        store,
        name=spec.study.name,
        direction=direction(spec.study.objective),
        metric=spec.study.objective,
        spec_text=spec.text,
        source=str(Path(spec.source).resolve()),
        fingerprint=fingerprint(spec),
        dataset_fingerprint=material.dataset.fingerprint,
        seed=spec.study.seed,
        hpo_version=__version__,
        conventions=spec.conventions,
    )
    row = studies.study_row(store, spec.study.name)
    _refuse_changes(spec, row, material, store.place)
    compiled = means.compiles(spec, examples, row.facts.get("compiled"))
    with store.tick():
        claim(study_id)
        now = studies.study_row(store, spec.study.name)
        if now.fingerprint != row.fingerprint:
            raise StudyStateError(f"the study {row.name!r} was extended at this moment. Run the same command again.")
        if now.is_doomed:
            raise StudyStateError(f"the study {row.name!r} is just being deleted. Run the same command again.")
        studies.set_balance(store, study_id, material.splits.balance)
        facts: dict[str, Any] = {"budget": space.budget(spec), "compiled": compiled}
        if _has_work(spec, store, now) or now.finished_at is None:  # else it stays as it ended
            facts |= circumstances(spec, material, means.device)
            studies.mark_unfinished(store, study_id)
        studies.set_facts(store, study_id, {**now.facts, **facts})
        for key, value in _card(spec, material).items():
            store.set_study_user_attr(study_id, key, value)
    store.forget(study_id)
    return study_id, compiled


def changed_sources(material: Material, row: StudyRow) -> list[str]:
    """The files or modules whose code is no longer what it was when the study began."""
    return [name for name, digest in material.sources.items() if row.facts.get(_fact(name), digest) != digest]


def _has_work(spec: StudySpec, store: Store, row: StudyRow) -> bool:
    """In a tick: whether the study's budgets leave anything to train. Trials that one had cut go on once none is
    spent."""
    own = store.own_trials(row.study_id)
    running = any(trial.state == TrialState.RUNNING for trial in own)
    if spent_by(spec, row) is not None:
        return running
    unasked = len(own) < space.budget(spec)
    return reopen_cut(store, row.study_id) > 0 or running or unasked


def _fact(module: str) -> str:
    return f"sha256 of {module}"


def _refuse_changes(spec: StudySpec, known: StudyRow, material: Material, place: str) -> None:
    name = spec.study.name
    if known.fingerprint != fingerprint(spec):
        before = spec_of(known)
        longer = trial_epochs(spec) > trial_epochs(before)
        extend = f"hpo extend {argument(name)} --epochs N"
        submit = f", give it to workers with `hpo submit {argument(spec.source)}`" if known.submitted_at is None else ""
        raise StudyFileError(
            f"{spec.source}: study {name!r} already has trials from another version of this file:\n"
            + "\n".join(f"  {line}" for line in changes(before, spec))
            + (f"\nFor more epochs, undo that change{submit}, then `{extend}`." if longer else "")
            + "\nGive the changed study another study.name, undo the change, or delete its trials from "
            f"{place} with `hpo delete {argument(name)}`."
        )
    if known.dataset_fingerprint != material.dataset.fingerprint:
        raise StudyFileError(
            f"{spec.source}: the data of {material.dataset.name!r} has changed since study {name!r} began, so new "
            "trials would not be comparable. Restore the data, or give the study another study.name."
        )
    if changed := changed_sources(material, known):
        raise StudyFileError(
            f"{spec.source}: {' and '.join(changed)} has changed since study {name!r} began, so new trials would not "
            "be comparable. Restore the code, or give the study another study.name."
        )


def _card(spec: StudySpec, material: Material) -> dict[str, Any]:
    """What optuna-dashboard shows of the study beside its name."""
    return {
        "data": f"{material.dataset.name}, {material.dataset.size} examples, {material.dataset.task}",
        "objective": f"validation {spec.study.objective}, {spec.study.epoch} epoch",
        "sampler": spec.search.sampler.name,
        "pruner": spec.search.pruner.name,
        "seed": spec.study.seed,
        "study file": spec.source,
    }


def circumstances(spec: StudySpec, material: Material, device: torch.device) -> dict[str, Any]:
    """What a report says of the data, the budget and the machine."""
    dataset, splits = material.dataset, material.splits
    return {
        "budget": space.budget(spec),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "dataset": dataset.name,
        "task": dataset.task,
        "examples": dataset.size,
        "test": len(splits.test_idx),
        "replicas": len(splits.replicas),
        "hpo": __version__,
        **{_fact(module): digest for module, digest in material.sources.items()},
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
    }
