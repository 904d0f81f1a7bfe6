"""From a spec to everything a run needs: examples on the device, the study's row, searcher and trainer.

All that can be wrong with the data or the study is found here, before anything is written.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
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
from hpo.spec.records import CLASSIFICATION_METRICS, REGRESSION_METRICS, TrialConfig
from hpo.storage import studies
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.training import batches, metrics
from hpo.training.cohort import Setting
from hpo.training.trainer import Trainer


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
    *,
    lanes: int,
    device: torch.device,
    compile: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Bench:
    """Registers the study, or opens it if the database has it and its file has not changed."""
    study_id = _register(spec, store, material, device)
    return bench_of(spec, material, store, study_id, home, lanes=lanes, device=device, compile=compile, dtype=dtype)


def bench_of(
    spec: StudySpec,
    material: Material,
    store: Store,
    study_id: int,
    home: Path,
    *,
    lanes: int,
    device: torch.device,
    compile: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Bench:
    """The bench of a study that is in the database; writes nothing."""
    examples = batches.on_device(material.prepared, device=device, dtype=dtype)
    setting = Setting(
        examples=examples,
        seed=spec.study.seed,
        metrics=metrics.names_for(examples.task, spec.study.objective),
        dtype=dtype,
        compiled_lanes=min(lanes, spec.search.concurrency * examples.replicas) if compile else None,
    )
    norms = [config.norm for config in space.alternatives(spec, "norm")]

    def variants(config: TrialConfig) -> Iterable[TrialConfig]:
        return (config.model_copy(update={"norm": norm}) for norm in norms)

    return Bench(
        spec=spec,
        material=material,
        store=store,
        study_id=study_id,
        searcher=Searcher(spec, store, store, study_id),
        trainer=Trainer(setting, variants, lanes=lanes),
        home=home,
    )


def _register(spec: StudySpec, store: Store, material: Material, device: torch.device) -> int:
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
    with store.tick():
        studies.set_balance(store, study_id, material.splits.balance)
        studies.set_facts(store, study_id, {**row.facts, **_facts(spec, material, device)})
        studies.mark_unfinished(store, study_id)
        for key, value in _card(spec, material).items():
            store.set_study_user_attr(study_id, key, value)
    return study_id


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


def _facts(spec: StudySpec, material: Material, device: torch.device) -> dict[str, Any]:
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
