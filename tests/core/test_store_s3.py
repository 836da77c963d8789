"""A work folder on an S3-compatible store, against a real server on this machine that speaks its protocol over HTTP."""

import os
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import fsspec
import pytest
from tests.core.test_engine import SILENT, TASKS, shuffle, square

from skyloom.core.engine import Engine
from skyloom.core.errors import StorageError
from skyloom.core.step import MANIFEST, Step, run_steps
from skyloom.core.store import Store

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def endpoint():
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch, tmp_path):
    """A new bucket's URL; the environment is what a user of a server other than Amazon's sets."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"run-{abs(hash(tmp_path.name)) % 10**9}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


def test_names_sizes_and_removal(bucket):
    store = Store(f"{bucket}/工作")
    record = store.write_text("a/早.txt", "早上好")
    store.write_bytes("a/b/c.bin", b"0123456789")
    store.write_bytes("ab.bin", b"")
    assert store.names() == ["a/b/c.bin", "a/早.txt", "ab.bin"]
    assert store.names("a/b") == ["a/b/c.bin"] and store.names("a") == store.names()
    assert store.sizes("a/") == {"a/b/c.bin": 10, "a/早.txt": 9}
    assert store.describe("a/早.txt") == record and store.exists("ab.bin") and not store.exists("abc.bin")
    with pytest.raises(StorageError, match=r"nothing\.bin does not exist"):
        store.read_bytes("nothing.bin")
    store.remove("a")
    store.remove("never")
    assert store.names() == ["ab.bin"]


def test_what_another_machine_writes_is_listed_at_once(bucket):
    """A cached listing would hide the shards of others for ever."""
    store = Store(f"{bucket}/shared")
    assert store.names() == []
    program = f"from skyloom.core.store import Store; Store({store.root!r}).write_text('theirs.txt', '别人的')"
    theirs = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    theirs["FSSPEC_S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]  # the other way to name a server
    subprocess.run([sys.executable, "-c", program], check=True, env=theirs)
    assert store.names() == ["theirs.txt"] and store.exists("theirs.txt")
    assert store.read_text("theirs.txt") == "别人的"


def test_an_object_appears_whole_or_not_at_all(bucket):
    store = Store(f"{bucket}/run")
    store.write_text("kept.txt", "old")
    program = textwrap.dedent(f"""
        import os, signal
        from skyloom.core.store import Store
        store = Store({store.root!r})
        store.exists("kept.txt")
        with store.writing("kept.txt") as file:
            file.write(b"half of the new" * 100_000)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ)).returncode == -9
    assert store.read_text("kept.txt") == "old" and store.names() == ["kept.txt"]


def test_a_missing_bucket_and_a_server_that_is_away_are_told(bucket, monkeypatch):
    gone = Store("s3://nobodys-bucket-of-ours/run")
    with pytest.raises(StorageError, match=r"bucket nobodys-bucket-of-ours .*does not exist.*aws s3 mb"):
        gone.prepare()
    with pytest.raises(StorageError, match="bucket does not exist"):
        gone.write_text("x", "y")
    Store(f"{bucket}/fine").prepare()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    away = Store("s3://somewhere/run")
    away._fs.retries = 1
    with pytest.raises(StorageError, match=r"cannot use s3://somewhere/run.*endpoint"):
        away.prepare()
    fsspec.filesystem("s3").clear_instance_cache()


def test_a_step_that_needs_a_local_folder_says_so(bucket, monkeypatch, tmp_path):
    with pytest.raises(StorageError, match=r"files.*memory.*--work"):
        Store(f"{bucket}/run").path("tokens.bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = (Store(f"{bucket}/{n}").scratch("downloads") for n in "ab")
    assert one != other and one.is_relative_to(tmp_path)
    assert Store(tmp_path / "w").scratch("downloads") == tmp_path / "w" / "downloads"


def both_kinds(context):
    """A step with a map, a shuffle and files of its own."""
    context.engine.map(partial(square, context.step.settings["log"]), TASKS, context.out, progress=SILENT, label="squares")
    shuffle(context.engine, context.out, 3)
    context.out.write_json("summary.json", {"做完": True})


def test_a_killed_run_goes_on_and_ends_in_the_bytes_of_a_local_one(bucket, tmp_path):
    log = tmp_path / "log"
    program = textwrap.dedent(f"""
        import os, signal
        from tests.core import test_engine, test_store_s3
        from skyloom.core.engine import Engine
        from skyloom.core.store import Store
        from functools import partial
        def square(log, task, out):
            if task.payload == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            import time; time.sleep(0.4)
            return test_engine.square(log, task, out)
        test_store_s3.square = square
        test_store_s3.run({f"{bucket}/run"!r}, {str(log)!r}, Engine())
    """)
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", program], check=False, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    assert killed.returncode == -9
    before = log.read_text().split()
    assert before == [t.key for t in TASKS[:4]]
    remote = run(f"{bucket}/run", str(log), Engine())
    repeated = log.read_text().split()[4:]
    assert repeated[-2:] == ["part-04", "part-05"] and len(repeated) <= 5, "at most the last second's tasks are done again"
    local = run(str(tmp_path / "local"), str(log), Engine())
    assert remote == local
    theirs, ours = Store(f"{bucket}/run"), Store(tmp_path / "local")
    lasting = [n for n in ours.names() if "/receipts/" not in n and "telemetry" not in n and not n.startswith("leases/")]
    assert [n for n in theirs.names() if "/receipts/" not in n and "telemetry" not in n] == lasting
    assert all(theirs.read_bytes(n) == ours.read_bytes(n) for n in lasting)
    assert {f["name"] for f in ours.read_json(f"{remote[0]}/{MANIFEST}")["files"]} == {
        n.partition("/")[2] for n in lasting if not n.endswith(MANIFEST)
    }


def run(work: str, log: str, engine: Engine) -> tuple[str, str]:
    outcome = run_steps([Step("both", both_kinds, {"log": log})], Store(work), engine, SILENT)[0]
    return outcome.folder, outcome.content


def test_a_file_that_is_gone_or_cut_is_found_by_its_size(bucket, tmp_path):
    log = str(tmp_path / "log")
    folder, content = run(f"{bucket}/run", log, Engine())
    store = Store(f"{bucket}/run/{folder}")
    store.write_text("part-02.txt", "cut")
    store.remove("part-05.txt")
    assert run(f"{bucket}/run", log, Engine()) == (folder, content)
    assert store.read_text("part-02.txt") == "第 2 份"
    assert Path(log).read_text().split()[6:] == ["part-02", "part-05"]
