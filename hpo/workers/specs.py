"""A registered study as what its file said: read again, with what the database says of it beside."""

from __future__ import annotations

from dataclasses import replace

from hpo.conventions import conventions_of
from hpo.spec.file import parse_study
from hpo.spec.study import StudySpec, with_epochs
from hpo.storage.studies import StudyRow


def spec_of(row: StudyRow) -> StudySpec:
    """The study by its file, with the epochs that its trials have now and the conventions that it began with. Raises
    `InputError` where this version of the program cannot read the file."""
    spec = replace(parse_study(row.spec_text, row.spec_source), conventions=conventions_of(row.facts))
    return with_epochs(spec, row.trial_epochs)
