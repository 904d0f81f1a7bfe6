"""Specs of registered studies: the stored study file, with the epochs and conventions that the database records."""

from __future__ import annotations

from dataclasses import replace

from hpo.registry.studies import StudyRow
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec, with_epochs


def as_begun(spec: StudySpec, known: StudyRow | None) -> StudySpec:
    """The spec with the conventions that the study began with. `known`: its row; None where it has not begun."""
    return spec if known is None else replace(spec, conventions=known.facts.conventions)


def spec_of(row: StudyRow) -> StudySpec:
    """The spec from the stored study file, with the epochs that trials have now and the conventions that the study
    began with. Raises `InputError` where this version of the program cannot read the file."""
    return with_epochs(as_begun(parse_study(row.spec_text, row.spec_source), row), row.trial_epochs)
