"""The first study file for a data set: settings that suit it, in a file that is valid as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpo import space
from hpo.data.describe import Description, Numbers
from hpo.data.proposal import LEAST_EPOCHS, LEAST_TRIALS, propose
from hpo.errors import DataError
from hpo.studyfile.file import parse_study
from hpo.studyfile.rules.cautions import cautions
from hpo.studyfile.study import StudySpec, options_of, trial_epochs

TABLE = Description(
    rows=1000,
    kind="tabular",
    shape=(5,),
    lengths=None,
    columns={"numeric": ("a", "b", "c", "d", "e")},
    missing_share=0.0,
    missing={},
    target="kind",
    task="classification",
    task_reason="2 distinct texts",
    classes={"yes": 0.5, "no": 0.5},
    numbers=None,
    constant=(),
    alike=(),
    skewed={},
    duplicates=0,
    notes=(),
)
IMAGES = replace(TABLE, kind="image", shape=(1, 28, 28), columns={})


def proposed(found: Description, folds: int | None = None) -> StudySpec:
    target = "kind" if found.columns else None
    return parse_study(propose("s", found, dataset="t.csv", target=target, folds=folds), "s.toml")


@pytest.mark.parametrize(
    ("changed", "objective"),
    [
        ({}, "accuracy"),
        ({"classes": {"yes": 0.6, "no": 0.4}}, "accuracy"),
        ({"classes": {"yes": 0.76, "no": 0.24}}, "auroc"),
        ({"classes": {"a": 0.7, "b": 0.2, "c": 0.1}}, "balanced_accuracy"),
        (
            {"task": "regression", "classes": {}, "numbers": Numbers(low=0.0, high=1.0, mean=0.5, skewness=0.0)},
            "rmse",
        ),
    ],
)
def test_the_objective_suits_task_and_balance(changed: dict[str, Any], objective: str) -> None:
    assert proposed(replace(TABLE, **changed)).study.objective == objective


def test_larger_data_gets_wider_models_larger_batches_and_fewer_epochs() -> None:
    specs = [proposed(replace(TABLE, rows=rows)) for rows in (100, 1000, 10_000, 50_000, 500_000)]
    widest = [max(max(option, default=0) for option in spec.tree["model"]["hidden"].options) for spec in specs]
    batches = [options_of(spec, "training")[0]["batch_size"] for spec in specs]
    epochs = [trial_epochs(spec) for spec in specs]
    assert widest == sorted(widest)
    assert batches == sorted(set(batches))
    assert epochs == sorted(set(epochs), reverse=True)


def test_texts_alone_get_a_perceptron() -> None:
    tree = proposed(replace(TABLE, kind="text", columns={"text": ("review",)})).tree
    assert tree["model"]["family"] == "mlp"


@pytest.mark.parametrize("rows", [60_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("found", [TABLE, IMAGES, replace(IMAGES, shape=(3, 224, 224))], ids=["table", "28", "224"])
def test_a_first_study_of_large_data_still_ends(rows: int, found: Description) -> None:
    spec = proposed(replace(found, rows=rows))
    passes = spec.search.trials * trial_epochs(spec)
    assert LEAST_TRIALS * LEAST_EPOCHS <= passes <= 15 * 40
    if passes > LEAST_TRIALS * LEAST_EPOCHS:
        assert rows * passes < (5e6 if found.kind == "image" else 3e8)  # examples


def test_texts_get_vectors_for_their_words_and_sequences_a_recurrent_network() -> None:
    text = replace(TABLE, kind="text", shape=(0,), columns={"text": ("review",)})
    assert proposed(text).tree["model"]["word_vector"].options == (16, 32)
    assert "word_vector" not in proposed(TABLE).tree["model"]
    steps = proposed(replace(TABLE, kind="sequence", shape=(92, 13), columns={}))
    assert steps.tree["model"]["family"] == "recurrent"


def test_a_target_of_words_is_not_offered_as_a_regression() -> None:
    def text(*classes: str) -> str:
        found = replace(TABLE, classes=dict.fromkeys(classes, 1 / len(classes)))
        return propose("s", found, dataset="t.csv", target="kind", folds=None)

    assert 'task = "regression"' not in text("yes", "no")
    assert 'task = "regression"' in text("0", "1.5")


def test_skewed_columns_are_named_with_what_helps() -> None:
    text = propose("s", replace(TABLE, skewed={"gain": 11.9}), dataset="t.csv", target="kind", folds=None)
    assert 'A few values far from the others in gain: try  scaling = "quantile"' in text


def test_images_get_a_network_that_they_are_large_enough_for() -> None:
    for side in (2, 3, 7, 8, 15, 16, 28, 200):
        tree = proposed(replace(IMAGES, shape=(3, side, side))).tree
        assert tree["model"]["family"] == "cnn"
        assert max(map(len, tree["model"]["channels"].options)) <= side.bit_length() - 1
    with pytest.raises(DataError, match="2x2 at least"):
        proposed(replace(IMAGES, shape=(1, 1, 9)))


@pytest.mark.parametrize("found", [TABLE, IMAGES, replace(TABLE, rows=200_000)])
def test_the_study_searches_and_raises_no_caution(found: Description) -> None:
    spec = proposed(found)
    assert len(space.parameters(spec)) >= 5
    assert not list(cautions(spec, int(found.rows * 0.6)))


def test_folds_replace_the_hold_out() -> None:
    assert proposed(replace(TABLE, rows=100), folds=3).data.folds == 3
    assert proposed(TABLE).data.folds is None


def test_texts_of_the_data_do_not_break_the_file() -> None:
    nasty = 'x"\n[study]\nname = "other'
    found = replace(TABLE, classes={nasty: 0.9, "no": 0.1}, task_reason=f"1 {nasty}")
    text = propose("s", found, dataset='a "b"\\c.csv', target='q"\n', folds=None)
    spec = parse_study(text, "s.toml")
    assert (spec.study.name, spec.data.dataset, spec.data.target) == ("s", 'a "b"\\c.csv', 'q"\n')


def test_a_given_test_part_is_left_as_it_is() -> None:
    text = propose("s", IMAGES, dataset="images", target=None, folds=None, test_given=True)
    assert "test" not in parse_study(text, "s.toml").data.model_fields_set
    assert "The data come with a test part" in text
