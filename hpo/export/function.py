"""The export of a trial of a training function: what the function saved last, the files in the trial's folder, its
parameters, its code, and `load.py`, which loads them without this package.
"""

from __future__ import annotations

import io
import shutil
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from hpo import __version__, own_code
from hpo.checkpoints.location import other_location
from hpo.checkpoints.study import StudyCheckpoints
from hpo.checkpoints.trial_folders import trial_folder
from hpo.errors import InputError, MachineError, StudyStateError
from hpo.execution.functions.job import folder_of_trial
from hpo.execution.functions.states import SavedState, states_of
from hpo.execution.functions.trial import ZIP
from hpo.export.files import json_bytes, write_export
from hpo.export.source import ExportableTrial
from hpo.runtime.setup.inputs import references
from hpo.storage.store import Store

FORMAT = 1
"""Of `config.json`."""
FILES = "files"
"""Folder with a copy of the trial's folder."""


def export_function(
    store: Store,
    home: Path,
    source: ExportableTrial,
    folder: Path,
    note: Callable[[str], None],
    *,
    place: str | None = None,
) -> None:
    """Writes a trial into a folder, which is new or may be overwritten. `note` is called with what could not be found;
    `place`: where workers keep checkpoints. Raises `StudyStateError` where neither a state nor a folder of the trial is
    left, `MachineError` where the files cannot be written."""
    number, name = source.trial.number, source.row.name
    saved = _saved(store, home, source, place)
    files = folder_of_trial(trial_folder(store, source.row, home, claim=False), number)
    there = files.is_dir()
    if saved is None:
        keep = source.spec.checkpoints.keep
        text = f"nothing is kept that trial {number} of {name!r} saved: its function saved nothing, or it is not among "
        text += f"the best {keep} (checkpoints.keep)"
        if not there:
            raise StudyStateError(f"{text}, and its folder {files} is not on this machine. Take another with --trial.")
        note(f"{text[0].upper()}{text[1:]}. The files of its folder are exported.")
    elif not there:
        note(f"The folder of trial {number}, {files}, is not on this machine; what the function saved is exported.")
    code = _code(source)
    if code is None:
        note(f"{source.spec.function} has changed since the study began, so it is not copied.")
    _copy(files if there else None, folder)
    write_export(folder, _contents(source, saved, code or {}, copied=there))


def _saved(store: Store, home: Path, source: ExportableTrial, place: str | None) -> SavedState | None:
    row = source.row
    checkpoints = StudyCheckpoints(
        store=store,
        study_id=row.study_id,
        name=row.name,
        searcher=source.searcher,
        keep=source.spec.checkpoints.keep,
        home=home,
        checkpoint_store=other_location(store, row.study_id, place, home),
    )
    for file in store.checkpoints(row.study_id):
        content = checkpoints.content(file.path, file.sha256) if file.trial_id == source.trial._trial_id else None
        if content is not None and (found := states_of(content)):
            return found[source.trial.number, 0]
    return None


def _code(source: ExportableTrial) -> dict[str, bytes] | None:
    """The file of the function, by its name; none of an installed package. None where it is not what it was."""
    (reference,) = references(source.spec)
    assert source.spec.function is not None
    if not reference.is_file:
        return {}
    with suppress(InputError):
        if own_code.pin(reference) == source.row.facts.sources.get(source.spec.function.module):
            return {Path(reference.module).name: own_code.source_bytes(reference)}
    return None


def _copy(files: Path | None, folder: Path) -> None:
    """Replaces the copy of the trial's folder."""
    created, copy = not folder.exists(), folder / FILES
    try:
        if copy.is_dir():
            shutil.rmtree(copy)
        if files is not None:
            shutil.copytree(files, copy, symlinks=True)
    except (OSError, shutil.Error) as error:
        if created:
            shutil.rmtree(folder, ignore_errors=True)
        raise MachineError(
            f"cannot copy {files} into {folder}: {error}. An export needs a folder that can be written and has room; "
            "give another one with -o."
        ) from None


def _contents(
    source: ExportableTrial, saved: SavedState | None, code: dict[str, bytes], *, copied: bool
) -> dict[str, bytes]:
    """Content by file name."""
    trial, call = source.trial, source.config.trial
    assert call is not None
    of_torch = saved is not None and saved.state.startswith(ZIP)
    name = None if saved is None else "state.pt" if of_torch else "state.pickle"
    about: dict[str, Any] = {
        "format": FORMAT,
        "study": source.row.name,
        "trial": trial.number,
        "function": str(source.spec.function),
        "objective": source.spec.study.metric,
        "value": trial.values[0] if trial.values else None,
        "best_epoch": trial.user_attrs.get("best_epoch"),
        "state": name,
        "state_epoch": None if saved is None else saved.epoch,
        "files": FILES if copied else None,
        "seed": source.row.seed,
        "params": call.arguments,
        "versions": {"hpo": __version__, "torch": torch.__version__},
    }
    text = f'"""Trial {trial.number} of the study {source.row.name}, trained by {source.spec.function}."""\n{LOAD}'
    if saved is not None:
        loads = "pickle.load(file)"
        if of_torch:
            loads = f'torch.load(file, map_location="cpu", weights_only={_has_values_alone(saved.state)})'
        text += STATE.format(module="torch" if of_torch else "pickle", name=name, epoch=saved.epoch, loads=loads)
    state = {} if saved is None or name is None else {name: saved.state}
    return {**state, **code, "load.py": text.encode(), "config.json": json_bytes(about)}  # with it, it is complete


def _has_values_alone(state: bytes) -> bool:
    """Whether a file of `torch.save` holds tensors and plain values alone, so that loading it can run no code."""
    try:
        torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    except Exception:  # it refuses what it does not know in several ways
        return False
    return True


LOAD = textwrap.dedent('''
    import json
    from pathlib import Path
    from typing import Any

    HERE = Path(__file__).resolve().parent


    def params() -> dict[str, Any]:
        """What the function found in `trial.params`."""
        text = (HERE / "config.json").read_text(encoding="utf-8")
        return json.loads(text)["params"]


    def folder() -> Path:
        """The files that the function wrote into `trial.folder`."""
        return HERE / "files"
    ''')

STATE = textwrap.dedent('''

    def state() -> Any:
        """What the function saved last, with tensors on the CPU: after epoch {epoch}."""
        import {module}

        with (HERE / "{name}").open("rb") as file:
            return {loads}
    ''')
