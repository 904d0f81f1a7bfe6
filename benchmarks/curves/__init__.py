"""Tables of learning curves: what this program's own trainings scored after each epoch, for configurations that were
drawn at random, with several seeds each. Searches are compared on them (`python -m benchmarks.search`) without training
anything. `python -m benchmarks.curves.make` makes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TABLES = Path(__file__).parent / "tables"
EPOCHS = 50
STUDY = """
[study]
name = "{name}"
objective = "{objective}"
baselines = false

[data]
{data}
repeats = {seeds}

[model]
{model}

[init]
scheme = {{ choice = ["kaiming_normal", "orthogonal", "small_normal"] }}

[norm]
kind = {{ choice = {norms} }}

[dropout]
p = {{ low = 0.0, high = 0.6 }}

[optimizer]
learning_rate = {{ low = 1e-4, high = 1.0, log = true }}
choice = [{{ name = "adam" }}, {{ name = "sgd", momentum = 0.9 }}]

[schedule]
name = {{ choice = ["constant", "cosine"] }}

[training]
epochs = {epochs}
batch_size = 64

[search]
{search}
"""
"""Seven parameters: width, initialisation, normalisation, dropout, optimizer, its rate and the schedule."""
MLP = 'family = "mlp"\nlayers = 2\nwidth = { choice = [16, 32, 64, 128] }'
WORDS = f"{MLP}\nword_vector = 32"
CNN = 'family = "cnn"\nhidden = [32]\nchannels = { choice = [[4, 8], [8, 16], [16, 32]] }'
GRU = 'family = "recurrent"\ncell = "gru"\npooling = "mean"\nwidth = { choice = [8, 16, 32, 64] }'


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is trained on which data."""

    name: str
    data: str
    """Lines of the table [data]."""
    model: str
    objective: str
    norms: tuple[str, ...] = ("none", "batch", "layer")

    def text(self, search: str, *, name: str, seeds: int = 1) -> str:
        """The study file, with the lines of its table [search]."""
        return STUDY.format(
            name=name,
            objective=self.objective,
            data=self.data,
            seeds=seeds,
            model=self.model,
            norms=json.dumps(self.norms),
            epochs=EPOCHS,
            search=search,
        )


def _data(name: str, examples: int | None = None) -> str:
    """A data set of the catalogue with 40 % of it for validation; of one with so many examples, 1,000 are trained on
    and 1,000 for validation."""
    test, validation = (0.0, 0.4) if examples is None else (1 - 2000 / examples, 1000 / examples)
    return f'dataset = "{name}"\ntest = {test}\nvalidation = {validation}'


DESIGN = (
    Task(name="digits", data=_data("digits"), model=MLP, objective="accuracy"),
    Task(name="wine", data=_data("wine"), model=MLP, objective="loss"),
    Task(name="diabetes", data=_data("diabetes"), model=MLP, objective="r2"),
    Task(name="adult", data=_data("adult", 48842), model=MLP, objective="loss"),
    Task(name="mnist5k", data=_data("mnist5k", 5000), model=MLP, objective="accuracy"),
    Task(name="reviews", data=_data("clothing_reviews", 22634), model=WORDS, objective="loss"),
)
"""The search may be designed on these."""
FIGURES = (
    Task(name="tumours", data=_data("breast_cancer"), model=MLP, objective="loss"),
    Task(name="iris", data=_data("iris"), model=MLP, objective="loss"),
    Task(name="california", data=_data("california_housing", 20640), model=MLP, objective="r2"),
    Task(name="fashion", data=_data("fashion_mnist", 70000), model=MLP, objective="accuracy"),
    Task(name="digits_cnn", data=_data("digits"), model=CNN, objective="accuracy"),
    Task(name="vowels", data=_data("japanese_vowels"), model=GRU, objective="accuracy", norms=("none", "layer")),
)
"""On these it is only measured."""


def load(name: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The configurations of a table, as searched parameters by name, and the objective of each after each epoch, of
    shape (configurations, seeds, epochs); NaN from the epoch on at which a training diverged."""
    if not (file := TABLES / f"{name}.npz").exists():
        raise SystemExit(f"{file} is not there: make it with `python -m benchmarks.curves.make {name}`")
    with np.load(file) as found:
        return json.loads(str(found["configurations"])), found["values"].astype(np.float64)
