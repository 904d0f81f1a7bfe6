"""`hpo ask`: runs the studies of a question and judges the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo.cli.terminal.output import json_text, say, write_data
from hpo.cli.terminal.place import Place, place_options
from hpo.paths import argument

if TYPE_CHECKING:
    from hpo.questions.answer import Answer
    from hpo.questions.file import Question
    from hpo.questions.measures import Figures
    from hpo.questions.run import QuestionProgress


@click.command()
@click.argument("questions", nargs=-1, required=True, metavar="QUESTION...")
@click.option("--jobs", type=click.IntRange(min=1), help="Studies that run at once.  [default: one for each core]")
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds of each arm, instead of question.seeds of the file.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first of the seeds.")
@click.option("--quick", is_flag=True, help="With the settings of [quick], and one seed: whether it runs at all.")
@click.option("--plan", is_flag=True, help="Show what would be run, and run nothing.")
@click.option("--no-run", is_flag=True, help="Judge by the studies that have ended, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON.")
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write all answers as a page of Markdown, with their figures in a folder beside it.",
)
@place_options
@click.pass_obj
def ask(
    place: Place,
    questions: Sequence[str],
    jobs: int | None,
    seeds: int | None,
    first_seed: int,
    quick: bool,
    plan: bool,
    no_run: bool,
    as_json: bool,
    page: Path | None,
) -> None:
    """Answer questions: run the studies that are missing, and judge the claims by the rules in the files.

    QUESTION is the path of a question file, or a folder of them. A question says which settings are compared, on which
    data, with how many seeds, and by which rule the claim counts as supported or contradicted. The same command
    continues after an interruption. Answers are kept in the folder questions/ of the home folder.

    \b
    Examples:
      hpo ask studies/claims/C02-nesterov.toml --plan
      hpo ask studies/claims/C02-nesterov.toml
      hpo ask studies/claims --page docs/claims.md
      hpo ask studies/claims --no-run --json
    """
    from hpo.questions.answer import answer_of
    from hpo.questions.file import find_questions, read_question
    from hpo.questions.page import as_dict, lines, plan_lines
    from hpo.questions.run import stored_values

    chosen = [f"--seeds {seeds}"] if seeds else []
    chosen += [f"--first-seed {first_seed}"] if first_seed else []
    chosen += ["--quick"] if quick else []
    chosen += [f"--page {argument(page)}"] if page else []
    command = " ".join(["hpo ask", *map(argument, questions), *chosen])
    read = [read_question(path, quick=quick, first_seed=first_seed, seeds=seeds) for path in find_questions(questions)]
    if plan:
        for question in read:
            _say(plan_lines(question))
        return
    answers = []
    for question in read:
        if no_run:
            values = stored_values(question, place.home, place.storage_url)
        else:
            values = _run(place, question, jobs, command)
        answer = answer_of(question, values)
        answers.append(answer)
        if not (no_run or quick):
            _keep(place.home, answer)
        if not as_json:
            _say(lines(answer))
    if as_json:
        write_data(json_text([as_dict(answer) for answer in answers]))
    if page is not None:
        _write_page(page, answers, command)


def _say(lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        say(f"  {line}" if number else line)


def _run(place: Place, question: Question, jobs: int | None, command: str) -> dict[str, Figures]:
    from hpo.errors import Interrupted
    from hpo.execution.sizing import usable_cores
    from hpo.questions.run import run_question
    from hpo.reports.text import format_duration

    def tell(now: QuestionProgress) -> None:
        if now.ran == 0 and now.done == now.all:
            return
        left = now.seconds / now.ran * (now.all - now.done) if now.ran else None
        soon = f"; about {format_duration(round(left))} left" if left else ""
        say(f"{question.name}: {now.done} of {now.all} studies{soon}", err=True)

    try:
        return run_question(question, place.home, place.storage_url, jobs=jobs or usable_cores(), progress=tell)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted. Every trial in flight is saved at its last complete epoch; to continue:\n  "
            f"{command}{f' --jobs {jobs}' if jobs else ''}{place.options}"
        ) from None


def _keep(home: Path, answer: Answer) -> None:
    """Writes an answer, its figure and its values below the home folder."""
    from hpo import disk
    from hpo.questions.page import VALUES, as_dict, figure, values
    from hpo.reports.render.build import write_text
    from hpo.reports.render.csv import csv_text

    folder = home / "questions" / answer.question.name
    disk.make_folder(folder)
    write_text(folder / "answer.json", json_text(as_dict(answer)))
    write_text(folder / "values.csv", csv_text(list(VALUES), values(answer)))
    write_text(folder / "figure.svg", figure(answer))


def _write_page(page: Path, answers: Sequence[Answer], command: str) -> None:
    from hpo import disk
    from hpo.questions.page import figure, markdown
    from hpo.reports.render.build import write_text

    advice = "Give another file with --page."
    figures = page.parent / page.stem
    disk.make_folder(figures)
    for answer in answers:
        if answer.ended:
            write_text(figures / f"{answer.question.name}.svg", figure(answer), advice)
    write_text(page, markdown(answers, command, page.stem), advice)
    say(f"Written: {page}", err=True)
