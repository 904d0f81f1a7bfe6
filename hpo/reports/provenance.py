"""Where a study's results come from: all that is needed to repeat it, and to see whether that is the same study.
Computes nothing, formats nothing but the names of what was noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.attributes.starts import in_words
from hpo.paths import run_command, submit_command
from hpo.printable import listed

if TYPE_CHECKING:
    from hpo.registry.studies import StudyRow

VERSIONS = ("hpo", "python", "torch", "numpy", "scikit-learn")
"""Keys of a study's circumstances that are versions, as they are shown."""
COMMIT = "commit"
"""Key of a study's circumstances with the Git commit of its project, see `hpo.runtime.setup.commit`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a study's results come from."""

    command: str
    """Repeats it."""
    source: str
    """Path of the study file, as it was when the study was made."""
    study_file: str
    """Its text."""
    seed: int
    made_with: str
    """Version of this program that the study was made with."""
    versions: Mapping[str, str]
    """Of this program and of libraries, where the study was last run."""
    commit: str | None
    """Git commit of the folder of the study file when the study was made; None where it was in no repository."""
    data: str
    """SHA-256 of the examples."""
    split: str | None
    """SHA-256 of the positions of the examples in all parts; None where it is not recorded, or there are no parts."""
    code: Mapping[str, str]
    """SHA-256 of each file or module of the user's own."""
    machine: Mapping[str, str]
    """The device, the processor and what else is known of where it ran."""
    notes: Mapping[str, str]
    """What else the study noted, by the name that is shown."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """(what, value) for people; the study file itself is not among them."""
        yield "repeated by", self.command
        yield "study file", self.source
        yield "seed", str(self.seed)
        if self.commit:
            yield "Git commit", self.commit
        last = self.versions.get("hpo", self.made_with)
        yield "hpo", self.made_with if last == self.made_with else f"{self.made_with}, last run with {last}"
        yield from ((name, value) for name, value in self.versions.items() if name != "hpo")
        yield "data, SHA-256", self.data
        if self.split:
            yield "split, SHA-256", self.split
        yield from ((f"{name}, SHA-256", digest) for name, digest in self.code.items())
        yield from self.machine.items()
        yield from self.notes.items()


def provenance_of(study: StudyRow) -> Provenance:
    """From a study's row."""
    facts = study.facts
    noted = {key: str(value) for key, value in facts.circumstances.items()}
    command = submit_command if study.submitted_at is not None else run_command
    versions = {name: noted.pop(name) for name in VERSIONS if name in noted}
    commit = noted.pop(COMMIT, None)
    about: dict[str, Any] = {
        "data": noted.pop("dataset", None),
        "examples": facts.examples,
        "test examples": facts.test_examples,
        "models of each trial": facts.replicas,
        "training function": facts.function,
        "compiled training steps": {True: "yes", False: "no"}.get(facts.compiled)
        if facts.compiled is not None
        else None,
        "budget of trials": facts.budget,
        "scored on the test part": _looks(facts.test_looks),
        "repeated rows": facts.repeated or None,
        "first configurations": in_words(facts.starts) or None,
    }
    return Provenance(
        command=command(study.spec_source),
        source=study.spec_source,
        study_file=study.spec_text,
        seed=study.seed,
        made_with=study.hpo_version,
        versions=versions,
        commit=commit,
        data=study.dataset_fingerprint,
        split=facts.split,
        code=facts.sources,
        machine=noted,
        notes={name: str(value) for name, value in about.items() if value is not None},
    )


def _looks(numbers: tuple[int, ...]) -> str | None:
    """`trial 21`, or several in the order in which they were scored."""
    if not numbers:
        return None
    return f"{'trial' if len(numbers) == 1 else 'trials'} {listed(map(str, numbers), 10)}"
