"""Small study files for the tests of reading them."""

from __future__ import annotations

from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec

TABLES = {
    "study": 'name = "s"',
    "data": 'dataset = "digits"',
    "model": 'family = "mlp"',
    "optimizer": 'name = "adam"',
}


TAGS = {"model": "family", "optimizer": "name"}


def study_text(**tables: str) -> str:
    """The smallest valid study with lines added to its tables. A line about a key takes the place of the
    smallest study's, and so does a choice of tables."""
    lines = []
    for name in [*TABLES, *(table for table in tables if table not in TABLES)]:
        own, added = TABLES.get(name, ""), tables.get(name, "")
        keys = {line.split("=")[0].strip() for line in added.splitlines()}
        replaced = own.split("=")[0].strip() in keys or (name in TAGS and "choice" in keys)
        if name == "study" and "baselines" not in keys:
            added = f"{added}\nbaselines = false".strip()  # they would take longer than most of these studies
        if name == "search" and "pruner" not in keys:
            added = f'{added}\npruner = "median"'.strip()  # which leaves most of these studies' trials alone
        lines += [f"[{name}]", *([] if replaced else [own]), added, ""]
    return "\n".join(lines)


def study(**tables: str) -> StudySpec:
    return parse_study(study_text(**tables), "s.toml")
