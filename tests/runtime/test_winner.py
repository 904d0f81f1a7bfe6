"""The winner: the best finished trial, scored on the test part from its best epoch's weights, once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hpo import space
from hpo.checkpoints.manager import CheckpointManager
from hpo.execution.resources import Resources
from hpo.registry.facts import StudyFacts
from hpo.registry.studies import study_row
from hpo.reports.evidence import Evidence, evidence_of
from hpo.reports.facts import gather
from hpo.reports.parts import parts_of
from hpo.runtime import winner
from hpo.runtime.session import Session
from hpo.runtime.winner import Winner, find, note
from hpo.studyfile.records import CLASSIFICATION_METRICS
from tests.runtime.small import in_session, run, small_study, train, trials_of, with_trials


def concluded(session: Session) -> Winner:
    train(session, Resources())
    found = find(session)
    assert found is not None
    with session.store.transaction():
        note(session, found, StudyFacts(), CheckpointManager(session.checkpoints))
    return found


def test_it_is_the_best_finished_trial(tmp_path: Path) -> None:
    spec = small_study()
    found = in_session(spec, tmp_path, concluded)
    finished = [trial for trial in trials_of(spec, tmp_path) if trial["state"] == "COMPLETE"]
    best = max(finished, key=lambda t: (t["level"], t["values"][0], -t["valid_loss"], -t["number"]))
    assert (found.number, found.value, found.params) == (best["number"], best["values"][0], best["params"])
    assert set(found.test) == CLASSIFICATION_METRICS


def test_the_score_is_that_of_the_best_epoch_on_the_test_part(tmp_path: Path) -> None:
    """Computed again with nothing but the plain module and the saved weights."""

    def check(session: Session) -> None:
        found = concluded(session)
        assert found.test is not None
        trial = session.searcher.all_trials()[found.number]
        from hpo import models
        from hpo.data.prepare import prepare_test

        (state,) = winner.weights(session, trial, found.config)
        (replica,) = session.inputs.prepared.replicas
        module = models.build(found.config, session.inputs.prepared.signature, session.inputs.prepared.outputs)
        module.load_state_dict(state)
        module.eval()

        def accuracy(x: object, y: object) -> float:
            right = module(torch.as_tensor(x)).argmax(1) == torch.as_tensor(y)
            return right.float().mean().item()

        part = prepare_test(session.inputs.dataset, session.inputs.splits, replica.preprocessing)
        assert accuracy(part.x, part.y) == pytest.approx(found.test["accuracy"])
        assert accuracy(replica.x_valid, replica.y_valid) == pytest.approx(found.value, abs=1e-6)

    in_session(small_study(), tmp_path, check)


def test_it_is_scored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = in_session(small_study(), tmp_path, concluded)
    monkeypatch.setattr(winner, "_score", lambda *_: pytest.fail("the test part was looked at again"))
    assert in_session(small_study(), tmp_path, concluded) == first


def test_a_later_winner_is_a_second_look(tmp_path: Path) -> None:
    spec = small_study(search='trials = 12\nconcurrency = 1\nsampler = "random"\npruner = "none"')
    looks, winners = [], []
    for trials in (1, 12):
        found = in_session(with_trials(spec, trials), tmp_path, concluded)
        looks.append(found.looks)
        winners.append(found.number)
    assert winners[1] != winners[0], "else the study shows nothing"
    assert looks == [(winners[0],), tuple(winners)]


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_weights_are_trained_again(damage: str, tmp_path: Path) -> None:
    def check(session: Session) -> None:
        train(session, Resources())
        trial = session.searcher.ranking()[0]
        config = space.config_of(session.spec, trial.params)
        kept = winner.weights(session, trial, config)
        (file,) = (session.home / "checkpoints" / session.spec.study.name).glob(f"best-{trial.number:06d}*.pt")
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:200])
        else:
            file.unlink()
        again = winner.weights(session, trial, config)
        assert len(again) == len(kept) == 2
        for old, new in zip(kept, again, strict=True):
            assert all(torch.equal(old[name], new[name]) for name in old)

    in_session(small_study(data='dataset = "wine"\nrepeats = 2'), tmp_path, check)


@pytest.mark.parametrize("lines", ["", "folds = 2"])
def test_the_report_knows_the_noise_of_any_objective(lines: str, tmp_path: Path) -> None:
    def check(session: Session) -> None:
        found = concluded(session)
        assert found.test is not None
        assert found.error is not None
        assert 0.01 < found.error / found.test["rmse"] < 0.2  # type: ignore[operator]
        assert find(session).error == found.error  # type: ignore[union-attr]
        noise = evidence_in(session).noise
        assert noise is not None
        assert noise.test_error == found.error

    tables = {"study": 'name = "small"\nobjective = "rmse"', "data": f'dataset = "diabetes"\n{lines}'}
    in_session(small_study(**tables, search="trials = 3"), tmp_path, check)


def evidence_in(session: Session) -> Evidence:
    """What the report's checks know of the study."""
    report = gather(session.store, "small")
    parts = parts_of(report.balance)
    row = study_row(session.store, "small")
    return evidence_of(
        row, report.trials, report.counts, report.best_first, report.winner, report.test, parts, report.epochs, ()
    )


def test_without_a_test_part_there_is_no_score(tmp_path: Path) -> None:
    def check(session: Session) -> None:
        assert concluded(session).test is None
        assert study_row(session.store, "small").test is None

    in_session(small_study(data='dataset = "wine"\ntest = 0.0'), tmp_path, check)


def test_without_a_finished_trial_there_is_no_winner(tmp_path: Path) -> None:
    spec = small_study(search='trials = 3\npruner = { name = "threshold", lower = 1.5 }')
    run(spec, tmp_path)
    assert {trial["state"] for trial in trials_of(spec, tmp_path)} == {"PRUNED"}
    assert in_session(spec, tmp_path, find) is None
