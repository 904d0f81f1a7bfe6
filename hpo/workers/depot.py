"""Where checkpoints of the service lie: a folder that all workers share, or an object store. Names to bytes, no more.

What is in them is written and read in `hpo.training.checkpoints`; which are kept is decided in `shelf`.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hpo.errors import InputError, MachineError
from hpo.training import checkpoints

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore


class Depot(Protocol):
    """A place for checkpoints. Every method raises `MachineError` where the place refuses."""

    @property
    def place(self) -> str:
        """As messages show it, and as `open_depot` takes it on any machine that reaches it. It holds no secret."""

    def put(self, name: str, data: bytes) -> None:
        """Store bytes under a name, all of them or none; what was there is replaced."""

    def get(self, name: str) -> bytes | None:
        """What is stored under a name; None if nothing is, or it cannot be reached."""

    def delete(self, name: str) -> None:
        """Remove what is stored under a name, if anything is."""

    def names(self, prefix: str) -> list[str]:
        """What is stored under names that begin so, as far as the place can tell."""


class Folder:
    """Files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        return str(self.root.resolve())

    def put(self, name: str, data: bytes) -> None:
        checkpoints.write(self.root / name, data)

    def get(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except OSError:
            return None

    def delete(self, name: str) -> None:
        try:
            (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise MachineError(f"The checkpoint {self.root / name} cannot be deleted: {error.strerror}.") from error

    def names(self, prefix: str) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in self.root.glob(f"{prefix}*")]


class Artifacts:
    """Objects in one of Optuna's artifact stores."""

    def __init__(
        self, store: ArtifactStore, place: str, prefix: str = "", listed: Callable[[str], Iterable[str]] | None = None
    ) -> None:
        """`listed` gives the names that begin with a text; Optuna's stores cannot tell."""
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

    def _refused(self, verb: str, name: str, error: Exception) -> MachineError:
        # Not the error's text: it may spell out a signed address.
        return MachineError(f"The checkpoint {name} cannot be {verb} at {self.place}: {type(error).__name__}.")


def open_depot(text: str | None, home: Path) -> Depot:
    """The place that `--checkpoints` names: a folder, file:///FOLDER or s3://BUCKET/PREFIX. None: the home folder."""
    if text is None:
        return Folder(home)
    address = urlsplit(text)
    if address.scheme == "s3" and "@" in address.netloc:
        raise InputError(
            "--checkpoints s3://...: found an @ in the bucket's name. Keys do not belong there: boto3 takes them from "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws; must be s3://BUCKET/PREFIX."
        )
    if address.scheme == "s3" and address.netloc:
        return _s3(address.netloc, address.path.strip("/"))
    if address.scheme == "file" and not address.netloc and address.path:
        return Folder(Path(url2pathname(address.path)))
    if "://" in text:
        raise InputError(
            f"--checkpoints: found an address of kind {address.scheme!r}; must be a folder, file:///FOLDER or "
            "s3://BUCKET/PREFIX."
        )
    return Folder(Path(text))


def refuse_unwritable(depot: Depot) -> None:
    """Raises `InputError` for a place that takes no file or cannot be rid of it."""
    name = f"checkpoints/.probe-{uuid.uuid4().hex}"
    try:
        depot.put(name, b"probe")
        depot.delete(name)
    except MachineError as error:
        cause = error.__cause__
        found = cause.strerror if isinstance(cause, OSError) else str(error).removesuffix(".")
        raise InputError(
            f"checkpoints cannot be kept at {depot.place}: {found}. Name another place with --checkpoints, or let "
            "this user write there."
        ) from None


def _s3(bucket: str, prefix: str) -> Artifacts:
    """boto3 finds keys and region in its usual places; AWS_ENDPOINT_URL_S3 names a store that is not Amazon's."""
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

    return Artifacts(Boto3ArtifactStore(bucket, client), place, f"{prefix}/" if prefix else "", listed)
