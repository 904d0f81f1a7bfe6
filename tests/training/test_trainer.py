"""The trainer: lanes are added and removed, and an error ends only the trial that causes it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hpo.studyfile.records import Cnn, GroupNorm, Mlp
from hpo.training import cohort, packing
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer
from tests.training.study import mixed, setting, trainer
from tests.training.test_equality import numbers


def test_architectures_train_in_cohorts_of_their_own() -> None:
    its = trainer(lanes=3)
    wide = mixed(1).model_copy(update={"model": Mlp(family="mlp", hidden=(20,))})
    its.admit([*((t, mixed(t)) for t in range(4)), (9, wide)])
    assert sorted(len(c.lanes) for c in its.all_cohorts()) == [1, 1, 3]
    its.release({0, 1})
    assert sorted(len(c.lanes) for c in its.all_cohorts()) == [1, 2]
    its.release({2, 3, 9})
    assert its.all_cohorts() == []
    assert its.tick().epochs == ()


def test_a_trial_that_cannot_be_built_fails_alone() -> None:
    its = trainer()
    image = mixed(0).model_copy(update={"model": Cnn(family="cnn")})
    odd = mixed(0).model_copy(update={"norm": GroupNorm(kind="group", groups=5)})
    failures = its.admit([(0, mixed(0)), (1, image), (2, odd)])
    assert [f.trial for f in failures] == [1, 2]
    assert "InputError" in failures[0].error
    assert [e.trial for e in its.tick().epochs] == [0]


def test_an_error_in_training_fails_its_trial_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    original = cohort.Cohort._epoch

    def faulty(self: cohort.Cohort) -> Any:
        result = original(self)
        if any(lane.trial == 2 for lane in self.lanes):
            raise RuntimeError("planted")
        return result

    untouched = trainer()
    untouched.admit((t, mixed(t)) for t in (0, 1, 3, 4))
    expected = [numbers(e) for _ in range(2) for e in untouched.tick().epochs]

    monkeypatch.setattr(cohort.Cohort, "_epoch", faulty)
    its = trainer()
    its.admit((t, mixed(t)) for t in range(5))
    first = its.tick()
    assert [(f.trial, f.error) for f in first.failures] == [(2, "RuntimeError: planted")]
    assert "planted" in first.failures[0].traceback
    assert [numbers(e) for e in (*first.epochs, *its.tick().epochs)] == expected


def test_a_damaged_checkpoint_is_noticed(tmp_path: Any) -> None:
    its = trainer()
    its.admit([(0, mixed(0))])
    written = packing.write(tmp_path / "a" / "running.pt", packing.pack_running(its.all_cohorts()))
    assert list((tmp_path / "a").iterdir()) == [written.path]
    data = written.path.read_bytes()
    written.path.write_bytes(data[: len(data) // 2])
    assert packing.read_running(written.path, written.sha256) == {}
    assert packing.read_running(tmp_path / "none.pt", written.sha256) == {}


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Any) -> None:
    its = trainer()
    its.admit([(0, mixed(0))])
    written = packing.write(tmp_path / "running.pt", packing.pack_running(its.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    other = mixed(0).model_copy(update={"model": Mlp(family="mlp", hidden=(3,))})
    assert not packing.restore(trainer(), 0, other, [saved[0, 0]])


def test_best_weights_are_those_of_the_best_epoch() -> None:
    its = trainer()
    its.admit([(0, mixed(0)), (1, mixed(1))])
    its.tick()
    its.keep_best({1})
    its.tick()
    kept = packing.best_states(its, 1)[0]
    again = trainer()
    again.admit([(1, mixed(1))])
    again.tick()
    again.keep_best({1})
    assert all(torch.equal(kept[name], value) for name, value in packing.best_states(again, 1)[0].items())


def test_a_study_without_normalisation_trains() -> None:
    plain = Trainer(setting(), lambda config: [config], Limits(4))
    plain.admit((trial, mixed(0)) for trial in range(3))
    assert len(plain.tick().epochs) == 3


def test_an_error_of_many_lanes_together_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = cohort.Cohort._epoch

    def faulty(self: cohort.Cohort) -> Any:
        if len(self.lanes) > 2:
            raise RuntimeError("planted")
        return original(self)

    monkeypatch.setattr(cohort.Cohort, "_epoch", faulty)
    its = trainer()
    its.admit((t, mixed(0)) for t in range(4))
    assert len(its.tick().epochs) == 4
    assert caplog.messages == [
        "4 trials cannot train in one program and train in smaller ones, which is slower: RuntimeError: planted"
    ]
