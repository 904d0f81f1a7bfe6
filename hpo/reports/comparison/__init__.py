"""Comparison of studies: which may be compared, how sure a difference is, and the page. Reads reports; trains nothing."""
