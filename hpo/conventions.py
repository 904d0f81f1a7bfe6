"""Conventions: versions of how numbers are computed. A study keeps the convention that it began with, and so do its
checkpoints, its exports and trials that are trained again.

A study records the newest convention when it is registered, and an export records that of its study. Studies and
exports without a record follow the first. To change how a number is computed, add a constant here, raise `NEWEST`, and
ask `conventions >= THE_CONSTANT` where the number is computed.
"""

from __future__ import annotations

FIRST = 1
"""The convention of studies and exports without a record."""
NO_IDLE_BIAS = 2
"""A layer has no bias where the normalisation right after it would subtract it again. Before, it had one, which changed
by rounding errors alone."""
LAST_VALUE_COUNTS = 2
"""With `study.epoch = "last"` the pruners median and percentile judge a trial by its last value; before, by its
best."""
TIED_VALUES_APART = 2
"""Where most examples of a regression have the same target, the split stratifies the other examples in groups of their
own. Before, all examples were one group."""
SCALED_BY_CHANNEL = 3
"""Images and sequences are scaled by one mean and deviation for each channel; before, by one for each pixel or step."""
REPEATS_TOGETHER = 3
"""Rows with exactly the same features are in one part of the split. Before, they were drawn like others, so that models
were validated on rows that they had trained on."""
CONCURRENCY_FOLLOWS_TRIALS = 3
"""Where a study does not say how many trials are in flight, these follow from the trials of a sampler that learns;
before, they were 16."""
TEXTS_ARE_TOKENS = 3
"""Columns of texts become tokens, for a model that takes words. Before, they were left out."""
NAMED_INPUTS = 3
"""The class of a module of the user's own gets the signature of the data by its argument `inputs`. Before, that was an
argument like others."""
LARGE_IMAGES_BY_LANE = 4
"""Convolutions of large images are computed lane by lane, with channels last in memory. Before, those of all lanes were
one operation, which rounds otherwise."""
CNN_TAKES_TEXTS = 4
"""Convolutional networks read texts. Before, texts were left out for them."""
FUNCTIONS_OVER_LANES = 4
"""In modules of the user's own, recurrent layers, attention and dropout by functions are computed for all lanes at
once, with masks from the lane's key. Before, such lanes trained one after the other with PyTorch's own random
numbers."""
PROMOTES = 5
"""Where a study does not name a pruner, its trials pause at rungs and the best go on; before, those below the median
ended."""
OWN_PROCESS = 5
"""The sampler `gp` draws the trials of an ask together, by the order of the trials. Before, it was Optuna's."""
FEWER_IN_FLIGHT = 5
"""Where a study does not say how many trials are in flight, a sampler that learns has at most 8; before, 16."""
OWN_NORMS_MAY_STAND_STILL = 5
"""Batch normalisation that a module of the user's own keeps in evaluation mode has its running averages in training,
too, and keeps them. Before, training took 0 for them, and lost them."""
CALLS_COUNT_UNDRAWN = 5
"""In modules of the user's own, the masks of a call of dropout follow from how many such calls have been before it.
Before, only those counted in which any lane dropped something, so that a lane's masks depended on its neighbours."""
BATCH_FIRST_IS_FUSED = 5
"""In modules of the user's own, GRU and plain recurrent layers are computed for all lanes at once behind other layers,
too, where they take the batch first. Before, such lanes trained one after the other, which rounds otherwise."""
ACTIVATIONS_KEEP_ORDER = 5
"""Behind convolutions of large images, channels stay last in memory whatever the activation. Before, some activations
put them in front, unless the numbers of a batch were a multiple of 64, and so did all lanes of a program if one did."""
CONVOLUTIONS_ARE_NOT_COMPILED = 5
"""On CPUs, the steps of networks with convolutions of images are not compiled, which takes minutes and makes them
slower. Before, they were in long studies. Compiled steps round otherwise."""
WINNERS_ARE_CONFIRMED = 5
"""Where a study does not say which share of the epochs a confirmation of its winner gets (`search.confirm`), it is a
tenth; before, there was none."""
UNUSED_STAY = 6
"""Parameters of a module of the user's own without a gradient, because the pass did not use them, are not updated, as
in PyTorch. Before, optimizers took 0 for it, and weight decay shrank them."""
LEVELS_COUNT = 7
"""Where a trial's value is its best one, trials are compared by their levels, the means of the last thirds of their
values, at rungs, by the samplers `tpe` and `gp`, and in the ranking. Which of them lead, i.e. are confirmed or win,
follows from what similar trials scored, too. Before, trials were compared by their best values, which are the luckiest
ones, and the first one won."""
NEWEST = 7

KEY = "conventions"
"""Where the configuration of a trial, which an export contains, notes them."""
