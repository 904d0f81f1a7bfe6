"""Training: many trials as lanes of one tensor program. It imports no Optuna and no database.

`randomness` gives every lane its own random numbers; `layout`, `layers` and `program` turn K plain modules into one
program; `cohort` trains its lanes epoch by epoch; `trainer` adds and removes lanes; `metrics` scores them; `packing`
turns their state into bytes.
"""
