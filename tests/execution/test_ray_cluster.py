"""Studies on a Ray cluster of several nodes: a node that is removed, secrets, and clusters that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from hpo.errors import MachineError
from hpo.execution import ray_cluster
from hpo.execution.resources import Resources
from hpo.runtime.progress import Progress
from tests.runtime.small import result_of, run, small_study

pytestmark = pytest.mark.slow

SECRET = "correct-horse"
ROOT = Path(__file__).parents[2]

STUDY = {"training": "epochs = 12", "search": 'trials = 10\nconcurrency = 6\npruner = "hyperband"'}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head node that runs no workers."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    made.shutdown()


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, from which this process is disconnected afterwards."""
    yield cluster
    ray.shutdown()


def test_ray_gets_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No secret is in Ray's own processes, in its workers, or in what it stores about this process."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("HPO_STORAGE", f"postgresql://me:{SECRET}@host/d")
    found: list[str] = []

    def watch(progress: Progress) -> None:
        if not found:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    found.append(f"{process.cmdline()} {process.environ()}")
            found.append(str(ray.get(ray.remote(num_cpus=0)(lambda: dict(os.environ)).remote())))
            found.append(str(ray._private.state.jobs()))
            found.append(str(ray.get_runtime_context().runtime_env))

    try:
        run(small_study(search="trials = 1"), tmp_path, resources=Resources(engine="ray", workers=1), observer=watch)
    finally:
        ray.shutdown()
    assert any("raylet" in text for text in found)
    assert any("ray::" in text for text in found)
    assert not [text for text in found if SECRET in text]
    assert os.environ["PGPASSWORD"] == SECRET


PROGRAM = """
import sys
from pathlib import Path
from hpo.errors import MachineError
from hpo.execution import engines, ray_cluster
from hpo.runtime import coordinator
from tests.runtime.small import run, small_study, Resources
sys.path[:] = [place for place in sys.path if place not in ("", {root!r})]  # Ray would hand them on to its workers
try:
    run(small_study(), Path({home!r}), resources=Resources(engine="ray", workers=1, address={address!r}))
except MachineError as error:
    print(error)
"""


def test_a_machine_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hpo").mkdir()
    (tmp_path / "hpo" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'hpo'\")")
    with monkeypatch.context() as nodes_have_none:
        nodes_have_none.setenv("PYTHONPATH", str(tmp_path))
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        program = PROGRAM.format(root=str(ROOT), home=str(tmp_path / "home"), address=made.address)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-P", "-c", program]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    finally:
        made.shutdown()
    assert "(ModuleNotFoundError: No module named 'hpo'). Install the same versions of hpo" in done.stdout, done.stderr


def test_an_address_of_the_environment_is_tried_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(MachineError, match=r"no Ray cluster answers at RAY_ADDRESS 127\.0\.0\.1:1 "):
        run(small_study(), tmp_path, resources=Resources(engine="ray"))


def test_ray_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))
    with pytest.raises(MachineError, match=r"Ray cannot be started on this machine .*leave out --engine ray"):
        run(small_study(), tmp_path, resources=Resources(engine="ray"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "auto"])
def test_an_address_where_no_cluster_is(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where Ray looks for clusters of this machine
    with pytest.raises(MachineError, match=f"no Ray cluster answers at --address {address} "):
        run(small_study(), tmp_path, resources=Resources(engine="ray", address=address))


def test_a_node_is_removed_in_mid_study(nodes: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ray_cluster, "ROOM_SECONDS", 3.0)
    doomed, _ = nodes.add_node(num_cpus=1), nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 4:
            nodes.remove_node(doomed, allow_graceful=False)
            while sum(node["Alive"] for node in ray.nodes()) > 2:
                time.sleep(0.1)

    resources = Resources(engine="ray", address=nodes.address, workers=2)
    result: Any = result_of(small_study(**STUDY), tmp_path / "ray", resources=resources, observer=watch)
    assert seen[-1].deaths > 0
    assert result == result_of(small_study(**STUDY), tmp_path / "alone")


def test_a_cluster_of_another_version(nodes: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ray, "__version__", "1.2.3")
    with pytest.raises(MachineError, match=r"Ray: \d+\.\d.*Ray: 1\.2\.3.*Install the same versions of Ray") as caught:
        run(small_study(), tmp_path, resources=Resources(engine="ray", address=nodes.address))
    assert f"--address {nodes.address}" in str(caught.value)


def test_a_cluster_that_wants_a_token(nodes: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError(f"Failed to connect to Ray cluster at {nodes.address}")

    monkeypatch.setattr(ray, "init", refuse)  # it takes half a minute to say so itself
    with pytest.raises(MachineError, match="it may ask for a token: set RAY_AUTH_MODE=token"):
        run(small_study(), tmp_path, resources=Resources(engine="ray", address=nodes.address))
