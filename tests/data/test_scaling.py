"""Scaling of numbers, against its definition and against scikit-learn."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from hpo.conventions import TIED_VALUES_APART
from hpo.data.dataset import Dataset, no_categories
from hpo.data.preprocessing.apply import apply
from hpo.data.preprocessing.fit import Learner
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from tests.data.fitting import fit

RANDOM = np.random.default_rng(0)
SKEWED = np.exp(RANDOM.normal(size=(400, 3)) * [0.5, 1.0, 2.0])
TRAIN = np.arange(300)
ALL = np.arange(400)


def of(numeric: np.ndarray, kind: str = "tabular", lengths: np.ndarray | None = None) -> Dataset:
    return Dataset(
        name="made",
        kind=kind,
        task="classification",
        numeric=numeric,
        numeric_names=tuple(f"x{number}" for number in range(int(np.prod(numeric.shape[1:])))),
        categorical_NK=no_categories(len(numeric)),
        categorical_names=(),
        target_N=np.arange(len(numeric)) % 2,
        target_name="y",
        class_names=("a", "b"),
        lengths_N=lengths,
    )


def scaled(numeric: np.ndarray, scaling: str, kind: str = "tabular") -> np.ndarray:
    dataset = of(numeric, kind)
    return apply(fit(dataset, TRAIN, scaling=scaling), dataset, np.arange(len(numeric)))


def test_robust_standard_and_logarithm_are_those_of_scikit_learn() -> None:
    robust = RobustScaler(unit_variance=True).fit(SKEWED[TRAIN]).transform(SKEWED)
    np.testing.assert_allclose(scaled(SKEWED, "robust"), robust, rtol=1e-4, atol=1e-5)
    standard = StandardScaler().fit(SKEWED[TRAIN]).transform(SKEWED)
    np.testing.assert_allclose(scaled(SKEWED, "standard"), standard, rtol=1e-4, atol=1e-5)
    logs = np.log1p(SKEWED)
    logs = StandardScaler().fit(logs[TRAIN]).transform(logs)
    np.testing.assert_allclose(scaled(SKEWED, "log"), logs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scaled(-SKEWED, "log"), -logs, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scaled(SKEWED, "none"), SKEWED.astype(np.float32))


def test_quantiles_give_a_normal_distribution_and_keep_the_order() -> None:
    found = scaled(SKEWED, "quantile")
    assert (np.diff(found[np.argsort(SKEWED[:, 2]), 2]) >= 0).all()
    assert np.abs(found).max() <= NormalDist().inv_cdf(0.999) + 1e-6
    sklearn = QuantileTransformer(n_quantiles=101, output_distribution="normal").fit(SKEWED[TRAIN]).transform(SKEWED)
    inner = np.abs(sklearn) < 2
    assert np.abs(found - sklearn)[inner].max() < 0.1
    tied = np.where(SKEWED < 1, 1.0, SKEWED)  # half of the numbers are alike: they get the middle rank
    assert scaled(tied, "quantile")[tied == 1].max() == pytest.approx(NormalDist().inv_cdf(0.25), abs=0.15)


@pytest.mark.parametrize("scaling", ["standard", "robust", "log", "quantile"])
def test_a_missing_number_is_in_the_middle_and_a_constant_one_at_0(scaling: str) -> None:
    numbers = SKEWED.copy()
    numbers[::7, 1] = np.nan
    numbers[:, 2] = 4.0
    found = scaled(numbers, scaling)
    assert np.abs(found[::7, 1]).max() < (0.02 if scaling == "quantile" else 1e-5)
    assert (found[:, 2] == 0).all()


def test_images_are_scaled_by_channel_and_as_before_in_earlier_studies() -> None:
    images = RANDOM.random((400, 2, 3, 3)).astype(np.float32) * np.array([1, 50], np.float32)[:, None, None]
    found = scaled(images, "standard", "image")[TRAIN]
    np.testing.assert_allclose(found.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(found.std((0, 2, 3)), 1, atol=1e-4)
    factors = found[:, :, 1, 1].std(0) / images[TRAIN][:, :, 1, 1].std(0)
    np.testing.assert_allclose(factors[0] / factors[1], 50, rtol=0.05)
    dataset = of(images, "image")
    before = Learner.of(dataset, DataTable(dataset="made"), TIED_VALUES_APART).fit(TRAIN)
    np.testing.assert_allclose(apply(before, dataset, TRAIN).mean(0), 0, atol=1e-4)
    with pytest.raises(DataError, match=r'data\.scaling: "quantile" is for the columns of a table, and made holds'):
        fit(dataset, TRAIN, scaling="quantile")


def test_what_is_behind_the_end_of_a_sequence_counts_nowhere() -> None:
    lengths = RANDOM.integers(1, 6, 400)
    lengths[0] = 6
    steps = RANDOM.normal(3, 2, (400, 6, 2))
    real = np.arange(6) < lengths[:, None]
    steps[~real] = 0
    dataset = of(steps, "sequence", lengths)
    fitted = fit(dataset, TRAIN)
    rows = apply(fitted, dataset, ALL)
    assert fitted.signature.names == ("values", "mask")
    values, mask = rows[:, :12].reshape(400, 6, 2), rows[:, 12:]
    np.testing.assert_array_equal(mask, real)
    assert (values[~real] == 0).all()
    own = values[TRAIN][real[TRAIN]]
    np.testing.assert_allclose((own.mean(0), own.std(0)), ([0, 0], [1, 1]), atol=1e-4)
    other = of(np.where(real[:, :, None], steps, 77.0), "sequence", lengths)
    np.testing.assert_array_equal(apply(fit(other, TRAIN), other, ALL), rows)
