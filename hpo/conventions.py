"""Which conventions a study's numbers follow: where a later version of the program would compute other numbers, a study
goes on as it began, and so do its checkpoints, exports and trials that are trained again.

A study notes the newest convention when it is registered, an export that of its study. Studies and exports of versions
that noted none follow the first. Who changes numbers adds a constant, raises `NEWEST`, and asks
`conventions >= THE_CONSTANT` where the numbers are computed.
"""

from __future__ import annotations

FIRST = 1
"""Of studies and exports that note none."""
NO_IDLE_BIAS = 2
"""A layer has no bias where the normalisation right behind it would subtract it again. Before, it had one, which moved
by rounding alone."""
LAST_VALUE_COUNTS = 2
"""With `study.epoch = "last"` the pruners median and percentile judge a trial by its last value; before, by its
best."""
TIED_VALUES_APART = 2
"""Where one value holds most of a regression target, the split keeps the others in groups of their own. Before, all
examples were one group there."""
NEWEST = 2

KEY = "conventions"
"""Where the configuration of a trial, which an export contains, notes them."""
