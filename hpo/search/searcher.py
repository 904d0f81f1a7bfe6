"""The searcher: asks for configurations, stores reports, decides, and tells how trials ended.

It works on an Optuna study in any storage. It is called between the epochs of the trials in flight, in the order of
trial numbers, so that what an ask or a decision knows does not depend on timing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo import endings, ranking, space
from hpo.attributes import lengths, seen
from hpo.attributes.lengths import Former
from hpo.attributes.starts import Start
from hpo.conventions import LEVELS_COUNT
from hpo.endings import Ended, Ending, Spent
from hpo.errors import InputError
from hpo.search import objective
from hpo.search.expectation import expected_scores
from hpo.search.pruning.by_name import promotion_of, pruner_for
from hpo.search.pruning.first_objective import by_first_objective
from hpo.search.queue import Queue, TrialStore
from hpo.search.sampling.by_name import sampling_for
from hpo.search.sampling.edited import present_trials_of
from hpo.space.present import PresentTrials
from hpo.studyfile import edits
from hpo.studyfile.records import TrialConfig
from hpo.studyfile.study import LEARNING, StudySpec, trial_epochs, with_epochs

logging.getLogger("optuna").setLevel(logging.WARNING)
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A trial to train."""

    number: int
    trial_id: int
    config: TrialConfig | None
    """None where the drawn values contradict each other; `error` has the reason."""
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether a trial continues or ends."""

    ended: Ended | None
    """Why it ends; None to continue."""
    state: TrialState
    """RUNNING, PRUNED or COMPLETE."""


CONTINUE = Decision(ended=None, state=TrialState.RUNNING)


class Searcher:
    """The search of one study."""

    def __init__(
        self,
        spec: StudySpec,
        storage: BaseStorage,
        trials: TrialStore,
        study_id: int,
        *,
        earlier: Sequence[StudySpec] = (),
        starts: Sequence[Start] = (),
    ) -> None:
        """`storage`: shows only the trials of this program. `earlier`: the versions of an edited study's file before
        `spec`. `starts`: configurations of its first trials."""
        self.spec = spec
        self.versions = (*earlier, spec)
        """By the number of the edit that made it."""
        self.parameters = space.parameters(spec)
        self.storage = storage
        self.trials = trials
        self.study_id = study_id
        self.queue = Queue(spec.study.name, storage, trials, study_id, self.parameters, starts)
        self.epochs = trial_epochs(spec)
        """Epochs of each trial."""
        name = spec.study.name
        self.study = optuna.load_study(study_name=name, storage=storage, pruner=pruner_for(spec, self.epochs))
        self.judged = by_first_objective(self.study)
        """The study as its pruner sees it."""
        self.promotion = promotion_of(spec, self.all_trials())
        sampled = self.study
        if earlier:
            seen = present_trials_of(storage, PresentTrials(self.versions), whole=spec.sampler.name != "tpe")
            sampled = optuna.load_study(study_name=name, storage=seen)
        self.sampling = sampling_for(spec, sampled, self.promotion)

    def all_trials(self) -> list[FrozenTrial]:
        """All trials of the study that are this program's own, by number."""
        return self.storage.get_all_trials(self.study_id, deepcopy=False)

    def running(self, only: Collection[int] | None = None) -> list[Asked]:
        """Running trials, e.g. those of a process that was killed, with their configurations. `only`: only trials with
        these ids."""
        wanted = None if only is None else set(only)
        found = [
            t for t in self.all_trials() if t.state == TrialState.RUNNING and (wanted is None or t._trial_id in wanted)
        ]
        present = {asked.number: asked for asked in self._draw([t for t in found if self._version(t) is self.spec])}
        return [present[t.number] if t.number in present else self._begun(t) for t in found]

    def _begun(self, trial: FrozenTrial) -> Asked:
        """A running trial with the configuration that it began with, and as many epochs as trials have now."""
        config, error = None, None
        try:
            config = space.config_of(with_epochs(self._version(trial), self.epochs), trial.params)
        except InputError as found:
            error = str(found)
        return Asked(number=trial.number, trial_id=trial._trial_id, config=config, error=error)

    def _version(self, trial: FrozenTrial) -> StudySpec:
        """The study file that the trial began with."""
        return self.versions[edits.number_of(trial.system_attrs, len(self.versions))]

    def ask(self, count: int) -> list[Asked]:
        """New trials with their configurations; enqueued trials are taken first, by number, then come the starts."""
        if count <= 0:
            return []
        known = seen.note(self.all_trials()) if self.spec.at_own_pace and self.spec.sampler.name in LEARNING else {}
        taken = self.queue.take(count)
        new = self.trials.create_trials(self.study_id, count - len(taken))
        self.queue.give_starts(new, self.all_trials)
        ids = [*taken, *new]
        for trial_id in ids if known else ():
            self.storage.set_trial_system_attr(trial_id, seen.key(), known)
        for trial_id in ids if self.spec.edit else ():
            self.storage.set_trial_system_attr(trial_id, edits.ATTRIBUTE, self.spec.edit)
        return self._draw([self.storage.get_trial(trial_id) for trial_id in ids])

    def config(self, trial: FrozenTrial) -> TrialConfig:
        """The configuration of an ended trial; it may have had fewer epochs than trials have now."""
        return space.config_of(self.spec_of(trial), trial.params)

    def spec_of(self, trial: FrozenTrial) -> StudySpec:
        """The spec with the epochs that an ended trial had."""
        pairs = trial.system_attrs.get(lengths.ATTRIBUTE, ())
        epochs = pairs[-1][1] if lengths.is_open(pairs) else self.epochs
        return with_epochs(self._version(trial), epochs)

    def former(self, trial: FrozenTrial) -> Former:
        """The numbers of epochs that a trial was to have at earlier times."""
        return lengths.closed(trial.system_attrs.get(lengths.ATTRIBUTE, ()), len(trial.intermediate_values))

    def note_length(self, trial_id: int) -> None:
        """Records that a running trial continues with as many epochs as trials have now."""
        trial = self.storage.get_trial(trial_id)
        pairs = trial.system_attrs.get(lengths.ATTRIBUTE, ())
        if lengths.is_open(pairs):
            now = lengths.closed(pairs, len(trial.intermediate_values))
            self.storage.set_trial_system_attr(trial_id, lengths.ATTRIBUTE, now)

    def curve(self, trial_id: int) -> list[float]:
        """Intermediate values so far, epoch 1 first."""
        return curve_of(self.storage.get_trial(trial_id))

    def report(self, trial_id: int, epoch: int, raw: float) -> None:
        """Stores the objective of an epoch, smoothed and rounded as the study says."""
        value = objective.next_value(self.spec.study, raw, self.curve(trial_id))
        self.storage.set_trial_intermediate_value(trial_id, epoch, value)

    def decide(self, trial_id: int, config: TrialConfig) -> Decision:
        """Whether a trial continues after the epoch just reported."""
        trial = self.storage.get_trial(trial_id)
        epoch = len(trial.intermediate_values)
        if epoch >= config.training.epochs:
            return Decision(ended=Ended(why=Ending.FINISHED), state=TrialState.COMPLETE)
        if objective.stops_early(self.spec.study, config.training.early_stopping, self.curve(trial_id)):
            return Decision(ended=Ended(why=Ending.STOPPED_EARLY, epoch=epoch), state=TrialState.COMPLETE)
        if self.spec.at_own_pace and self.spec.pruner.name != "none":
            self.storage.set_trial_system_attr(trial_id, seen.key(epoch), seen.note(self.all_trials()))
        if self._pauses(trial) or self.judged.pruner.prune(self.judged, trial):
            ended = Ended(why=Ending.PRUNED, detail=self.spec.pruner.name, epoch=epoch)
            return Decision(ended=ended, state=TrialState.PRUNED)
        return CONTINUE

    def _pauses(self, trial: FrozenTrial) -> bool:
        """Whether a trial pauses at a rung; one that had finished before it got more epochs does not."""
        if self.promotion is None or len(trial.intermediate_values) not in self.promotion.rungs:
            return False
        if endings.FINISHED_BEFORE in trial.system_attrs:
            return False
        self.promotion.read(self.all_trials())
        return not self.promotion.goes_on(trial)

    def promotable(self, *, last: bool) -> list[FrozenTrial]:
        """Paused trials that may go on, the first one first. `last`: no more trials will begin."""
        if self.promotion is None:
            return []
        self.promotion.read(self.all_trials())
        return self.promotion.promotable(last=last)

    def paused(self) -> list[FrozenTrial]:
        """Paused trials that are likely to go on: at each rung as many as may be in flight, the best first."""
        if self.promotion is None:
            return []
        self.promotion.read(self.all_trials())
        return self.promotion.kept(most=self.spec.concurrency)

    def cut(self, trial_id: int, spent: Spent) -> Decision:
        """How a trial ends whose study has spent a budget: as finished if it had finished before and was continued,
        else as pruned."""
        trial = self.storage.get_trial(trial_id)
        finished = endings.FINISHED_BEFORE in trial.system_attrs
        return Decision(
            ended=Ended(why=Ending.BUDGET, detail=spent, epoch=len(trial.intermediate_values)),
            state=TrialState.COMPLETE if finished else TrialState.PRUNED,
        )

    def tell(
        self, trial_id: int, state: TrialState, ended: Ended, facts: dict[str, Any], further: Sequence[float] = ()
    ) -> None:
        """Ends a trial with its value (of its best or last epoch), the reason and facts for people. `further`: its
        values of the objectives after the first."""
        curve = self.curve(trial_id)
        value = None if state == TrialState.FAIL else objective.trial_value(self.spec.study, curve)
        about = {**ended.attributes(), "epochs": len(curve), **facts}
        if curve:
            about["best_epoch"] = objective.best_epoch(self.spec.study, curve)
        ranked = self.spec.levels and len(self.spec.study.objectives) == 1
        if ranked or ranking.LEVEL in self.storage.get_trial(trial_id).user_attrs:  # which another program gave it
            about[ranking.LEVEL] = objective.level(curve) if ranked and curve else None
        for key, fact in about.items():
            self.storage.set_trial_user_attr(trial_id, key, fact)
        self.storage.set_trial_state_values(trial_id, state, None if value is None else [value, *further])

    def ranking(self) -> list[FrozenTrial]:
        """Ended trials with finite values: finished before pruned ones, the best first; see `hpo.ranking`."""
        directions = self.spec.study.directions
        ended = [
            t
            for t in self.all_trials()
            if t.state in (TrialState.COMPLETE, TrialState.PRUNED) and ranking.is_whole(t.values or (), directions)
        ]

        def place(t: FrozenTrial) -> tuple[bool, tuple[float, ...]]:
            return t.state != TrialState.COMPLETE, ranking.key_of(t, directions)

        return sorted(ended, key=place)

    def leading(self) -> list[FrozenTrial]:
        """Finished trials with finite values, that first which is expected to score best if it is trained again, see
        `hpo.search.expectation`; in the order of `ranking` in an edited study, and with several objectives."""
        finished = [trial for trial in self.ranking() if trial.state == TrialState.COMPLETE]
        study = self.spec.study
        if self.spec.conventions < LEVELS_COUNT or self.spec.edit or len(study.objectives) > 1:
            return finished
        trials = [t for t in self.all_trials() if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        ranks = None
        if self.promotion is not None:
            self.promotion.read(self.all_trials())
            ranks = self.promotion.ranks()
            trials = [trial for trial in trials if trial.number in ranks]
        expected = expected_scores(self.parameters, trials, maximize=not study.minimized, ranks=ranks)
        return sorted(finished, key=lambda trial: -expected.get(trial.number, -math.inf))

    def front(self) -> tuple[int, ...]:
        """Numbers of the finished trials on the Pareto front, see `hpo.ranking`; with one objective, of the best."""
        values = {t.number: t.values for t in self.ranking() if t.state == TrialState.COMPLETE}
        return ranking.pareto_front(values, self.spec.study.directions)

    def _draw(self, trials: Sequence[FrozenTrial]) -> list[Asked]:
        """The configurations of trials; missing values are drawn."""
        asked = []
        for trial, suggest in zip(trials, self.sampling.draws(trials), strict=True):
            config, error = None, None
            try:
                config = space.draw(self.spec, suggest)
            except InputError as found:
                error = str(found)
            asked.append(Asked(number=trial.number, trial_id=trial._trial_id, config=config, error=error))
        return asked


def curve_of(trial: FrozenTrial) -> list[float]:
    """A trial's intermediate values so far, epoch 1 first."""
    return [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)]
