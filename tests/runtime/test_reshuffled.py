"""Studies whose trials have splits of their own: continued, spread over processes, and their winner."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.baselines.scores import fitted
from hpo.data.prepare import prepare_test
from hpo.execution.resources import Resources
from hpo.export.source import find_trial, load_trained
from hpo.registry.studies import study_row
from hpo.reports.facts import gather
from hpo.runtime import winner
from hpo.runtime.session import Session
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from hpo.training import ensemble
from hpo.training.trainer import Trainer
from tests.runtime.small import in_session, result_of, run, small_study
from tests.service.working import run_as_the_command_does

Result = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]


def reshuffled(data: str = "", **tables: str) -> StudySpec:
    return small_study(**{"data": f'dataset = "wine"\nreshuffle = true\n{data}', **tables})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return result_of(reshuffled(), tmp_path_factory.mktemp("whole"))


def test_the_trials_are_not_those_of_one_split(whole: Result, tmp_path: Path) -> None:
    plain, _ = result_of(small_study(), tmp_path)
    assert [trial["params"] for trial in whole[0]][:3] == [trial["params"] for trial in plain][:3]
    assert [trial["reports"] for trial in whole[0]][:3] != [trial["reports"] for trial in plain][:3]


class Stopped(BaseException):
    """Ends the study like a kill: nothing handles it."""


def test_a_study_that_was_stopped_goes_on_as_if_nothing_had_been(
    whole: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tick, calls = Trainer.tick, 0

    def stopping(trainer: Trainer) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stopped
        return tick(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "tick", stopping)
        with pytest.raises(Stopped):
            run(reshuffled(), tmp_path)
    assert result_of(reshuffled(), tmp_path, lanes=1) == whole


def test_other_processes_draw_the_same_splits(whole: Result, tmp_path: Path) -> None:
    assert result_of(reshuffled(), tmp_path, resources=Resources(workers=2)) == whole


@pytest.mark.parametrize("data", ["", "folds = 3"])
def test_the_winner_is_scored_and_exported_with_what_its_own_training_part_has_taught(
    data: str, tmp_path: Path
) -> None:
    spec = reshuffled(data, study='name = "small"\nseed = 3\nbaselines = true')
    run_as_the_command_does(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        row = study_row(store, "small")
        trained = load_trained(store, tmp_path, find_trial(store, "small", None), print)
        report = gather(store, "small")
    number = row.winner_number
    assert number is not None
    inputs = trained.inputs
    own, common = inputs.splits, in_session(spec, tmp_path, lambda session: session.inputs)
    assert inputs.reshuffled is not None
    assert own.fingerprint == inputs.reshuffled.splits(number).fingerprint != common.splits.fingerprint
    scores = []
    for place, replica in enumerate(inputs.prepared.replicas):
        part = prepare_test(inputs.dataset, own, replica.preprocessing)
        outputs = ensemble.outputs(trained.module(place), torch.from_numpy(part.x))
        scores.append(float((outputs.argmax(1) == torch.from_numpy(part.y)).double().mean()))
    assert (row.test or {})["accuracy"] == pytest.approx(sum(scores) / len(scores), abs=1e-6)
    assert "each trial has training and validation parts of its own" in report.split
    assert row.facts.split == common.splits.fingerprint
    baselines = [(one.name, one.validation, one.test) for one in row.facts.baselines]
    assert baselines == [(one.name, one.validation, one.test) for one in fitted(spec.study, common)]


def test_a_winner_without_weights_is_trained_again_on_its_own_split(tmp_path: Path) -> None:
    run(reshuffled(), tmp_path)

    def states(session: Session) -> list[dict[str, torch.Tensor]]:
        trial = session.searcher.ranking()[0]
        return winner.weights(session, trial, session.searcher.config(trial))

    before = in_session(reshuffled(), tmp_path, states)
    for file in (tmp_path / "checkpoints" / "small").glob("*.pt"):
        file.unlink()
    after = in_session(reshuffled(), tmp_path, states)
    for one, other in zip(before, after, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
