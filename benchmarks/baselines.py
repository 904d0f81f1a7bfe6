"""The baselines of a study against scikit-learn by hand, on data sets of the catalogue: scores on the validation and
the test part of the same splits, and seconds.

    python -m benchmarks.baselines [DATASET ...]

By hand: from the columns as they were read, with scikit-learn's own scaling, one-hot columns and metrics, and with its
default settings, whatever the size of the data.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks.machine import processor
from hpo.baselines.scores import fitted
from hpo.data.dataset import Dataset
from hpo.data.study import load_data
from hpo.studyfile.file import parse_study

SETS = ("adult", "california_housing", "clothing_reviews", "mnist5k")
STUDY = """
[study]
name = "baselines"
objective = "{objective}"
[data]
dataset = "{dataset}"
[model]
family = "mlp"
[optimizer]
name = "adam"
"""


def by_hand(name: str, dataset: Dataset, train_idx: NDArray[np.int64]) -> Any:
    """The pipeline from columns, numbers first."""
    numbers = dataset.numeric.reshape(dataset.size, -1).shape[1]
    names = slice(numbers, None)
    scaled: Any = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    if dataset.kind == "image":  # one mean and deviation for all pixels
        mean, deviation = dataset.numeric[train_idx].mean(), dataset.numeric[train_idx].std()
        scaled = FunctionTransformer(lambda x: (x.astype(np.float64) - mean) / deviation)
    kept = FunctionTransformer(lambda x: x.astype(np.float64))
    if not dataset.categorical_names:
        hot, coded = scaled, kept
    else:
        hot = make_column_transformer(
            (scaled, slice(0, numbers)), (OneHotEncoder(handle_unknown="ignore"), names), sparse_threshold=0
        )
        coded = make_column_transformer((kept, slice(0, numbers)), (OrdinalEncoder(), names))
    boosting = HistGradientBoostingClassifier if dataset.class_names else HistGradientBoostingRegressor
    steps: dict[str, Any] = {
        "majority": [DummyClassifier()],
        "mean": [DummyRegressor()],
        "logistic": [hot, LogisticRegression(max_iter=1000)],
        "ridge": [hot, Ridge()],
        "boosting": [coded, boosting(random_state=0)],
        "tfidf_logistic": [
            FunctionTransformer(lambda x: [" ".join(filter(None, row)) for row in x]),
            TfidfVectorizer(),
            LogisticRegression(max_iter=1000),
        ],
    }
    return make_pipeline(*steps[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=SETS, metavar="DATASET")
    print(f"{processor()}, scikit-learn {sklearn.__version__}, one thread, n = 1\n")
    header = "data set | objective | baseline | validation, by hand | test, by hand | s; processor s | by hand s; "
    print(f"| {header}processor s | note |")
    print("|---|---|---|---|---|---|---|---|")
    for named in parser.parse_args().datasets:
        objective = "r2" if named == "california_housing" else "accuracy"
        metric = r2_score if objective == "r2" else accuracy_score
        spec = parse_study(STUDY.format(dataset=named, objective=objective), "baselines.toml")
        data = load_data(spec)
        dataset, (replica,) = data.dataset, data.splits.replicas
        x = np.concatenate([dataset.numeric.reshape(dataset.size, -1), dataset.categorical_NK], axis=1, dtype=object)
        starts: list[float] = []
        found = fitted(spec.study, data, lambda: starts.append(time.process_time()))  # noqa: B023
        starts.append(time.process_time())
        for one, spent in zip(found, np.diff(starts), strict=True):
            cells = dataset.texts_NW if one.name.startswith("tfidf") else x
            assert cells is not None
            if not one.validation:
                print(f"| {named} | {objective} | {one.name} | – | – | – | – | {one.note} |")
                continue
            started, processor_started = time.perf_counter(), time.process_time()
            hand = by_hand(one.name, dataset, replica.train_idx)
            hand.fit(cells[replica.train_idx], dataset.target_N[replica.train_idx])
            parts = ((one.validation, replica.valid_idx), (one.test, data.splits.test_idx))
            pairs = [
                f"{scores[objective]:.4f}, {metric(dataset.target_N[idx], hand.predict(cells[idx])):.4f}"
                for scores, idx in parts
            ]
            seconds = f"{one.seconds:.1f}; {spent:.1f} | {time.perf_counter() - started:.1f}; "
            seconds += f"{time.process_time() - processor_started:.1f}"
            print(f"| {named} | {objective} | {one.name} | {' | '.join(pairs)} | {seconds} | {one.note} |", flush=True)


if __name__ == "__main__":
    main()
