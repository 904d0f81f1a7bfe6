"""Data sets that were read from files, kept below the home folder, so that the next command need not parse them."""
