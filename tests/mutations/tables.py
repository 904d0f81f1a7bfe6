"""Damaged CSV files: `hpo check` reads them as a study's data, `hpo predict` as rows to predict."""

from __future__ import annotations

import csv
import io
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.export.tiny import HOUSES, run, write_houses
from tests.mutations.damage import damaged, odd_value
from tests.mutations.kinds import Answer, Kind, command
from tests.studyfile.texts import study_text

FLOWERS = "name;size;colour;kind\n" + "".join(
    f"{number};{number * 0.37:.2f};{['red', 'blue', 'green'][number % 3]};{'ab'[number % 2]}\n" for number in range(30)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """An export that can predict, and tables as they should be."""

    export: Path
    texts: list[str]


def prepare(folder: Path, stack: ExitStack) -> Inputs:
    houses = write_houses(folder)
    home = run(HOUSES, folder)
    command("export", "houses", "-o", folder / "export", "--home", home)
    return Inputs(export=folder / "export", texts=[houses.read_text(), houses.read_text(), FLOWERS])


def attempt(inputs: Inputs, random: Random, folder: Path) -> list[Answer]:
    text = random.choice(inputs.texts)
    content = damaged(text.encode(), random) if random.random() < 0.4 else _cells_changed(text, random)
    path = folder / random.choice(("t.csv", "t", "t.tsv"))
    path.write_bytes(content)
    if random.random() < 0.5:
        return [command("predict", inputs.export, path)]
    target, task = random.choice(
        (("price", "auto"), ("kind", "auto"), ("heating", "classification"), ("a", "regression"))
    )
    objective = random.choice(("loss", "accuracy", "rmse"))
    lines = f'dataset = "./{path.name}"\ntarget = "{target}"\ntask = "{task}"\n{random.choice(("", "folds = 3"))}'
    (folder / "study.toml").write_text(study_text(study=f'objective = "{objective}"', data=lines))
    return [command("check", folder / "study.toml")]


def _cells_changed(text: str, random: Random) -> bytes:
    rows = [list(row) for row in csv.reader(io.StringIO(text), delimiter=";" if text.startswith("name;") else ",")]
    for _ in range(random.choice((1, 1, 2, 5))):
        row = random.choice(rows) if rows else []
        cell = str(odd_value(random))
        match random.randrange(13):
            case 0 | 1 | 2 if row:
                row[random.randrange(len(row))] = cell
            case 3:
                row.extend([cell] * random.choice((1, 3, 5000)))
            case 4:
                del row[random.randrange(len(row) + 1) :]
            case 5:
                rows[1:] = rows[1:] * random.choice((0, 2, 30))
            case 6:
                del rows[random.choice((1, 2, 3)) :]
            case 7:
                place = random.randrange(4)
                rows = [row[:place] + row[place + 1 :] for row in rows]
            case 8:
                place = random.randrange(4)
                rows = [row[place : place + 1] for row in rows]
            case 9:
                place = random.randrange(4)
                for row in rows[1:]:
                    row[place : place + 1] = [cell]
            case 10:
                rows.insert(random.randrange(len(rows) + 1), [])
            case 11 if rows:
                rows[0] = [random.choice((name, cell, name + name, name.upper())) for name in rows[0]]
            case _:
                random.shuffle(rows)
    out = io.StringIO()
    quoting = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    csv.writer(
        out, delimiter=random.choice(",,,;\t| :"), quoting=quoting, lineterminator=random.choice(("\n", "\r\n", "\r"))
    ).writerows(rows)
    coding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    return out.getvalue().encode(coding, "replace")


TABLES = Kind(name="tables", full=3000, share=100, prepare=prepare, attempt=attempt)
