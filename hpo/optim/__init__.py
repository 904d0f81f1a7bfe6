"""Optimization: update rules, learning-rate schedules, penalties and bounds.

All functions act on stacked lanes or on the numbers of one lane. No models, no data and no loops over epochs.
"""
