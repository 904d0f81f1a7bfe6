"""Data larger than memory, `data.stream = true`: read from their files in portions, prepared once, kept on disk.

`reading` opens a file as a `Dataset` whose numbers are memory-mapped, `parquet` copies a table of Parquet into such a
file, `prepared` writes the rows as models take them, and `mapped` goes through them in portions. Whatever has an entry
for each example (target, parts, hashes) is in memory; no more than a portion of the numbers is.
"""
