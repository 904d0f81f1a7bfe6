"""Damaged files of data that were kept for the next command: they are read from their source again."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.export.tiny import HOUSES, write_houses
from tests.mutations import families
from tests.mutations.damage import damaged
from tests.mutations.kinds import Answer, Kind, command


def prepare(folder: Path, stack: ExitStack) -> Path:
    """A folder with study files and, for each, the home folder after it was submitted."""
    write_houses(folder)
    texts = families.texts(folder)
    for name, text in {"houses": HOUSES, "recurrent": texts["recurrent"], "streamed": texts["streamed"]}.items():
        (folder / f"{name}.toml").write_text(text)
        answer = command("submit", folder / f"{name}.toml", "--home", folder / "homes" / name)
        assert answer.code == 0, answer.text
        (folder / "homes" / name / "hpo.db").unlink()
        assert _kept(folder / "homes" / name), name
    return folder


def attempt(valid: Path, random: Random, folder: Path) -> list[Answer]:
    name = random.choice(sorted(path.name for path in (valid / "homes").iterdir()))
    home = folder / "home"
    shutil.copytree(valid / "homes" / name, home)
    path = random.choice(_kept(home))
    content = path.read_bytes()
    match random.randrange(5):
        case 0:
            path.unlink()
            path.mkdir()
        case 1:
            path.write_bytes(content[: random.randrange(len(content))])
        case _:
            path.write_bytes(damaged(content, random))
    answer = command("submit", valid / f"{name}.toml", "--home", home)
    assert answer.code == 0 or path.is_dir(), answer.text
    return [answer]


def _kept(home: Path) -> list[Path]:
    return sorted(path for path in (home / "cache").rglob("*") if path.is_file() and path.suffix in (".npz", ".rows"))


CACHES = Kind(name="caches", full=300, share=10, prepare=prepare, attempt=attempt)
