"""Damaged files of every format but CSV: `hpo check` reads them as a study's data."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
from PIL import Image

from tests.mutations.damage import damaged
from tests.mutations.kinds import Answer, Kind, command
from tests.studyfile.texts import study_text

TARGETS = {"t.npy": "last", "t.npz": None, "t.ts": None, "photos": None, "pictures": None}
"""By the file's name; of the tables it is a column."""


def prepare(folder: Path, stack: ExitStack) -> Path:
    folder /= "valid"
    folder.mkdir()
    size = 40
    frame = pd.DataFrame(
        {
            "size": [number / 4 if number % 9 else None for number in range(size)],
            "colour": ["red", "blue", None, "green"] * (size // 4),
            "day": pd.date_range("2026-01-01", periods=size),
            "kind": ["a", "b"] * (size // 2),
        }
    )
    frame.to_parquet(folder / "t.parquet")
    frame.to_excel(folder / "t.xlsx", index=False)
    frame.to_json(folder / "t.jsonl", orient="records", lines=True, date_format="iso")
    frame.to_json(folder / "t.jsonl.gz", orient="records", lines=True, date_format="iso")
    x = np.arange(size * 6.0).reshape(size, 3, 2)
    np.savez(folder / "t.npz", X=x, y=frame["kind"].to_numpy(str), lengths=np.arange(size) % 3 + 1)
    np.save(folder / "t.npy", x.reshape(size, 6) % 2)
    images = np.arange(size * 6, dtype=np.uint8).reshape(size, 2, 3)
    (folder / "pictures").mkdir()
    for part in ("train", "t10k"):
        for what, array in (("images-idx3", images), ("labels-idx1", images[:, 0, 0] % 2)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / "pictures" / f"{part}-{what}-ubyte").write_bytes(head + array.tobytes())
    rows = [f"{number},{number % 7}:{number % 3},1:{'ab'[number % 2]}\n" for number in range(size)]
    (folder / "t.ts").write_text("@timestamps false\n@classLabel true a b\n@data\n" + "".join(rows))
    for number in range(size):
        place = folder / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        end = ("png", "jpg", "gif", "bmp", "webp", "tiff")[number % 6]
        Image.new("RGB", (4, 4), (number * 5, 0, 0)).save(place / f"{number}.{end}")
    return folder


def attempt(valid: Path, random: Random, folder: Path) -> list[Answer]:
    name = random.choice(sorted(path.name for path in valid.iterdir()))
    if (valid / name).is_dir():
        shutil.copytree(valid / name, folder / name)
        file = random.choice(sorted(path for path in (folder / name).rglob("*") if path.is_file()))
        file.write_bytes(damaged(file.read_bytes(), random))
    else:
        (folder / name).write_bytes(damaged((valid / name).read_bytes(), random))
    target = TARGETS.get(name, "kind")
    lines = f'dataset = "./{name}"' + (f'\ntarget = "{target}"' if target else "")
    (folder / "study.toml").write_text(study_text(data=lines))
    return [command("check", folder / "study.toml")]


FORMATS = Kind(name="formats", full=3000, share=60, prepare=prepare, attempt=attempt)
