"""The loop of a study: every sampler and pruner, folds, failures, budgets; the same whatever the lanes."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import stdev

import pytest
import torch

from hpo import space
from hpo.endings import PAUSING
from hpo.runtime.progress import Progress
from hpo.search.pruning.by_name import PRUNERS
from hpo.search.sampling.by_name import SAMPLERS
from hpo.training import metrics
from tests.runtime.small import epochs_of, in_session, result_of, run, small_study, trials_of

COUNTABLE = {
    "norm": 'choice = [{ kind = "none" }, { kind = "batch" }]',
    "dropout": "p = { low = 0.0, high = 0.4, step = 0.2 }",
    "optimizer": 'name = "adam"\nlearning_rate = { low = 0.01, high = 0.03, step = 0.02 }',
}
"""Makes the small study's space one of 24 points."""

PRUNER_SETTINGS = {"threshold": ", lower = 0.6", "median": ", startup_trials = 2", "percentile": ", startup_trials = 2"}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_the_same_twice_whatever_the_lanes(sampler: str, tmp_path: Path) -> None:
    startup = ", startup_trials = 4" if sampler in ("tpe", "gp", "cmaes") else ""
    tables = {"search": f'trials = 10\nconcurrency = 3\nsampler = {{ name = "{sampler}"{startup} }}'}
    spec = small_study(**tables, **(COUNTABLE if sampler == "grid" else {}))
    first = result_of(spec, tmp_path / "first")
    assert result_of(spec, tmp_path / "second", lanes=2) == first
    trials, _ = first
    assert [trial["number"] for trial in trials] == list(range(10))
    assert {trial["state"] for trial in trials} <= {"COMPLETE", "PRUNED"}
    drawn = [tuple(trial["params"].items()) for trial in trials]
    assert len(set(drawn)) == 10, "a point was drawn twice"


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_says_why_it_ended_a_trial(pruner: str, tmp_path: Path) -> None:
    settings = PRUNER_SETTINGS.get(pruner, "")
    spec = small_study(
        training="epochs = 6",
        search=f'trials = 16\nconcurrency = 4\nsampler = "random"\npruner = {{ name = "{pruner}"{settings} }}',
    )
    first = result_of(spec, tmp_path / "first", lanes=3)
    assert result_of(spec, tmp_path / "second") == first
    trials, epochs = first
    pruned = [trial for trial in trials if trial["state"] == "PRUNED"]
    assert bool(pruned) == (pruner != "none")
    reason = "paused at a rung" if pruner in PAUSING else f"pruned by {pruner}"
    for trial in pruned:
        assert trial["ended"] == f"{reason} at epoch {trial['epochs']}"
        assert trial["epochs"] < 6
    for trial in trials:
        assert len(trial["reports"]) == trial["epochs"]
        assert sum(row[0] == trial["number"] for row in epochs) == trial["epochs"]
        assert trial["values"] == [max(trial["reports"].values())]


def test_a_grid_ends_with_its_last_combination(tmp_path: Path) -> None:
    spec = small_study(**COUNTABLE, search='trials = 100\nconcurrency = 5\nsampler = "grid"', training="epochs = 1")
    progress = run(spec, tmp_path)
    trials = trials_of(spec, tmp_path)
    assert progress.budget == progress.ended == len(trials) == space.combinations(spec) == 24
    assert len({tuple(sorted(trial["params"].items())) for trial in trials}) == 24


def test_folds_and_repeats_are_replicas_of_a_trial(tmp_path: Path) -> None:
    spec = small_study(
        data='dataset = "wine"\nfolds = 3\nrepeats = 2', search='trials = 3\npruner = "none"', training="epochs = 2"
    )
    trials, epochs = result_of(spec, tmp_path, lanes=4)
    assert len(epochs) == 3 * 6 * 2
    for trial in trials:
        for epoch, value in trial["reports"].items():
            replicas = [row[3] for row in epochs if row[0] == trial["number"] and row[2] == epoch]
            assert len(replicas) == 6
            assert value == pytest.approx(sum(replicas) / 6, rel=1e-5)


def test_less_is_better_in_a_regression(tmp_path: Path) -> None:
    spec = small_study(study='name = "small"\nobjective = "rmse"', data='dataset = "diabetes"')
    progress = run(spec, tmp_path)
    finished = [trial for trial in trials_of(spec, tmp_path) if trial["state"] == "COMPLETE"]
    assert progress.best is not None
    assert progress.best[1] == min(trial["values"][0] for trial in finished)
    assert all(trial["values"] == [min(trial["reports"].values())] for trial in finished)


def test_the_last_epoch_and_smoothing_as_the_study_says(tmp_path: Path) -> None:
    spec = small_study(study='name = "small"\nepoch = "last"\nsmoothing = 0.5', search='trials = 2\npruner = "none"')
    trials, epochs = result_of(spec, tmp_path)
    for trial in trials:
        raw = [row[3] for row in epochs if row[0] == trial["number"]]
        smooth = raw[0]
        for value in raw[1:]:
            smooth = 0.5 * value + 0.5 * smooth
        assert trial["values"] == [trial["reports"][4]] == pytest.approx([smooth], rel=1e-5)


def test_early_stopping_counts_as_finished(tmp_path: Path) -> None:
    spec = small_study(
        training="epochs = 9\nearly_stopping = { patience = 1, minimum_improvement = 0.5 }",
        search='trials = 3\npruner = "none"',
    )
    trials, _ = result_of(spec, tmp_path)
    assert {(trial["state"], trial["ended"]) for trial in trials} == {("COMPLETE", "early stopping at epoch 2")}


DIVERGING = (
    'choice = [{ name = "sgd", learning_rate = { low = 1e30, high = 1e35, log = true } },'
    ' { name = "adam", learning_rate = 0.01 }]'
)


def test_a_trial_that_diverges_ends_alone(tmp_path: Path) -> None:
    spec = small_study(optimizer=DIVERGING, norm='kind = "none"', search='trials = 8\npruner = "none"')
    trials, _ = result_of(spec, tmp_path)
    assert result_of(spec, tmp_path / "alone", lanes=1)[0] == trials
    ends = {trial["params"]["optimizer.name"]: (trial["state"], trial["ended"]) for trial in trials}
    assert ends == {
        "sgd": ("PRUNED", "diverged at epoch 1: the loss is not finite"),
        "adam": ("COMPLETE", "finished"),
    }


def test_a_trial_whose_objective_is_undefined_has_not_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither NaN nor an infinity is a value, so such a trial cannot win."""
    for value in (math.nan, math.inf):
        monkeypatch.setitem(metrics.METRICS, "accuracy", lambda o, value=value: torch.full((len(o.target_KV),), value))
        trials, _ = result_of(small_study(search='trials = 2\npruner = "none"'), tmp_path / str(value))
        ended = "objective undefined at epoch 1: accuracy has no finite value on the validation part"
        assert [(trial["state"], trial["ended"], trial["values"]) for trial in trials] == [("PRUNED", ended, None)] * 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_lives_with_trials_that_have_no_value(sampler: str, tmp_path: Path) -> None:
    startup = ", startup_trials = 2" if sampler in ("tpe", "gp", "cmaes") else ""
    step = ", step = 0.2" if sampler == "grid" else ""
    rate = "1e30" if sampler == "grid" else "{ low = 1e30, high = 1e35, log = true }"
    spec = small_study(
        optimizer=f'choice = [{{ name = "sgd", learning_rate = {rate} }}, {{ name = "adam", learning_rate = 0.01 }}]',
        norm='kind = "none"',
        dropout=f"p = {{ low = 0.0, high = 0.4{step} }}",
        training="epochs = 2",
        search=f'trials = 9\nconcurrency = 2\npruner = "none"\nsampler = {{ name = "{sampler}"{startup} }}',
    )
    trials, _ = result_of(spec, tmp_path)
    assert len(trials) == 9
    assert {trial["state"] for trial in trials} == {"COMPLETE", "PRUNED"}


IMPOSSIBLE = {
    "data": 'dataset = "digits"',
    "model": 'family = "cnn"\nchannels = [6]',
    "norm": 'kind = "group"\ngroups = { choice = [2, 4] }',
    "optimizer": 'name = "adam"',
    "training": "epochs = 1\nbatch_size = 64",
    "search": 'trials = 5\nsampler = "random"\npruner = "none"',
}


def test_a_trial_that_cannot_be_built_fails_alone(tmp_path: Path) -> None:
    spec = small_study(**IMPOSSIBLE)
    progress = run(spec, tmp_path)
    trials = trials_of(spec, tmp_path)
    assert (progress.finished, progress.failed, len(trials)) == (
        sum(trial["params"]["norm.groups"] == 2 for trial in trials),
        sum(trial["params"]["norm.groups"] == 4 for trial in trials),
        5,
    )
    assert progress.failed > 0
    assert progress.finished > 0
    for trial in trials:
        if trial["state"] == "FAIL":
            assert trial["ended"].startswith("failed: InputError: norm.groups = 4 does not divide the 6 channels")
            assert trial["values"] is None
    tracebacks = in_session(
        spec, tmp_path, lambda session: [t.user_attrs.get("traceback") for t in session.searcher.all_trials()]
    )
    assert ["InputError" in (text or "") for text in tracebacks] == [trial["state"] == "FAIL" for trial in trials]


def test_progress_counts_up_to_the_budget(tmp_path: Path) -> None:
    seen: list[Progress] = []
    spec = small_study()
    last = run(spec, tmp_path, observer=seen.append)
    assert [progress.ended for progress in seen] == sorted(progress.ended for progress in seen)
    assert seen[0].ended == 0
    assert all(len(progress.running) <= 3 for progress in seen)
    assert (last.ended, last.budget, last.running) == (8, 8, ())
    assert last.epochs == len(epochs_of(spec, tmp_path)) == sum(trial["epochs"] for trial in trials_of(spec, tmp_path))
    assert 0 < last.train_seconds < last.wall_seconds


def test_concurrency_is_part_of_the_result(tmp_path: Path) -> None:
    """What a trial draws depends on what was known, so another concurrency is another study."""
    search = 'trials = 12\nconcurrency = {}\nsampler = {{ name = "tpe", startup_trials = 3 }}'
    few, many = (small_study(search=search.format(concurrency)) for concurrency in (2, 6))
    assert result_of(few, tmp_path / "few")[0] != result_of(many, tmp_path / "many")[0]


def test_the_spread_over_folds_is_that_of_the_best_epoch(tmp_path: Path) -> None:
    spec = small_study(data='dataset = "wine"\nfolds = 3', study='name = "small"\nobjective = "loss"')
    trials, epochs = result_of(spec, tmp_path)
    for trial in trials:
        at_best = [row for row in epochs if row[0] == trial["number"] and row[2] == trial["best_epoch"]]
        assert [row[1] for row in at_best] == [0, 1, 2]
        assert trial["spread"] == pytest.approx(stdev(row[3] for row in at_best), rel=1e-5)
