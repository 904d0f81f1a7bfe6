"""Comparison of studies: which may be compared, how sure a difference is, the table and the page. Trains nothing."""
