"""Data sets: the catalogue, CSV files, verified splits, and preprocessing fitted on training data. No torch.

In order: `catalogue.load_dataset`, `splits.split_data`, `prepare.prepare_data`, and for the winner only
`prepare.prepare_test`.
"""
