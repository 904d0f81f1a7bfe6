"""The files of an export of a trained model, and their contents. That of a training function's trial is in `function`.

`config.json` describes the trial. `preprocessing.json` has an entry for each replica. `weights.safetensors` (if there
are several replicas, one file for each) and `model.py` rebuild the model without this package. For a model of the
user's own, a copy of its file lies beside them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from hpo import __version__, models
from hpo.data.catalogue import with_settings
from hpo.data.source import READING
from hpo.export.custom import ExportedModule, exported_config, exported_module
from hpo.export.files import check_free, json_bytes, write_export
from hpo.export.function import export_function
from hpo.export.module import module_source
from hpo.export.source import ExportableTrial, TrainedTrial, find_trial, load_trained
from hpo.models.named_inputs import example
from hpo.signature import Signature
from hpo.storage.store import Store

FORMAT = 1
"""Of `config.json` and the files it names."""


def export(
    store: Store,
    home: Path,
    name: str,
    folder: Path,
    note: Callable[[str], None],
    *,
    number: int | None = None,
    force: bool = False,
    place: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> ExportableTrial:
    """Writes the trial of this number, or the best finished one, into the folder, and returns it. `note` and `place`:
    as for `load_trained`; `given`: as for `find_trial`; `force`: an earlier export in the folder is replaced. Raises
    `InputError` if the folder is not empty, `StudyStateError` if the trial has no weights, or a training function saved
    nothing, `MachineError` if the files cannot be written."""
    source = find_trial(store, name, number, given, of_functions=True)
    check_free(folder, force=force)
    if source.spec.function is not None:
        export_function(store, home, source, folder, note, place=place)
        return source
    write_export(folder, export_files(load_trained(store, home, source, note, place=place)))
    return source


def export_files(trained: TrainedTrial) -> dict[str, bytes]:
    """Content by file name. The generated module's outputs are compared with those of the trial's model."""
    source, prepared = trained.source, trained.inputs.prepared
    replicas = len(trained.states)
    model = models.build(source.config, prepared.signature, prepared.outputs, checked=False)
    preprocessing = [replica.preprocessing for replica in prepared.replicas]
    title = f"Trial {source.trial.number} of the study {source.row.name}"
    own = exported_module(model, source.config, prepared.signature, prepared.outputs)
    files = own.files if own else {}
    text = module_source(title, model, preprocessing[0], replicas=replicas, own=own)
    names = weight_names(replicas)
    weights = {name: save(state) for name, state in zip(names, trained.states, strict=True)}
    about = {"config.json": json_bytes(_about(trained, own))}
    for state, stored in zip(trained.states, weights.values(), strict=True):
        model.load_state_dict(state)
        _compare({**files, **about, "model.py": text.encode()}, stored, model, prepared.signature)
    return {
        **weights,
        **files,
        "preprocessing.json": json_bytes([replica.as_dict() for replica in preprocessing]),
        "model.py": text.encode(),
        **about,  # last: a folder with this file is complete
    }


def weight_names(replicas: int) -> list[str]:
    """The files with the weights of each replica."""
    return (
        ["weights.safetensors"] if replicas == 1 else [f"weights-{replica}.safetensors" for replica in range(replicas)]
    )


def _about(trained: TrainedTrial, own: ExportedModule | None) -> dict[str, Any]:
    source, inputs = trained.source, trained.inputs
    trial, prepared = source.trial, inputs.prepared
    assert source.spec.data is not None
    data = with_settings(source.spec.data, Path(source.spec.source).parent)
    scored = source.row.winner_number == trial.number
    return {  # "test" is the mean over the models, "test_ensemble" the score of their ensemble, as in `hpo predict`;
        # "refit": how they were trained on training and validation rows together, where the study asked for it
        "format": FORMAT,
        "study": source.row.name,
        "trial": trial.number,
        "objective": source.spec.study.metric,
        "value": trial.values[0],
        "test": source.row.test if scored else None,
        "test_ensemble": source.row.test_ensemble if scored else None,
        "epoch": trial.user_attrs.get("best_epoch"),
        "refit": None if source.refit is None else asdict(source.refit),
        "seed": source.row.seed,
        "dataset": inputs.dataset.name,
        "task": prepared.task,
        "target": inputs.dataset.target_name,
        "class_names": prepared.class_names,
        "reading": {key: getattr(data, key) for key in READING if key in data.model_fields_set},
        "input_shape": prepared.signature.shape,
        "inputs": prepared.signature.as_dict(),
        "outputs": prepared.outputs,
        "replicas": len(prepared.replicas),
        "params": trial.params,
        "config": exported_config(source.config, own),
        "versions": {"hpo": __version__, "torch": torch.__version__},
    }


def _compare(files: Mapping[str, bytes], weights: bytes, model: torch.nn.Module, signature: Signature) -> None:
    """Run the generated file beside the others, and assert that its model computes the same as the trial's."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        namespace: dict[str, Any] = {"__name__": "model", "__file__": str(Path(folder) / "model.py")}
        exec(compile(files["model.py"], "model.py", "exec"), namespace)
        copy = namespace["build"]()
    copy.load_state_dict(load(weights))
    examples = example(signature, 8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        same = torch.equal(copy.eval()(examples), model.eval()(examples))
    assert same, "the generated module computes something else than the trial's model"
