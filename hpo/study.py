"""Studies from Python code: `run`, `load`, and what a `Study` tells and gives, by the same functions that the commands
call. PyTorch is loaded only by what trains, or needs weights.

Errors are those of `hpo.errors`, which the commands answer with. A run that is interrupted by KeyboardInterrupt has
saved every trial at its last whole epoch, and the same call continues it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hpo import environment
from hpo.errors import InputError
from hpo.paths import DICT
from hpo.storage.open import reading, url_of
from hpo.studyfile.file import find_study, parse_study, read_study
from hpo.studyfile.study import StudySpec, with_budget
from hpo.studyfile.write import text_of

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from hpo.export.source import Trained
    from hpo.reports.facts import StudyReport
    from hpo.runtime.progress import Progress

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
Auto = Literal["auto"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The winner so far."""

    number: int
    """Of the trial."""
    value: float
    """Its objective on the validation part."""
    params: Mapping[str, Any]
    """What was searched, by dotted path."""
    test: Mapping[str, float | None]
    """Metrics on the test part, the mean over its models; an undefined one is None. Empty if it was not scored."""
    test_ensemble: Mapping[str, float | None]
    """Metrics on the test part of what its models answer together; empty where it has one model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A study as its database had it when it was loaded; load it again to see what came since. Reads only."""

    name: str
    home: Path
    """Folder with the checkpoints."""
    checkpoints: str | None = None
    """Where workers keep checkpoints, if not where they noted it."""
    _url: str = field(repr=False)
    _facts: StudyReport = field(repr=False)

    @property
    def text(self) -> str:
        """The study file, which `hpo run` and `hpo submit` take; that of a dict is written for it."""
        return self._facts.spec_text

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, by number, with the columns of `trials.csv`: number, state, value, spread, the searched
        parameters by dotted path, epochs, best_epoch, model_parameters, optimizer_state_bytes, ended."""
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
        facts, winner = self._facts, self._facts.winner
        if winner is None:
            return None
        assert winner.value is not None
        scores = {"test": facts.test, "test_ensemble": facts.test_ensemble}
        return Best(number=winner.number, value=winner.value, params=winner.params, **scores)

    @property
    def summary(self) -> str:
        """The report as Markdown."""
        from hpo.reports.render.markdown import summary

        return summary(self._facts)

    def report(self, folder: PathLike, *, spreadsheet: bool = False) -> Path:
        """Writes the report into a folder, made if missing; the path of its page. `spreadsheet`: no text in its CSV
        files is computed as a formula."""
        from hpo.reports.render.build import write_files

        return write_files(self._facts, Path(folder), spreadsheet=spreadsheet)

    def export(self, folder: PathLike, *, trial: int | None = None, force: bool = False) -> Path:
        """Writes a trial, the best without its number, into a new or empty folder: weights, configuration,
        preprocessing, and the model in plain PyTorch. `force`: an earlier export in it is replaced."""
        from hpo.export import folder as exports

        with reading(self._url) as store:
            place, number = Path(folder), self._number(trial)
            checkpoints = self.checkpoints
            exports.export(
                store, self.home, self.name, place, log.warning, number=number, force=force, place=checkpoints
            )
        return place

    def model(self, *, trial: int | None = None, replica: int = 0) -> nn.Module:
        """The model of a trial, the best without its number, with its weights and in evaluation mode. A study with
        folds or repeats has one for each: `replica` counts them from 0. Weights that are not kept, as
        those of all but the best trials, are trained again, with the same outcome."""
        return self._trained(trial, replica).module(replica)

    def predictor(
        self, *, trial: int | None = None, replica: int = 0
    ) -> tuple[nn.Module, Callable[[pd.DataFrame], Tensor]]:
        """The model, as `model` gives it, and what makes its input of a table: a function that takes a frame with the
        columns that the model was trained on, in any order, and returns [N, *input_shape] for its N rows."""
        trained = self._trained(trial, replica)

        import torch

        from hpo.data.preprocess import features_of_frame

        preprocessing = trained.inputs.prepared.replicas[replica].preprocessing
        return trained.module(replica), lambda frame: torch.from_numpy(features_of_frame(preprocessing, frame))

    def _trained(self, trial: int | None, replica: int) -> Trained:
        from hpo.export.source import find_trial, load_trained

        if not 0 <= replica < self._facts.models:
            raise InputError(
                f"replica must be from 0 to {self._facts.models - 1}, as a trial of {self.name!r} has "
                f"{self._facts.models} of them (one for each fold and repeat), but got {replica!r}"
            )
        with reading(self._url) as store:
            source = find_trial(store, self.name, self._number(trial))
            return load_trained(store, self.home, source, log.warning, place=self.checkpoints)

    def _number(self, trial: int | None) -> int | None:
        """The best trial of the frames, although another may have finished since."""
        return self.best.number if trial is None and self.best else trial


def run(
    study: PathLike | Mapping[str, Any],
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

    `study` is the path of a study file, a name under `studies/`, or a dict with the tables of one; relative paths in a
    dict count from the working directory. `progress` is called with where the study stands, after every epoch or so of
    the trials in training. Other options are those of the command, and so are the environment variables that hold
    without `home`, `storage` or `checkpoints`.
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
    with prestarted(place, many) as pool:
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
            torch.set_num_threads(before)  # what else the process computes is not the study's business
    return load(spec.study.name, home=place, storage=storage, checkpoints=checkpoints)


def load(
    name: str, *, home: PathLike | None = None, storage: str | None = None, checkpoints: str | None = None
) -> Study:
    """A study of the database in `home`, or of the one at the URL `storage`, by its name. Nothing is written, and
    the study may be running. `StudyStateError` if there is none of this name."""
    from hpo.reports.facts import gather

    place, url = _place(home, storage)
    with reading(url) as store:
        facts = gather(store, name)
    kept = checkpoints or os.environ.get(environment.CHECKPOINTS)
    return Study(name=name, home=place, checkpoints=kept, _url=url, _facts=facts)


def _spec(study: PathLike | Mapping[str, Any]) -> StudySpec:
    if isinstance(study, Mapping):
        return parse_study(text_of(study), DICT)
    return read_study(find_study(os.fspath(study)))


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
