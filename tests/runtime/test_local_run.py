"""Devices by name, and threads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hpo.errors import InputError
from hpo.runtime import local_run


def test_devices() -> None:
    assert local_run.device_of("cpu") == torch.device("cpu")
    assert local_run.device_of("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["gpu", "meta", "tpu", "cuda:x", ""])
def test_a_device_that_is_none(name: str) -> None:
    with pytest.raises(InputError, match="use auto, cpu, cuda or cuda:N"):
        local_run.device_of(name)


def test_threads_are_no_more_than_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(local_run, "usable_cores", lambda: 2)
    before = torch.get_num_threads()
    try:
        assert [local_run.prepare_process(tmp_path, threads) for threads in (1, 2)] == [1, 2]
        assert not caplog.records
        assert local_run.prepare_process(tmp_path, 1000) == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert "--threads 1000: this process may use 2" in caplog.text
