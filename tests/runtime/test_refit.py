"""`study.final = "refit"`: the winner is trained again on training and validation rows together, scored and kept."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from optuna.trial import FrozenTrial
from torch import nn

from hpo import models
from hpo.conclusions.refit import Refit
from hpo.errors import StudyStateError
from hpo.export.folder import export
from hpo.export.predictor import Predictor
from hpo.export.source import find_trial, load_trained
from hpo.registry.conclusions import refit_of
from hpo.registry.studies import StudyRow
from hpo.reports.facts import gather
from hpo.reports.render.json import summary_of
from hpo.reports.render.markdown import summary
from hpo.runtime import winner
from hpo.runtime.deletion import delete_study
from hpo.runtime.editing import edit_study
from hpo.runtime.local_run import run_study
from hpo.runtime.progress import Progress
from hpo.runtime.setup.inputs import load_inputs
from hpo.seeds import lane_seed
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.records import TrialConfig
from hpo.studyfile.study import StudySpec
from hpo.training import randomness
from hpo.training.trainer import Tick, Trainer
from tests.runtime.small import in_session, small_study, with_trials
from tests.service.working import row_of, run_as_the_command_does

EPOCHS = 6
TABLES = {
    "study": 'name = "small"\nseed = 3\nbaselines = false\nfinal = "refit"',
    "model": 'family = "mlp"\nhidden = [8]',
    "norm": 'kind = "none"',
    "dropout": "p = 0.0",
    "optimizer": 'name = "sgd"\nmomentum = 0.5\nlearning_rate = { low = 0.1, high = 0.6, log = true }',
    "training": f"epochs = {EPOCHS}",
    "search": 'trials = 5\nconcurrency = 3\nsampler = "random"\npruner = "none"',
}
COSINE = 'name = "cosine"'


def study(data: str = 'dataset = "wine"', *, folder: Path = Path(), **tables: str) -> StudySpec:
    return small_study(folder=folder, **{**TABLES, "data": data, **tables})


def searching(spec: StudySpec) -> StudySpec:
    """The study with the weights of the search."""
    return replace(spec, study=spec.study.model_copy(update={"final": "search"}))


def done(spec: StudySpec, home: Path) -> tuple[StudyRow, Refit]:
    run_as_the_command_does(spec, home)
    row = row_of(home)
    found = refit_of(row)
    assert found is not None
    return row, found


def files(home: Path) -> list[str]:
    """Those of refits; their names follow from the content."""
    return sorted(path.name for path in (home / "checkpoints" / "small").glob("refit-*.pt"))


def states(home: Path) -> list[dict[str, torch.Tensor]]:
    notes: list[str] = []
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        found = load_trained(store, home, find_trial(store, "small", None), notes.append)
    assert notes == []
    return list(found.states)


def by_hand(spec: StudySpec, trial: FrozenTrial, config: TrialConfig, replica: int) -> tuple[nn.Module, float]:
    """The same training on all rows outside the test part, written the ordinary way; the model, and its accuracy on the
    test part."""
    inputs = load_inputs(spec)
    dataset, test_idx = inputs.dataset, inputs.splits.test_idx
    rest_idx = np.setdiff1d(np.arange(dataset.size), test_idx)
    learnt = dataset.numeric[rest_idx].astype(np.float64)
    scaled = ((dataset.numeric - learnt.mean(0)) / learnt.std(0)).astype(np.float32)
    x_N, y_N = torch.from_numpy(scaled[rest_idx]), torch.from_numpy(dataset.target_N[rest_idx])
    numbers = spec.study.seed, trial.number, replica
    module = models.build(config, inputs.prepared.signature, inputs.prepared.outputs, lane_seed("init", *numbers))
    models.initialize(module, config, randomness.generator("init", *numbers))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0, momentum=0.5)
    steps = math.ceil(len(x_N) / 32)
    epochs = 1 + int(np.argmax([trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)]))
    for step in range(epochs * steps):
        if step % steps == 0:
            order = torch.randperm(len(x_N), generator=randomness.generator("order", *numbers, 1 + step // steps))
            order = order.repeat(2)[: steps * 32]
        rows = order[step % steps * 32 :][:32]
        share = step / (steps * EPOCHS) if config.schedule.name == "cosine" else 0.0
        optimizer.param_groups[0]["lr"] = config.optimizer.learning_rate * (1 + math.cos(math.pi * share)) / 2
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x_N[rows]), y_N[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        guessed = module.eval()(torch.from_numpy(scaled[test_idx])).argmax(1)
    return module, (guessed == torch.from_numpy(dataset.target_N[test_idx])).float().mean().item()


@pytest.mark.parametrize(("lines", "count"), [("", 1), ("folds = 3\nrepeats = 2", 2)])
def test_it_equals_a_training_by_hand_on_all_rows(lines: str, count: int, tmp_path: Path) -> None:
    spec = study(f'dataset = "wine"\n{lines}', schedule=COSINE)
    row, found = done(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        source = find_trial(store, "small", None)
    trial = source.trial
    assert found.trial == trial.number == row.winner_number
    assert found.epochs == trial.user_attrs["best_epoch"]
    assert found.examples == 178 - row.facts.test_examples
    assert found.models == count == source.models
    assert row.facts.test_looks == (trial.number,)
    weights, scores = states(tmp_path), []
    for replica in range(count):
        module, score = by_hand(spec, trial, source.config, replica)
        scores.append(score)
        for name, value in module.state_dict().items():
            assert torch.allclose(weights[replica][name], value, rtol=1e-4, atol=1e-5), name
    assert row.test is not None
    assert row.test["accuracy"] == pytest.approx(np.mean(scores))
    assert (row.test_ensemble is not None) == (count > 1)


def test_it_ends_before_the_schedule_does(tmp_path: Path) -> None:
    """Else the test above would not tell whether a schedule keeps its planned length."""
    _, found = done(study(schedule=COSINE), tmp_path)
    assert found.epochs < EPOCHS


class Stopped(BaseException):
    """Ends the study like a kill: nothing handles it."""


def test_interrupted_it_begins_again_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = done(study(), tmp_path / "whole")
    refit, tick = winner.refit, Trainer.tick

    def stopping(*arguments: Any) -> Any:
        ticks: list[int] = []

        def stop(trainer: Trainer) -> Tick:
            ticks.append(1)
            if len(ticks) == 2:
                raise Stopped
            return tick(trainer)

        monkeypatch.setattr(Trainer, "tick", stop)
        return refit(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(winner, "refit", stopping)
        with pytest.raises(Stopped):
            run_as_the_command_does(study(), tmp_path)
    monkeypatch.undo()
    assert row_of(tmp_path).finished_at is None
    assert files(tmp_path) == []
    row, _ = done(study(), tmp_path)
    assert (row.winner_number, row.test, row.facts.test_looks) == (
        whole.winner_number,
        whole.test,
        whole.facts.test_looks,
    )
    assert files(tmp_path) == files(tmp_path / "whole") != []


def test_it_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = done(study(), tmp_path)
    monkeypatch.setattr(winner, "refit", lambda *_: pytest.fail("it was trained again"))
    again, found = done(study(), tmp_path)
    assert (again.test, again.facts.test_looks, refit_of(first)) == (first.test, first.facts.test_looks, found)
    assert len(files(tmp_path)) == 1


def test_its_time_is_the_studys(tmp_path: Path) -> None:
    run_as_the_command_does(searching(study()), tmp_path)
    before = row_of(tmp_path)
    after, found = done(study(), tmp_path)
    assert after.wall_seconds >= before.wall_seconds + found.seconds / 2 > before.wall_seconds
    assert after.train_seconds > before.train_seconds
    assert after.epochs_spent == before.epochs_spent, "its epochs are none of the search"


def test_the_search_is_the_same_without_it(tmp_path: Path) -> None:
    def plain(spec: StudySpec, home: Path) -> tuple[Any, ...]:
        run_as_the_command_does(spec, home)
        report = gather_in(home)
        return report.winner.number, report.winner.value, [t.values for t in report.trials]  # type: ignore[union-attr]

    assert plain(study(), tmp_path / "refit") == plain(searching(study()), tmp_path / "search")
    assert row_of(tmp_path / "refit").test != row_of(tmp_path / "search").test


def gather_in(home: Path) -> Any:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return gather(store, "small")


def test_changed_later_it_is_another_look(tmp_path: Path) -> None:
    """From the weights of the search to those of a refit and back, with folds, which have an ensemble in the search."""
    spec = study('dataset = "wine"\nfolds = 2')
    run_as_the_command_does(searching(spec), tmp_path)
    number, attributes = row_of(tmp_path).winner_number, set(shown(tmp_path))
    row, _ = done(spec, tmp_path)
    assert row.facts.test_looks == (number, number)
    assert row.test_ensemble is None
    assert attributes - set(shown(tmp_path)) == {"test accuracy of the winner's ensemble"}
    run_as_the_command_does(searching(spec), tmp_path)
    row = row_of(tmp_path)
    assert refit_of(row) is None
    assert row.test_ensemble is not None
    assert files(tmp_path) == [], "weights that nothing takes are deleted"
    assert row.facts.test_looks == (number,) * 3


def shown(home: Path) -> dict[str, Any]:
    """What optuna-dashboard shows of the study."""
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return store.get_study_user_attrs(row_of(home).study_id)


def test_a_later_winner_is_trained_in_place_of_the_earlier_one(tmp_path: Path) -> None:
    spec = study(search='trials = 12\nconcurrency = 1\nsampler = "random"\npruner = "none"', training="epochs = 2")
    first, _ = done(with_trials(spec, 1), tmp_path)
    before = files(tmp_path)
    second, found = done(spec, tmp_path)
    assert second.winner_number != first.winner_number, "else the study shows nothing"
    assert found.trial == second.winner_number
    assert second.facts.test_looks == (first.winner_number, second.winner_number)
    assert len(files(tmp_path)) == len(before) == 1
    assert files(tmp_path) != before


def test_a_lost_file_is_trained_again_for_an_export(tmp_path: Path) -> None:
    done(study(), tmp_path)
    kept = states(tmp_path)
    (file,) = (tmp_path / "checkpoints" / "small").glob("refit-*.pt")
    file.unlink()
    notes: list[str] = []
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        again = load_trained(store, tmp_path, find_trial(store, "small", None), notes.append)
    assert "trained again" in notes[0]
    assert all(torch.equal(kept[0][name], value) for name, value in again.states[0].items())


def test_the_file_is_deleted_with_the_study(tmp_path: Path) -> None:
    done(study(), tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        deleted = delete_study(store, "small", tmp_path)
    assert (deleted.missing, deleted.strange, files(tmp_path)) == (0, (), [])


def test_without_a_test_part_it_is_trained_for_the_export(tmp_path: Path) -> None:
    row, found = done(study('dataset = "wine"\ntest = 0.0'), tmp_path)
    assert (row.test, found.examples, len(files(tmp_path)), row.facts.test_looks) == (None, 178, 1, ())
    assert done(study('dataset = "wine"\ntest = 0.0'), tmp_path)[1] == found, "it is trained once"


def table() -> pd.DataFrame:
    """Rows of groups, in time, with a category that only one row has."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 2))
    colour = np.where(x[:, 0] > 0, "red", "blue")
    colour[60] = "green"
    frame = pd.DataFrame({"a": x[:, 0].round(3), "b": x[:, 1].round(3), "colour": colour})
    frame["who"] = np.arange(120) // 4
    frame["when"] = np.arange(120)
    frame["y"] = np.where(x.sum(1) + draw.normal(0, 0.3, 120) > 0, "yes", "no")
    return frame


STREAM = 'stream = true\ncolumns = { colour = "ignored" }'


@pytest.mark.parametrize(
    "lines", ['group = "who"\nfolds = 3', 'time = "when"\nfolds = 3', "reshuffle = true\nrepeats = 2", STREAM]
)
def test_an_export_predicts_like_its_score(lines: str, tmp_path: Path) -> None:
    frame = table()
    frame.to_parquet(path := tmp_path / "rows.parquet")
    spec = study(f'dataset = "{path}"\ntarget = "y"\n{lines}', folder=tmp_path)
    row, found = done(spec, tmp_path)
    assert found.examples == 120 - row.facts.test_examples
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        export(store, tmp_path, "small", tmp_path / "exported", pytest.fail)
    frame = frame.iloc[load_inputs(spec, tmp_path).splits.test_idx]
    right = Predictor.load(tmp_path / "exported").predict(frame)["prediction"] == frame["y"]
    scores = row.test_ensemble or row.test
    assert scores is not None
    assert right.mean() == pytest.approx(scores["accuracy"])


def test_a_regression_is_scored_in_the_unit_of_its_rows(tmp_path: Path) -> None:
    spec = study('dataset = "diabetes"\nfolds = 2', study=TABLES["study"] + '\nobjective = "rmse"')
    row, _ = done(spec, tmp_path)
    assert row.test is not None
    inputs = load_inputs(spec)
    rest_idx = np.setdiff1d(np.arange(inputs.dataset.size), inputs.splits.test_idx)
    variance = float(np.var(inputs.dataset.target_N[rest_idx].astype(np.float64)))
    assert row.test["loss"] == pytest.approx(row.test["rmse"] ** 2 / variance, rel=1e-4)


def test_reports_say_it(tmp_path: Path) -> None:
    _, found = done(study(), tmp_path)
    report = gather_in(tmp_path)
    said = f"trained again on the {found.examples} training and validation rows together, for {found.epochs} epochs"
    assert said in summary(report)
    assert said in (tmp_path / "reports" / "small" / "index.html").read_text()
    line = summary_of(report).winner
    assert line is not None
    assert line.refit is not None
    assert (line.refit.epochs, line.refit.examples, line.refit.models) == (found.epochs, found.examples, 1)


def test_an_edit_meanwhile_takes_effect_first(tmp_path: Path) -> None:
    spec, longer, seen = study(), study(search=TABLES["search"].replace("5", "7")), []

    def observer(now: Progress) -> None:
        if now.concluding and not seen:
            seen.append(now.concluding)
            edit_study(longer, sqlite_url(tmp_path), tmp_path)

    run_study(spec, sqlite_url(tmp_path), tmp_path, observer, device="cpu")
    assert seen[0].startswith("training the winner on training and validation rows: epoch 1 of ")
    assert len(gather_in(tmp_path).trials) == 7
    row = row_of(tmp_path)
    assert row.facts.test_looks == (row.winner_number,), "the first one was left before it was scored"
    assert refit_of(row) is not None


def test_one_that_diverges_says_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other rows, a training may diverge that did not before."""
    spec = study()
    run_as_the_command_does(searching(spec), tmp_path)
    config_of = winner.refit.__globals__["past_of"]

    def wild(session: Any, trial: Any, config: TrialConfig, saved: Any) -> Any:
        past = config_of(session, trial, config, saved)
        optimizer = config.optimizer.model_copy(update={"learning_rate": 1e30})
        return replace(past, config=config.model_copy(update={"optimizer": optimizer}))

    monkeypatch.setitem(winner.refit.__globals__, "past_of", wild)
    with pytest.raises(StudyStateError, match=r'it diverged\. Give the study a file with study.final = "search"'):
        run_as_the_command_does(spec, tmp_path)


PLATEAU = 'name = "reduce_on_plateau"'


def test_a_winner_of_before_an_edit_may_have_such_a_schedule(tmp_path: Path) -> None:
    spec = study(schedule=PLATEAU, study='name = "small"\nbaselines = false')
    run_as_the_command_does(spec, tmp_path)
    later = replace(spec, study=spec.study.model_copy(update={"final": "refit"}))
    with pytest.raises(StudyStateError, match="follows a validation loss"):
        in_session(later, tmp_path, winner.find)


def test_early_stopping_is_left_out(tmp_path: Path) -> None:
    """The search may have gone on for longer than the validation part of the refit would let it."""
    stopping = f"epochs = {EPOCHS}\nearly_stopping = {{ patience = 1 }}"
    _, found = done(study(training=stopping), tmp_path)
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        assert found.epochs == find_trial(store, "small", None).trial.user_attrs["best_epoch"]
