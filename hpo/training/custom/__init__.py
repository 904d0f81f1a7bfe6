"""Modules of the user's own as lanes of a program."""
