"""Recurrent layers of K lanes, forward and back, step by step. The plain layer is in `hpo.models.layers.recurrent`."""
