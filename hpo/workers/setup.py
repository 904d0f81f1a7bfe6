"""From a spec to everything a run needs: the data, the study's row, the searcher, and what its shards are given.

All that can be wrong with the data or the study is found here, before anything is written.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from hpo import __version__, models, space
from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.data.prepare import PreparedData, prepare
from hpo.data.splits import Splits, split
from hpo.errors import InputError, StudyFileError, StudyStateError
from hpo.models import source
from hpo.search.objective import direction
from hpo.search.searcher import Searcher
from hpo.spec.custom import Reference, modules_of
from hpo.spec.file import StudySpec, changes, fingerprint, parse_study
from hpo.spec.records import CLASSIFICATION_METRICS, REGRESSION_METRICS
from hpo.spec.tree import Choice
from hpo.storage import studies
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.training import batches, checkpoints
from hpo.training.batches import Examples
from hpo.workers.depot import Depot, Folder
from hpo.workers.means import CPU, TRIED, Means
from hpo.workers.outfit import Outfit


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a study is made of beside its file: the data, and the code of the user's own models."""

    dataset: Dataset
    splits: Splits
    prepared: PreparedData
    sources: dict[str, str]
    """SHA-256 of the code of every module of the user's own, by file or module as the study names it."""


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

    @property
    def folder(self) -> Path:
        """Where the study's checkpoints lie."""
        return self.home / "checkpoints" / self.spec.study.name


def load_material(spec: StudySpec) -> Material:
    """Loads, splits and prepares the data, and checks that the objective suits it and that all code is there."""
    dataset = load_dataset(spec.data, Path(spec.source).parent)
    suited = REGRESSION_METRICS if dataset.task == "regression" else CLASSIFICATION_METRICS
    if spec.study.objective not in suited:
        raise StudyFileError(
            f"{spec.source}: study.objective is {spec.study.objective!r}, which does not suit {dataset.task}, "
            f"the task of {dataset.name!r}. Allowed here: {', '.join(sorted(suited))}."
        )
    splits = split(dataset, spec.data, spec.study.seed)
    return Material(
        dataset=dataset, splits=splits, prepared=prepare(dataset, splits, spec.data), sources=_sources(spec)
    )


def changed_sources(material: Material, row: StudyRow) -> list[str]:
    """The files or modules whose code is no longer what it was when the study began."""
    return [name for name, digest in material.sources.items() if row.facts.get(_fact(name), digest) != digest]


def _sources(spec: StudySpec) -> dict[str, str]:
    named = (reference.module for reference in modules_of(spec.tree["model"]))
    try:
        return dict(zip(named, map(source.pin, _references(spec)), strict=True))
    except InputError as error:
        raise StudyFileError(f"{spec.source}: {error}") from None


def _references(spec: StudySpec) -> list[Reference]:
    """The user's own modules, where their files are."""
    return [reference.below(Path(spec.source).parent) for reference in modules_of(spec.tree["model"])]


def _fact(module: str) -> str:
    return f"sha256 of {module}"


def check_models(spec: StudySpec, material: Material) -> None:
    """Refuses a study none of whose model families can be built for the data, or that names a module of the user's
    own which cannot be built whatever its arguments are."""
    model = spec.tree["model"]
    errors: list[str] = []
    fits = False
    for table in _families(model):
        error = _error_of(replace(spec, tree=spec.tree | {"model": table}), material.prepared)
        if error and table["family"] == "custom":
            raise StudyFileError(f"{spec.source}: {error}")
        fits = fits or error is None
        errors += [error] if error else []
    if not fits:
        raise StudyFileError(f"{spec.source}: no model of this study fits {material.dataset.name!r}: {errors[0]}")


def _families(model: Any) -> Iterable[dict[str, Any]]:
    """The tables that a trial's model may be; one for each module of the user's own."""
    for table in model.options if isinstance(model, Choice) else (model,):
        if table["family"] == "custom":
            yield from (table | {"module": str(reference)} for reference in modules_of(table))
        else:
            yield table


def _error_of(spec: StudySpec, prepared: PreparedData) -> str | None:
    """Why no model of the one family in the spec can be built; None if one can."""
    errors = []
    for config in islice(space.alternatives(spec, "model"), TRIED):
        try:
            models.build(config, prepared.input_shape, prepared.outputs)
        except InputError as error:
            errors.append(str(error))
        else:
            return None
    return next(iter(errors), None)


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
    """Registers the study, or opens it if the database has it and its file has not changed.

    `claim` is given the study's id in the transaction that notes how it is to be run, and may refuse by raising.
    """
    examples = batches.on_device(material.prepared, device=CPU, dtype=dtype)
    study_id, compiled = _register(spec, store, material, examples, means, claim)
    return _bench(spec, material, store, study_id, home, means, examples, compiled=compiled)


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
        sources=source.pinned(_references(spec)),
    )
    return Bench(
        spec=spec,
        material=material,
        store=store,
        study_id=study_id,
        searcher=Searcher(spec, store, store, study_id),
        outfit=outfit,
        home=home,
    )


def _register(
    spec: StudySpec,
    store: Store,
    material: Material,
    examples: Examples,
    means: Means,
    claim: Callable[[int], None],
) -> tuple[int, bool]:
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
        claim(study_id)
        now = studies.study_row(store, spec.study.name)
        if now.fingerprint != row.fingerprint:
            raise StudyStateError(f"the study {row.name!r} was extended at this moment. Run the same command again.")
        studies.set_balance(store, study_id, material.splits.balance)
        facts = {**now.facts, **circumstances(spec, material, means.device), "compiled": compiled}
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
