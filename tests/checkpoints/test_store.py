"""Checkpoint stores: a folder, and S3 through boto3 (simulated in this process by moto)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hpo.checkpoints.store import CheckpointStore, Directory, ObjectStore, open_checkpoint_store, refuse_unwritable
from hpo.errors import InputError, MachineError
from hpo.export.source import find_trial, load_trained
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import epochs_of, result_of, small_study, trials_of
from tests.service.working import row_of, serve, submit, wait_for, working


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    boto3 = pytest.importorskip("boto3") if not _required() else __import__("boto3")
    from moto import mock_aws

    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket/some/prefix"


def _required() -> bool:
    import os

    return os.environ.get("CI") == "true"


@pytest.fixture(params=["folder", "s3"])
def checkpoint_store(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    place = str(tmp_path / "checkpoint_store") if request.param == "folder" else request.getfixturevalue("bucket")
    return open_checkpoint_store(place, tmp_path)


def test_stored_bytes_can_be_read_until_they_are_deleted(checkpoint_store: CheckpointStore) -> None:
    assert checkpoint_store.get("a/b.pt") is None
    checkpoint_store.put("a/b.pt", b"first")
    checkpoint_store.put("a/b.pt", b"second")
    checkpoint_store.put("a/c.pt", b"other")
    assert checkpoint_store.get("a/b.pt") == b"second"
    assert sorted(checkpoint_store.names("a/")) == ["a/b.pt", "a/c.pt"]
    assert checkpoint_store.names("a/c") == ["a/c.pt"]
    checkpoint_store.delete("a/b.pt")
    checkpoint_store.delete("a/b.pt")
    assert checkpoint_store.get("a/b.pt") is None
    assert checkpoint_store.get("a/c.pt") == b"other"


def test_a_place_that_is_not_writable_is_refused(checkpoint_store: CheckpointStore, tmp_path: Path) -> None:
    refuse_unwritable(checkpoint_store)
    assert checkpoint_store.names("checkpoints/") == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be kept at .*file/below: .*irectory.* --checkpoints"):
        refuse_unwritable(Directory(tmp_path / "file" / "below"))


def test_a_bucket_that_does_not_exist_is_refused(bucket: str) -> None:
    with pytest.raises(InputError, match=r"cannot be kept at s3://other: The checkpoint .*NoSuchBucket"):
        refuse_unwritable(open_checkpoint_store("s3://other", Path()))


def test_places_by_their_names(tmp_path: Path) -> None:
    for text, root in ((None, tmp_path), ("some/folder", Path("some/folder")), ("file:///shared/hpo", "/shared/hpo")):
        found = open_checkpoint_store(text, tmp_path)
        assert isinstance(found, Directory)
        assert found.root == Path(root)
    with pytest.raises(InputError, match="'ftp'; must be a folder, file:///FOLDER or s3://BUCKET/PREFIX"):
        open_checkpoint_store("ftp://host/folder", tmp_path)
    with pytest.raises(InputError, match="Keys do not belong there") as refused:
        open_checkpoint_store("s3://key:secret@bucket/prefix", tmp_path)
    assert "secret" not in str(refused.value)


def test_an_error_names_the_place_and_no_secret(bucket: str, tmp_path: Path) -> None:
    missing = open_checkpoint_store("s3://no-such-bucket", tmp_path)
    assert isinstance(missing, ObjectStore)
    with pytest.raises(MachineError, match=r"a\.pt cannot be written at s3://no-such-bucket: \w+\.$") as refused:
        missing.put("a.pt", b"")
    assert "secret" not in str(refused.value)
    assert missing.get("a.pt") is None


def test_a_study_with_its_checkpoints_in_s3(bucket: str, tmp_path: Path) -> None:
    spec = small_study(training="epochs = 12", search="trials = 6\nconcurrency = 3")
    expected = result_of(spec, tmp_path / "expected")
    submit(spec, tmp_path)
    checkpoint_store = open_checkpoint_store(bucket, tmp_path)
    with working(tmp_path, checkpoint_store=checkpoint_store):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
    serve(tmp_path, checkpoint_store=checkpoint_store)
    assert (trials_of(spec, tmp_path), epochs_of(spec, tmp_path)) == expected, "nothing was trained again"
    assert {name.split("/")[-1].partition("-")[0] for name in checkpoint_store.names("checkpoints/small/")} == {
        "best",
        "final",
    }
    assert list(tmp_path.rglob("*.pt")) == list((tmp_path / "expected").rglob("*.pt"))
    # Commands that read weights find the place in the study's attributes.
    notes: list[str] = []
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        load_trained(store, tmp_path, find_trial(store, "small", None), notes.append)
    assert notes == []
