"""Every error a user can cause or meet, in one tree, with the exit code the command line answers with.

The message is written for the user: it names the place, what was found, the rule, and the way out.
A bug in this package is none of these: it surfaces as an ordinary traceback.
"""

from hpo.printable import printable, shortened


class HpoError(Exception):
    """The run failed for a reason outside the program: exit code 1."""

    exit_code = 1

    def __str__(self) -> str:
        """The message, fit to be shown wherever it ends up: a terminal, a log, a row of the database."""
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
    """What was given as the database's URL is none that can be used: exit code 2."""

    exit_code = 2


class LostConnectionError(StorageError):
    """The connection to the database was lost. What was being written was not, and to try again helps."""


class AwayError(LostConnectionError):
    """The database server does not answer: it is not there, or was away for longer than anyone waits for it."""


class RefusedStatementError(StorageError):
    """The database refused a statement for what it says, e.g. a row that breaks a rule: to try again is no use."""


class TakenError(HpoError):
    """Another program has taken what this one was working on: the study, or a trial of it."""


class InputError(HpoError):
    """What the user gave is wrong: exit code 2, and nothing has been written."""

    exit_code = 2


class StudyFileError(InputError):
    """A study file breaks a rule. The message names the file, the dotted path, the value and what is allowed."""


class DataError(InputError):
    """A data set cannot be used as asked: unknown name, missing target, a class too small to split."""


class StudyStateError(InputError):
    """The study in the database contradicts the request: unknown study, changed file, no finished trial."""


class GoneError(StudyStateError, KeyError):
    """A study or trial is not in the database, e.g. not any more. Optuna's contract asks for a KeyError."""

    __str__ = Exception.__str__  # a KeyError puts quotes around its message


class Interrupted(HpoError):
    """Ctrl-C or SIGTERM: the state is saved and the message says how to continue. Exit code 130."""

    exit_code = 130
