"""`hpo check`: checks a study file and its data, and shows its settings. Writes nothing and reads no database."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import click

from hpo import space
from hpo.cli.terminal.output import console, json_text, say, write_data
from hpo.printable import few
from hpo.studyfile.fields import searched_tables
from hpo.studyfile.file import find_study, read_study_file
from hpo.studyfile.records import MINIMIZED, Record
from hpo.studyfile.schema import schema_text, study_schema
from hpo.studyfile.study import StudySpec, entries, fingerprint
from hpo.studyfile.tree import toml

if TYPE_CHECKING:
    from rich.table import Table

    from hpo.cli.terminal.console import Terminal


@click.command()
@click.argument("study", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the study as JSON.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of study files, for editors.")
def check(study: str | None, as_json: bool, schema: bool) -> None:
    """Check a study file and its data, and show its settings.

    STUDY is a path, or a name under studies/. Every mistake is listed with its place, what is allowed and the nearest
    valid name; the exit code is then 2. No model is built and no database is read, so `hpo run` may still find that the
    model does not fit the data, or that the study was changed after its first trial.

    \b
    Examples:
      hpo check digits
      hpo check studies/digits.toml --json
      hpo check --schema > study.schema.json
    """
    if schema:
        write_data(schema_text(study_schema()))
        return
    if study is None:
        raise click.UsageError("Name a study file, or use --schema. Example: hpo check digits")
    spec = read_study_file(find_study(study))

    from hpo.data.study import check_objective, load_data

    data = load_data(spec)
    check_objective(spec, data)
    if as_json:
        write_data(json_text(_as_json(spec)))
    else:
        _print(spec)
        for note in few(data.dataset.notes):
            say(f"Note: {note}")


def _as_json(spec: StudySpec) -> dict[str, Any]:
    return {
        "source": spec.source,
        "fingerprint": fingerprint(spec),
        "study": spec.study.model_dump(mode="json"),
        "data": spec.data.model_dump(mode="json"),
        "search": spec.search.model_dump(mode="json"),
        "checkpoints": spec.checkpoints.model_dump(mode="json"),
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


def _print(spec: StudySpec) -> None:
    out = console()
    out.say(f"{spec.source} is a valid study.\n")
    out.print(_summary(spec))
    parameters = space.parameters(spec)
    if parameters:
        out.print()
        _print_parameters(out, parameters)
    out.print("\nFixed (all else has its default; --json shows it)")
    out.print(_fixed_table(spec))


def _summary(spec: StudySpec) -> Table:
    study, search = spec.study, spec.search
    goal = "lowest" if study.objective in MINIMIZED else "highest"
    newest = f"the newest epoch weighs {1 - study.smoothing:g}"
    smoothed = f", smoothed by {study.smoothing} ({newest})" if study.smoothing else ""
    epochs = _fixed(spec, defaults=True)["training.epochs"]
    table = _grid()
    table.add_row("study", f"{study.name}, seed {study.seed}")
    table.add_row("objective", f"{goal} {study.objective} of the validation part, {study.epoch} epoch{smoothed}")
    table.add_row("data", _data(spec))
    table.add_row("budget", f"{search.trials} trials of up to {epochs} epochs, {search.concurrency} in flight")
    others = ((search.epochs, "epochs in all"), (search.wall_seconds, "s"), (search.cpu_seconds, "s of processors"))
    if any(limit is not None for limit, _ in others):
        table.add_row("ends after", ", ".join(f"{limit:.15g} {unit}" for limit, unit in others if limit is not None))
    table.add_row("sampler", _named(search.sampler))
    table.add_row("pruner", _named(search.pruner))
    table.add_row("space", _size(spec))
    return table


def _data(spec: StudySpec) -> str:
    data = spec.data
    test = f"test part {data.test}" if isinstance(data.test, str) else f"{_percent(data.test)} test"
    parts = [f"{data.dataset}: {test if data.test else 'no test part'}"]
    if data.split:
        parts.append(f'parts by column "{data.split}"')
    parts.append(f"{data.folds} folds" if data.folds else f"{_percent(data.validation)} validation")
    if data.repeats > 1:
        parts.append(f"{data.repeats} repeats")
    parts.append("standardized" if data.standardize else "not standardized")
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
        if path.split(".")[0] in searched_tables()
        and (entry.given or defaults)
        and not entry.value.startswith("{")  # a range or a choice
    }


def _grid() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
