"""Training: many trials as lanes of one tensor program. Knows no Optuna and no database.

`randomness` gives every lane its own random numbers, `layout` and `stacked` turn K plain modules into one program
(`program`), `cohort` fills and empties its lanes and trains them epoch by epoch, `metrics` scores them,
`checkpoints` keeps their state on disk, `diagnosis` says what went wrong.
"""
