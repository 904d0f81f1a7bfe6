"""The Git commit of a study's project, which is noted when the study is made. Changes nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SECONDS = 5.0
"""Longest time that Git may take; a study does not wait for it longer."""


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out in the repository of a folder, and whether files that it has are changed; None
    where there is no repository, no commit, or no Git."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    head = _git(folder, "rev-parse", "--verify", "HEAD")
    if not head:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head}, with changes that are not committed" if changed else head


def _git(folder: Path, *arguments: str) -> str | None:
    # A repository's own settings may name programs for Git to run: none is needed here.
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(command, capture_output=True, env=quiet, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
