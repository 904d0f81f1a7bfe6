"""The data of a training function's trials, sent to their processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import hpo
from hpo.execution.functions.job import TrialData
from tests.data.streaming.files import ROWS, loaded, write
from tests.runtime.functions import study


@pytest.mark.parametrize("stream", [True, False])
def test_streamed_data_are_sent_as_their_files(tmp_path: Path, stream: bool) -> None:
    keys = write(tmp_path, "images") | {"test": 0, "validation": 0.25}
    _, _, prepared = loaded(tmp_path, tmp_path / "home", **keys, stream=stream)
    data = TrialData.of(prepared)
    sent = pickle.dumps(data)
    there: TrialData = pickle.loads(sent)
    assert isinstance(there.x_train, np.memmap) == stream
    assert (len(sent) < data.x_train.nbytes / 2) == stream
    for name in ("x_train", "y_train", "x_valid", "y_valid"):
        assert np.array_equal(getattr(there, name), getattr(data, name)), name


def test_a_function_reads_streamed_data_from_the_disk(tmp_path: Path) -> None:
    keys = write(tmp_path, "rows")
    table = f'dataset = "{keys["dataset"]}"\ntarget = "{keys["target"]}"\nstream = true\ntest = 0\nvalidation = 0.25'
    path = study(tmp_path, data=table, search="trials = 1")
    (tmp_path / "train.py").write_text(
        "import numpy as np\n\n\n"
        "def train(trial):\n"
        "    data = trial.data\n"
        "    assert isinstance(data.x_train, np.memmap)\n"
        '    trial.report(1, {"score": len(data.x_train) + len(data.x_valid)})\n'
    )
    found = hpo.run(path, home=tmp_path / "home").trials
    assert found["value"].tolist() == [ROWS], found["ended"].tolist()
