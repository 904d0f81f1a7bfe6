"""The same study on a Ray cluster of several nodes, one of which is removed in mid-study."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from hpo.errors import MachineError
from hpo.workers import cluster
from hpo.workers.means import Means
from hpo.workers.progress import Progress
from tests.workers.small import result_of, run, small_study

pytestmark = pytest.mark.slow

STUDY = {"training": "epochs = 12", "search": 'trials = 10\nconcurrency = 6\npruner = "hyperband"'}


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A head that takes no workers, and two nodes with room for one each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def test_a_node_is_removed_in_mid_study(nodes: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "ROOM_SECONDS", 3.0)
    doomed, _ = nodes.add_node(num_cpus=1), nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 4:
            nodes.remove_node(doomed, allow_graceful=False)
            while sum(node["Alive"] for node in ray.nodes()) > 2:
                time.sleep(0.1)

    means = Means(engine="ray", address=nodes.address, workers=2)
    result: Any = result_of(small_study(**STUDY), tmp_path / "ray", means=means, observer=watch)
    assert seen[-1].deaths > 0
    assert result == result_of(small_study(**STUDY), tmp_path / "alone")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "auto"])
def test_an_address_where_no_cluster_is(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where Ray looks for clusters of this machine
    with pytest.raises(MachineError, match=f"no Ray cluster answers at --address {address} "):
        run(small_study(), tmp_path, means=Means(engine="ray", address=address))
