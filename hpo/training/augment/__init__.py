"""Augmentation: random changes to the training batches of many lanes at once, each with strengths of its own.

`plan` makes the changes in a fixed order; every other module holds the changes to one kind of input, each a function
of a `Portion`. What a lane gets is a function of (study seed, trial, replica, epoch, step) alone.
"""
