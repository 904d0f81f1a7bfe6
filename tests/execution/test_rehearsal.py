"""The rehearsal of a study: its models train one batch, and what will go wrong is said before it does."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hpo.execution import rehearsal
from hpo.execution.rehearsal import Rehearsed, rehearse
from hpo.runtime.setup.inputs import load_inputs
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study

RECURRENT = """
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, outputs):
        super().__init__()
        self.cells = nn.GRU(1, 4, batch_first=True)
        self.last = nn.Linear(4, outputs)

    def forward(self, x):
        x = self.last(self.cells(x[:, :, None])[0][:, -1])
        return x if x.sum() < 1e9 else -x
"""


def rehearsed(spec: StudySpec) -> Rehearsed:
    return rehearse(spec, load_inputs(spec).prepared)


def test_every_model_trains_a_batch() -> None:
    found = rehearsed(small_study())
    assert (found.models, found.cautions) == (2, ())
    assert found.parameters is not None
    assert found.parameters[0] < found.parameters[1]


def test_folds_and_repeats_are_rehearsed_by_one_lane() -> None:
    assert rehearsed(
        small_study(data='dataset = "diabetes"\nfolds = 3\nrepeats = 2', study='name = "s"\nobjective = "r2"')
    ).models


def test_a_module_whose_lanes_do_not_fuse_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "net.py").write_text(RECURRENT)
    spec = small_study(
        folder=tmp_path, model='choice = [{ family = "mlp" }, { family = "custom", module = "net.py:Net" }]'
    )
    with caplog.at_level(logging.WARNING, "hpo"):
        found = rehearsed(spec)
    assert [caution.code for caution in found.cautions] == ["not_fused"]
    assert "lanes of Net train one after the other" in found.cautions[0].text
    assert not caplog.records, "it is said once"


def test_a_lane_too_large_for_the_memory_is_named_and_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "free_memory", lambda device: 1000)
    found = rehearsed(small_study())
    assert [caution.code for caution in found.cautions] == ["memory", "memory"]
    assert found.models == 0, "the models were not built"
    assert "a lane needs about" in found.cautions[0].text
    monkeypatch.setattr(rehearsal, "free_memory", lambda device: 60_000)
    monkeypatch.setattr(rehearsal, "SHARE", 1e9)
    spec = small_study(search="trials = 900\nconcurrency = 100")
    assert "lanes in flight need about" in rehearsed(spec).cautions[0].text


def test_a_model_of_any_size_is_refused_without_being_built() -> None:
    found = rehearsed(small_study(model='family = "mlp"\nhidden = [65536, 65536, 65536, 65536]'))
    assert (found.models, [caution.code for caution in found.cautions]) == (0, ["memory"])


def test_a_study_whose_trials_all_begin_in_trouble_is_warned_of() -> None:
    found = rehearsed(small_study(model='family = "mlp"\nhidden = [8, 8]', init='scheme = "zeros"')).cautions
    assert {caution.code for caution in found} == {"signs"}
    assert found[0].text.startswith("every trial begins with a sign of trouble: units of ")
    assert "take an init.scheme that draws weights at random" in found[0].text
    choice = 'scheme = { choice = ["zeros", "kaiming_normal"] }'
    assert not rehearsed(small_study(model='family = "mlp"\nhidden = [8, 8]', init=choice)).cautions
    data = 'dataset = "wine"\nscaling = "none"'
    assert "take data.scaling" in rehearsed(small_study(data=data)).cautions[0].text
