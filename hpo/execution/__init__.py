"""Execution: how the lanes of a tick are trained.

`executor` spreads the trials in flight over shards; a `shard` runs in this process, in a child process
(`child_process`) or on a Ray cluster (`ray_cluster`); `supervised` replaces a shard whose process died. No storage and
no search: which trials train, and when they end, is decided by the caller.
"""
