"""Settings that are of classes suit the data set's classes, or are refused before anything is written."""

from __future__ import annotations

import re

import pytest

from hpo.data.study import load_data
from hpo.errors import StudyFileError
from tests.studyfile.texts import study

NONE = "balances classes, but 'diabetes' has none: its task is regression. Remove it, or set data.task"


@pytest.mark.parametrize(
    ("dataset", "training", "said"),
    [
        ("diabetes", 'class_weight = "balanced"', f"training.class_weight {NONE}"),
        ("diabetes", 'class_weight = { choice = ["none", "balanced"] }', f"training.class_weight {NONE}"),
        ("diabetes", 'sampling = "balanced"', f"training.sampling {NONE}"),
        (
            "wine",
            "choice = [{ class_weight = { class_1 = 2 } }, { class_weight = { clas_0 = 2 } }]",
            'a weight of "clas_0", which is no class of \'wine\'. Did you mean "class_0"? Classes: "class_0", ',
        ),
    ],
)
def test_what_does_not_suit_the_classes_is_refused(dataset: str, training: str, said: str) -> None:
    objective = "rmse" if dataset == "diabetes" else "accuracy"
    spec = study(study=f'name = "s"\nobjective = "{objective}"', data=f'dataset = "{dataset}"', training=training)
    with pytest.raises(StudyFileError, match=re.escape(said)):
        load_data(spec)


def test_metrics_of_one_class_are_of_the_rarer_one() -> None:
    """Of two; 212 tumours are malignant, which is the first class, and 357 benign."""
    data = load_data(study(data='dataset = "breast_cancer"\nfolds = 2'))
    assert data.prepared.class_names[data.prepared.positive] == "malignant"
    flipped = [1 - replica.y_train for replica in data.prepared.replicas]
    assert sum(map(sum, flipped)) < sum(map(len, flipped)) / 2


@pytest.mark.parametrize(
    "training", ["class_weight = { class_1 = 2 }", 'class_weight = "balanced"', 'sampling = "balanced"']
)
def test_what_suits_them_is_taken(training: str) -> None:
    assert load_data(study(data='dataset = "wine"', training=training)).prepared.class_names[1] == "class_1"
