"""Which examples are for training, validation and testing: drawn in strata, verified, or given by the data."""
