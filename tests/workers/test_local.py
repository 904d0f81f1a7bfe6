"""Devices by name, and one process at a time for each study."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hpo.errors import InputError, StudyStateError
from hpo.workers import local


def test_devices() -> None:
    assert local.device_of("cpu") == torch.device("cpu")
    assert local.device_of("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["gpu", "meta", "tpu", "cuda:x", ""])
def test_a_device_that_is_none(name: str) -> None:
    with pytest.raises(InputError, match="use auto, cpu, cuda or cuda:N"):
        local.device_of(name)


def test_a_study_is_held_by_one_process(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "small"
    refused = pytest.raises(StudyStateError, match="'small' is already being run by process")
    with local._exclusive(folder), refused, local._exclusive(folder):
        pass
    with local._exclusive(folder), local._exclusive(tmp_path / "checkpoints" / "other"):
        pass
