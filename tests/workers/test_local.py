"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from hpo.errors import InputError
from hpo.workers import local


def test_devices() -> None:
    assert local.device_of("cpu") == torch.device("cpu")
    assert local.device_of("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["gpu", "meta", "tpu", "cuda:x", ""])
def test_a_device_that_is_none(name: str) -> None:
    with pytest.raises(InputError, match="use auto, cpu, cuda or cuda:N"):
        local.device_of(name)
