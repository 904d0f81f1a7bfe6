"""Examples: the catalogue, CSV files, verified splits, and preprocessing fitted on training data. No torch.

`catalogue.load_dataset` -> `splits.split` -> `prepare.prepare` -> `prepare.prepare_test` (the winner only).
"""
