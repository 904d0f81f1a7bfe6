"""What mattered, with places and shades from 0 to 1 for the bars, dots and heat maps of the page. Computes no facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport
    from hpo.reports.importance.heat import HeatMap
    from hpo.reports.importance.isolation import Isolation

SHADES = 5
"""Colours of heat maps; the mean standings from FAINTEST to STRONGEST are divided among them."""
FAINTEST, STRONGEST = 0.2, 0.8


def most(report: StudyReport) -> float:
    """The share at the end of the bars."""
    found = report.importances
    return max((row.high for row in (*found.rows, *found.pairs)), default=1.0) or 1.0


def importance_rows(report: StudyReport) -> list[tuple[str, list[dict[str, Any]]]]:
    """(heading, rows) of the table of importances: parameters, then pairs."""
    found, scale = report.importances, most(report)

    def rows(of: Any) -> list[dict[str, Any]]:
        return [
            {
                **{key: getattr(row, key) for key in ("names", "share", "low", "high", "trials", "applies_to")},
                "role": found.roles.of(row.name),
                "at": {key: round(getattr(row, key) / scale, 4) for key in ("share", "low", "high")},
            }
            for row in of
        ]

    groups = [("", rows(found.rows)), ("Two together, beyond what each does by itself", rows(found.pairs))]
    return [(heading, of) for heading, of in groups if of]


def heat_table(heat: HeatMap) -> dict[str, Any]:
    """The heat map with a shade for each cell."""

    def shaded(cell: Any) -> dict[str, Any]:
        place = ((cell.standing or 0.0) - FAINTEST) / (STRONGEST - FAINTEST)
        return {
            "trials": cell.trials,
            "standing": cell.standing,
            "shade": 1 + min(SHADES - 1, max(0, int(SHADES * place))),
        }

    lines = [(label, list(map(shaded, row))) for label, row in zip(heat.rows, heat.cells, strict=True)]
    return {"names": heat.names, "columns": heat.columns, "lines": lines}


def isolation_plot(plot: Isolation) -> dict[str, Any]:
    """The isolation plot with the places of its dots and intervals."""
    low = min(value.low for value in plot.values if value.low is not None)
    high = max(value.high for value in plot.values if value.high is not None)
    reach = (high - low) or 1.0
    values = [
        {
            **{key: getattr(value, key) for key in ("label", "trials", "number", "best", "low", "high")},
            "at": {key: round((getattr(value, key) - low) / reach, 4) for key in ("best", "low", "high")}
            if value.trials
            else None,
        }
        for value in plot.values
    ]
    return {"name": plot.name, "low": low, "high": high, "lines": values}
