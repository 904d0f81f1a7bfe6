"""Damaged checkpoints: `hpo run` goes on from an earlier one or trains again, and so does `hpo export`."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hpo.runtime.local_run import run_study
from hpo.runtime.progress import Progress
from hpo.storage.open import sqlite_url
from hpo.studyfile.file import parse_study
from tests.mutations import families
from tests.mutations.damage import damaged
from tests.mutations.kinds import Answer, Kind, command
from tests.runtime.small import small_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """A home folder with one interrupted study, the study's name, and its file."""

    home: Path
    name: str
    file: Path

    def files(self, home: Path) -> list[Path]:
        """The checkpoints below a copy of the home folder."""
        return sorted((home / "checkpoints" / self.name).glob("*.pt"))


def prepare(folder: Path, stack: ExitStack) -> list[Inputs]:
    models = _interrupted(folder, "small", small_text(), ticks=6)
    kinds = {path.name.split("-")[0] for path in models.files(models.home)}
    assert kinds >= {"running", "best"}, kinds
    function = _interrupted(folder, "function", families.texts(folder)["function"], ticks=3)
    assert function.files(function.home), "no state of a function was kept"
    return [models, function]


def _interrupted(folder: Path, name: str, text: str, ticks: int) -> Inputs:
    """The study after so many ticks, when some trials are in flight."""
    inputs = Inputs(home=folder / f"{name} home", name=name, file=folder / f"{name}.toml")
    inputs.file.write_text(text)
    seen = 0

    def observe(progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == ticks:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        run_study(parse_study(text, str(inputs.file)), sqlite_url(inputs.home), inputs.home, observe, lanes=8)
    return inputs


def attempt(studies: list[Inputs], random: Random, folder: Path) -> list[Answer]:
    inputs = random.choice(studies)
    home = folder / "home"
    shutil.copytree(inputs.home, home)
    files = inputs.files(home)
    for path in random.sample(files, random.choice((1, 1, 2, len(files)))):
        content = path.read_bytes()
        match random.randrange(6):
            case 0:
                path.unlink()
                if random.random() < 0.3:
                    path.mkdir()
            case 1:
                path.write_bytes(random.choice([file for file in files if file.is_file()]).read_bytes())
            case 2:
                path.write_bytes(content[: random.randrange(len(content))])
            case 3:
                path.write_bytes(b"")
            case _:
                path.write_bytes(damaged(content, random))
    asked = random.choice((("run", inputs.file, "--workers", "1"), ("export", inputs.name, "-o", folder / "export")))
    return [command(*asked, "--home", home)]


CHECKPOINTS = Kind(name="checkpoints", full=500, share=4, prepare=prepare, attempt=attempt)
