"""Studies from Python code: `run`, `load` and the class `Study`. They call the same functions as the commands. PyTorch
is loaded only where something is trained or weights are needed.

The errors raised are those of `hpo.errors`. When a run is interrupted by KeyboardInterrupt, every trial has been saved
at its last complete epoch, and the same call continues the study.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hpo import environment
from hpo.errors import InputError
from hpo.storage.open import reading, url_of
from hpo.studyfile.file import find_study, parse_tables, read_study_file
from hpo.studyfile.study import StudySpec, with_budget

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from hpo.conclusions.confirmation import Confirmation
    from hpo.conclusions.explanation import Explanation
    from hpo.conclusions.refit import Refit
    from hpo.export.source import TrainedTrial
    from hpo.reports.comparison.table import Comparison
    from hpo.reports.facts import StudyReport
    from hpo.runtime.progress import Progress

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
Auto = Literal["auto"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The winner so far."""

    number: int
    """The trial's number."""
    value: float
    """Its objective on the validation part."""
    values: Mapping[str, float]
    """All its objectives by name."""
    params: Mapping[str, Any]
    """Searched parameters by dotted path."""
    test: Mapping[str, float | None]
    """Metrics on the test part, the mean over its models; an undefined one is None. Empty if it was not scored."""
    test_ensemble: Mapping[str, float | None]
    """Metrics on the test part of the ensemble of its models; empty if it has one model."""
    confirmation: Confirmation | None
    """What its repeats with other seeds say, e.g. `confirmation.value.mean`; None where it was not confirmed."""
    refit: Refit | None
    """How it was trained again on training and validation rows together, e.g. `refit.epochs`; None where it was not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A study as it was in the database; load it again to see later changes. Only `explain` writes to the database."""

    name: str
    home: Path
    """Folder with the checkpoints."""
    checkpoints: str | None = None
    """Where workers keep checkpoints, if not at the place recorded with the study."""
    _url: str = field(repr=False)
    _facts: StudyReport = field(repr=False)
    _given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The text of the study file. A study given as a dict has one, too, which `hpo run` and `hpo submit` accept."""
        return self._facts.spec_text

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, by number, with the columns of `trials.csv`: number, state, value, spread, with several
        objectives `value.NAME` of the others and `pareto`, searched parameters by dotted path, epochs, costs, ended."""
        from hpo.reports.tables import trials_frame

        return trials_frame(self._facts)

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per trial, replica and epoch, with the columns of `epochs.csv`: number, replica, epoch, objective,
        train_loss, valid_loss, learning_rate, gradient_norm, further metrics, seconds."""
        from hpo.reports.tables import epochs_frame

        return epochs_frame(self._facts)

    @property
    def best(self) -> Best | None:
        """The winner; None while no trial has finished."""
        facts = self._facts
        if (winner := facts.winner) is None or winner.value is None:
            return None
        names = ("test", "test_ensemble", "confirmation", "refit")
        about: dict[str, Any] = {name: getattr(facts, name) for name in names}
        about["values"] = dict(zip(facts.objectives, winner.values, strict=True))
        return Best(number=winner.number, value=winner.value, params=winner.params, **about)

    @property
    def summary(self) -> str:
        """The report as Markdown."""
        from hpo.reports.render.markdown import summary

        return summary(self._facts)

    def report(self, folder: PathLike, *, spreadsheet: bool = False) -> Path:
        """Writes the report into a folder, made if missing, and returns the path of its page. `spreadsheet`: text in
        the CSV files that a spreadsheet would compute as a formula gets an apostrophe in front."""
        from hpo.reports.render.build import write_report_files

        return write_report_files(self._facts, Path(folder), spreadsheet=spreadsheet)

    def export(self, folder: PathLike, *, trial: int | None = None, force: bool = False) -> Path:
        """Writes a trial into a new or empty folder, which is returned: weights, configuration, preprocessing, and the
        model in plain PyTorch. `trial`: number, by default that of the best trial; `force`: replace an earlier export
        in the folder. Of a training function's trial: what it saved last, its folder, and `load.py`, which loads both.
        `StudyStateError` if no trial has finished, or the trial has no weights."""
        from hpo.export import folder as exports

        with reading(self._url) as store:
            exports.export(
                store,
                self.home,
                self.name,
                Path(folder),
                log.warning,
                number=self._number(trial),
                force=force,
                place=self.checkpoints,
                given=self._given,
            )
        return Path(folder)

    def explain(self, *, share: float | None = None, epochs: int | None = None) -> Explanation:
        """Explains the winner by experiment, as `hpo explain` does, and records it. `share`: of the epochs of the
        search that may be trained, by default 0.1; `epochs`: a number, instead. `StudyStateError` if there is no winner
        to explain, `InputError` if the budget does not pay for it."""
        from hpo.runtime.explanation.study import explain_study

        return explain_study(self.name, self._url, self.home, share=share, epochs=epochs, given=self._given).explanation

    def model(self, *, trial: int | None = None, replica: int = 0) -> nn.Module:
        """The model of a trial with its weights, in evaluation mode. `trial`: number, by default that of the best one.
        `replica`: which of its models, one for each fold and repeat, counted from 0; a winner trained again on all rows
        has one for each repeat. Only the best trials' weights are kept: another trial is trained again first, with the
        same result. Raises `InputError` for a replica that does not exist, `StudyStateError` if it has no weights."""
        return self._trained(trial, replica).module(replica)

    def predictor(
        self, *, trial: int | None = None, replica: int = 0
    ) -> tuple[nn.Module, Callable[[pd.DataFrame], Tensor]]:
        """The model, as from `model`, and its preprocessing: a function that takes a frame with the columns that the
        model was trained on, in any order, and returns the model's input [N, *input_shape] for the frame's N rows."""
        trained = self._trained(trial, replica)

        import torch

        from hpo.data.preprocessing.apply import features_of_frame

        preprocessing = trained.inputs.prepared.replicas[replica].preprocessing
        return trained.module(replica), lambda frame: torch.from_numpy(features_of_frame(preprocessing, frame))

    def _trained(self, trial: int | None, replica: int) -> TrainedTrial:
        from hpo.export.source import find_trial, load_trained

        with reading(self._url) as store:
            source = find_trial(store, self.name, self._number(trial), self._given)
            source.check_replica(replica)
            return load_trained(store, self.home, source, log.warning, place=self.checkpoints)

    def _number(self, trial: int | None) -> int | None:
        """The number given, or that of the best trial when the study was loaded; a better one may have finished
        since."""
        return self.best.number if trial is None and self.best else trial


def run(
    study: PathLike | Mapping[str, Any] | StudySpec,
    *,
    trials: int | None = None,
    workers: int | Auto = 1,
    lanes: int | Auto = "auto",
    device: str = "auto",
    threads: int = 1,
    compile: Literal["auto", "on", "off"] = "auto",
    home: PathLike | None = None,
    storage: str | None = None,
    checkpoints: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Study:
    """Runs a study to the end of its budget, or continues it, as `hpo run` does.

    `study` is the path of a study file, a name under `studies/`, a dict with the tables of a study file, or a study
    that was read already; relative paths in a dict start at the working directory. Its `data.dataset` and `data.test`
    may also be a pandas frame, or what a function of one's own may return: it is not stored, and the same call with
    other data is refused. `progress` is called with the study's progress about once per epoch. The other arguments are
    the options of the command. Without `home`, `storage` or `checkpoints`, the same environment variables are used as
    by the command. Raises subclasses of `hpo.HpoError`.
    """
    _check(trials=trials, workers=workers, lanes=lanes, threads=threads)
    if compile not in ("auto", "on", "off"):
        raise InputError(f'compile must be "auto", "on" or "off", but got {compile!r}')
    spec = _spec(study)
    if trials is not None:
        spec = with_budget(spec, trials=trials)
    place, url = _place(home, storage)
    kept = checkpoints or os.environ.get(environment.CHECKPOINTS)

    from hpo.execution.prestart import prestarted, useful_workers

    many = None if workers == "auto" else useful_workers(workers, spec)
    with prestarted(place, many, spec) as pool:
        import torch

        from hpo.runtime.local_run import run_study

        before = torch.get_num_threads()
        try:
            run_study(
                spec,
                url,
                place,
                progress or (lambda now: None),
                lanes=None if lanes == "auto" else lanes,
                device=device,
                threads=threads,
                compile=compile,
                workers=many,
                checkpoints=kept,
                pool=pool,
            )
        finally:
            torch.set_num_threads(before)  # the caller's other computations keep their number of threads
    found = load(spec.study.name, home=place, storage=storage, checkpoints=checkpoints)
    return replace(found, _given=spec.given)


def load(
    name: str, *, home: PathLike | None = None, storage: str | None = None, checkpoints: str | None = None
) -> Study:
    """Loads a study by its name from the database in `home`, or from the one at the URL `storage`. Nothing is written,
    and the study may be running. `StudyStateError` if there is no study of this name."""
    from hpo.reports.facts import gather

    place, url = _place(home, storage)
    with reading(url) as store:
        facts = gather(store, name)
    kept = checkpoints or os.environ.get(environment.CHECKPOINTS)
    return Study(name=name, home=place, checkpoints=kept, _url=url, _facts=facts)


def compare(
    names: Sequence[str],
    *,
    metric: str | None = None,
    group_by: str | None = None,
    anyway: bool = False,
    home: PathLike | None = None,
    storage: str | None = None,
) -> Comparison:
    """Compares studies of a database with the first of them, as `hpo compare` does: `frame` of the result has a row for
    each. The arguments are the options of the command. `InputError` if the studies do not compare, `StudyStateError` if
    there is no study of a name."""
    from hpo.reports.comparison import table

    if isinstance(names, str) or not names:
        raise InputError(f"names must be the names of at least one study, but got {names!r}")
    with reading(_place(home, storage)[1]) as store:
        return table.compare(store, names, metric=metric, group_by=group_by, anyway=anyway)


def _spec(study: PathLike | Mapping[str, Any] | StudySpec) -> StudySpec:
    if isinstance(study, StudySpec):
        return study
    if isinstance(study, Mapping):
        return parse_tables(study)
    return read_study_file(find_study(os.fspath(study)))


def _place(home: PathLike | None, storage: str | None) -> tuple[Path, str]:
    """The home folder and the database, from the arguments or else the environment, as the commands find them."""
    place = Path(home or os.environ.get(environment.HOME) or "runs")
    return place, url_of(storage or os.environ.get(environment.STORAGE), place)


def _check(**counts: int | str | None) -> None:
    for name, count in counts.items():
        automatic = (None,) if name == "trials" else ("auto",) if name in ("workers", "lanes") else ()
        if count not in automatic and (type(count) is not int or count < 1):
            words = ' or "auto"' if "auto" in automatic else ""
            raise InputError(f"{name} must be a whole number of at least 1{words}, but got {count!r}")
