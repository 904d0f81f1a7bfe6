"""Damaged study files: `hpo check` says what is wrong with them."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from hpo.data.catalogue.entries.shipped import SHIPPED
from hpo.studyfile.tree import toml
from tests.mutations import families
from tests.mutations.damage import change_tree, damaged
from tests.mutations.kinds import Answer, Kind, command
from tests.runtime.small import small_text

CONDITIONAL = """
[study]
name = "conditional"
objective = "macro_f1"
smoothing = 0.2
[data]
dataset = "iris"
folds = 3
[model]
choice = [
  { family = "mlp", hidden = { choice = [[], [8], [8, 4]] } },
  { family = "custom", module = "net.py:Net", arguments = { width = { low = 4, high = 16, step = 4 }, kind = "a" } },
]
[init]
scheme = { choice = ["small_normal", "orthogonal"] }
[regularization]
l1 = { low = 0.0, high = 0.1, step = 0.01 }
[optimizer]
learning_rate = { low = 1e-4, high = 1.0, log = true }
choice = [{ name = "adamw", weight_decay = { low = 1e-6, high = 1e-1, log = true } }, { name = "adam" }]
[schedule]
name = { choice = ["constant", "cosine"] }
[training]
epochs = 9
batch_size = { low = 8, high = 64, log = true }
early_stopping = { patience = 3 }
[search]
trials = 20
sampler = { name = "gp", startup_trials = 4 }
pruner = { name = "hyperband", min_epochs = 2 }
[checkpoints]
keep = 2
"""

PIECES = (
    "[[",
    "]]",
    "{",
    "}",
    "[a.b.c]",
    "[study]",
    "= =",
    "'''",
    '"""',
    "\n\n",
    "#",
    "low = 1",
    "choice = []",
    "= nan",
    "= -inf",
    "= 1e400",
    "= 0x_",
    "= 1979-05-27T07:32:00Z",
    "= 07:32:00",
    "\t",
    "\r",
    "\x00",
    "\x7f",
    "\ufeff",
    "x." * 300 + "x = 1",
    "[" * 3000,
    "{a=" * 500,
    "9" * 5000,
    'k = "' + "v" * 100_000 + '"',
)


def prepare(folder: Path, stack: ExitStack) -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path("studies").glob("*.toml"))]
    at_hand = [text for text in texts if tomllib.loads(text)["data"]["dataset"] in SHIPPED]
    return [small_text(), CONDITIONAL, *at_hand, *families.texts(folder).values()]


def attempt(texts: list[str], random: Random, folder: Path) -> list[Answer]:
    text = random.choice(texts)
    match random.randrange(4):
        case 0:
            content = damaged(text.encode(), random)
        case 1:
            content = _lines_changed(text, random).encode("utf-8", "surrogatepass")
        case _:
            content = _values_changed(text, random).encode("utf-8", "surrogatepass")
    path = folder / "study.toml"
    path.write_bytes(content)
    return [command("check", path, *random.choice(((), ("--json",))))]


def _lines_changed(text: str, random: Random) -> str:
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(lines))
        match random.randrange(4):
            case 0:
                lines.insert(place, random.choice(lines))
            case 1:
                lines[place] += random.choice(PIECES)
            case 2:
                lines.insert(place, random.choice(PIECES))
            case 3:
                lines[place] = random.choice(PIECES)
    return "\n".join(lines)


def _values_changed(text: str, random: Random) -> str:
    document = tomllib.loads(text)
    change_tree(document, random)
    return "\n".join(f"{toml(key)} = {_written(value)}" for key, value in document.items())


def _written(value: Any) -> str:
    """As TOML, also what no valid study has."""
    match value:
        case None:
            return toml("none")
        case dict():
            return "{ " + ", ".join(f"{toml(key)} = {_written(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"
        case _:
            return toml(value)


STUDY_FILES = Kind(name="study files", full=6000, share=150, prepare=prepare, attempt=attempt)
