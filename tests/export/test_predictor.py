"""Predictions of an export: the same numbers as the study's own models, over all replicas, and their score."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hpo import models
from hpo.conventions import FIRST, KEY, NEWEST
from hpo.data.catalogue import load_dataset
from hpo.data.preprocessing.apply import apply
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.errors import DataError, InputError
from hpo.export.files import write_export
from hpo.export.folder import export_files
from hpo.export.predictor import Predictor, predict, prediction_table, score_predictions
from hpo.export.source import TrainedTrial, find_trial, load_trained
from hpo.signature import Signature
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.records import DataTable
from tests.data.tables import read_table
from tests.export import tiny
from tests.export.test_module import MIXED


def exported(text: str, folder: Path) -> TrainedTrial:
    home = tiny.run(text, folder)
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        trained = load_trained(store, home, find_trial(store, store.get_all_studies()[0].study_name, None), print)
    write_export(folder / "export", export_files(trained))
    return trained


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedTrial]:
    folder = tmp_path_factory.mktemp("wine")
    trained = exported(tiny.WINE, folder)
    return folder / "export", trained


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedTrial]:
    folder = tmp_path_factory.mktemp("houses")
    tiny.write_houses(folder)
    trained = exported(tiny.HOUSES, folder)
    return folder / "export", trained


def outputs_of(trained: TrainedTrial) -> list[torch.Tensor]:
    """What the trial's own models say of the whole data set, for each replica."""
    prepared, dataset = trained.inputs.prepared, trained.inputs.dataset
    found = []
    for replica, state in zip(prepared.replicas, trained.states, strict=True):
        model = models.build(trained.source.config, prepared.signature, prepared.outputs)
        model.load_state_dict(state)
        rows = torch.from_numpy(apply(replica.preprocessing, dataset, np.arange(dataset.size)))
        with torch.no_grad():
            found.append(model.eval()(rows).double())
    return found


def wine_table(*, target: bool = True) -> pd.DataFrame:
    dataset = load_dataset(DataTable(dataset="wine"), Path())
    frame = pd.DataFrame(dataset.numeric, columns=list(dataset.numeric_names))
    return frame.assign(cultivar=[dataset.class_names[index] for index in dataset.target_N]) if target else frame


def test_classes_and_probabilities_are_the_trials_own(wine: tuple[Path, TrainedTrial]) -> None:
    folder, trained = wine
    predictor = Predictor.load(folder)
    frame = wine_table()
    frame = frame[sorted(frame.columns)].assign(vintage="1999")
    found = predict(predictor, frame)
    [outputs] = outputs_of(trained)
    torch.testing.assert_close(torch.from_numpy(found.probabilities_NC), outputs.softmax(1))
    expected = [trained.inputs.dataset.class_names[index] for index in outputs.argmax(1).tolist()]
    assert list(found.labels) == expected
    accuracy = np.mean(np.array(expected) == frame["cultivar"].to_numpy())
    scored = score_predictions(predictor, found, frame)
    assert scored is not None
    assert (scored.metric, scored.rows) == ("accuracy", 178)
    assert scored.value == pytest.approx(accuracy)


def test_numbers_are_the_mean_over_folds_in_the_targets_unit(houses: tuple[Path, TrainedTrial]) -> None:
    folder, trained = houses
    predictor = Predictor.load(folder)
    frame = read_table(folder.parent / "houses.csv")
    found = predict(predictor, frame)
    expected = torch.stack(
        [
            outputs.squeeze(1) * replica.target_scale + replica.target_offset
            for outputs, replica in zip(outputs_of(trained), trained.inputs.prepared.replicas, strict=True)
        ]
    ).mean(0)
    assert len(predictor.modules) == 2
    assert found.labels == pytest.approx(expected.tolist())
    assert found.probabilities_NC.shape == (80, 0)
    scored = score_predictions(predictor, found, frame)
    assert scored is not None
    errors = np.array(found.labels) - frame["price"].astype(float)
    assert (scored.metric, scored.rows) == ("rmse", 80)
    assert scored.value == pytest.approx(np.sqrt(np.mean(errors**2)))


def test_the_recorded_score_of_the_ensemble_is_that_of_its_predictions(tmp_path: Path) -> None:
    """With folds and repeats, on the same rows; the mean over the models is another number and is recorded, too."""
    trained = exported(tiny.WINE.replace('dataset = "wine"', 'dataset = "wine"\nfolds = 3\nrepeats = 2'), tmp_path)
    rows = trained.inputs.splits.test_idx
    predictor, frame = Predictor.load(tmp_path / "export"), wine_table().iloc[rows]
    found = predict(predictor, frame)
    scored = score_predictions(predictor, found, frame)
    together, mean = trained.source.row.test_ensemble, trained.source.row.test
    assert scored is not None
    assert together is not None
    assert mean is not None
    assert scored.value == together["accuracy"]
    target = torch.from_numpy(trained.inputs.dataset.target_N[rows])
    probabilities = torch.stack([outputs[rows].softmax(1) for outputs in outputs_of(trained)])
    assert mean["accuracy"] == pytest.approx((probabilities.argmax(2) == target).double().mean().item())
    assert together["accuracy"] == pytest.approx((probabilities.mean(0).argmax(1) == target).double().mean().item())
    likelihood = probabilities.mean(0).gather(1, target.unsqueeze(1)).log().mean()
    assert together["loss"] == pytest.approx(-likelihood.item())
    config = json.loads((tmp_path / "export" / "config.json").read_text())
    assert (config["test"], config["test_ensemble"], config["replicas"]) == (mean, together, 6)


def test_the_ensemble_of_folds_is_scored_in_the_targets_unit(houses: tuple[Path, TrainedTrial]) -> None:
    folder, trained = houses
    predictor, dataset = Predictor.load(folder), trained.inputs.dataset
    rows = trained.inputs.splits.test_idx
    frame = read_table(folder.parent / "houses.csv").iloc[rows]
    scored = score_predictions(predictor, predict(predictor, frame), frame)
    together = trained.source.row.test_ensemble
    assert scored is not None
    assert together is not None
    assert scored.value == pytest.approx(together["rmse"])
    errors = np.array(predict(predictor, frame).labels) - dataset.target_N[rows]
    assert together["mae"] == pytest.approx(np.abs(errors).mean())
    assert together["r2"] == pytest.approx(1 - np.mean(errors**2) / np.var(dataset.target_N[rows]))


def test_one_model_has_one_score(wine: tuple[Path, TrainedTrial]) -> None:
    assert wine[1].source.row.test is not None
    assert wine[1].source.row.test_ensemble is None
    assert json.loads((wine[0] / "config.json").read_text())["test_ensemble"] is None


def test_long_tables_go_through_in_batches(wine: tuple[Path, TrainedTrial], monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.load(wine[0])
    whole = predict(predictor, wine_table())
    monkeypatch.setattr("hpo.training.ensemble.BATCH", 50)
    split = predict(predictor, wine_table())
    assert split.labels == whole.labels
    assert np.allclose(split.probabilities_NC, whole.probabilities_NC)


def test_rows_without_a_target_do_not_count(wine: tuple[Path, TrainedTrial], houses: tuple[Path, TrainedTrial]) -> None:
    predictor, frame = Predictor.load(wine[0]), wine_table()
    found = predict(predictor, frame)
    frame.loc[:9, "cultivar"] = None
    scored = score_predictions(predictor, found, frame)
    assert scored is not None
    assert scored.rows == 168
    assert score_predictions(predictor, found, wine_table(target=False)) is None
    assert score_predictions(predictor, found, frame.assign(cultivar=None)) is None
    assert score_predictions(predictor, found, frame.assign(cultivar="of another kind")) is None
    predictor, frame = Predictor.load(houses[0]), read_table(houses[0].parent / "houses.csv")
    found = predict(predictor, frame)
    scored = score_predictions(predictor, found, frame.assign(price=[1.0, *[None] * 79]))
    assert scored is not None
    assert scored.rows == 1
    assert scored.value == pytest.approx(abs(float(found.labels[0]) - 1))
    assert score_predictions(predictor, found, frame.assign(price=None)) is None


def test_numbers_as_classes_are_recognised_with_and_without_decimals() -> None:
    preprocessing = Preprocessing.from_dict({**MIXED.as_dict(), "target_name": "t", "class_names": ["0", "1", "2"]})
    module = nn.Sequential(nn.Linear(6, 3))
    nn.init.zeros_(module[0].weight)
    with torch.no_grad():
        module[0].bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    predictor = Predictor(modules=(module,), preprocessing=(preprocessing,))
    frame = pd.DataFrame({"area": ["1", "2", None], "rooms": ["1", "2", "3"], "heating": ["gas", None, "oil"]})
    found = predict(predictor, frame)
    assert found.labels == ("1", "1", "1")
    scored = score_predictions(predictor, found, frame.assign(t=["1.0", "1.00", "2"]))
    assert scored is not None
    assert scored.value == pytest.approx(2 / 3)


def test_the_table_has_a_column_for_each_class(
    wine: tuple[Path, TrainedTrial], houses: tuple[Path, TrainedTrial]
) -> None:
    predictor = Predictor.load(wine[0])
    names, rows = prediction_table(predictor, predict(predictor, wine_table()[:3]))
    assert names == ["row", "prediction", "p(class_0)", "p(class_1)", "p(class_2)"]
    assert [row[0] for row in rows] == [1, 2, 3]
    assert all(sum(row[2:]) == pytest.approx(1, abs=1e-5) for row in rows)
    predictor = Predictor.load(houses[0])
    names, rows = prediction_table(predictor, predict(predictor, read_table(houses[0].parent / "houses.csv")))
    assert names == ["row", "prediction"]
    assert len(rows) == 80


def test_a_missing_column_is_named(wine: tuple[Path, TrainedTrial]) -> None:
    with pytest.raises(DataError, match="alcohol"):
        predict(Predictor.load(wine[0]), wine_table().drop(columns="alcohol"))


def test_an_incomplete_or_damaged_export_is_refused(wine: tuple[Path, TrainedTrial], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config.json: no such file.*hpo export STUDY"):
        Predictor.load(tmp_path)
    damages = {
        "config.json": ["{", "[]", '{"format": 99}', '{"format": 1}'],
        "preprocessing.json": ["nonsense", "[3]", "[]", "{}", '[{"kind": "image"}]'],
        "weights.safetensors": ["", "nonsense" * 10],
    }
    for number, (name, text) in enumerate((name, text) for name, texts in damages.items() for text in texts):
        copy = tmp_path / str(number)
        shutil.copytree(wine[0], copy)
        (copy / name).write_text(text)
        with pytest.raises(InputError, match="Export the trial again"):
            Predictor.load(copy)
    shutil.copytree(wine[0], tmp_path / "w")
    (tmp_path / "w" / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights.safetensors is missing or damaged"):
        Predictor.load(tmp_path / "w")
    shutil.copytree(wine[0], tmp_path / "c")
    config = (tmp_path / "c" / "config.json").read_text()
    (tmp_path / "c" / "config.json").write_text(config.replace('"outputs": 3', '"outputs": 4'))
    with pytest.raises(InputError, match="do not fit together"):
        Predictor.load(tmp_path / "c")


def test_an_export_of_before_keeps_its_layers(wine: tuple[Path, TrainedTrial], tmp_path: Path) -> None:
    """It notes no conventions, and its layers have a bias in front of batch normalisation."""
    folder = tmp_path / "export"
    shutil.copytree(wine[0], folder)
    about = json.loads((folder / "config.json").read_text())
    assert about["config"].pop(KEY) == NEWEST
    (folder / "config.json").write_text(json.dumps(about))
    config = wine[1].source.config.model_copy(update={KEY: FIRST})
    model = models.build(config, Signature.of_values(*about["input_shape"]), about["outputs"])
    state = model.state_dict()
    assert "linear1.bias" in state
    save_file(state, folder / "weights.safetensors")
    (module,) = Predictor.load(folder).modules
    assert torch.equal(module.state_dict()["linear1.bias"], state["linear1.bias"])
    assert "linear1.bias" not in Predictor.load(wine[0]).modules[0].state_dict()


PREPROCESSING_FLAWS: list[tuple[dict[str, Any], str]] = [
    ({"fills": [0.0]}, "fills, offsets and scales need one number for each numeric_names"),
    ({"scales": [0.0] * 13}, "scales and target_scale must not be 0"),
    ({"offsets": [math.nan] * 13}, "every number must be finite"),
    ({"offsets": ["one"] * 13}, "offsets.0: input should be a valid number"),
    ({"categorical_names": ["a"]}, "categories needs one list for each categorical_names"),
    ({"indicators": ["nothing"]}, "indicators must be among numeric_names"),
    ({"input_shape": [7]}, "input_shape does not hold the 13 columns"),
    ({"numeric_names": ["a"] * 13}, "numeric_names, categorical_names and text_names must differ"),
    ({"class_names": []}, "class_names must be empty for regression, and only there"),
    ({"target_name": {}}, "target_name: input should be a valid string"),
]


@pytest.mark.parametrize(("change", "expected"), PREPROCESSING_FLAWS, ids=[text for _, text in PREPROCESSING_FLAWS])
def test_preprocessing_that_contradicts_itself_is_refused(
    change: dict[str, Any], expected: str, wine: tuple[Path, TrainedTrial], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(wine[0], copy)
    path = copy / "preprocessing.json"
    path.write_text(json.dumps([record | change for record in json.loads(path.read_text())]))
    with pytest.raises(InputError) as caught:
        Predictor.load(copy)
    assert f"preprocessing.json is damaged: {expected}" in str(caught.value)


def test_sizes_are_compared_with_the_weights_before_memory_is_taken(
    wine: tuple[Path, TrainedTrial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, built = tmp_path / "copy", []
    shutil.copytree(wine[0], copy)
    path = copy / "config.json"
    about = json.loads(path.read_text())
    about["config"]["model"]["hidden"] = [65536] * 256
    path.write_text(json.dumps(about))
    build = models.build

    def watched(*arguments: Any) -> nn.Sequential:
        model = build(*arguments)
        built.extend(parameter.device.type for parameter in model.parameters())
        return model

    monkeypatch.setattr(models, "build", watched)
    with pytest.raises(InputError, match=r"do not fit together: linear1.weight is of another size"):
        Predictor.load(copy)
    assert set(built) == {"meta"}
