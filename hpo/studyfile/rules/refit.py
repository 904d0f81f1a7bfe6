"""Rules of studies whose winner is trained again on training and validation rows together (`study.final = "refit"`).
`hpo.studyfile.rules.between_settings` checks them with all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hpo.studyfile.problems import Problem
from hpo.studyfile.study import StudySpec, options_of


def functions_train_by_themselves(spec: StudySpec) -> Iterator[Problem]:
    if spec.study.final == "refit" and spec.function is not None:
        text = 'found "refit", but a training function of your own trains its models itself. Remove it'
        yield Problem(path="study.final", text=text)


def schedules_need_no_validation(spec: StudySpec) -> Iterator[Problem]:
    if spec.study.final != "refit" or spec.function is not None:
        return
    if any(table["name"] == "reduce_on_plateau" for table in options_of(spec, "schedule")):
        text = 'found "reduce_on_plateau", which follows the validation loss, beside study.final = "refit", a training'
        yield Problem(
            path="schedule.name", text=f"{text} without validation part. Take another schedule, or remove final"
        )


RULES: tuple[Callable[[StudySpec], Iterator[Problem]], ...] = (
    functions_train_by_themselves,
    schedules_need_no_validation,
)
