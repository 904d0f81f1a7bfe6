"""Optuna's storage contract over Optuna's own tables, with transactions, and the rows of ours that belong to trials."""
