"""What turns gradients into steps: update rules, learning-rate schedules, penalties and bounds.

Everything acts on stacked lanes or on one lane's plain numbers; no models, no data, no loops over epochs here.
"""
