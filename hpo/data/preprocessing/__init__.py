"""Preprocessing: turns features into the float32 input of a network, with statistics of the training part alone.

A row of the result has the inputs of `hpo.signature`. Its values are the numeric features (missing ones filled),
an indicator for each numeric feature with missing values and, unless categories are codes, one column for each
category; a missing or unknown category is all zeros. Targets of a regression are always standardised.

`fit` learns it, `apply` uses it, `fitted` is what was learnt. No splitting, no reading of files.
"""
