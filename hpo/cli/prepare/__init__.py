"""What one does before a study runs: a first study file, a look at what it will do, named data sets."""
