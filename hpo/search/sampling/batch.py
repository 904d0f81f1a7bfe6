"""Drawing the values of the trials of one ask: one trial after the other with Optuna's samplers, or all with one model.

The values of a trial depend on the study's seed, the trial's number and the trials that the search knows. They do not
depend on earlier draws, on the process, or on whether the study was continued in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hpo.search import enqueued
from hpo.search.pruning.promotion import Promotion
from hpo.search.sampling.edited import unedited
from hpo.seeds import sampler_seed
from hpo.space import Suggest
from hpo.space.distributions import on_grid


class Sampling(Protocol):
    """How the trials of a study are drawn."""

    def draws(self, trials: Sequence[FrozenTrial]) -> Iterator[Suggest]:
        """Yields for each running trial, in this order, the function that draws its values and stores them.

        All values of a trial are drawn before the next trial's function is requested. A value that a trial already has
        is returned unchanged.
        """


class OneByOne:
    """Draws each trial with a sampler of its own, made for its number."""

    def __init__(self, study: Study, sampler_of: Callable[[int], BaseSampler]) -> None:
        self.study = study
        self.sampler_of = sampler_of

    def draws(self, trials: Sequence[FrozenTrial]) -> Iterator[Suggest]:
        for frozen in trials:
            self.study.sampler = OnGrid(self.sampler_of(frozen.number))
            # As Study.ask does: samplers read the trials from this cache, which would be outdated.
            self.study._thread_local.cached_all_trials = None
            yield partial(_suggest, Trial(self.study, frozen._trial_id))


class OnGrid(BaseSampler):
    """A sampler whose values on a grid of steps are rounded as a person would write them."""

    def __init__(self, sampler: BaseSampler) -> None:
        self.sampler = sampler

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        drawn = self.sampler.sample_relative(study, trial, search_space)
        return {name: on_grid(search_space[name], value) for name, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = self.sampler.sample_independent(study, trial, param_name, param_distribution)
        return on_grid(param_distribution, value)


class Batch(Protocol):
    """Draws for the trials of one ask."""

    def group(self, number: int, name: str) -> Mapping[str, Any]:
        """Values of all parameters of a trial that are drawn together with this one."""

    def drawn(self, params: Mapping[str, Any]) -> None:
        """Notes what a trial has got, before the next one is drawn."""


class Model(Protocol):
    """What draws the trials of an ask together."""

    @property
    def group_of(self) -> Mapping[str, int]:
        """The parameters that it draws, each with the number of those that it draws together."""

    def batch(
        self,
        observed: Sequence[FrozenTrial],
        running: Sequence[FrozenTrial],
        numbers: Sequence[int],
        ranks: Mapping[int, int] | None = None,
    ) -> Batch:
        """A batch for the trials of these numbers. `ranks`: of the observed trials by number, 0 for the best, where
        their values do not say it."""


class AtOnce:
    """Draws all trials of an ask with one model; at random until there are enough ended trials."""

    def __init__(
        self, study: Study, model: Model, *, seed: int, startup_trials: int, promotion: Promotion | None = None
    ) -> None:
        """`promotion`: by which trials that pause are compared; None where none pause."""
        self.study = study
        self.promotion = promotion
        self.model = model
        self.seed = seed
        self.startup_trials = startup_trials

    def draws(self, trials: Sequence[FrozenTrial]) -> Iterator[Suggest]:
        numbers = [trial.number for trial in trials]
        observed, ranks = self._observed()
        known = {*numbers, *(trial.number for trial in observed)}
        others = [trial for trial in self._read(TrialState.RUNNING) if trial.number not in known]
        batch = self.model.batch(observed, others, numbers, ranks)
        modelled = len(observed) >= self.startup_trials
        for trial in trials:
            random = RandomSampler(sampler_seed(self.seed, trial.number))
            values, fixed = dict(trial.params), enqueued.given(trial)
            together: dict[str, Any] = {}

            def draw(
                name: str,
                distribution: BaseDistribution,
                trial: FrozenTrial = trial,
                random: RandomSampler = random,
                values: dict[str, Any] = values,
                fixed: dict[str, Any] = fixed,
                together: dict[str, Any] = together,
            ) -> Any:
                if name in values:
                    return values[name]
                if name in fixed:
                    value = enqueued.plain(distribution, fixed[name])
                elif not modelled or name not in self.model.group_of:
                    value = random.sample_independent(self.study, trial, name, distribution)
                else:
                    if name not in together:
                        together.update(batch.group(trial.number, name))
                    value = together[name]
                value = on_grid(distribution, value)
                internal = distribution.to_internal_repr(value)
                self.study._storage.set_trial_param(trial._trial_id, name, internal, distribution)
                values[name] = value
                return value

            yield draw
            batch.drawn(values)

    def _observed(self) -> tuple[list[FrozenTrial], Mapping[int, int] | None]:
        """Trials to learn from. Where trials pause, these are all that have arrived at the first rung, also running
        ones, and their ranks by number; else those that have ended."""
        if self.promotion is None:
            return self._read(TrialState.COMPLETE, TrialState.PRUNED), None
        storage = unedited(self.study._storage)
        self.promotion.read(storage.get_all_trials(self.study._study_id, deepcopy=False))
        ranks = self.promotion.ranks()
        return [trial for trial in self._read(*TrialState) if trial.number in ranks], ranks

    def _read(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study._storage.get_all_trials(self.study._study_id, deepcopy=False, states=states)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if name in trial._fixed_params:  # of an enqueued trial
        trial._fixed_params[name] = on_grid(distribution, trial._fixed_params[name])
    match distribution:
        case FloatDistribution():
            return trial.suggest_float(
                name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        case IntDistribution():
            return trial.suggest_int(
                name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
    raise AssertionError(f"unknown distribution {distribution}")
