"""What the documents say is true: commands and options exist, examples work, generated pages are fresh."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hpo import models
from hpo.cli import COMMANDS, hpo
from hpo.data.catalogue import load_dataset
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.parts.splits import split_data
from hpo.data.preprocessing.apply import apply
from hpo.data.preprocessing.fit import Learner
from hpo.data.readers import READERS
from hpo.search.pruning.by_name import PRUNERS
from hpo.search.sampling.by_name import SAMPLERS
from hpo.study import run
from hpo.studyfile.fields import FIXED_TABLES
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import METRICS, DataTable, TrialConfig
from hpo.studyfile.tree import toml
from tests.forked import Forked
from tests.reference import reference
from tests.runtime.small import small_text
from tests.test_imports import MAY_IMPORT

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
HELP = {name: CliRunner().invoke(hpo, [name, "--help"], catch_exceptions=False).output for name in COMMANDS}
WAYS = {
    "local.md": ("run",),
    "service.md": ("submit", "worker", "stop", "resume", "extend"),
    "ray.md": ("run",),
}
"""Page of a way to run -> the commands whose options it tells."""
STEPS = {
    "local.md": small_text(study='name = "digits"', training="epochs = 1", search="trials = 60\nconcurrency = 30"),
    "service.md": small_text(study='name = "digits"', training="epochs = 30", search="trials = 60\nconcurrency = 12"),
}
"""Studies for the steps of a page; that of workers is longer than the steps up to `hpo resume` take."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> list[str]:
    """Every `hpo ...` that a page or a help text shows: in a line of its own, or in backticks."""
    alone = re.findall(r"^[ $]*(?:.*&& )?(hpo [a-z-].*)$", text, re.MULTILINE)
    inline = re.findall(r"`(hpo [^`\n]*)`", text)
    return [re.split(r"\s+[>|]|\s{3,}", line)[0] for line in (*alone, *inline)]


def test_every_command_has_a_row_in_the_readme() -> None:
    rows = re.findall(r"^\| `hpo (\w+)", README, re.MULTILINE)
    assert rows == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    assert f"Usage: hpo {name}" in HELP[name]
    assert f"hpo {name}" in HELP[name].split("Examples:")[1]


@pytest.mark.parametrize("place", [*PAGES, *(f"help of {name}" for name in COMMANDS)])
def test_commands_and_options_that_are_shown_exist(place: str) -> None:
    text = PAGES[place] if place in PAGES else HELP[place.removeprefix("help of ")]
    context = click.Context(hpo)
    for line in command_lines(text):
        name, *arguments = shlex.split(line)[1:]
        if name.startswith("-") or name == "COMMAND":
            continue
        command = hpo.get_command(context, name)
        if isinstance(command, click.Group):
            command = command.get_command(context, arguments[0])
        assert command is not None, f"{place} shows `{line}`, but there is no such command"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        options = {argument.split("=")[0] for argument in arguments if re.match(r"--?[a-z]", argument)}
        assert options <= known | {"--help", "-h"}, f"{place} shows `{line}`"


def options_of(*names: str) -> set[str]:
    context = click.Context(hpo)
    commands = [hpo.get_command(context, name) for name in names]
    return {option for command in commands if command for p in command.params for option in p.opts if option[1] == "-"}


@pytest.mark.parametrize("page", ["README.md", *WAYS])
def test_options_that_are_mentioned_exist(page: str) -> None:
    mentioned = set(re.findall(r"`(--[a-z-]+)", PAGES[page]))
    assert mentioned <= options_of(*COMMANDS) | {"--help"}


@pytest.mark.parametrize("page", WAYS)
def test_every_option_of_a_way_to_run_is_told(page: str) -> None:
    """In a row or a sentence of its page."""
    told = set(re.findall(r"--[a-z-]+", PAGES[page]))
    assert options_of(*WAYS[page]) <= told


@pytest.mark.parametrize("page", WAYS)
def test_the_readme_leads_to_every_way_to_run(page: str) -> None:
    assert f"](docs/{page})" in README


@pytest.mark.parametrize("page", ["local.md", "service.md"])
def test_the_steps_of_a_page_work_in_their_order(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """On a small study that has the name of the one there; `hpo worker` in the background, as on other machines."""
    steps = next(block for block in blocks(PAGES[page], "sh") if "hpo report digits" in block)
    lines = [shlex.split(line)[1:] for line in command_lines(steps)]
    assert len(lines) >= 6
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.toml").write_text(STEPS[page], encoding="utf-8")
    settings = {key: value for key, value in os.environ.items() if not key.startswith("HPO_")}
    if page == "service.md":
        settings |= {"HPO_STORAGE": request.getfixturevalue("new_database")(), "HPO_HOME": str(tmp_path / "shared")}
    workers = []
    try:
        for arguments in lines:
            process = Forked(arguments, cwd=tmp_path, env=settings)
            if arguments[0] == "worker":
                workers.append(process)
            else:
                _, error = process.communicate(600)
                assert process.returncode == 0, (arguments, error)
    finally:
        for worker in workers:
            worker.terminate()
            worker.communicate(60)
            assert worker.returncode == 0
    assert (tmp_path / "digits-model" / "model.py").is_file()


def test_the_two_commands_stand_in_the_readme_as_ci_reads_them() -> None:
    lines = [line for block in blocks(README, "sh") for line in block.splitlines()]
    assert "pip install -e . && hpo run digits" in lines
    assert "pip install -e '.[test]' && pytest" in lines


def test_the_study_file_in_the_readme_is_valid() -> None:
    text, _ = blocks(README, "toml")
    spec = parse_study(text, "README.md")
    assert spec.study.name == "my-first"


def test_the_model_of_your_own_in_the_readme_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (net, *_), (_, study) = blocks(README, "python"), blocks(README, "toml")
    (tmp_path / "net.py").write_text(net, encoding="utf-8")
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    arguments = ["run", str(tmp_path / "study.toml"), "--trials", "4", "--home", str(tmp_path / "runs")]
    result = CliRunner().invoke(hpo, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "4 finished" in result.output or "pruned, 0 failed" in result.output
    assert "model.arguments.activation = " in result.output
    assert not caplog.records, "its lanes train together"


def test_the_training_function_of_your_own_runs(tmp_path: Path) -> None:
    page = PAGES["own-training.md"]
    (train, *_), (study, *_) = blocks(page, "python"), blocks(page, "toml")
    (tmp_path / "train.py").write_text(train, encoding="utf-8")
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    arguments = ["run", str(tmp_path / "study.toml"), "--trials", "2", "--home", str(tmp_path / "runs")]
    result = CliRunner().invoke(hpo, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert ", 0 failed" in result.output
    assert "trial.arguments.learning_rate = " in result.output


@pytest.mark.parametrize(("number", "name", "way_in"), [(1, "Words", "reviews.csv"), (2, "Steps", "walks.npz")])
def test_the_models_of_texts_and_sequences_in_the_readme_take_those_of_the_page_of_data(
    number: int, name: str, way_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ways_in(tmp_path, monkeypatch)
    (tmp_path / "net.py").write_text(blocks(README, "python")[number], encoding="utf-8")
    data = next(block for block in blocks(PAGES["data.md"], "toml") if f'"{way_in}"' in block)
    table = DataTable.model_validate(tomllib.loads(data)["data"])
    dataset = load_dataset(table, tmp_path)
    preprocessing = Learner.of(dataset, table).fit(np.arange(dataset.size))
    model = {"family": "custom", "module": f"{tmp_path}/net.py:{name}"}
    config = TrialConfig.model_validate({"model": model, "optimizer": {"name": "adam"}})
    module = models.build(config, preprocessing.signature, 2)
    rows = torch.from_numpy(apply(preprocessing, dataset, np.arange(dataset.size)))
    assert module(rows).shape == (dataset.size, 2)


def test_the_python_page_runs(tmp_path: Path) -> None:
    """All its blocks, one after the other; from standard input, as a notebook has no file either."""
    page = PAGES["python.md"]
    code, settings = "\n".join(blocks(page, "python")), {k: v for k, v in os.environ.items() if k[:4] != "HPO_"}
    done = subprocess.run(
        [sys.executable, "-"], input=code, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "6 of 6 trials" in done.stdout
    assert "prediction" in done.stdout
    assert (tmp_path / "wine-report" / "index.html").is_file()
    assert "](docs/python.md)" in README


def test_the_python_page_tells_every_argument() -> None:
    told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| `.*$", PAGES["python.md"], re.MULTILINE))))
    assert inspect.signature(run).parameters.keys() - {"study"} <= told


def write_ways_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the files of the page of data, and runs those of Python."""
    monkeypatch.chdir(folder)
    files = re.findall(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```", PAGES["data.md"], re.MULTILINE | re.DOTALL)
    for name, content in files:
        (folder / name).write_text(content, encoding="utf-8")
        if name.endswith(".py"):
            exec(content, {"__name__": name})


def test_every_way_in_on_the_page_of_data_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `[data]` table is loaded, with the files there."""
    page = PAGES["data.md"]
    write_ways_in(tmp_path, monkeypatch)
    tables = [tomllib.loads(block)["data"] for block in blocks(page, "toml")]
    assert len(tables) >= 10
    for table in tables:
        dataset = load_dataset(DataTable.model_validate(table), tmp_path)
        assert dataset.size >= 4
        if table.keys() & {"group", "time"}:
            assert len(split_data(dataset, DataTable.model_validate(table), 0).test_idx)
        assert (dataset.part_N is None) == (not table.keys() & {"test", "split"})
    assert all(f"`{end}`" in page or end.endswith(".gz") for end in READERS)
    assert "](docs/data.md)" in README


def test_names_that_the_readme_lists_are_those_there_are() -> None:
    text, _ = blocks(README, "toml")
    for key, registry in (("sampler", {*SAMPLERS, "auto"}), ("pruner", PRUNERS)):
        names = re.search(rf"^{key} = .*# (.*)$", text, re.MULTILINE)
        assert names is not None
        assert set(names[1].split(", ")) == set(registry)


def test_every_metric_has_a_row_on_the_page_of_metrics() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (lower|higher) \|$", PAGES["metrics.md"], re.MULTILINE)
    assert rows == [(name, traits.better) for name, traits in METRICS.items()]
    assert "](docs/metrics.md)" in README


def test_the_tables_on_the_page_of_metrics_are_valid() -> None:
    for block in blocks(PAGES["metrics.md"], "toml"):
        tables = {name: toml(value) for name, value in tomllib.loads(block)["training"].items()}
        parse_study(small_text(training="\n".join(f"{key} = {value}" for key, value in tables.items())), "s.toml")


def test_keys_and_tests_on_the_page_of_practice_exist() -> None:
    rows = re.findall(r"^\| [^|]+ \| (`.*`) \| `(.*)` \|$", PAGES["practice.md"], re.MULTILINE)
    assert len(rows) > 20
    for keys, test in rows:
        assert (ROOT / test).is_file(), test
        for key in re.findall(r"`(.*?)`", keys):
            table, name = key.split(".")
            annotation = FIXED_TABLES.get(table) or TrialConfig.model_fields[table].annotation
            assert any(name in record.model_fields for record in get_args(annotation) or [annotation]), key


def test_every_data_set_has_a_row_on_the_page_of_data() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\d,]+) \| .* \| (.*) \| (.*) \|$", PAGES["data.md"], re.MULTILINE)
    assert rows == [
        (name, entry.kind, f"{entry.examples:,}", entry.source.origin, entry.licence)
        for name, entry in CATALOGUE.items()
    ]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = ROOT if (ROOT / page).exists() else ROOT / "docs"
    for target in re.findall(r"\]\(([^)#]+)", PAGES[page]):
        if "://" not in target:
            assert (folder / target).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "architecture.md"])
def test_paths_that_a_page_names_exist(page: str) -> None:
    """From the root or within `hpo/`; a bare `name.py` or `name/` is in any room."""
    inside = {f"{path.name}/" if path.is_dir() else path.name for path in (ROOT / "hpo").rglob("*")}
    for name in re.findall(r"`([\w./-]+)`", PAGES[page]):
        if "/" in name or name.endswith((".py", ".md")):
            assert (ROOT / name).exists() or (ROOT / "hpo" / name).exists() or name in inside, name


def test_the_rooms_are_those_there_are() -> None:
    """In the layout of CONTRIBUTING.md each comes after those it uses; the page on the architecture names all."""
    layout = blocks(PAGES["CONTRIBUTING.md"], "text")[0]
    listed = [re.sub(r"(\.py|/)$", "", name) for name in re.findall(r"\b\w+(?:\.py|/)(?=[,\s])", layout)]
    parts = listed[listed.index("hpo") + 1 : listed.index("studies")]
    assert len(parts) == len(set(parts))
    for place, part in enumerate(parts):
        assert MAY_IMPORT[part] <= set(parts[:place]), part
    table = re.findall(r"^\| (`.*?) \|", PAGES["architecture.md"], re.MULTILINE)
    rooms = {name.rstrip("/") for row in table for name in re.findall(r"`([\w/]+)`", row)}
    assert rooms == set(parts) == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("way", "most"),
    [("One epoch of one lane", 14), ("A kill, and the same command again", 15), ("One leased trial", 15)],
)
def test_a_way_through_the_code_leads_over_few_files(way: str, most: int) -> None:
    section = PAGES["architecture.md"].partition(f"### {way}\n")[2].partition("\n#")[0]
    steps = re.findall(r"^\d+\. (\S+)", section, re.MULTILINE)
    assert 0 < len(steps) == len(set(steps)) <= most
    assert all((ROOT / "hpo" / step.strip("`")).is_file() for step in steps)


def test_the_reference_is_fresh() -> None:
    written = (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8")
    assert written == reference(), "run `python -m tests.reference > docs/study-file.md`"


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## {version}" in PAGES["CHANGELOG.md"]
