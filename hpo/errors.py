"""Every error that a user can cause or encounter, in one tree of classes, with its exit code.

The message is written for the user: it names the place, the value found, the rule and the way out. A bug in this
package raises none of these classes and ends in an ordinary traceback.
"""

from hpo.printable import printable, shortened


class HpoError(Exception):
    """The run failed for a reason outside the program: exit code 1."""

    exit_code = 1

    def __str__(self) -> str:
        """The message, safe to be shown in a terminal, in a log and in a row of the database."""
        return shortened(printable(super().__str__()))


class MachineError(HpoError):
    """The machine or a server refused: a full disk, a read-only folder, an unreachable database."""


class StorageError(MachineError):
    """The database cannot be reached, written or understood. Passwords never appear in the message."""

    def __init__(self, message: str, finding: str | None = None) -> None:
        super().__init__(message)
        self.finding = finding or message
        """The message without the way out, for a log of a program that goes on by itself."""


class StorageUrlError(StorageError):
    """The URL given for the database cannot be used: exit code 2."""

    exit_code = 2


class LostConnectionError(StorageError):
    """The connection to the database was lost. Nothing was written, and trying again may succeed."""


class AwayError(LostConnectionError):
    """The database server does not answer: it cannot be reached, or was unreachable for longer than callers wait."""


class RefusedStatementError(StorageError):
    """The database refused a statement because of its content, e.g. a row that breaks a rule. Trying again is of no
    use."""


class TakenError(HpoError):
    """Another program has taken over the study or the trial that this program was working on."""


class InputError(HpoError):
    """The user's input is wrong: exit code 2, and nothing has been written."""

    exit_code = 2


class StudyFileError(InputError):
    """A study file breaks a rule. The message names the file, the dotted path, the value and what is allowed."""


class DataError(InputError):
    """A data set cannot be used as asked: unknown name, missing target, a class too small to split."""


class FetchError(DataError):
    """The files of a data set cannot be fetched, or not kept: exit code 1. Where they can be fetched, and at another
    time, the data set can be used."""

    exit_code = 1


class StudyStateError(InputError):
    """The study in the database contradicts the request: unknown study, changed file, no finished trial."""


class HopelessError(StudyStateError):
    """The study cannot be ended as it is: whoever tries again fails in the same way, until it is changed."""


class GoneError(StudyStateError, KeyError):
    """A study or trial is not in the database, or no longer. Optuna's storage contract asks for a KeyError."""

    __str__ = Exception.__str__  # a KeyError puts quotes around its message


class Interrupted(HpoError):
    """Ctrl-C or SIGTERM: the state is saved and the message says how to continue. Exit code 130."""

    exit_code = 130
