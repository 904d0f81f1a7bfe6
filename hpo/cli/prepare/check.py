"""`hpo check`: checks a study file, its data and its models, and shows what was found. Reads no database."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpo import space
from hpo.cli.terminal.output import console, json_text, write_data
from hpo.data.notes import grouped
from hpo.printable import few, on_one_line
from hpo.reports.parts import BalanceRow, balance_rows, repeats_text, split_text
from hpo.studyfile.fields import searched_tables
from hpo.studyfile.file import StudySpec, find_study, fingerprint, read_study_file
from hpo.studyfile.records import DataTable, Record
from hpo.studyfile.rules.cautions import Caution, cautions
from hpo.studyfile.schema import schema_text, study_schema
from hpo.studyfile.settings import entries
from hpo.studyfile.tree import toml

if TYPE_CHECKING:
    from rich.table import Table

    from hpo.cli.terminal.console import Terminal
    from hpo.data.describe import Description
    from hpo.data.parts.repeats import Repeats
    from hpo.data.study import StudyData
    from hpo.execution.rehearsal import Rehearsed


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What was found beside the study file."""

    data: Description | None
    """None where the study names none."""
    balance: tuple[BalanceRow, ...]
    """How often each class, or range of the target, occurs in each part."""
    repeats: Repeats
    """Rows with the same features."""
    rehearsed: Rehearsed | None
    """Of the models; None with --quick."""
    cautions: tuple[Caution, ...]


@click.command()
@click.argument("study", required=False)
@click.option("--quick", is_flag=True, help="Build no model: check the file and the data alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the study as JSON.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of study files, for editors.")
def check(study: str | None, quick: bool, as_json: bool, schema: bool) -> None:
    """Check a study file, its data and its models, and show what was found.

    STUDY is a path, or a name under studies/. Every mistake is listed with its place, what is allowed and the nearest
    valid name; the exit code is then 2. Each model that the study may draw (eight at most) trains one batch, unless
    --quick is given. Cautions name what is valid and may not be meant: batches larger than the training part, too many
    trials in flight to learn from, models that train one after the other or do not fit into memory, signs of trouble in
    every trial. No database is read, so `hpo run` may still find that the study was changed.

    \b
    Examples:
      hpo check digits
      hpo check digits --quick
      hpo check studies/digits.toml --json
      hpo check --schema > study.schema.json
    """
    if schema:
        write_data(schema_text(study_schema()))
        return
    if study is None:
        raise click.UsageError("Name a study file, or use --schema. Example: hpo check digits")
    spec = read_study_file(find_study(study))

    findings = _quick(spec) if quick else _whole(spec)
    if as_json:
        write_data(json_text(_as_json(spec) | {"found": findings}))
    else:
        _print(spec, findings)


def _quick(spec: StudySpec) -> Findings:
    """What the file and the data say. Loads no torch."""
    from hpo.data.study import load_data

    return _findings(spec, None if spec.data is None else load_data(spec), None)


def _whole(spec: StudySpec) -> Findings:
    """What `hpo run` would find, too: builds the models, and trains a batch of each."""
    from hpo.execution.rehearsal import rehearse
    from hpo.runtime.setup.inputs import check_code, load_inputs

    inputs = load_inputs(spec)
    check_code(spec, inputs)
    rehearsed = None if spec.function is not None else rehearse(spec, inputs.prepared)
    return _findings(spec, None if spec.data is None else inputs, rehearsed)


def _findings(spec: StudySpec, data: StudyData | None, rehearsed: Rehearsed | None) -> Findings:
    from hpo.data.describe import describe
    from hpo.data.parts.repeats import NO_REPEATS
    from hpo.data.study import check_objective

    if data is None:
        return Findings(data=None, balance=(), repeats=NO_REPEATS, rehearsed=None, cautions=tuple(cautions(spec)))
    check_objective(spec, data)
    smallest = min(len(replica.x_train) for replica in data.prepared.replicas)
    return Findings(
        data=describe(data.dataset),
        balance=balance_rows(data.splits.balance),
        repeats=data.splits.repeats,
        rehearsed=rehearsed,
        cautions=(*cautions(spec, None if spec.function else smallest), *(rehearsed.cautions if rehearsed else ())),
    )


def _as_json(spec: StudySpec) -> dict[str, Any]:
    return {
        "source": spec.source,
        "fingerprint": fingerprint(spec),
        "data": spec.data and spec.data.model_dump(mode="json"),
        **{name: getattr(spec, name).model_dump(mode="json") for name in ("study", "search", "checkpoints")},
        "sampler": spec.sampler.model_dump(mode="json"),
        "parameters": [
            {
                "name": parameter.name,
                "type": type(parameter.distribution).__name__.removesuffix("Distribution").lower(),
                **parameter.distribution._asdict(),
                "condition": parameter.condition,
            }
            for parameter in space.parameters(spec)
        ],
        "combinations": space.combinations(spec),
        "fixed": {
            path: tomllib.loads(f"value = {value}")["value"] for path, value in _fixed(spec, defaults=True).items()
        },
    }


def _print(spec: StudySpec, findings: Findings) -> None:
    from hpo.cli.terminal.found import found_rows

    out = console()
    out.say(f"{spec.source} is a valid study.\n")
    out.print(_summary(spec, findings))
    if findings.data is not None and spec.data is not None:
        out.print("\nFound in the data")
        table = _grid()
        for heading, text in found_rows(findings.data):
            table.add_row(heading, text)
        table.add_row("split", split_text(findings.balance, reshuffled=spec.data.reshuffle))
        out.print(table)
    parameters = space.parameters(spec)
    if parameters:
        out.print()
        _print_parameters(out, parameters)
    out.print("\nFixed (all else has its default; --json shows it)")
    out.print(_fixed_table(spec))
    repeats = findings.repeats
    lines = [
        *(f"Note: {line}" for line in few(grouped(findings.data.notes if findings.data else ()))),
        *(f"Caution: {sentence}" for sentence in repeats_text(repeats.rows, repeats.conflicting, repeats.across)),
        *(f"Caution: {caution.text}." for caution in findings.cautions),
    ]
    if lines:
        out.print()
    for line in lines:
        out.say(on_one_line(line))


def _summary(spec: StudySpec, findings: Findings) -> Table:
    study, search = spec.study, spec.search
    ends = ("lowest" if goal == "minimize" else "highest" for goal in study.directions)
    first, *others = map(" ".join, zip(ends, study.objectives, strict=True))
    newest = f"the newest epoch weighs {1 - study.smoothing:g}"
    smoothed = f", smoothed by {study.smoothing} ({newest})" if study.smoothing else ""
    of_part = " of the validation part" if spec.function is None else ""
    epochs = _fixed(spec, defaults=True)["training.epochs"]
    table = _grid()
    table.add_row("study", f"{study.name}, seed {study.seed}")
    table.add_row("objective", "; ".join([f"{first}{of_part}, {study.epoch} epoch{smoothed}", *others]))
    if spec.function is not None:
        pace = "at its own pace" if spec.at_own_pace else "in lock step"
        table.add_row("function", f"{spec.function}, each trial in a process of its own, {pace}")
    table.add_row("data", _data(spec, spec.data) if spec.data else "none")
    table.add_row("budget", f"{search.trials} trials of up to {epochs} epochs, {spec.concurrency} in flight")
    budgets = ((search.epochs, "epochs in all"), (search.wall_seconds, "s"), (search.cpu_seconds, "s of processors"))
    if ends_after := [f"{limit:.15g} {unit}" for limit, unit in budgets if limit is not None]:
        table.add_row("ends after", ", ".join(ends_after))
    table.add_row("sampler", _named(spec.sampler) + (", chosen by auto" if search.sampler.name == "auto" else ""))
    table.add_row("pruner", _named(spec.pruner))
    table.add_row("space", _size(spec))
    if (rehearsed := findings.rehearsed) and rehearsed.parameters:
        sizes = " to ".join(f"{size:,}" for size in dict.fromkeys(rehearsed.parameters))
        table.add_row("models", f"{rehearsed.models} built and trained on a batch, {sizes} parameters")
    return table


def _data(spec: StudySpec, given: DataTable) -> str:
    from hpo.data.catalogue import with_settings

    data = with_settings(given, Path(spec.source).parent)
    test = f"test part {data.test}" if isinstance(data.test, str) else f"{_percent(data.test)} test"
    parts = [f"{data.dataset}: {test if data.test else 'no test part'}"]
    if data.split:
        parts.append(f'parts by column "{data.split}"')
    parts += [f'groups by "{data.group}"'] if data.group else [f'in the order of "{data.time}"'] if data.time else []
    parts.append(f"{data.folds} folds" if data.folds else f"{_percent(data.validation)} validation")
    if data.repeats > 1:
        parts.append(f"{data.repeats} repeats")
    parts += ["drawn anew for each trial"] if data.reshuffle else ["streamed"] if data.stream else []
    parts.append("not scaled" if data.scaling == "none" else f"{data.scaling} scaling")
    return ", ".join(parts)


def _percent(share: float) -> str:
    """`12.5%`, with as many digits as the study file has."""
    return f"{100 * share:.15g}%"


def _named(strategy: Record) -> str:
    """`tpe (startup_trials = 10)`"""
    values = strategy.model_dump(mode="json")
    name = values.pop("name")
    settings = ", ".join(f"{key} = {value}" for key, value in values.items() if value is not None)
    return f"{name} ({settings})" if settings else str(name)


def _size(spec: StudySpec) -> str:
    count, parameters = space.combinations(spec), len(space.parameters(spec))
    if parameters == 0:
        return "nothing is searched: every trial trains the same configuration with a seed of its own"
    searched = f"{parameters} parameter{'s' if parameters > 1 else ''}"
    if count is None:
        return f"{searched}, continuous"
    few = ", fewer than trials" if count < spec.search.trials else ""
    return f"{searched}, {count:,} combinations{few}"


def _print_parameters(out: Terminal, parameters: list[space.Parameter]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Searched", no_wrap=True)
    table.add_column("Values", overflow="fold")
    table.add_column("Only if", overflow="fold")
    for parameter in parameters:
        table.add_row(parameter.name, _values(parameter.distribution._asdict()), parameter.condition or "")
    if out.fits(table):
        out.print(table)
        return
    out.print("Searched")
    for parameter in parameters:
        out.say(parameter.name)
        out.entry(_values(parameter.distribution._asdict()))
        if parameter.condition:
            out.entry(f"only if {parameter.condition}")


def _values(distribution: dict[str, Any]) -> str:
    if "choices" in distribution:
        return " | ".join(label if isinstance(label, str) else toml(label) for label in distribution["choices"])
    low, high, step = distribution["low"], distribution["high"], distribution["step"]
    stepped = f", step {step}" if step is not None and step != 1 else ""
    return f"{low} to {high}{', log' if distribution['log'] else ''}{stepped}"


def _fixed_table(spec: StudySpec) -> Table:
    """The settings that the file fixes, one row per table of the file."""
    fixed = _fixed(spec, defaults=False)
    table = _grid()
    for name in searched_tables():
        mine = {path.removeprefix(f"{name}."): value for path, value in fixed.items() if path.startswith(f"{name}.")}
        if mine:
            table.add_row(name, ", ".join(f"{path} = {value}" for path, value in mine.items()))
    return table


def _fixed(spec: StudySpec, *, defaults: bool) -> dict[str, str]:
    """Settings of the searched tables that are neither a range nor a choice, by dotted path, as TOML."""
    return {
        path: entry.value
        for path, entry in entries(spec).items()
        if path.split(".")[0] in searched_tables() and (entry.given or defaults) and not entry.searched
    }


def _grid() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
