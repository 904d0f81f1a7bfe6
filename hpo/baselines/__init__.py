"""Baselines: what simple models from scikit-learn score on the same parts of the data as a study's trials.

`models` has the models, `inputs` what they take of the prepared rows, `folds` fits one on a fold, `scores` scores them
by the metrics of trials. No database: `hpo.runtime.winner` has them fitted once, when all trials have ended, and notes
them with the winner.
"""
