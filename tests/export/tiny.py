"""Real studies that train in a moment, for the tests of what is done with a trained study."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from hpo.runtime.local_run import run_study
from hpo.storage.open import sqlite_url
from hpo.studyfile.file import parse_study

WINE = """
[study]
name = "tiny"
objective = "accuracy"

[data]
dataset = "wine"

[model]
family = "mlp"
hidden = { choice = [[8], [16]] }

[norm]
kind = "batch"

[dropout]
p = 0.2

[optimizer]
name = "adam"
learning_rate = { low = 1e-3, high = 1e-1, log = true }

[training]
epochs = 2

[search]
trials = 4
concurrency = 2
sampler = "random"
pruner = "none"

[checkpoints]
keep = 1
"""

HOUSES = """
[study]
name = "houses"
objective = "rmse"

[data]
dataset = "houses.csv"
target = "price"
folds = 2

[model]
family = "mlp"
hidden = [8]

[optimizer]
name = "adam"
learning_rate = { low = 1e-3, high = 1e-1, log = true }

[training]
epochs = 2

[search]
trials = 2
sampler = "random"
pruner = "none"
"""


def run(text: str, folder: Path) -> Path:
    """Run a study whose file lies in `folder`; its home folder."""
    home = folder / "home"
    source = folder / "study.toml"
    source.write_text(text)
    spec = parse_study(text, str(source))
    lanes = 8 if spec.function is None else None
    run_study(spec, sqlite_url(home), home, lambda progress: None, lanes=lanes, device="cpu", threads=1)
    return home


def write_houses(folder: Path) -> Path:
    """A table with numbers, a category and gaps in both, and a price that follows from them."""
    draw = random.Random(0)
    path = folder / "houses.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["area", "rooms", "heating", "price"])
        for number in range(80):
            area, rooms, heating = draw.uniform(40, 200), draw.randint(1, 7), draw.choice(["gas", "oil", "wood"])
            price = 1000 * area + 5000 * rooms + (20000 if heating == "gas" else 0)
            gap = number % 8
            rows.writerow(["" if gap == 3 else f"{area:.1f}", rooms, "" if gap == 5 else heating, f"{price:.0f}"])
    return path
