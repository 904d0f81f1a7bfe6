"""The search: which configuration to try next and when to stop a trial. Knows Optuna, sees no tensor.

`objective` turns a trial's curve into its value, `samplers` and `pruners` are the strategies by name, `searcher`
asks, reports, decides and tells.
"""
