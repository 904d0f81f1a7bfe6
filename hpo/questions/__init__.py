"""Questions: what is varied, what is searched beside it, and the rule by which the answer is judged, in one file.

A question file is read (`file`), its studies are run (`run`), figures are taken from them (`measures`), effects are
computed (`formula`) and judged by the rule of the file (`verdict`). `answer` holds what came out; `page` and `figure`
show it.
"""
