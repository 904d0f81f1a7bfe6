"""Optimization: update rules, learning-rate schedules, penalties and bounds.

All functions act on stacked lanes or on one lane's plain numbers; no models, no data, no loops over epochs here.
"""
