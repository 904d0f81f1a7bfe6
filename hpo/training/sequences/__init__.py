"""Layers over the steps of sequences for K lanes. What lies behind a sequence's end changes nothing."""
