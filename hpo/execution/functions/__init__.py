"""Training functions of the user's own: each trial in a process of its own.

`executor` trains the trials in flight as `hpo.execution.executor` does for lanes. It starts a `server`, a process
that has loaded the user's code once and forks a `process` for each trial. In that process the function is called with a
`trial`. What they say to each other is in `messages`. Server, process and trial load no torch unless the user's code
does.
"""
