"""Checkpoint stores: a folder, or an object store that all workers reach. A store maps names to bytes.

The contents are written and read by `hpo.training.packing`; `hpo.checkpoints.retention` decides which are kept.
"""

from __future__ import annotations

import io
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hpo import disk
from hpo.errors import InputError, MachineError
from hpo.training import packing

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

log = logging.getLogger(__name__)


class CheckpointStore(Protocol):
    """A place for checkpoints. Every method raises `MachineError` where the place refuses access."""

    @property
    def place(self) -> str:
        """Address without secrets, for messages and for `open_checkpoint_store` on another machine."""

    def put(self, name: str, data: bytes) -> None:
        """Store bytes under a name, all of them or none; bytes that were stored there are replaced."""

    def put_new(self, name: str, data: bytes) -> None:
        """Store bytes under a name unless something is stored there."""

    def get(self, name: str) -> bytes | None:
        """The bytes stored under a name; None if there are none, or they cannot be read."""

    def delete(self, name: str) -> None:
        """Delete the bytes stored under a name, if there are any."""

    def names(self, prefix: str) -> list[str]:
        """The stored names that begin with a prefix; none where the place cannot list them."""

    def tidy(self, folder: str) -> None:
        """Remove a folder if it is empty and the place has folders."""


class Directory:
    """Files below a folder. Names come from databases, which are not trusted: a name that leads out of the folder, by
    `..` or by a link, is refused. The folder `checkpoints` itself may be a link, e.g. to a larger disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        return str(self.root.resolve())

    def put(self, name: str, data: bytes) -> None:
        packing.write(self.path(name), data)

    def put_new(self, name: str, data: bytes) -> None:
        path = self.path(name)
        try:
            disk.write_new(path, data)
        except OSError as error:
            raise MachineError(f"{path} cannot be written: {error.strerror}.") from error

    def get(self, name: str) -> bytes | None:
        try:
            with os.fdopen(os.open(self.path(name), os.O_RDONLY | disk.NO_FOLLOW), "rb") as file:
                return file.read()
        except MachineError as error:
            log.warning("%s", error)
            return None
        except OSError:
            return None

    def delete(self, name: str) -> None:
        path = self.path(name)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise MachineError(f"The checkpoint {path} cannot be deleted: {error.strerror}.") from error

    def names(self, prefix: str) -> list[str]:
        above, _, _ = prefix.rpartition("/")
        found: list[str] = []
        for folder, inside, files in os.walk(self.path(f"{above or '.'}/x").parent):
            place = Path(folder).relative_to(self.root)
            inside[:] = [name for name in inside if f"{(place / name).as_posix()}/".startswith(prefix)]
            found += (name for file in files if (name := (place / file).as_posix()).startswith(prefix))
        return found

    def tidy(self, folder: str) -> None:
        with suppress(OSError):
            self.path(folder).rmdir()

    def path(self, name: str) -> Path:
        """Path of the file with this name; `MachineError` for a name that leads out of the folder."""
        path, parts = self.root / name, PurePosixPath(name).parts
        above = path.parent.resolve()
        roots = (self.root.resolve(), (self.root / "checkpoints").resolve())
        strays = ".." in parts or PurePosixPath(name).is_absolute()
        if strays or not parts or set(name) & {"\\", "\0"} or not any(above.is_relative_to(root) for root in roots):
            raise MachineError(
                f"The checkpoint {name!r} leads out of {self.root}, so it is neither read, written nor deleted. If a "
                "link leads elsewhere, link the folder of all checkpoints instead, or name that place with "
                "--checkpoints."
            )
        return path


class ObjectStore:
    """Objects in one of Optuna's artifact stores."""

    def __init__(
        self, store: ArtifactStore, place: str, prefix: str = "", listed: Callable[[str], Iterable[str]] | None = None
    ) -> None:
        """`listed` returns the names that begin with a prefix, which Optuna's stores cannot list."""
        self.store = store
        self.listed = listed
        self._place = place
        self.prefix = prefix

    @property
    def place(self) -> str:
        return self._place

    def put(self, name: str, data: bytes) -> None:
        try:
            self.store.write(self.prefix + name, io.BytesIO(data))
        except Exception as error:  # each kind of store has errors of its own
            raise self._refused("written", name, error) from None

    def put_new(self, name: str, data: bytes) -> None:
        if name not in self.names(name):  # of two processes that do this at the same time, the later one wins
            self.put(name, data)

    def get(self, name: str) -> bytes | None:
        try:
            with self.store.open_reader(self.prefix + name) as reader:
                return reader.read()
        except Exception:
            return None

    def delete(self, name: str) -> None:
        from optuna.artifacts.exceptions import ArtifactNotFound

        try:
            self.store.remove(self.prefix + name)
        except ArtifactNotFound:
            return
        except Exception as error:
            raise self._refused("deleted", name, error) from None

    def names(self, prefix: str) -> list[str]:
        if self.listed is None:
            return []
        try:
            return [name.removeprefix(self.prefix) for name in self.listed(self.prefix + prefix)]
        except Exception as error:
            raise self._refused("listed", f"{prefix}*", error) from None

    def tidy(self, folder: str) -> None:
        """Does nothing: there are no folders."""

    def _refused(self, verb: str, name: str, error: Exception) -> MachineError:
        # Without the error's text: it may contain a signed address.
        return MachineError(f"The checkpoint {name} cannot be {verb} at {self.place}: {type(error).__name__}.")


def open_checkpoint_store(text: str | None, home: Path) -> CheckpointStore:
    """The store that `--checkpoints` names: a folder, file:///FOLDER or s3://BUCKET/PREFIX. None: the home folder."""
    if text is None:
        return Directory(home)
    address = urlsplit(text)
    if address.scheme == "s3" and "@" in address.netloc:
        raise InputError(
            "--checkpoints s3://...: found an @ in the bucket's name. Keys do not belong there: boto3 takes them from "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws; must be s3://BUCKET/PREFIX."
        )
    if address.scheme == "s3" and address.netloc:
        return _s3(address.netloc, address.path.strip("/"))
    if address.scheme == "file" and not address.netloc and address.path:
        return Directory(Path(url2pathname(address.path)))
    if "://" in text:
        raise InputError(
            f"--checkpoints: found an address of kind {address.scheme!r}; must be a folder, file:///FOLDER or "
            "s3://BUCKET/PREFIX."
        )
    return Directory(Path(text))


def refuse_unwritable(checkpoint_store: CheckpointStore) -> None:
    """Raises `InputError` for a store in which files cannot be written and deleted."""
    name = f"checkpoints/.probe-{uuid.uuid4().hex}"
    try:
        checkpoint_store.put(name, b"probe")
        checkpoint_store.delete(name)
    except MachineError as error:
        cause = error.__cause__
        found = cause.strerror if isinstance(cause, OSError) else str(error).removesuffix(".")
        raise InputError(
            f"checkpoints cannot be kept at {checkpoint_store.place}: {found}. Name another place with "
            "--checkpoints, or let this user write there."
        ) from None


def _s3(bucket: str, prefix: str) -> ObjectStore:
    """A store on S3. boto3 finds keys and region in its usual places; AWS_ENDPOINT_URL_S3 is the address of a store
    that is not Amazon's."""
    try:
        import boto3
        from optuna.artifacts import Boto3ArtifactStore
    except ImportError:
        raise InputError("--checkpoints s3://... needs boto3. Install it with `pip install 'hpo[s3]'`.") from None
    client = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3"))
    place = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"

    def listed(beginning: str) -> Iterator[str]:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=beginning):
            yield from (found["Key"] for found in page.get("Contents", ()))

    return ObjectStore(Boto3ArtifactStore(bucket, client), place, f"{prefix}/" if prefix else "", listed)
