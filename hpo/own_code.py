"""Source code of the user's own, a model or a function that gives data: finding its file, loading it, and reporting its
errors.

An error in the user's code becomes an `InputError` that names the module, what happened and where.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from hpo.errors import InputError
from hpo.printable import listed
from hpo.studyfile.custom import Reference
from hpo.studyfile.problems import hint


def source_of(reference: Reference) -> Path:
    """The Python file with the module's code. Raises InputError if there is none."""
    if reference.is_file:
        path = Path(reference.module)
        if not os.path.isfile(path):
            beside = sorted(file.name for file in path.parent.glob("*.py"))
            text = f"there is no file {path}.{hint(path.name, beside)} A path is taken from the study file's folder on"
            raise module_error(reference, text)
        return path
    try:
        found: ModuleSpec | None = importlib.util.find_spec(reference.module)
    except (ImportError, ValueError):
        found = None
    except Exception as error:
        raise module_error(
            reference, f"importing the package of {reference.module} raised {error_line(error)}"
        ) from error
    if found is None:
        way_out = f'Install it beside hpo, or name a file: "FILE.py:{reference.name}"'
        raise module_error(reference, f"no module {reference.module} can be imported. {way_out}")
    if found.origin is None or not found.origin.endswith(".py"):
        raise module_error(reference, f"{reference.module} is no Python source; name the module that defines it")
    return Path(found.origin)


_pinned: dict[Reference, bytes] = {}
"""Source of each module when its study was opened, so that edits do not affect a study that runs."""


def pin(reference: Reference) -> str:
    """Pins the source for this process; returns its SHA-256. Raises InputError if it cannot be read."""
    _pinned[reference] = source = _read(reference)
    return hashlib.sha256(source).hexdigest()


def pinned(references: Iterable[Reference]) -> dict[Reference, bytes]:
    """The pinned sources of these modules, without those that are not pinned."""
    return {reference: _pinned[reference] for reference in references if reference in _pinned}


def pin_all(sources: Mapping[Reference, bytes]) -> None:
    """Pins sources that were read by another process; this machine need not have the files."""
    _pinned.update(sources)


def source_bytes(reference: Reference) -> bytes:
    """The pinned source, or the content of the file if none is pinned."""
    return _pinned[reference] if reference in _pinned else _read(reference)


def load_callable(reference: Reference) -> Callable[..., Any]:
    """The class or function. Raises InputError if its file does not define it, or cannot be run."""
    if reference.is_file:
        source = source_bytes(reference)
        with reporting_errors(reference, f"running {Path(reference.module).name}"):
            module = _run(reference.module, source)
    else:
        source_of(reference)
        with reporting_errors(reference, f"importing {reference.module}"):
            module = importlib.import_module(reference.module)
    if not hasattr(module, reference.name):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        own = [name for name in names if getattr(vars(module)[name], "__module__", None) == module.__name__]
        said = f"It defines {listed(own)}" if own else "It defines no class and no function"
        raise module_error(reference, f"there is no {reference.name} in it.{hint(reference.name, own)} {said}")
    found: Any = getattr(module, reference.name)
    if not callable(found):
        gives = "a class or a function that gives "
        gives += "a torch.nn.Module" if reference.key == "model.module" else "a data set"
        wanted = "a function that trains" if reference.key == "trial.function" else gives
        text = f"{reference.name} is {with_article(found)}; it must be {wanted}"
        raise module_error(reference, text)
    made: Callable[..., Any] = found
    return made


def _read(reference: Reference) -> bytes:
    path = source_of(reference)
    try:
        return path.read_bytes()
    except OSError as error:
        raise module_error(reference, f"{path} cannot be read ({error.strerror})") from None


@lru_cache(maxsize=64)
def _run(path: str, source: bytes) -> ModuleType:
    """The Python module of a file; the file is run once for each version of its source."""
    name = f"hpo_custom_{Path(path).stem}_{hashlib.sha256(path.encode() + source).hexdigest()[:12]}"
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module  # dataclasses and type hints look up their module there
    try:
        exec(compile(source, path, "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


# --- errors ------------------------------------------------------------------------------------------------


@contextmanager
def reporting_errors(reference: Reference, doing: str) -> Iterator[None]:
    """Turns an error of the user's code into an InputError that says what was being done, and where it happened."""
    try:
        yield
    except (Exception, SystemExit) as error:
        text = f"{doing} raised {error_line(error)}{_place(reference, error)}"
        if isinstance(error, ImportError) and reference.is_file:
            text += (
                ". A file is loaded alone, without what lies beside it; several files make a package: "
                'install it and write "PACKAGE.MODULE:NAME"'
            )
        raise module_error(reference, text) from error


def module_error(reference: Reference, text: str) -> InputError:
    return InputError(f"{reference.key} {reference}: {text}.")


def error_line(error: BaseException) -> str:
    """The error's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


def with_article(value: Any) -> str:
    """The name of the value's type with an article: `an int`, `a tuple`."""
    name = type(value).__name__
    return f"a{'n' if name[0] in 'AEIOUaeiou' else ''} {name}"


def _place(reference: Reference, error: BaseException) -> str:
    """The last line of the user's own file in the traceback."""
    if isinstance(error, SyntaxError):  # its message has the line
        return ""
    loaded = None if reference.is_file else sys.modules.get(reference.module)
    file = reference.module if reference.is_file else getattr(loaded, "__file__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
