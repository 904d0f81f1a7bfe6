"""The fingerprint and the list of changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hpo.studyfile.file import changes, fingerprint, parse_study
from hpo.studyfile.settings import entries
from hpo.studyfile.study import trial_epochs, with_epochs
from tests.studyfile.texts import study, study_text

ASSETS = Path(__file__).parent.parent / "database" / "assets"
CHOICE = '[{ kind = "none" }, { kind = "batch", placement = "input" }, { kind = "layer" }]'


@pytest.mark.parametrize(
    "tables",
    [
        {"search": 'trials = 7\npruner = "promotion"'},
        {"checkpoints": "keep = 9"},
        {"dropout": "p = 0.0"},
        {"dropout": "p = 0"},
        {"norm": 'kind = "none"'},
        {"training": 'early_stopping = "none"'},
        {"study": 'name = "s"   # a comment'},
        {"optimizer": "learning_rate = 0.001"},
        {"data": "standardize = true"},
        {"data": 'scaling = "standard"'},
        {"data": 'categories = "one_hot"\nmin_count = 2'},
    ],
)
def test_what_decides_nothing_leaves_the_fingerprint(tables: dict[str, str]) -> None:
    assert fingerprint(study(**tables)) == fingerprint(study())


@pytest.mark.parametrize(
    "tables",
    [
        {"study": "seed = 1"},
        {"study": 'name = "t"'},
        {"data": "test = 0.3"},
        {"search": 'concurrency = 4\npruner = "promotion"'},
        {"data": "standardize = false"},
        {"search": 'sampler = "random"\npruner = "promotion"'},
        {"search": 'pruner = { name = "median", startup_trials = 6 }'},
        {"dropout": "p = 0.1"},
        {"dropout": "p = { choice = [0.0] }"},
        {"norm": f"choice = {CHOICE}"},
        {"optimizer": 'name = { choice = ["adam"] }'},
        {"training": "early_stopping = { patience = 5 }"},
    ],
)
def test_what_decides_trials_changes_the_fingerprint(tables: dict[str, str]) -> None:
    assert fingerprint(study(**tables)) != fingerprint(study())


def test_the_order_of_options_is_part_of_the_study() -> None:
    one, other = (study(dropout=f"p = {{ choice = {options} }}") for options in ("[0.1, 0.2]", "[0.2, 0.1]"))
    assert fingerprint(one) != fingerprint(other)


def test_the_order_of_tables_is_not() -> None:
    text = study_text()
    assert fingerprint(parse_study("\n\n".join(reversed(text.split("\n\n"))), "s")) == fingerprint(study())


def test_changes_name_the_setting_and_both_values() -> None:
    old = study(optimizer="learning_rate = { low = 1e-4, high = 1.0, log = true }")
    new = study(optimizer="learning_rate = 0.1", search='trials = 9\npruner = "promotion"', norm='kind = "layer"')
    assert changes(old, new) == [
        'norm.kind: was "none", is "layer"',
        "optimizer.learning_rate: was { low = 0.0001, high = 1.0, log = true }, is 0.1",
        'norm.placement: was absent, is "before_activation"',
        "norm.every: was absent, is 1",
        "norm.affine: was absent, is true",
    ]
    assert changes(new, new) == []


def test_a_change_beside_a_choice_is_one_line() -> None:
    options = '[{ name = "sgd" }, { name = "adam" }, { name = "rmsprop" }]'
    old, new = (study(optimizer=f"learning_rate = {rate}\nchoice = {options}") for rate in (0.1, 0.2))
    assert changes(old, new) == ["optimizer.learning_rate: was 0.1, is 0.2"]


def test_a_change_in_one_option_names_the_option() -> None:
    old, new = study(norm=f"choice = {CHOICE}"), study(norm=f"choice = {CHOICE.replace('input', 'after_activation')}")
    assert changes(old, new) == ['norm.batch.placement: was "input", is "after_activation"']


@pytest.mark.parametrize("training", ["", "epochs = 20", "choice = [{ batch_size = 16 }, { batch_size = 32 }]"])
def test_trials_get_more_epochs_wherever_their_number_stands(training: str) -> None:
    spec = study(training=training)
    longer = with_epochs(spec, 30)
    assert (trial_epochs(spec), trial_epochs(longer)) == (20, 30)
    assert changes(spec, longer) == ["training.epochs: was 20, is 30"]
    assert with_epochs(spec, None) == spec


def test_entries_tell_what_the_file_says_from_defaults() -> None:
    found = entries(study(norm=f"choice = {CHOICE}", dropout="p = 0.0", training="early_stopping = { patience = 3 }"))
    given = {path for path, entry in found.items() if entry.given}
    assert given == {
        "study.name",
        "study.baselines",
        "data.dataset",
        "model.family",
        "norm.kind",
        "norm.batch.placement",
        "dropout.p",
        "optimizer.name",
        "training.early_stopping.patience",
    }
    assert found["training.early_stopping.minimum_improvement"].value == "0.0"


def test_entries_tell_what_is_searched_from_tables_of_weights() -> None:
    weights = "choice = [{ class_weight = { low = 2, high = 3 } }, { sampling.choice = ['balanced'] }]"
    found = entries(study(norm=f"choice = {CHOICE}", dropout="p = { low = 0.0, high = 0.5 }", training=weights))
    searched = {path for path, entry in found.items() if entry.searched}
    assert searched == {"norm.kind", "dropout.p", "training.choice", "training.sampling.sampling"}
    assert found["training.class_weight.class_weight"].value == "{ high = 3.0, low = 2.0 }"


@pytest.mark.parametrize("asset", ["hpo-0.1.0.db", "hpo-schema-0002.db"])
def test_studies_of_earlier_versions_mean_what_they_meant(asset: str) -> None:
    """Settings that came later leave their fingerprint as it is, or they would be refused as changed."""
    with closing(sqlite3.connect(ASSETS / asset)) as database:
        rows = database.execute("SELECT spec_text, spec_source, fingerprint FROM hpo_studies").fetchall()
    assert rows
    assert all(fingerprint(parse_study(text, source)) == known for text, source, known in rows)


def test_a_setting_that_came_later_is_part_of_the_study_where_it_says_something_else() -> None:
    assert fingerprint(study(training='last_batch = "fill"')) == fingerprint(study(training="batch_size = 32"))
    assert fingerprint(study(training='last_batch = "short"')) != fingerprint(study(training='last_batch = "fill"'))


@pytest.mark.parametrize("training", ['class_weight = "none"', 'sampling = "shuffled"'])
def test_classes_as_they_come_leave_the_fingerprint(training: str) -> None:
    assert fingerprint(study(training=training)) == fingerprint(study())


def test_every_balance_of_classes_is_a_study_of_its_own() -> None:
    said = ("{ a = 2.0 }", "{ b = 2.0 }", "{ a = 2.0, b = 3.0 }", '"balanced"', '{ choice = ["none", "balanced"] }')
    weighted = [fingerprint(study(training=f"class_weight = {weights}")) for weights in said]
    found = [fingerprint(study()), *weighted, fingerprint(study(training='sampling = "balanced"'))]
    assert len(set(found)) == len(found)
    assert fingerprint(study(training="class_weight = { b = 3, a = 2 }")) == weighted[2]
