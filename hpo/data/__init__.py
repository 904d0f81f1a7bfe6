"""Data sets: the catalogue, files of every format, verified splits, preprocessing fitted on training data. No torch.

In order: `catalogue.load_dataset`, `parts.splits.split_data`, `prepare.prepare_data`, and for the winner only
`prepare.prepare_test`.
"""
