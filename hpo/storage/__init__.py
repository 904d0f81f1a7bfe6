"""The database: Optuna's tables written by a storage of our own, our tables beside them, and their migrations."""
