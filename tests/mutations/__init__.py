"""Damaged inputs of each kind that the program reads, made from fixed seeds: each must be answered in a sentence.

`runner` tries them in processes with limits; every other module here makes the inputs of one kind.
"""
