"""Question files: the claim, the arms that are compared, the cases that they are compared on, and the rule of the
verdict. All other tables are those of a study file, of which every arm, case and seed makes a study.

Reading only; `run` runs the studies.
"""

from __future__ import annotations

import keyword
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hpo.errors import InputError, StudyFileError
from hpo.paths import digest
from hpo.printable import listed
from hpo.questions.formula import FormulaError, names_in
from hpo.questions.measures import KINDS, trouble_with
from hpo.questions.verdict import corrected
from hpo.studyfile.fields import FIXED_TABLES, searched_tables, shape_of
from hpo.studyfile.file import StudySpec, parse_study
from hpo.studyfile.problems import Problem, hint, quote, refuse
from hpo.studyfile.records.base import Count, Positive, Record
from hpo.studyfile.tables import read_table
from hpo.studyfile.tree import RANGE_KEYS, join
from hpo.studyfile.write import toml_of

LABEL = r"^[A-Za-z_][A-Za-z0-9_]{0,23}$"
"""Names of arms and cases: formulas contain them, and names of studies."""
OWN_TABLES = ("question", "arms", "cases", "effects", "quick")
"""Tables that a study file does not have."""
ONE_CASE = "data"
"""Name of the case where a file has no `[cases]`."""


class QuestionTable(Record):
    """The claim and how much is measured."""

    claim: Annotated[str, Field(min_length=1)]
    """The claim, in a sentence that can be true or false."""
    study: str | None = None
    """A study file, relative to this one, whose tables hold where this file does not give them."""
    seeds: Count = 5
    """How many seeds each arm is run with, from 0. Seeds draw the parts of the data, initial weights and batches."""
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    """Chance of a false verdict that is accepted over the whole family of questions."""
    family: Count = 1
    """How many questions are asked together; `alpha` is divided by it."""


class Effect(Record):
    """One thing that the claim says: an effect, and the rule by which it is judged."""

    effect: Annotated[str, Field(min_length=1)]
    """A formula of arms, computed for each case and seed, e.g. `batch - none`."""
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """What it is called where it is shown, in place of a long formula."""
    measure: str = "test.objective"
    """What the names of arms stand for."""
    missing: float | None = None
    """What stands for a figure that a study does not have, e.g. because all its trials diverged. Without it, the case
    and seed are left out."""
    within: Positive | None = None
    """For the measure near_best: how far from the best a trial may be."""
    expect: Literal["above", "not_below", "near"] = "above"
    """`above`: the effect is positive and matters; `not_below`: it is no loss that matters; `near`: it is no difference
    that matters."""
    by: Positive
    """The smallest effect of interest, in the unit of the formula."""
    cases: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Cases that the effect is taken over; by default all."""

    @property
    def label(self) -> str:
        """How it is shown."""
        return self.name or self.effect


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmStudy:
    """One study of a question."""

    arm: str
    case: str
    seed: int
    spec: StudySpec

    @property
    def name(self) -> str:
        """Its name in the database."""
        return self.spec.study.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question file, valid."""

    name: str
    """The file's name without its extension."""
    source: Path
    table: QuestionTable
    arms: Mapping[str, Mapping[str, Any]]
    """Arm -> tables of a study file that it changes."""
    cases: Mapping[str, Mapping[str, Any]]
    """Case -> tables of a study file that it changes."""
    effects: tuple[Effect, ...]
    studies: tuple[ArmStudy, ...]
    """Seed by seed, so that an answer of fewer seeds is there early."""

    @property
    def level(self) -> float:
        """Of the test of each effect."""
        return corrected(self.table.alpha, self.table.family, len(self.effects))

    def cases_of(self, effect: Effect) -> tuple[str, ...]:
        """The cases that an effect is taken over."""
        return effect.cases or tuple(self.cases)


def find_questions(names: Sequence[str]) -> list[Path]:
    """The question files meant by paths of files and folders; a folder stands for all its TOML files. InputError for
    one that is not there."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise InputError(f"{name}: no question file. Give a TOML file, or a folder with some")
        found += files
    stems = [path.stem for path in found]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise InputError(f"two question files are called {listed(twice)}; rename one, as answers are kept by name")
    return found


def read_question(path: Path, *, quick: bool = False, first_seed: int = 0, seeds: int | None = None) -> Question:
    """Reads and checks a question file and the study files of all its arms. `quick`: with the tables of `[quick]`, and
    one seed unless `seeds` says how many. Raises StudyFileError with every mistake of the tables of a question, else
    with those of the first study that cannot be read."""
    document = _load(path)
    problems: list[Problem] = []
    known = [*OWN_TABLES, *FIXED_TABLES, *searched_tables()]
    for name in document:
        if name not in known:
            problems.append(Problem(path=name, text=f"unknown table.{hint(name, known)} Tables: {', '.join(known)}"))
    table = read_table(document.get("question", {}), shape_of(QuestionTable), "question", problems, searched=False)
    arms = _labelled(document.get("arms"), "arms", problems, least=2)
    cases = _labelled(document.get("cases", {ONE_CASE: {}}), "cases", problems, least=1)
    effects = _effects(document.get("effects"), arms, cases, problems)
    if not isinstance(document.get("quick", {}), dict):
        problems.append(Problem(path="quick", text="must be a table, with tables of a study file"))
    if not re.match(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,29}$", path.stem):
        text = "the file's name is that of the question: a letter or digit, then at most 29 of these or . _ -"
        problems.append(Problem(path="question", text=text))
    if problems or not isinstance(table, dict):
        refuse(str(path), problems)
    own = QuestionTable.model_validate(table)
    base = {name: value for name, value in document.items() if name not in OWN_TABLES}
    if own.study is not None:
        base = merged(_load(path.parent / own.study), base)
    last = document.get("quick", {}) if quick else {}
    count = seeds or (1 if quick else own.seeds)
    studies = [
        _study(path, arm, case, seed, merged(base, cases[case], arms[arm], last))
        for seed in range(first_seed, first_seed + count)
        for case in cases
        for arm in arms
    ]
    return Question(
        name=path.stem,
        source=path,
        table=own.model_copy(update={"seeds": count}),
        arms=arms,
        cases=cases,
        effects=tuple(Effect.model_validate(effect) for effect in effects),
        studies=tuple(studies),
    )


def merged(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables, the later ones before the earlier ones, table by table; a range or a choice is one value."""
    found: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            before = found.get(key)
            deeper = isinstance(before, Mapping) and _is_table(before) and _is_table(value)
            found[key] = merged(before or {}, value) if deeper else value
    return found


def flat(tables: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Settings by their dotted path."""
    found: dict[str, Any] = {}
    for key, value in tables.items():
        found |= flat(value, join(path, key)) if _is_table(value) else {join(path, key): value}
    return found


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and not any(key in value for key in (*RANGE_KEYS, "choice"))


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 text") from None
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise StudyFileError(f"{path}: broken TOML: {error}") from None


def _labelled(found: Any, path: str, problems: list[Problem], *, least: int) -> dict[str, dict[str, Any]]:
    if not isinstance(found, dict) or len(found) < least:
        few = "two tables or more" if least > 1 else "a table or more"
        example = (
            "nesterov = { optimizer.nesterov = true }" if path == "arms" else 'digits = { data.dataset = "digits" }'
        )
        problems.append(Problem(path=path, text=f"must hold {few}, one a line, e.g. {example}"))
        return {}
    for label, value in found.items():
        if trouble := _trouble_with(label, value):
            problems.append(Problem(path=join(path, label), text=trouble))
    return found


def _trouble_with(label: str, value: Any) -> str | None:
    """What is wrong with an arm or a case."""
    if not re.match(LABEL, label):
        return "a name begins with a letter and holds letters, digits and _, at most 24"
    if keyword.iskeyword(label):
        return f"formulas cannot hold the word {quote(label)}; take another name, e.g. {label}_it"
    if not isinstance(value, dict):
        return f"found {quote(value)}; must be tables of a study file"
    if isinstance(value.get("study"), dict) and {"name", "seed"} & set(value["study"]):
        return "names and seeds of studies are not given; see [question]"
    return None


def _effects(
    found: Any, arms: Mapping[str, Any], cases: Mapping[str, Any], problems: list[Problem]
) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not found:
        text = 'missing; write [[effects]] with effect = "ARM - OTHER_ARM" and by, the smallest effect of interest'
        problems.append(Problem(path="effects", text=text))
        return []
    read = []
    for number, written in enumerate(found, start=1):
        path = f"effects#{number}"
        before = len(problems)
        table = read_table(written, shape_of(Effect), path, problems, searched=False)
        if len(problems) > before or not isinstance(table, dict):
            continue
        read.append(table)
        try:
            named = names_in(table["effect"])
        except FormulaError as error:
            problems.append(Problem(path=f"{path}.effect", text=f"{quote(table['effect'])} {error}"))
            named = []
        mentioned = [(name, "arm", arms) for name in named]
        mentioned += [(name, "case", cases) for name in table.get("cases", ())]
        for name, what, there in mentioned:
            if there and name not in there:
                wrong = f"there is no {what} {quote(name)}.{hint(name, there)} There are: {listed(there)}"
                problems.append(Problem(path=f"{path}.{'effect' if what == 'arm' else 'cases'}", text=wrong))
        if trouble := trouble_with(table.get("measure", "test.objective"), table.get("within")):
            problems.append(Problem(path=f"{path}.measure", text=f"{trouble}. Measures: {', '.join(KINDS)}"))
    return read


def _study(path: Path, arm: str, case: str, seed: int, tables: Mapping[str, Any]) -> ArmStudy:
    """The study of an arm. Its name ends with a digest of its settings: a question that was changed has new studies,
    and those that did not change are not run again."""
    own = tables.get("study", {})
    if not isinstance(own, Mapping):
        raise StudyFileError(
            f"{path}: study: found {quote(own)}; must be a table. The path of a study file to start from is given in "
            "question.study"
        )
    given = {key: value for key, value in own.items() if key not in ("name", "seed")}
    settings = toml_of({**tables, "study": given})
    name = f"{path.stem}.{arm}.{case}.{seed}-{digest(settings)[:6]}"
    text = toml_of({**tables, "study": {"name": name, "seed": seed, **given}})
    try:
        spec = parse_study(text, str(path))
    except StudyFileError as error:
        message = str(error).removeprefix(f"{path}: ")
        raise StudyFileError(f"{path}: arm {arm}, case {case}: {message}") from None
    return ArmStudy(arm=arm, case=case, seed=seed, spec=spec)
