"""Settings for all tests."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("hpo", deadline=None)
settings.load_profile("hpo")
