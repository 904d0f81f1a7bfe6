"""Damaged checkpoints: `hpo run` goes on from an earlier one or trains again, and so does `hpo export`."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hpo.execution.resources import Resources
from hpo.runtime.progress import Progress
from hpo.storage.open import open_store, sqlite_url
from tests.mutations.damage import damaged
from tests.mutations.kinds import Answer, Kind, command
from tests.runtime.small import open_study, small_study, small_text, train

TICKS = 6
"""After so many epochs some trials have ended and others are in flight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """A home folder with one interrupted study, and the study's file."""

    home: Path
    study: Path


def prepare(folder: Path, stack: ExitStack) -> Inputs:
    home, study = folder / "home", folder / "small.toml"
    study.write_text(small_text())
    seen = 0

    def observe(progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == TICKS:
            raise KeyboardInterrupt

    resources = Resources(lanes=8)
    with closing(open_store(sqlite_url(home))) as store, suppress(KeyboardInterrupt):
        train(open_study(small_study(folder=folder), store, home, resources=resources), resources, observe)
    files = sorted((home / "checkpoints" / "small").glob("*.pt"))
    assert {path.name.split("-")[0] for path in files} >= {"running", "best"}, [path.name for path in files]
    return Inputs(home=home, study=study)


def attempt(inputs: Inputs, random: Random, folder: Path) -> list[Answer]:
    home = folder / "home"
    shutil.copytree(inputs.home, home)
    files = sorted((home / "checkpoints" / "small").glob("*.pt"))
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
    asked = random.choice((("run", inputs.study, "--workers", "1"), ("export", "small", "-o", folder / "export")))
    return [command(*asked, "--home", home)]


CHECKPOINTS = Kind(name="checkpoints", full=500, share=4, prepare=prepare, attempt=attempt)
