"""The search: which configuration to try next and when to stop a trial. Knows Optuna, sees no tensor.

`objective` turns a trial's curve into its value, `samplers` and `pruners` are the strategies by name, `searcher`
asks, reports, decides and tells. `sampling` draws the trials of an ask, with the model of `tpe`, which learns from
`history` by the densities of `parzen`.
"""
