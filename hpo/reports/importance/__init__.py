"""What mattered: how much of the differences between trials each searched parameter explains, by itself and in pairs.

`standing` compares trials of unequal length, `effects` and `pairs` estimate what parameters explain, `heat` and
`isolation` are what is drawn of it. No plotting. docs/importances.md is for readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpo.reports.importance.heat import HeatMap, heat_map
from hpo.reports.importance.isolation import Isolation, isolation
from hpo.reports.importance.standing import tiers
from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.importance.effects import Explained
    from hpo.reports.trials import TrialRow

FEWEST_FINISHED = 10
"""Finished trials, or such as paused at a rung, below which no importance is stated."""
MOST_ISOLATED = 6
"""Isolation plots where the study file names no scientific parameters."""
CHANCE = 0.05
"""Probability below which a parameter is said to have an effect, over all parameters (Bonferroni)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """What the study file says its parameters are for."""

    scientific: tuple[str, ...] = ()
    """Those whose effect the study is to measure."""
    nuisance: tuple[str, ...] = ()
    """Those that are only optimised over."""
    fixed: tuple[str, ...] = ()
    """Those that are held at the winner's values."""

    def of(self, name: str) -> str:
        """`scientific`, `nuisance`, `fixed`, or empty."""
        return next((role for role in ("scientific", "nuisance", "fixed") if name in getattr(self, role)), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """What one parameter, or two together, explain of the variance of trials' standings."""

    names: tuple[str, ...]
    """One parameter, or two: then what they explain beyond what each does by itself."""
    share: float
    low: float
    high: float
    """Bounds of the 95 % interval."""
    chance: float
    """Probability that as much would be found if there were no effect."""
    trials: int
    """Trials that have the parameter, or both."""
    applies_to: float
    """The same as a share of the trials that were considered."""

    @property
    def name(self) -> str:
        """The parameter, or both."""
        return " x ".join(self.names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Importances:
    """What mattered in a study, and how to read it."""

    rows: tuple[Importance, ...] = ()
    """By parameter, largest share first. Empty where importances cannot be stated."""
    pairs: tuple[Importance, ...] = ()
    """Of pairs that stand out from chance, largest share first."""
    heat_maps: tuple[HeatMap, ...] = ()
    """Of these pairs, in the same order."""
    isolations: tuple[Isolation, ...] = ()
    """Of the scientific parameters, or of those that explain most."""
    roles: Roles = Roles()
    note: str
    """How to read the shares, or why there are none."""
    trials: int = 0
    """Trials that were considered."""

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """(parameter, share)."""
        return tuple((row.name, row.share) for row in self.rows)

    @property
    def order(self) -> list[str]:
        """The parameters in the order in which they are shown: scientific ones as the study file has them, then by
        importance, nuisance and fixed ones last."""
        places = {"scientific": 0, "": 1, "nuisance": 2, "fixed": 3}
        named = [*self.roles.scientific, *(row.name for row in self.rows)]
        return sorted(dict.fromkeys(named), key=lambda name: places[self.roles.of(name)])


def compute_importances(
    trials: Sequence[TrialRow],
    minimized: bool,
    *,
    last: bool = False,
    best_first: Sequence[TrialRow] = (),
    error: float = 0.0,
    roles: Roles = Roles(),
) -> Importances:
    """What mattered among a study's trials. `last`: a trial's value is that of its last epoch; `best_first`: its
    finished trials, the winner first; `error`: standard error of a trial's value, 0 where it is unknown."""
    order = tiers(trials, minimized=minimized, last=last)
    considered = [trial for tier in order for trial in tier]
    finished = sum(trial.state == "COMPLETE" or trial.ended.paused for trial in considered)
    if finished < FEWEST_FINISHED:
        return _untold(f"they need at least {FEWEST_FINISHED} finished trials, and this study has {finished}", roles)
    if len(order) < 2:
        return _untold("all trials have the same value, so nothing sets them apart", roles)

    from hpo.reports.importance import effects
    from hpo.reports.importance.pairs import MOST_PARAMETERS, pairs_of

    standing = effects.standings([len(tier) for tier in order])
    names = sorted({name for trial in considered for name in trial.params})
    blocks = [block for block in (effects.block(considered, name) for name in names) if block]
    if not blocks:
        return _untold("no parameter was varied over enough trials", roles)
    fit = effects.fit(blocks, standing)
    resampled = fit.resampled()
    rows = [
        _row((block.name,), effects.explained(fit, index, resampled), block.count, len(considered))
        for index, block in enumerate(blocks)
    ]
    rows.sort(key=lambda row: (-row.share, row.chance, row.name))
    leading = [row.name for row in rows][:MOST_PARAMETERS]
    pairs = pairs_of(considered, fit, leading, resampled)
    by_number = {trial.number: float(one) for trial, one in zip(considered, standing, strict=True)}
    result = Importances(
        rows=tuple(rows),
        pairs=tuple(_row(pair.names, pair.explained, pair.trials, len(considered)) for pair in pairs),
        heat_maps=tuple(heat_map(considered, by_number, *pair.names) for pair in pairs),
        roles=roles,
        note=_note(rows, len(considered), finished),
        trials=len(considered),
    )
    return replace(result, isolations=_isolated(result, best_first, minimized, error))


def _untold(reason: str, roles: Roles) -> Importances:
    return Importances(note=f"Importances cannot be told: {reason}.", roles=roles)


def _row(names: tuple[str, ...], explained: Explained, trials: int, considered: int) -> Importance:
    return Importance(
        names=names,
        share=explained.share,
        low=explained.low,
        high=explained.high,
        chance=explained.chance,
        trials=trials,
        applies_to=trials / considered,
    )


def _note(rows: Sequence[Importance], considered: int, finished: int) -> str:
    """How to read the rows."""
    sure = [row for row in rows if row.chance * len(rows) <= CHANCE]
    early = considered - finished
    fairly = f"; {plural(early, 'trial')} that ended early stand where they stood then" if early else ""
    return (
        f"Share of the differences between {plural(considered, 'trial')} that each parameter explains by itself, with "
        f"95 % intervals{fairly}. A parameter that only some trials have is measured among these, and the choice that "
        "gives it to them counts by itself. "
        + ("" if sure else "No parameter by itself explains more than chance would; more trials may tell. ")
        + "A parameter that was hardly varied explains little."
    )


def _isolated(
    found: Importances, best_first: Sequence[TrialRow], minimized: bool, error: float
) -> tuple[Isolation, ...]:
    """The isolation plots of the scientific parameters, or of those that explain most."""
    if not best_first:
        return ()
    roles = found.roles
    names = roles.scientific or [name for name in found.order if not roles.of(name)][:MOST_ISOLATED]
    held = {name: best_first[0].params.get(name) for name in roles.fixed}
    plots = (isolation(best_first, name, minimized=minimized, error=error, held=held) for name in names)
    return tuple(plot for plot in plots if plot)
