"""One trial in full, as `hpo show STUDY --trial N` prints it or writes it as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.attributes import seen
from hpo.attributes.weights import LayerWeights
from hpo.cli.terminal.lines import weights_line
from hpo.cli.terminal.output import console, json_text, write_data
from hpo.cli.terminal.records import SignOfTrouble
from hpo.errors import StudyStateError

if TYPE_CHECKING:
    from hpo.registry.studies import StudyRow
    from hpo.reports.trials import TrialRow
    from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialDetails:
    """One trial: how it ended, what it was given, what it cost, and what is wrong with it."""

    number: int
    state: str
    """`finished`, `pruned`, `failed`, `running` or `waiting`."""
    reason: str
    """Why it ended; empty while it runs."""
    value: float | None
    values: Mapping[str, float]
    """Its objectives by name; empty where it has none."""
    level: float | None
    """The mean of the last third of its values."""
    spread: float | None
    epochs: int
    best_epoch: int | None
    params: Mapping[str, Any]
    seconds: float | None
    parameters: int | None
    """Trainable numbers of the model."""
    optimizer_state_bytes: int | None
    flops: int | None
    """Operations of the model's forward pass for one example."""
    peak_memory_bytes: int | None
    """Largest main memory that the process of a training function was seen to take."""
    peak_gpu_memory_bytes: int | None
    """Largest memory of a GPU that PyTorch allocated in it."""
    signs: tuple[SignOfTrouble, ...]
    weights: tuple[LayerWeights, ...]
    """Figures of its weights, by layer."""
    drawn_after: Mapping[str, Any] | None
    """What its draw had seen, where trials advance at their own pace and the sampler learns (`hpo.attributes.seen`)."""
    decided_after: Mapping[int, Mapping[str, Any]]
    """What the decisions about it had seen, by epoch, where there is a pruner."""


STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
"""Optuna's names of states -> those that `hpo show` uses."""


def show_trial(store: Store, study: str, number: int, *, as_json: bool) -> None:
    """Prints a trial. `StudyStateError` where the study has none of this number."""
    from hpo.registry.studies import study_row
    from hpo.reports.trials import trial_row

    row = study_row(store, study)
    trials = {trial.number: trial for trial in store.own_trials(row.study_id)}
    if number not in trials:
        there = f"its trials are 0 to {max(trials)}" if trials else "it has none yet"
        raise StudyStateError(f"the study {study!r} has no trial {number}: {there}.")
    found = _details(trial_row(trials[number]), trials[number].system_attrs, row.objectives)
    if as_json:
        write_data(json_text(found))
    else:
        _print(found, row)


def _details(trial: TrialRow, attributes: Mapping[str, Any], objectives: Sequence[str]) -> TrialDetails:
    return TrialDetails(
        number=trial.number,
        state=STATES[trial.state],
        reason=str(trial.ended),
        value=trial.value,
        values=dict(zip(objectives, trial.values, strict=False)),
        level=trial.level,
        spread=trial.spread,
        epochs=trial.epochs,
        best_epoch=trial.best_epoch,
        params=trial.params,
        seconds=trial.seconds,
        parameters=trial.model_parameters,
        optimizer_state_bytes=trial.optimizer_state_bytes,
        flops=trial.flops,
        peak_memory_bytes=trial.peak_memory_bytes,
        peak_gpu_memory_bytes=trial.peak_gpu_memory_bytes,
        signs=tuple(
            SignOfTrouble(code=str(sign.code), trials=(trial.number,), example=str(sign), way_out=sign.way_out)
            for sign in trial.signs
        ),
        weights=trial.weights,
        drawn_after=seen.of_draw(attributes),
        decided_after=seen.of_decisions(attributes),
    )


def _print(found: TrialDetails, study: StudyRow) -> None:
    from hpo.reports.text import format_bytes, format_duration, format_number, plural

    out = console()
    reason = f" ({found.reason})" if found.reason and found.reason != found.state else ""
    out.say(f"Trial {found.number} of {study.name}: {found.state}{reason}, {plural(found.epochs, 'epoch')}")
    if found.value is not None:
        part = "validation " if study.facts.function is None else ""
        best = "" if found.best_epoch is None else f", best at epoch {found.best_epoch}"
        level = "" if found.level is None else f", level {format_number(found.level)}"
        spread = "" if found.spread is None else f" (spread {format_number(found.spread)})"
        out.say(f"{part}{study.objective} {format_number(found.value)}{spread}{best}{level}")
        for name, value in [*found.values.items()][1:]:
            out.say(f"{name} {format_number(value)}")
    if found.drawn_after is not None:
        out.say(f"drawn after {seen.in_words(found.drawn_after)}")
    if found.decided_after:
        out.say(f"last decided after {seen.in_words(found.decided_after[max(found.decided_after)])}")
    out.list_of("Parameters", [f"{name} = {format_number(value)}" for name, value in found.params.items()])
    costs = [
        found.seconds is not None and f"time {format_duration(found.seconds)}",
        found.parameters is not None and f"{plural(found.parameters, 'parameter')} of the model",
        found.optimizer_state_bytes is not None and f"optimizer state {format_bytes(found.optimizer_state_bytes)}",
        found.flops is not None and f"{found.flops:,} FLOPs of an example",
        found.peak_memory_bytes is not None and f"main memory up to {format_bytes(found.peak_memory_bytes)}",
        found.peak_gpu_memory_bytes is not None and f"GPU memory up to {format_bytes(found.peak_gpu_memory_bytes)}",
    ]
    out.list_of("Costs", [cost for cost in costs if cost])
    out.list_of(
        "Signs of trouble",
        [f"{sign.code.replace('_', ' ')}: {sign.example}; {sign.way_out}" for sign in found.signs],
    )
    out.list_of("Weights", [weights_line(layer) for layer in found.weights])
