"""What an edit of a study file changes, and what none may change."""

from __future__ import annotations

import pytest

from hpo.studyfile.edits import differences, numbered, outside, refusals
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec
from tests.studyfile.texts import study

RATE = "learning_rate = { low = 1e-4, high = 1e-1, log = true }"


def test_every_difference_is_named_also_of_budgets_and_of_what_follows_from_them() -> None:
    before = study(optimizer=RATE, search="trials = 20")
    after = study(optimizer="learning_rate = { low = 1e-4, high = 1e-2, log = true }", search="trials = 40")
    assert differences(before, after) == [
        "search.trials: was 20, is 40",
        "search.concurrency: was 4, is 8",
        "optimizer.learning_rate: was { low = 0.0001, high = 0.1, log = true }, "
        "is { low = 0.0001, high = 0.01, log = true }",
    ]
    assert refusals(before, after) == []
    assert differences(before, parse_study(f"# a remark\n{before.text}", "s.toml")) == []


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (study(study="seed = 1"), "study.seed: all random numbers follow from it"),
        (study(study='objective = "loss"'), "study.objective: trials would not be comparable"),
        (study(study='objective = ["accuracy", "flops"]'), "study.objective: trials would not be comparable"),
        (study(data='dataset = "wine"'), "data.dataset: trials of other data, or of another split,"),
        (study(data="repeats = 2"), "data.repeats: a trial's value is the mean over its seeds,"),
        (study(search="default_first = false"), "search.default_first: what the first trials begin with is decided"),
        (study(training="epochs = 7"), "training.epochs: trials have up to 20 epochs, and none is taken back"),
    ],
)
def test_what_trials_are_compared_by_must_not_change(after: StudySpec, expected: str) -> None:
    (found,) = refusals(study(training="epochs = 20"), after) if "training" in after.tree else refusals(study(), after)
    assert found.startswith(expected)


def test_what_auto_chooses_is_named_and_is_no_grid_after_an_edit() -> None:
    auto, few = 'sampler = "auto"\ntrials = ', {"dropout": "p = { low = 0.0, high = 0.4, step = 0.1 }"}
    grid = study(search=f"{auto}5", **few)
    before, after = numbered([study(search=f"{auto}4", **few), grid])
    assert (before.sampler.name, grid.sampler.name, after.sampler.name) == ("gp", "grid", "gp")
    large = study(search=f"{auto}400", **few)
    assert 'search.sampler, chosen by auto: was "grid", is "gp"' not in differences(before, after)
    assert 'search.sampler, chosen by auto: was "gp", is "tpe"' in differences(before, numbered([before, large])[1])


def test_trials_keep_their_programs_where_an_edit_changes_no_layer_and_no_optimizer() -> None:
    specs = [study(), study(search="trials = 7"), study(norm='kind = "layer"'), study(search="trials = 9")]
    found = numbered(specs)
    assert [spec.edit for spec in found] == [0, 1, 2, 3]
    assert [spec.layout for spec in found] == [0, 0, 2, 0]


def test_values_outside_a_file_are_those_that_it_does_not_allow() -> None:
    spec = study(
        optimizer=RATE,
        model="hidden = { choice = [[8], [16, 8]] }",
        dropout="p = { low = 0.0, high = 0.5, step = 0.1 }",
        training="batch_size = { low = 16, high = 64 }",
    )
    inside = {"optimizer.learning_rate": 1e-4, "model.hidden": "16-8", "dropout.p": 0.3, "training.batch_size": 64}
    assert outside(spec, inside | {"norm.kind": "batch"}) == {}
    for name, value in (
        ("optimizer.learning_rate", 0.2),
        ("model.hidden", "8-8"),
        ("dropout.p", 0.25),
        ("training.batch_size", 65),
    ):
        assert outside(spec, inside | {name: value}) == {name: value}
