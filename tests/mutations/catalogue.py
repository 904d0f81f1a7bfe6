"""The kinds of input that are tried."""

from __future__ import annotations

from tests.mutations.caches import CACHES
from tests.mutations.checkpoints import CHECKPOINTS
from tests.mutations.databases import DATABASES
from tests.mutations.exports import EXPORTS
from tests.mutations.formats import FORMATS
from tests.mutations.kinds import Kind
from tests.mutations.requests import REQUESTS
from tests.mutations.study_files import STUDY_FILES
from tests.mutations.tables import TABLES

KINDS: tuple[Kind, ...] = (STUDY_FILES, TABLES, FORMATS, DATABASES, EXPORTS, CHECKPOINTS, REQUESTS, CACHES)
