"""Studies in the formats of experiment trackers: one module for each tracker.

Every tracker gets the same runs from `runs`, one per trial: what was drawn, the curves of its metrics, how it ended.
"""
