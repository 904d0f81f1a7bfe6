"""Exports of models that take codes, words and masks answer as training did, in every scaling."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hpo.data.source import read_frame
from hpo.data.study import load_data
from hpo.errors import DataError
from hpo.export.predictor import Predictor, predict
from hpo.studyfile.file import read_study_file
from hpo.training import ensemble
from tests.export.test_module import executed
from tests.export.test_predictor import exported

NET = """
import torch
from torch import nn


class Words(nn.Module):
    def __init__(self, input_shape, outputs, inputs, width=4):
        super().__init__()
        sizes = inputs["codes"]["sizes"]
        self.words = nn.Embedding(inputs["tokens"]["sizes"][0], width)
        self.colours = nn.Embedding(sizes[inputs["codes"]["columns"].index("colour")], 3)
        self.output = nn.Linear(width + 3 + input_shape[0], outputs)

    def forward(self, values, codes, tokens, mask):
        real = mask.unsqueeze(2)
        text = (self.words(tokens) * real).sum(1) / real.sum(1)
        return self.output(torch.cat([text, self.colours(codes[:, 0]), values], 1))


class Steps(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.step = nn.Conv1d(inputs["values"]["shape"][1], 5, 3, padding=1)
        self.output = nn.Linear(5, outputs)

    def forward(self, values, mask):
        real = mask.unsqueeze(1)
        return self.output((self.step(values.transpose(1, 2)).relu() * real).sum(2) / real.sum(2))
"""
WORDS = ("good", "bad", "It's", "ugly,", "nice!", "Größe", "42")
STUDY = """
[study]
name = "own"
objective = "accuracy"

[data]
{data}

[model]
family = "custom"
module = "net.py:{name}"

[optimizer]
name = "adam"

[training]
epochs = 2

[search]
trials = 2
pruner = "none"
"""


@pytest.mark.parametrize("data", ["", "folds = 2\nmin_count = 1", 'scaling = "quantile"', 'scaling = "log"'])
def test_words_and_codes(data: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = []
    for number in range(90):
        review = " ".join(draw.choice(WORDS) for _ in range(draw.randint(0, 9)))
        colour = draw.choice(["red", "blue", ""])
        rows.append([review, f"{draw.lognormvariate(0, 2):.3f}" if number % 7 else "", colour, "ab"[number % 2]])
    table = tmp_path / "rows.csv"
    pd.DataFrame(rows, columns=["review", "price", "colour", "kind"]).to_csv(table, index=False)
    (tmp_path / "net.py").write_text(NET)
    declared = f'dataset = "rows.csv"\ntarget = "kind"\ncategories = "codes"\ncolumns = {{ review = "text" }}\n{data}'
    exported(STUDY.format(data=declared, name="Words"), tmp_path)
    predictor = Predictor.load(tmp_path / "export")
    frame = read_frame(str(table), (), as_text=predictor.text_columns)
    expected = predict(predictor, frame)
    found = executed((tmp_path / "export" / "model.py").read_text(), tmp_path / "export")["predict"]
    for given in (frame, frame.to_dict("records"), pd.read_csv(table)):
        names, probabilities = found(given)
        assert tuple(names) == expected.labels
        np.testing.assert_allclose(probabilities, expected.probabilities_NC, atol=1e-5)
    of_training(tmp_path, predictor, expected.probabilities_NC)
    strange = predict(predictor, frame.assign(review="good zebra zebra", colour="green")).odd
    assert any('180 of 270 words are not in the vocabulary ("zebra" in 180)' in str(one) for one in strange)
    assert any("90 cells hold categories that training did not have" in str(one) for one in strange)


RECURRENT = """family = "recurrent"
layers = 2
width = 5
bidirectional = true
pooling = "mean"
hidden = [4]

[norm]
kind = "{kind}"
placement = "{placement}"
"""


@pytest.mark.parametrize("model", ["own", "before_activation", "after_activation", "input", "cell"])
def test_sequences_of_unequal_length(model: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 7, 60)
    lengths[0] = 6
    steps = draw.normal(size=(int(lengths.sum()), 2))
    np.savez(tmp_path / "steps.npz", X=steps, lengths=lengths, y=np.arange(60) % 2)
    (tmp_path / "net.py").write_text(NET)
    study = STUDY.format(data='dataset = "steps.npz"', name="Steps")
    if model != "own":
        norm = RECURRENT.format(placement=model, kind="layer" if model == "cell" else "batch")
        study = study.replace('family = "custom"\nmodule = "net.py:Steps"\n', norm)
    exported(study, tmp_path)
    predictor = Predictor.load(tmp_path / "export")
    frame = read_frame(str(tmp_path / "steps.npz"), (6, 2))
    expected = predict(predictor, frame)
    assert expected.odd == ()
    of_training(tmp_path, predictor, expected.probabilities_NC)
    namespace = executed((tmp_path / "export" / "model.py").read_text(), tmp_path / "export")
    tensor = torch.tensor(frame[list(predictor.preprocessing[0].numeric_names)].to_numpy(float)).view(60, 6, 2)
    for given in (frame, tensor):
        np.testing.assert_allclose(namespace["predict"](given)[1], expected.probabilities_NC, atol=1e-5)
    text = (tmp_path / "export" / "model.py").read_text()
    assert "Behind the end of a sequence, all numbers are missing" in text
    with pytest.raises(DataError, match=r'more than 6 steps \(column "step_6_0"\), and the model takes 6'):
        predict(predictor, frame.assign(step_6_0=[None] * 59 + [0.5], step_6_1=1.0))
    short = int(lengths.argmin())
    alone = tensor[short : short + 1, : lengths[short]]
    outputs = predictor.modules[0](namespace["preprocess"](tensor)[short : short + 1])
    padded = torch.nn.functional.pad(alone, (0, 0, 0, 6 - int(lengths[short])), value=torch.nan)
    assert torch.allclose(predictor.modules[0](namespace["preprocess"](padded)), outputs, atol=1e-6)


def of_training(folder: Path, predictor: Predictor, probabilities_NC: np.ndarray) -> None:
    """The rows that training had give the same answers."""
    data = load_data(read_study_file(folder / "study.toml"))
    for replica, indices in zip(data.prepared.replicas[:1], data.splits.replicas[:1], strict=True):
        if len(predictor.modules) == 1:
            outputs = ensemble.outputs(predictor.modules[0], torch.from_numpy(replica.x_valid))
            own = outputs.double().softmax(1)
            np.testing.assert_allclose(probabilities_NC[indices.valid_idx], own, atol=1e-5)
