"""From a spec to everything a run needs: examples on the device, the study's row, searcher and trainer.

All that can be wrong with the data or the study is found here, before anything is written.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hpo import __version__, models, space
from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.data.prepare import PreparedData, prepare
from hpo.data.splits import Splits, split
from hpo.errors import InputError, StudyFileError
from hpo.search.objective import direction
from hpo.search.searcher import Searcher
from hpo.spec.file import StudySpec, changes, fingerprint, parse_study
from hpo.spec.records import CLASSIFICATION_METRICS, REGRESSION_METRICS
from hpo.storage import studies
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.training import batches, checkpoints, metrics
from hpo.training.batches import Examples
from hpo.training.cohort import Setting
from hpo.training.trainer import Trainer
from hpo.workers.depot import Depot, Folder
from hpo.workers.means import Means, Variants


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """The data of a study."""

    dataset: Dataset
    splits: Splits
    prepared: PreparedData


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What the loop works with."""

    spec: StudySpec
    material: Material
    store: Store
    study_id: int
    searcher: Searcher
    trainer: Trainer
    home: Path
    depot: Depot | None = None
    """Where checkpoints lie, if not in the home folder."""

    def content(self, path: str, sha256: str) -> dict[str, Any] | None:
        """A checkpoint that the database names; None if it is missing or damaged."""
        data = (self.depot or Folder(self.home)).get(path)
        return checkpoints.unpack(data) if data is not None and checkpoints.is_whole(data, sha256) else None

    @property
    def folder(self) -> Path:
        """Where the study's checkpoints lie."""
        return self.home / "checkpoints" / self.spec.study.name


def load_material(spec: StudySpec) -> Material:
    """Loads, splits and prepares the data, and checks that the objective suits it."""
    dataset = load_dataset(spec.data, Path(spec.source).parent)
    suited = REGRESSION_METRICS if dataset.task == "regression" else CLASSIFICATION_METRICS
    if spec.study.objective not in suited:
        raise StudyFileError(
            f"{spec.source}: study.objective is {spec.study.objective!r}, which does not suit {dataset.task}, "
            f"the task of {dataset.name!r}. Allowed here: {', '.join(sorted(suited))}."
        )
    splits = split(dataset, spec.data, spec.study.seed)
    return Material(dataset=dataset, splits=splits, prepared=prepare(dataset, splits, spec.data))


def check_models(spec: StudySpec, material: Material) -> None:
    """Refuses a study none of whose model families can be built for the data."""
    prepared, errors = material.prepared, []
    for config in space.alternatives(spec, "model"):
        try:
            models.build(config, prepared.input_shape, prepared.outputs)
        except InputError as error:
            errors.append(str(error))
        else:
            return
    raise StudyFileError(f"{spec.source}: no model of this study fits {material.dataset.name!r}: {errors[0]}")


def open_bench(
    spec: StudySpec,
    material: Material,
    store: Store,
    home: Path,
    means: Means,
    dtype: torch.dtype = torch.float32,
) -> Bench:
    """Registers the study, or opens it if the database has it and its file has not changed."""
    examples = batches.on_device(material.prepared, device=means.device, dtype=dtype)
    study_id, compiled = _register(spec, store, material, examples, means)
    return _bench(spec, material, store, study_id, home, means, examples, compiled=compiled)


def bench_of(spec: StudySpec, material: Material, store: Store, study_id: int, home: Path, means: Means) -> Bench:
    """The bench of a study that is in the database; writes nothing."""
    examples = batches.on_device(material.prepared, device=means.device, dtype=torch.float32)
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
    compiled_lanes = means.compiled_lanes(spec, examples, compiled=compiled)
    setting = Setting(
        examples=examples,
        seed=spec.study.seed,
        metrics=metrics.names_for(examples.task, spec.study.objective),
        dtype=examples.dtype,
        compiled_lanes=compiled_lanes,
    )
    return Bench(
        spec=spec,
        material=material,
        store=store,
        study_id=study_id,
        searcher=Searcher(spec, store, store, study_id),
        trainer=Trainer(setting, Variants(spec), means.limits(home, compiled_lanes)),
        home=home,
    )


def _register(spec: StudySpec, store: Store, material: Material, examples: Examples, means: Means) -> tuple[int, bool]:
    """The study's id, and whether its steps are compiled."""
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
    )
    row = studies.study_row(store, spec.study.name)
    _refuse_changes(spec, row, material)
    compiled = means.compiles(spec, examples, row.facts.get("compiled"))
    with store.tick():
        studies.set_balance(store, study_id, material.splits.balance)
        facts = {**row.facts, **circumstances(spec, material, means.device), "compiled": compiled}
        studies.set_facts(store, study_id, facts)
        studies.mark_unfinished(store, study_id)
        for key, value in _card(spec, material).items():
            store.set_study_user_attr(study_id, key, value)
    return study_id, compiled


def _refuse_changes(spec: StudySpec, known: StudyRow, material: Material) -> None:
    name = spec.study.name
    if known.fingerprint != fingerprint(spec):
        lines = changes(parse_study(known.spec_text, known.spec_source), spec)
        raise StudyFileError(
            f"{spec.source}: study {name!r} already has trials from another version of this file:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nGive the changed study another study.name, or undo the change."
        )
    if known.dataset_fingerprint != material.dataset.fingerprint:
        raise StudyFileError(
            f"{spec.source}: the data of {material.dataset.name!r} has changed since study {name!r} began, so new "
            "trials would not be comparable. Restore the data, or give the study another study.name."
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
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
    }
