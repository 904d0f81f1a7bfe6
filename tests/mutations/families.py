"""Valid studies of every model family, of code of the user's own and of streamed data, and the data that they name."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

ROWS = 48

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, outputs, width=4):
        super().__init__()
        self.first = nn.Linear(input_shape[0], width)
        self.last = nn.Linear(width, outputs)

    def forward(self, rows):
        return self.last(self.first(rows).relu())
"""

TRAIN = """
def train(trial):
    state = trial.resume() or {"epoch": 0, "score": trial.params["x"]}
    for epoch in range(state["epoch"] + 1, 4):
        state = {"epoch": epoch, "score": state["score"] + 1 / epoch}
        trial.report(epoch, {"score": state["score"], "train_loss": 1 / epoch, "note": epoch})
        trial.save(state)
        if trial.should_stop():
            return
"""

TAIL = """
[optimizer]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
choice = [{ name = "adamw", weight_decay = { low = 1e-4, high = 1e-1, log = true } }, { name = "lion" }]
[training]
epochs = 2
batch_size = 8
[search]
trials = 2
sampler = "random"
pruner = "none"
"""

TEXTS = {
    "recurrent": """
[study]
name = "recurrent"
baselines = false
[data]
dataset = "FOLDER/steps.npz"
[model]
family = "recurrent"
cell = { choice = ["gru", "lstm", "rnn"] }
width = { choice = [4, 8] }
layers = 2
bidirectional = true
pooling = "max"
[norm]
choice = [{ kind = "none" }, { kind = "layer", placement = "after_activation" }]
[dropout]
p = { low = 0.0, high = 0.5 }
[augmentation]
noise = 0.1
""",
    "transformer": """
[study]
name = "transformer"
baselines = false
objective = "macro_f1"
[data]
dataset = "FOLDER/words.csv"
target = "kind"
columns = { said = "text" }
min_count = 1
max_tokens = 6
[model]
family = "transformer"
width = 8
depth = { low = 1, high = 2 }
heads = 2
feedforward = 8
positions = { choice = ["learned", "sinusoidal"] }
pooling = "class_token"
[norm]
kind = { choice = ["layer", "rms"] }
[dropout]
attention = 0.1
[regularization]
gradient_clip = 1.0
""",
    "cnn": """
[study]
name = "cnn"
baselines = false
[data]
dataset = "FOLDER/pictures.npz"
folds = 2
[model]
family = "cnn"
channels = { choice = [[4], [4, 4]] }
residual = true
depthwise = { choice = [true, false] }
pooling = "average"
head = "average"
[norm]
kind = "group"
groups = 2
[augmentation]
shift = 1
mixup = { low = 0.1, high = 0.5 }
""",
    "mlp": """
[study]
name = "mlp"
baselines = false
objective = "min_recall"
[data]
dataset = "FOLDER/rows.csv"
target = "kind"
group = "patient"
categories = "codes"
scaling = "quantile"
test = 0.2
[model]
family = "mlp"
layers = { low = 1, high = 2 }
width = 8
residual = true
embedding = 4
numbers = "periodic"
number_vector = 4
frequencies = 4
""",
    "custom": """
[study]
name = "custom"
baselines = false
objective = "rmse"
[data]
dataset = "FOLDER/rows.csv"
target = "size"
time = "day"
[model]
family = "custom"
module = "FOLDER/net.py:Net"
arguments = { width = { low = 2, high = 8 } }
""",
    "streamed": """
[study]
name = "streamed"
baselines = false
[data]
dataset = "FOLDER/numbers.npy"
target = "last"
stream = true
[model]
family = "mlp"
hidden = [8]
""",
}
"""By the name of the study; FOLDER stands for that of the data."""

FUNCTION = """
[study]
name = "function"
objective = "score"
direction = "maximize"
[trial]
function = "FOLDER/train.py:train"
arguments = { x = { low = 0.0, high = 1.0 }, kind = { choice = ["a", "b"] } }
seconds = 60.0
resources = { cpus = 0.5, memory_gib = 1.0 }
[training]
epochs = 3
[search]
trials = 4
sampler = "random"
pruner = "none"
concurrency = 2
pace = "lockstep"
"""


def texts(folder: Path) -> dict[str, str]:
    """Writes the data and the code into the folder; the studies by name, those of models first."""
    draw = random.Random(0)
    kinds = ["ab"[number % 2] for number in range(ROWS)]
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(ROWS, 6, 2))
    np.savez(folder / "steps.npz", X=x, y=np.array(kinds), lengths=np.arange(ROWS) % 5 + 2)
    np.savez(folder / "pictures.npz", X=numbers.normal(size=(ROWS, 1, 8, 8)), y=np.array(kinds))
    np.save(folder / "numbers.npy", np.c_[x.reshape(ROWS, 12), np.arange(ROWS) % 2])
    words = ["good", "bad", "fine", "poor", "so"]
    said = [" ".join(draw.choices(words, k=number % 7 + 1)) for number in range(ROWS)]
    (folder / "words.csv").write_text("said,kind\n" + "".join(map("{},{}\n".format, said, kinds)))
    rows = [
        f"{draw.gauss(0, 1):.3f},{draw.choice(['red', 'blue'])},{number // 3},2026-01-{number % 28 + 1:02},{kind}\n"
        for number, kind in enumerate(kinds)
    ]
    (folder / "rows.csv").write_text("size,colour,patient,day,kind\n" + "".join(rows))
    (folder / "net.py").write_text(NET)
    (folder / "train.py").write_text(TRAIN)
    found = {name: text + TAIL for name, text in TEXTS.items()} | {"function": FUNCTION}
    return {name: text.replace("FOLDER", str(folder)) for name, text in found.items()}
