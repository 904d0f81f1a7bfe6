"""Baselines of small studies equal scikit-learn by hand, on the same parts and with the same metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from hpo.baselines import folds
from hpo.baselines.models import MODELS
from hpo.baselines.scores import fitted
from hpo.data.study import StudyData, load_data
from hpo.registry.baselines import Baseline
from hpo.seeds import split_seed
from tests.studyfile.texts import study

SEED = split_seed(0, "baselines")


def baselines(**tables: str) -> tuple[StudyData, dict[str, Baseline]]:
    spec = study(**tables)
    data = load_data(spec)
    return data, {one.name: one for one in fitted(spec.study, data)}


def by_hand(data: StudyData, model: Any, score: Callable[[Any, Any], float], *, texts: bool = False) -> list[float]:
    """The score on the validation and the test part, the mean over the folds."""
    from hpo.data.prepare import prepare_test

    found = []
    for replica, parts in zip(data.prepared.replicas, data.splits.replicas, strict=True):
        if replica.repeat:
            continue
        prepared_test = prepare_test(data.dataset, data.splits, replica.preprocessing)
        x = [part.reshape(len(part), -1) for part in (replica.x_train, replica.x_valid, prepared_test.x)]
        if texts:
            cells = data.dataset.texts_NW
            assert cells is not None
            x = [cells[idx, 0] for idx in (parts.train_idx, parts.valid_idx, data.splits.test_idx)]
        model.fit(x[0], replica.y_train)
        answers = [model.predict(part) * replica.target_scale + replica.target_offset for part in x[1:]]
        targets = [data.dataset.target_N[idx] for idx in (parts.valid_idx, data.splits.test_idx)]
        found.append([score(target, answer) for target, answer in zip(targets, answers, strict=True)])
    return [fmean(column) for column in zip(*found, strict=True)]


def scores(baseline: Baseline, metric: str) -> list[float | None]:
    return [baseline.validation[metric], baseline.test[metric]]


@pytest.mark.parametrize("parts", ["validation = 0.25", "folds = 3\nrepeats = 2"])
def test_classes(parts: str) -> None:
    data, found = baselines(data=f'dataset = "wine"\n{parts}')
    assert list(found) == ["majority", "logistic", "boosting"]
    models = {
        "logistic": LogisticRegression(max_iter=1000),
        "boosting": HistGradientBoostingClassifier(random_state=SEED),
    }
    for name, model in models.items():
        for metric, score in (("accuracy", metrics.accuracy_score), ("balanced_accuracy", metrics.recall_score)):
            options = {} if metric == "accuracy" else {"average": "macro"}
            expected = by_hand(data, model, lambda a, b, f=score, o=options: float(f(a, b, **o)))
            assert scores(found[name], metric) == pytest.approx(expected, abs=1e-5)
    assert found["majority"].validation["balanced_accuracy"] == pytest.approx(1 / 3, abs=1e-5)
    assert found["majority"].validation["auroc"] == 0.5
    assert all(one.seconds is not None and not one.note for one in found.values())


@pytest.mark.parametrize(
    ("objective", "constant", "loss"), [("r2", "mean", "squared_error"), ("mae", "median", "absolute_error")]
)
def test_numbers(objective: str, constant: str, loss: Any) -> None:
    data, found = baselines(study=f'objective = "{objective}"', data='dataset = "diabetes"')
    assert list(found) == [constant, "ridge", "boosting"]
    score = {"r2": metrics.r2_score, "mae": metrics.mean_absolute_error}[objective]
    models = {"ridge": Ridge(), "boosting": HistGradientBoostingRegressor(loss=loss, random_state=SEED)}
    for name, model in models.items():
        assert scores(found[name], objective) == pytest.approx(by_hand(data, model, score), rel=1e-3)
    (replica,) = data.splits.replicas
    target_N = data.dataset.target_N
    middle = {"mean": np.mean, "median": np.median}[constant](target_N[replica.train_idx])
    expected = score(target_N[replica.valid_idx], np.full(len(replica.valid_idx), middle))
    assert found[constant].validation[objective] == pytest.approx(expected, abs=1e-4)


def test_where_all_classes_count_the_same_they_weigh_the_same() -> None:
    data, found = baselines(study='objective = "balanced_accuracy"', data='dataset = "breast_cancer"')
    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    expected = by_hand(data, model, metrics.balanced_accuracy_score)
    assert scores(found["logistic"], "balanced_accuracy") == pytest.approx(expected, abs=1e-5)


def table(folder: Path, **columns: Any) -> str:
    pd.DataFrame(columns).to_csv(folder / "table.csv", index=False)
    return f'dataset = "{folder / "table.csv"}"\ntarget = "y"'


def test_codes_score_as_columns_of_their_own(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    colour, size = random.choice(["red", "green", "blue"], 200), random.normal(size=200)
    data = table(tmp_path, colour=colour, size=size, y=np.where((colour == "red") | (size > 0.5), "yes", "no"))
    _, coded = baselines(data=data + '\ncategories = "codes"')
    _, hot = baselines(data=data)
    assert scores(coded["logistic"], "accuracy") == scores(hot["logistic"], "accuracy")
    assert coded["logistic"].validation["loss"] == pytest.approx(hot["logistic"].validation["loss"], abs=1e-3)


def test_texts(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = np.array(["good", "fine", "lovely", "bad", "poor", "awful", "coat", "dress", "shirt", "and", "the", "a"])
    reviews = [" ".join(random.choice(words, 12)) for _ in range(200)]
    liked = ["yes" if sum(w in r for w in words[:3]) >= sum(w in r for w in words[3:6]) else "no" for r in reviews]
    data = table(tmp_path, review=reviews, y=liked) + '\ncolumns = { review = "text" }'
    own = 'family = "custom"\nmodule = "none.py:None"'
    found_data, found = baselines(data=data, model=own)
    assert list(found) == ["majority", "tfidf_logistic"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    expected = by_hand(found_data, model, metrics.accuracy_score, texts=True)
    assert scores(found["tfidf_logistic"], "accuracy") == pytest.approx(expected, abs=1e-5)
    beside = table(tmp_path, review=reviews, n=np.arange(200), y=liked) + '\ncolumns = { review = "text" }'
    assert list(baselines(data=beside, model=own)[1]) == ["majority", "tfidf_logistic", "boosting"]


def test_no_test_part() -> None:
    _, found = baselines(data='dataset = "wine"\ntest = 0')
    assert found["logistic"].validation
    assert all(one.test == {} for one in found.values())


def test_many_rows_are_drawn_from_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds, "MOST_ROWS", 60)
    (_, first), (_, second) = (baselines(data='dataset = "wine"') for _ in range(2))
    assert first["logistic"].note == "fitted on 60 of 106 rows"
    assert [(one.validation, one.test) for one in first.values()] == [
        (one.validation, one.test) for one in second.values()
    ]


def test_an_error_is_noted_and_the_others_are_fitted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setitem(MODELS, "logistic", broken)
    with caplog.at_level(logging.WARNING):
        _, found = baselines(data='dataset = "wine"')
    assert found["logistic"] == Baseline(name="logistic", note="failed: MemoryError: no room")
    assert "baseline logistic: MemoryError: no room" in caplog.text
    assert found["boosting"].validation
