"""The corpus built straight into an object store, killed on the way: the bytes of a local run, and clear words where it ends."""

from __future__ import annotations

import os
import signal
import time

import fsspec
import pytest

from skyloom.core.store import Store
from tests.stories.program import TINY, contents, skyloom, start

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    name = f"corpora-{abs(hash(tmp_path.name)) % 10**9}"  # the server's memory outlives it
    fsspec.filesystem("s3").mkdir(name)
    yield f"s3://{name}"
    running.stop()


def remote_contents(work: Store) -> dict[str, str]:
    found = [n for n in work.names() if n.count("/") == 1 and n.endswith("/_step.json")]
    return {n.partition("/")[0]: work.read_json(n)["content"] for n in found}


@pytest.mark.slow
def test_a_corpus_in_a_bucket_has_the_bytes_of_a_local_one(bucket, tmp_path):
    run = ("corpus", "build", TINY, "--workers", "1", "--work")
    process = start(*run, f"{bucket}/tiny")
    work, deadline = Store(f"{bucket}/tiny"), time.monotonic() + 120
    while not any(n.startswith("extract-") for n in work.names()):  # in the middle of the second step
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    killed_with = remote_contents(work)
    done = skyloom(*run, f"{bucket}/tiny")
    assert done.returncode == 0, done.stderr
    local = skyloom(*run, tmp_path / "local")
    assert local.returncode == 0, local.stderr
    assert done.stdout == local.stdout, "the ledger"
    assert remote_contents(work) == contents(tmp_path / "local")
    assert killed_with.items() <= remote_contents(work).items() and len(killed_with) < 5
    for folder in remote_contents(work):
        manifest = work.read_json(f"{folder}/_step.json")
        named = {f"{folder}/{f['name']}" for f in manifest["files"]} | {f"{folder}/{n}" for n in manifest["telemetry"]}
        there = {n for n in work.names(f"{folder}/") if "/receipts/" not in n}
        assert there == named | {f"{folder}/_step.json"}, "only what the manifest lists exists"


def test_what_cannot_live_in_a_bucket_says_what_to_do(bucket):
    missing = skyloom("corpus", "build", TINY, "--work", "s3://no-such-bucket-of-ours/tiny")
    assert missing.returncode == 5 and "aws s3 mb s3://no-such-bucket-of-ours" in missing.stderr
    assert "Traceback" not in missing.stderr
    plan = skyloom("run", TINY, "--dry-run", "--work", f"{bucket}/tiny")
    assert plan.returncode == 0, plan.stderr
    assert "to do" in plan.stdout
