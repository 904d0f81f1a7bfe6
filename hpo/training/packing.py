"""Lanes as bytes and as files. A file holds tensors and JSON text, and is either complete or absent.

The running lanes of a process share one file, which is written after every epoch; each of the best trials has a file of
its own with its weights. The SHA-256 of a file is stored by the caller, and compared when the file is read.

Packing is separate from writing because lanes may train on machines without access to the files. Files are read with
`weights_only`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpo import disk
from hpo.attributes.lengths import Former
from hpo.errors import MachineError
from hpo.optim import schedules
from hpo.studyfile.records import TrialConfig
from hpo.training.cohort import Cohort
from hpo.training.diagnosis.updates import Ratios
from hpo.training.lane import Lane, new_lane
from hpo.training.layout import Layout
from hpo.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A file that has been written."""

    path: Path
    sha256: str


def pack(content: dict[str, Any]) -> bytes:
    """The bytes of a file with these tensors and texts."""
    buffer = io.BytesIO()
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)  # takes half of the time, and the file has a SHA-256
    try:
        torch.save(content, buffer)
    finally:
        torch.serialization.set_crc32_options(before)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    return content


def write(path: Path, data: bytes) -> Written:
    """Writes bytes to a file that is either complete or absent."""
    try:
        with disk.replacing(path, sweeps=False) as file:  # the checkpoint managers delete incomplete files
            file.write(data)
    except OSError as error:
        raise MachineError(
            f"The checkpoint {path} cannot be written: {error.strerror}. "
            "Free some space or choose another folder with --home, then run the same command again."
        ) from error
    return Written(path=path, sha256=hashlib.sha256(data).hexdigest())


def read(path: Path, sha256: str) -> dict[str, Any] | None:
    """The content, or None if the file is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return unpack(data) if is_whole(data, sha256) else None


def is_whole(data: bytes, sha256: str) -> bool:
    """Whether the bytes are complete and undamaged."""
    return hashlib.sha256(data).hexdigest() == sha256


def pack_running(cohorts: Iterable[Cohort]) -> bytes:
    """All running lanes: parameters, optimizer, schedule state, epoch."""
    packed = []
    for cohort in cohorts:
        lanes = [
            {
                "trial": lane.trial,
                "replica": lane.replica,
                "epoch": lane.epoch,
                "plateau": asdict(lane.plateau),
                "update_ratios": lane.update_ratios,
            }
            for lane in cohort.lanes
        ]
        state = {name: value.detach().cpu() for name, value in cohort.state.items()}
        packed.append({"lanes": json.dumps(lanes), "layout": _fingerprint(cohort.layout), "state": state})
    return pack({"cohorts": packed})


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedLane:
    """One lane of a file of running lanes."""

    epoch: int
    plateau: dict[str, Any]
    update_ratios: Ratios
    layout: str
    state: dict[str, Tensor]


def read_running(path: Path, sha256: str) -> dict[tuple[int, int], SavedLane]:
    """Lanes by (trial, replica); empty if the file is missing or damaged."""
    content = read(path, sha256)
    return lanes_of(content) if content else {}


def lanes_of(content: dict[str, Any]) -> dict[tuple[int, int], SavedLane]:
    """The lanes of unpacked content by (trial, replica). Their tensors share no memory, so that one lane can be pickled
    without the others."""
    found: dict[tuple[int, int], SavedLane] = {}
    for cohort in content["cohorts"]:
        for index, lane in enumerate(json.loads(cohort["lanes"])):
            found[lane["trial"], lane["replica"]] = SavedLane(
                epoch=lane["epoch"],
                plateau=lane["plateau"],
                update_ratios={name: tuple(found) for name, found in lane.get("update_ratios", {}).items()},
                layout=cohort["layout"],
                state={name: value[index : index + 1].clone() for name, value in cohort["state"].items()},
            )
    return found


def restore(trainer: Trainer, trial: int, config: TrialConfig, saved: list[SavedLane], former: Former = ()) -> bool:
    """Continues a trial from its saved lanes, one for each replica; False if they do not fit this study's layout.
    `former`: earlier lengths of the trial."""
    lanes = [new_lane(trainer.setting, trial, replica, config, former) for replica in range(len(saved))]
    architecture = trainer.architecture(lanes[0])
    if any(s.layout != _fingerprint(architecture.layout) for s in saved):
        return False
    lanes = [
        replace(lane, epoch=s.epoch, plateau=schedules.Plateau(**s.plateau), update_ratios=s.update_ratios)
        for lane, s in zip(lanes, saved, strict=True)
    ]
    fresh = Cohort.start(trainer.setting, architecture, lanes)
    state = {name: torch.cat([s.state[name] for s in saved]).to(value) for name, value in fresh.state.items()}
    trainer.place(Cohort(trainer.setting, architecture, lanes, state))
    return True


def trained(trainer: Trainer, trial: int) -> tuple[Lane, nn.Module]:
    """A running trial's first replica, and its plain module with the present weights."""
    for cohort in trainer.all_cohorts():
        for index, lane in enumerate(cohort.lanes):
            if lane.trial == trial and lane.replica == 0:
                theta, stats = (cohort.state[name][index].cpu() for name in ("theta", "stats"))
                cohort.layout.load(lane.module, theta, stats)
                return lane, lane.module
    raise AssertionError("only a running trial has weights")


def best_states(trainer: Trainer, trial: int) -> list[dict[str, Tensor]]:
    """The weights of a running trial's best epoch: a `state_dict` of the plain module for each replica."""
    found: dict[int, dict[str, Tensor]] = {}
    for cohort in trainer.all_cohorts():
        for index, lane in enumerate(cohort.lanes):
            if lane.trial == trial:
                theta, stats = (cohort.state[name][index].cpu() for name in ("best_theta", "best_stats"))
                cohort.layout.load(lane.module, theta, stats)
                found[lane.replica] = {name: value.clone() for name, value in lane.module.state_dict().items()}
    return [found[replica] for replica in sorted(found)]


def pack_best(trainer: Trainer, trial: int) -> bytes:
    """The weights of a running trial's best epoch."""
    states = best_states(trainer, trial)
    assert states, "only a running trial has weights to save"
    return pack({"replicas": states})


def replicas_of(content: dict[str, Any]) -> list[dict[str, Tensor]]:
    """The `state_dict`s of unpacked content."""
    replicas: list[dict[str, Tensor]] = content["replicas"]
    return replicas


def _fingerprint(layout: Layout) -> str:
    return hashlib.sha256(repr(layout).encode()).hexdigest()
