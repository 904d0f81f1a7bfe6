"""Files of modules of the user's own, and a fresh start for what is kept of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hpo.training.custom import module as custom_module
from hpo.training.custom import plans as custom_plans
from tests.training import own


@pytest.fixture(autouse=True)
def _fresh_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_plans, "_plans", {})
    monkeypatch.setattr(custom_module, "_warned", set())


@pytest.fixture
def tables(tmp_path: Path) -> str:
    path = tmp_path / "tables.py"
    path.write_text(own.TABLES)
    return str(path)


@pytest.fixture
def images(tmp_path: Path) -> str:
    path = tmp_path / "images.py"
    path.write_text(own.IMAGES)
    return str(path)


@pytest.fixture
def layers(tmp_path: Path) -> str:
    path = tmp_path / "layers.py"
    path.write_text(own.LAYERS)
    torch.manual_seed(5)
    torch.save(nn.Linear(13, 6).state_dict(), tmp_path / "body.pt")
    return str(path)
