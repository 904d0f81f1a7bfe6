"""`summary.json`: the conclusions of a report for programs. Its keys are described in `summary.schema.json`, generated
from the records here; `python -m hpo.reports.render.json` writes that file.

Keys are only added; none is renamed or given another meaning while `version` stays.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.conclusions.explanation import Explanation
from hpo.reports.health import Verdict

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

SHIPPED = Path(__file__).with_name("summary.schema.json")
"""The generated schema as a file."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class CheckLine(_Record):
    """What one health check found."""

    code: str = Field(description="Name of the check, see docs/report.md; none is ever renamed.")
    verdict: Verdict
    sentence: str = Field(description="What was found, in words.")
    figure: float | None = Field(description="What the verdict rests on; docs/report.md says what it is.")
    way_out: str = Field(description="What may help; empty where nothing is to be done.")


class WeightsLine(_Record):
    """The weights of one layer; docs/diagnosis.md says how they are measured."""

    name: str = Field(description="Of the layer in the model.")
    count: int = Field(description="Number of weights.")
    update_ratio: float | None = Field(description="Norm of an update over that of the weights; null if not measured.")
    near_zero: float | None = Field(description="Share below 1/100 of the root mean square; null if not measured.")
    variation: float | None = Field(description="Standard deviation of the sizes over their mean; null if all are 0.")


class RefitLine(_Record):
    """The winner's training on training and validation rows together."""

    epochs: int
    examples: int = Field(description="Rows trained on.")
    models: int = Field(description="One for each repeat.")
    seconds: float = Field(description="Wall time of the training.")


class WinnerLine(_Record):
    """The best finished trial."""

    number: int = Field(description="The trial's number.")
    value: float | None = Field(description="Its objective on the validation part.")
    level: float | None = Field(description="The mean of the last third of its values; null where trials have none.")
    spread: float | None = Field(description="Its standard deviation over folds and repeats; null where there is one.")
    params: dict[str, Any] = Field(description="Searched parameters by dotted path.")
    test: dict[str, float | None] = Field(description="Metrics on the test part, the mean over its models.")
    test_ensemble: dict[str, float | None] = Field(description="The same of the ensemble of its models.")
    weights: list[WeightsLine] = Field(description="Figures of its weights, by layer.")
    ahead: int | None = Field(description="The trial that scored better in the search, where it is not confirmed.")
    refit: RefitLine | None = Field(
        description="The training whose weights are scored on the test part and exported; null: those of its trial are."
    )


class ObjectiveLine(_Record):
    """What the search optimised."""

    name: str
    direction: Literal["maximize", "minimize"]


class FrontLine(_Record):
    """A trial on the Pareto front: no other is at least equal in all objectives and better in one."""

    number: int = Field(description="The trial's number.")
    values: dict[str, float] = Field(description="Its objectives by name.")
    params: dict[str, Any] = Field(description="Searched parameters by dotted path.")


class EstimateLine(_Record):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


class ConfirmationLine(_Record):
    """What the repeats of the leading configurations say; docs/confirmation.md says how."""

    value: EstimateLine = Field(description="Of the winner over its repeats.")
    spread: float = Field(description="Standard deviation of the winner's repeats.")
    repeats: int = Field(description="Number of the winner's repeats.")
    leaders: list[int] = Field(description="Trials that cannot be told from the winner, itself included.")
    others: list[int] = Field(description="Finished trials that were not repeated and may be as good.")
    searched: float = Field(description="The winner's value in the search.")
    optimism: float = Field(description="How much better than the mean that was.")
    gain: EstimateLine | None = Field(description="How much better the winner is than the default configuration.")


class ChangeLine(_Record):
    """One change of the study file that the results ask for."""

    path: str = Field(description="Name of a parameter, or path of a setting.")
    before: str
    after: str
    why: str = Field(description="The reason, a sentence.")


class NextLine(_Record):
    """The study after this one."""

    name: str
    command: str = Field(description="Writes its file.")
    changes: list[ChangeLine] = Field(description="Empty where nothing calls for a change.")


class ProvenanceLine(_Record):
    """Where the results come from."""

    command: str = Field(description="Repeats the study.")
    source: str = Field(description="Path of the study file.")
    study_file: str = Field(description="Its text.")
    versions: dict[str, str] = Field(description="Of this program and of libraries, where the study was last run.")
    commit: str | None = Field(description="Git commit of the study's folder when it was made; null if in none.")
    data: str = Field(description="SHA-256 of the examples.")
    split: str | None = Field(description="SHA-256 of which example is in which part; null where not recorded.")
    code: dict[str, str] = Field(description="SHA-256 of the user's own code, by file or module.")
    machine: dict[str, str] = Field(description="Device, processor and what else is known of where it ran.")


class EditOfStudy(_Record):
    """One edit of the study file since the study began."""

    number: int = Field(description="From 1.")
    edited_at: str = Field(description="In UTC, as ISO 8601 has it.")
    editor: str = Field(description="User and machine.")
    changes: list[str] = Field(description="One line for each setting that changed.")
    trials: int | None = Field(description="Trials asked for when it took effect; null where it waits.")
    epochs: int | None = Field(description="Epochs trained then, over all trials; null where it waits.")
    outside: list[int] = Field(description="Trials from before whose values it does not allow.")


class Summary(_Record):
    """The conclusions of a study's report."""

    version: Literal[1] = 1
    study: str = Field(description="Name of the study.")
    objective: str = Field(description="Metric of the validation part that was optimised.")
    direction: Literal["maximize", "minimize"]
    objectives: list[ObjectiveLine] = Field(description="All objectives; the first is the one above.")
    seed: int
    hpo_version: str = Field(description="Version that the study was made with.")
    finished: int = Field(description="Trials that trained their last epoch, or stopped early.")
    pruned: int = Field(description="Trials that ended before, without an error.")
    failed: int = Field(description="Trials that an error ended.")
    running: int = Field(description="Trials that have not ended.")
    epochs: int = Field(description="Epochs trained, over all trials.")
    seconds: float | None = Field(description="Time that the study ran.")
    winner: WinnerLine | None
    pareto_front: list[FrontLine] = Field(
        description="Best in the first objective first; empty where there is one objective."
    )
    baselines: dict[str, dict[str, float | None]] = Field(
        description="Metrics of simple models on the validation part, by name."
    )
    explanation: Explanation | None = Field(description="What `hpo explain` found; null where it was not asked.")
    importances: dict[str, float] = Field(description="Shares of importance by parameter, the largest first.")
    edits: list[EditOfStudy] = Field(description="Edits of the study file, in their order.")
    health: dict[str, int] = Field(description="Number of checks by verdict.")
    checks: list[CheckLine] = Field(description="Every health check, the gravest first.")
    confirmation: ConfirmationLine | None = Field(description="Null where the winner was not confirmed.")
    next: NextLine | None = Field(description="What to search next; null while no trial has finished.")
    provenance: ProvenanceLine


def summary_json(report: StudyReport) -> str:
    """The text of the file. Numbers that are not finite are null."""
    return json.dumps(_plain(summary_of(report).model_dump(mode="json")), indent=1, ensure_ascii=False) + "\n"


def summary_of(report: StudyReport) -> Summary:
    """The record of a report."""
    winner, counts = report.winner, report.counts
    return Summary(
        study=report.name,
        objective=report.objective,
        direction=report.direction,
        objectives=[
            ObjectiveLine(name=name, direction=goal)
            for name, goal in zip(report.objectives, report.directions, strict=True)
        ],
        seed=report.seed,
        hpo_version=report.hpo_version,
        finished=counts.finished,
        pruned=counts.pruned,
        failed=counts.failed,
        running=counts.running,
        epochs=report.epochs_spent,
        seconds=report.wall_seconds,
        winner=None
        if winner is None
        else WinnerLine(
            number=winner.number,
            value=winner.value,
            level=winner.level,
            spread=winner.spread,
            params=dict(winner.params),
            test=dict(report.test),
            test_ensemble=dict(report.test_ensemble),
            weights=[WeightsLine.model_validate(layer) for layer in winner.weights],
            ahead=report.ahead,
            refit=report.refit and RefitLine.model_validate(report.refit),
        ),
        pareto_front=[
            FrontLine(
                number=trial.number,
                values=dict(zip(report.objectives, trial.values, strict=True)),
                params=dict(trial.params),
            )
            for trial in report.front
        ],
        baselines={one.name: dict(one.validation) for one in report.baselines},
        explanation=report.explanation,
        importances=dict(report.importances.shares),
        edits=[
            EditOfStudy(
                number=edit.number,
                edited_at=edit.edited_at.isoformat(timespec="seconds"),
                editor=edit.editor,
                changes=list(edit.changes),
                trials=edit.trials,
                epochs=edit.epochs,
                outside=list(edit.outside),
            )
            for edit in report.edits
        ],
        health={verdict: sum(check.verdict is verdict for check in report.checks) for verdict in Verdict},
        checks=[
            CheckLine(
                code=check.code,
                verdict=check.verdict,
                sentence=check.sentence,
                figure=check.figure,
                way_out=check.way_out,
            )
            for check in report.checks
        ],
        confirmation=report.confirmation and ConfirmationLine.model_validate(report.confirmation),
        next=report.next and NextLine.model_validate(report.next),
        provenance=ProvenanceLine.model_validate(report.provenance),
    )


def schema_text() -> str:
    """The JSON Schema as it is shipped."""
    schema = Summary.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    SHIPPED.write_text(schema_text(), encoding="utf-8")
