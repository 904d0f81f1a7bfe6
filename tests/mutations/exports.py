"""Damaged exports: `hpo predict` says that they are, and asks for no more memory than their weights fill."""

from __future__ import annotations

import json
import shutil
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.export.tiny import HOUSES, WINE, run, write_houses
from tests.mutations import families
from tests.mutations.damage import change_tree, damaged, odd_value
from tests.mutations.kinds import Answer, Kind, command

DIGITS = """
[study]
name = "images"
[data]
dataset = "digits"
[model]
family = "cnn"
channels = [4]
[norm]
kind = "batch"
[optimizer]
name = "adam"
[training]
epochs = 1
batch_size = 256
[search]
trials = 1
"""


DATA = {"recurrent": "steps.npz", "transformer": "words.csv", "cnn": "pictures.npz", "mlp": "rows.csv"}
"""What the exports of other families predict, by the name of their study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Exports as they should be, each with a table to predict."""

    exports: list[tuple[Path, Path]]


def prepare(folder: Path, stack: ExitStack) -> Inputs:
    from sklearn.datasets import load_digits, load_wine

    exports = []
    for name, text in (("houses", HOUSES), ("tiny", WINE), ("images", DIGITS)):
        (below := folder / name).mkdir()
        if name == "houses":
            table = write_houses(below)
        else:
            table = below / "rows.csv"
            (load_wine if name == "tiny" else load_digits)(as_frame=True).data.head(20).to_csv(table, index=False)
        command("export", name, "-o", below / "export", "--home", run(text, below))
        exports.append((below / "export", table))
    (made := folder / "families").mkdir()
    for name, text in families.texts(made).items():
        if name in DATA:
            (below := folder / name).mkdir()
            command("export", name, "-o", below / "export", "--home", run(text, below))
            exports.append((below / "export", made / DATA[name]))
    for export, table in exports:
        assert (answer := command("predict", export, table)).code == 0, answer.text
    return Inputs(exports=exports)


def attempt(inputs: Inputs, random: Random, folder: Path) -> list[Answer]:
    export, table = random.choice(inputs.exports)
    copy = folder / "export"
    shutil.copytree(export, copy)
    files = sorted(path for path in copy.iterdir() if path.name != "model.py")
    for path in random.sample(files, random.choice((1, 1, 1, 2))):
        _damage(path, random)
    return [command("predict", copy, table)]


def _damage(path: Path, random: Random) -> None:
    content = path.read_bytes()
    way = random.randrange(10)
    if way == 0:
        path.unlink()
        if random.random() < 0.3:
            path.mkdir()
    elif way < 3:
        path.write_bytes(damaged(content, random))
    elif path.suffix == ".json":
        tree = {"": json.loads(content)}
        if random.random() < 0.3 and path.name == "preprocessing.json":
            _sizes_changed(tree[""], random)
        else:
            change_tree(tree, random)
        path.write_text(json.dumps(tree.get("")), encoding="utf-8", errors="surrogatepass")
    else:
        path.write_bytes(_weights_changed(content, random))


def _sizes_changed(replicas: Any, random: Random) -> None:
    """Names, numbers and shapes that do not belong together."""
    replica = random.choice(replicas)
    if isinstance(replica, dict) and (lists := [key for key, value in replica.items() if isinstance(value, list)]):
        key = random.choice(lists)
        replica[key] = random.choice((replica[key][1:], replica[key] * 2, [odd_value(random)] * len(replica[key])))


def _weights_changed(content: bytes, random: Random) -> bytes:
    """A safetensors file is the length of a JSON header, the header, and the numbers."""
    (length,) = struct.unpack("<Q", content[:8])
    header: Any = json.loads(content[8 : 8 + length])
    body = content[8 + length :]
    if random.random() < 0.3:
        huge = random.choice((0, 1, length - 1, length + 1, 10**6, 2**31, 2**40, 2**63, 2**64 - 1))
        return struct.pack("<Q", huge) + content[8:]
    if random.random() < 0.5:
        change_tree(header, random)
    else:
        entry = header[random.choice(sorted(header))]
        if isinstance(entry, dict) and "shape" in entry:
            entry["dtype"] = random.choice(("F64", "F32", "F16", "I64", "BOOL", "U8", "BF16", "F8_E4M3", "X"))
            entry["shape"] = random.choice(([], [0], [2**62, 4], entry["shape"][::-1], [-1], [1, *entry["shape"]]))
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + random.choice((body, body[:-4], body + b"\0" * 8, b"\xff" * len(body)))


EXPORTS = Kind(name="exports", full=3000, share=100, prepare=prepare, attempt=attempt)
