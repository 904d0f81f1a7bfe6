"""The search: which configurations to try next and when to stop a trial. Uses Optuna, and no tensors.

`searcher` asks, reports, decides and tells. `objective` turns a trial's curve into its value; `samplers` and `pruners`
list the strategies by name. `sampling` draws the trials of an ask. Our TPE is in `tpe`, its observations in `history`,
and its densities in `parzen`.
"""
