"""Facts that the search keeps with each trial as attributes of Optuna, one module for each: what was seen, how long it
was to be, what it began with, what its weights are like."""
