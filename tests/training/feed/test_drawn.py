"""Trials with splits of their own train on the numbers, to the last bit, that a study with their split alone has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from hpo.data.dataset import Dataset
from hpo.data.parts.splits import split_data
from hpo.data.prepare import PreparedData
from hpo.data.reshuffled import Reshuffled
from hpo.errors import InputError
from hpo.studyfile.records import DataTable, Mlp
from hpo.training import packing
from hpo.training.batches import Examples, on_device
from hpo.training.feed.reshuffled import TrialExamples, with_shared_rows
from hpo.training.feed.validation import inputs, of_one_size
from hpo.training.lane import Setting, new_lane
from hpo.training.limits import Limits
from hpo.training.metrics import names_for
from hpo.training.trainer import Trainer
from tests.data.parts.made import table
from tests.training.study import mixed, variants

CPU, SIZE = torch.device("cpu"), 200


def tabular(*, classes: bool = True, texts: bool = False, repeated: int = 0) -> Dataset:
    rng = np.random.default_rng(1)
    numeric = rng.lognormal(size=(SIZE, 3)) * [1.0, 1e6, 1e-3]
    numeric[rng.random((SIZE, 3)) < 0.05] = np.nan
    cells = np.array([["red", "blue", "1", "1.0", None][n] for n in rng.integers(0, 5, (SIZE, 2)).flat], object)
    cells = cells.reshape(SIZE, 2)
    cells[3] = "seen once"
    numeric[:repeated], cells[:repeated] = numeric[0], cells[0]
    words = rng.integers(0, 30, (SIZE, 8))
    found = [" ".join(f"w{n}" for n in row[: n_words % 9]) for n_words, row in enumerate(words)]
    return Dataset(
        name="made",
        kind="tabular",
        task="classification" if classes else "regression",
        numeric=numeric,
        numeric_names=("a", "b", "c"),
        categorical_NK=cells,
        categorical_names=("k", "l"),
        target_N=rng.integers(0, 3, SIZE) if classes else rng.normal(size=SIZE) * 50 + 7,
        target_name="y",
        class_names=("class_0", "1", "2") if classes else (),
        texts_NW=np.array(found, object)[:, None] if texts else None,
        text_names=("t",) if texts else (),
    )


def shaped(kind: Any, shape: tuple[int, ...], *, ragged: bool = False) -> Dataset:
    rng = np.random.default_rng(2)
    numeric = rng.normal(size=(SIZE, *shape)).astype("f4") * 10
    lengths = rng.integers(1, shape[0] + 1, SIZE) if ragged else None
    if lengths is not None:
        numeric[np.arange(shape[0]) >= lengths[:, None]] = 0.0
    return replace(
        tabular(),
        kind=kind,
        numeric=numeric,
        numeric_names=tuple(f"n{n}" for n in range(int(np.prod(shape)))),
        categorical_NK=np.empty((SIZE, 0), object),
        categorical_names=(),
        lengths_N=lengths,
    )


CASES: dict[str, tuple[Dataset, dict[str, Any]]] = {
    "table": (tabular(), {}),
    "folds": (tabular(), {"folds": 3, "repeats": 2}),
    "codes": (tabular(), {"categories": "codes"}),
    "numbers to predict": (tabular(classes=False), {"scaling": "robust"}),
    "logarithms": (tabular(), {"scaling": "log"}),
    "unscaled": (tabular(), {"scaling": "none"}),
    "repeated rows": (tabular(repeated=60), {}),
    "texts": (tabular(texts=True), {"vocabulary": 20, "max_tokens": 5}),
    "images": (shaped("image", (2, 4, 5)), {}),
    "images in logarithms": (shaped("image", (2, 4, 5)), {"scaling": "log"}),
    "sequences": (shaped("sequence", (6, 2)), {"scaling": "robust"}),
    "sequences of any length": (shaped("sequence", (6, 2), ragged=True), {}),
}


class Study:
    """A data set with splits of the trials' own."""

    def __init__(self, dataset: Dataset, data: DataTable, dtype: torch.dtype = torch.float32) -> None:
        common = split_data(dataset, data, 3)
        self.drawn = Reshuffled.of(dataset, common, data, 3)
        first = self.drawn.prepared(common)
        self.first = on_device(first, device=CPU, dtype=dtype)
        self.examples = with_shared_rows(first, common, self.drawn, device=CPU, dtype=dtype)
        self.of_trial = TrialExamples(self.examples, self.drawn)

    def prepared(self, trial: int) -> PreparedData:
        return self.drawn.prepared(self.drawn.splits(trial))

    def plain(self, trial: int) -> Examples:
        """The trial's split as a study's only one, with the same class counted as the rarer one."""
        found = on_device(self.prepared(trial), device=CPU, dtype=self.examples.dtype)
        return replace(found, positive=self.examples.positive)

    def trainer(self, lanes: int = 32, plain: int | None = None) -> Trainer:
        examples = self.examples if plain is None else self.plain(plain)
        setting = Setting(
            examples=examples,
            seed=7,
            metrics=names_for(examples.task, "loss"),
            dtype=examples.dtype,
            of_trial=self.of_trial if plain is None else None,
        )
        return Trainer(setting, variants, Limits(lanes))


def study(case: str = "table") -> Study:
    dataset, values = CASES[case]
    return Study(dataset, table(**values))


@pytest.mark.parametrize("case", CASES)
def test_the_inputs_and_targets_are_those_of_the_split_alone(case: str) -> None:
    its = study(case)
    several = [(its.of_trial(trial), its.plain(trial)) for trial in (0, 5)]
    several.append((its.examples, its.first))
    rows: list[Any] = []
    for drawn, plain in several:
        for name in ("part", "start", "size", "counts", "task", "outputs", "positive"):
            assert getattr(drawn, name) == getattr(plain, name), name
        for name in ("y_train", "y_valid", "real", "target_scale", "darkest"):
            assert torch.equal(getattr(drawn, name), getattr(plain, name)), name
        assert np.array_equal(drawn.by_class, plain.by_class)
        assert torch.equal(drawn.some, plain.some)
        assert torch.equal(drawn.first(8, 16).x_valid, plain.first(8, 16).x_valid)
        rows.append(drawn.order(7, 0, 0, 1, 24).view(3, 8))
        assert torch.equal(rows[-1], plain.order(7, 0, 0, 1, 24).view(3, 8))
    parts = [[(examples, examples.part[0]) for examples in side] for side in zip(*several, strict=True)]
    x, y = its.examples.batches([lambda part, r=r: r[part] for r in rows], slice(0, 3), parts[0])(slice(1, 3))
    for lane, (_, plain) in enumerate(several):
        assert torch.equal(x[:, lane], plain.x_train[rows[lane][1:]])
        assert torch.equal(y[:, lane], plain.y_train[rows[lane][1:]])
    for places in of_one_size(parts[0]):
        (found,) = inputs([parts[0][place] for place in places])
        for x_V, place in zip(found, places, strict=True):
            assert torch.equal(x_V, parts[1][place][0].x_valid[parts[1][place][1]])


def results(trainer: Trainer, trial: int) -> list[Any]:
    """What an epoch of a trial gave, and its weights."""
    epochs = [e for e in trainer.tick().epochs if e.trial == trial]
    found: list[Any] = [(e.replica, e.train_loss, e.gradient_norm, e.learning_rate, e.metrics) for e in epochs]
    states = [state for cohort in trainer.alone(trial) for state in cohort.state["theta"]]
    return [*found, *(state.tolist() for state in states)]


@pytest.mark.parametrize("case", ["table", "folds", "numbers to predict", "repeated rows"])
def test_a_trial_trains_as_in_a_study_of_its_split_alone_whoever_its_neighbours_are(case: str) -> None:
    its = study(case)
    trials = (1, 2, 5, 6) if case == "numbers to predict" else (1, 3, 4, 6)
    configs = {trial: mixed(trial, epochs=2) for trial in trials}
    if case == "numbers to predict":
        plain_targets = {"class_weight": None, "sampling": "shuffled"}
        configs = {
            t: c.model_copy(
                update={
                    "training": c.training.model_copy(update=plain_targets),
                    "regularization": c.regularization.model_copy(update={"label_smoothing": 0.0}),
                }
            )
            for t, c in configs.items()
        }
    together = its.trainer()
    assert not together.admit(configs.items())
    first = {trial: [] for trial in trials}
    for _ in range(2):
        tick = together.tick()
        for epoch in tick.epochs:
            first[epoch.trial].append((epoch.replica, epoch.train_loss, epoch.gradient_norm, epoch.metrics))
    for trial in trials[:2]:
        for alone in (its.trainer(), its.trainer(plain=trial)):
            alone.admit([(trial, configs[trial])])
            epochs = [epoch for _ in range(2) for epoch in alone.tick().epochs]
            assert [(e.replica, e.train_loss, e.gradient_norm, e.metrics) for e in epochs] == first[trial]


def test_a_trial_that_was_interrupted_goes_on_with_its_own_split() -> None:
    its = study()
    through, before, after = its.trainer(), its.trainer(), its.trainer()
    for trainer in (through, before):
        trainer.admit([(trial, mixed(trial)) for trial in (1, 2)])
        trainer.tick()
    saved = packing.lanes_of(packing.unpack(packing.pack_running(before.all_cohorts())))
    assert packing.restore(after, 2, mixed(2), [saved[2, 0]])
    assert results(after, 2) == results(through, 2)


def test_rows_that_are_validated_on_are_not_trained_on() -> None:
    its = study("repeated rows")
    for trial in range(4):
        examples = its.of_trial(trial)
        train, valid = (set(rows.rows.flatten().tolist()) for rows in (examples.x_train, examples.x_valid))
        assert not train & valid
        assert train | valid == set(range(len(its.drawn.rest_idx)))


def test_a_number_too_large_beside_the_training_part_fails_the_trial_by_name() -> None:
    dataset = tabular()
    common = split_data(dataset, table(), 3)
    row = int(common.replicas[0].train_idx[-1])
    dataset.numeric[row, 1] = 1e300
    its = Study(dataset, table())
    trial = next(t for t in range(50) if row in its.drawn.splits(t).replicas[0].valid_idx)
    with pytest.raises(InputError, match='Column "b" holds a number that is infinite or'):
        its.of_trial(trial)
    (failure,) = its.trainer().admit([(trial, mixed(1))])
    assert 'Column "b"' in failure.error


def test_the_edges_of_bins_are_those_of_the_split_alone() -> None:
    its = study("folds")
    config = mixed(1).model_copy(update={"model": Mlp(family="mlp", numbers="piecewise_linear", bins=5)})
    edges = []
    for trial, replica in ((3, 0), (3, 1), (4, 0)):
        lanes = (new_lane(t.setting, trial, replica, config) for t in (its.trainer(), its.trainer(plain=trial)))
        one, other = (lane.module.state_dict()["numbers.edges"] for lane in lanes)
        assert torch.equal(one, other)
        edges.append(one.tolist())
    assert edges[0] != edges[1] != edges[2] != edges[0]
