"""Files that are whole or absent, under names that nobody can foresee, and no more open than their folder."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo import disk
from hpo.paths import digest

WAITING = """
import sys, time
from pathlib import Path
from hpo import disk

with disk.replacing(Path(sys.argv[1])) as file:
    print(file.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    disk.write(tmp_path / "a" / "file", b"old")
    disk.write(tmp_path / "a" / "file", b"new")
    assert (tmp_path / "a" / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path / "a") == ["file"]


def test_of_several_files_all_or_none_are_written(tmp_path: Path) -> None:
    disk.write_all(tmp_path, {"a": b"old", "b": b"old"})
    with pytest.raises(OSError, match="too long"):
        disk.write_all(tmp_path, {"a": b"new", "b": b"new", "c" * 300: b""})
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == {"a": b"old", "b": b"old"}


def test_a_new_file_replaces_none(tmp_path: Path) -> None:
    disk.write_new(tmp_path / "file", b"first")
    disk.write_new(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_left_goes_at_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    with subprocess.Popen([sys.executable, "-c", WAITING, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        temporary = Path(process.stdout.readline().strip())
        disk.write(path, b"while another writes")
        kept = temporary.exists()
        process.kill()
    assert kept, "its process lived"
    (tmp_path / ".index.html.4711").touch()  # as earlier versions called theirs
    others = {".index.html.bak", ".trials.csv.4711", ".index.html.0123.tmp"}
    for name in others:
        (tmp_path / name).touch()
    disk.write(path, b"after it")
    assert set(os.listdir(tmp_path)) == {"index.html", *others}


def test_temporary_names_cannot_be_foreseen_and_follow_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for _ in range(3):
        with disk.replacing(tmp_path / "file") as file:
            names.add(file.name)
    assert len(names) == 3
    assert all(str(os.getpid()) not in Path(name).name.split(".") for name in names)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    (tmp_path / f".file.{'0' * 16}.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        disk.write(tmp_path / "file", b"new")
    assert victim.read_text() == "precious"


def test_a_link_in_the_place_of_a_file_is_replaced_unless_the_user_named_it(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to("target")
    disk.save(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"
    disk.write(tmp_path / "link", b"newer")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        disk.save(tmp_path / "pipe", b"through")
        assert reader.communicate(timeout=60)[0] == b"through"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_home_of_ones_own_is_nobody_elses(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    home = tmp_path / "above" / "runs"
    disk.make_home(home)
    disk.write(home / "reports" / "digits" / "index.html", b"")
    disk.create_empty(home / "hpo.db")
    assert mode(home.parent) == 0o750
    assert mode(home) == mode(home / "reports" / "digits") == 0o700
    assert mode(home / "hpo.db") == mode(home / "reports" / "digits" / "index.html") == 0o600


def test_a_shared_folder_decides_by_its_mode_and_the_umask(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    home.mkdir()
    home.chmod(0o2770)
    os.umask(0o002)
    disk.make_home(home)
    disk.write(home / "checkpoints" / "digits" / "a.pt", b"")
    disk.create_empty(home / "hpo.db")
    assert mode(home) == 0o2770
    assert mode(home / "checkpoints" / "digits") == 0o2775, "its group is the shared folder's"
    assert mode(home / "hpo.db") == mode(home / "checkpoints" / "digits" / "a.pt") == 0o664


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as refused:
        disk.make_folder(tmp_path / "file" / "below")
    assert refused.value.errno == errno.ENOTDIR


def test_the_folder_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.study_folder(tmp_path / "none", "digits") == tmp_path / "none" / "digits"
    assert disk.study_folder(tmp_path, "x.") == tmp_path / "_x._"
    (tmp_path / "x.").mkdir()
    assert disk.study_folder(tmp_path, "x.") == tmp_path / "x.", "an earlier version made it"
    (tmp_path / "Digits").mkdir()
    assert disk.study_folder(tmp_path, "digits") == tmp_path / "digits"
    # Where upper case counts for nothing, `digits` is there, too.
    monkeypatch.setattr("os.path.lexists", lambda path: Path(path).name.lower() in {"digits", "x."})
    own = tmp_path / f"_digits-{digest('digits')}_"
    assert disk.study_folder(tmp_path, "digits") == own
    assert disk.study_folder(tmp_path, "Digits") == tmp_path / "Digits"
    assert disk.study_folder(tmp_path, "../x").parent == tmp_path
