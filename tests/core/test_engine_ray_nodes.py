"""A Ray of several nodes (processes of one machine, each a node to Ray), one of which is taken away in the middle of a map."""

import threading
import time
from functools import partial

import pytest
from tests.core.test_engine import SILENT, square
from tests.core.test_engine_ray import contents, slow_square

from skyloom.core.engine import Engine, Task
from skyloom.core.engine_ray import RayEngine
from skyloom.core.store import Store

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

MANY = [Task(f"part-{i:02d}", i) for i in range(24)]


def test_a_node_that_goes_away_loses_nothing(tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 << 20})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    engine, gone = RayEngine(address=cluster.address), []

    def take_one_away() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and len(list(tmp_path.glob("pid-*"))) < 4:
            time.sleep(0.05)
        gone.append(len(list(tmp_path.glob("pid-*"))))
        cluster.remove_node(nodes[0], allow_graceful=False)

    remover = threading.Thread(target=take_one_away)
    try:
        remover.start()
        results = engine.map(partial(slow_square, str(tmp_path)), MANY, Store(tmp_path / "o"), progress=SILENT, label="x")
    finally:
        remover.join()
        engine.close()
        cluster.shutdown()
        ray.shutdown()
    assert results == [i * i for i in range(24)]
    assert gone and gone[0] < 24, "the node went in the middle"
    Engine().map(partial(square, str(tmp_path / "l")), MANY, Store(tmp_path / "local"), progress=SILENT, label="x")
    assert contents(Store(tmp_path / "o")) == contents(Store(tmp_path / "local"))
