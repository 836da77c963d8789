"""Files appear whole or not at all, locally and on an fsspec URL."""

import os
import subprocess
import sys
import textwrap

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.store import Store


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store(tmp_path / "文件夹" if request.param == "local" else f"memory://skyloom-{tmp_path.name}")


def test_round_trip_of_bytes_text_json_and_tables(store):
    table = pa.table({"text": ["hello", "你好 🌏"], "n": [1, 2]})
    record = store.write_table("a/部分.parquet", table)
    assert store.read_table("a/部分.parquet") == table
    assert store.describe("a/部分.parquet") == record
    store.write_json("b.json", {"词": [1, 2.5, None]})
    assert store.read_json("b.json") == {"词": [1, 2.5, None]}
    store.write_text("c.txt", "早上好\n")
    assert store.read_text("c.txt") == "早上好\n"
    assert store.names() == ["a/部分.parquet", "b.json", "c.txt"]
    store.remove("a")
    assert store.names() == ["b.json", "c.txt"]


def test_no_thread_of_arrow_holds_a_python_file(store, monkeypatch):
    """One that lets go of it while the interpreter ends aborts the process: the files are Arrow's own, or it takes no threads."""
    store.write_table("词.parquet", pa.table({"id": ["文", "word"]}))
    real, seen = pq.ParquetFile, []

    class Watched(real):
        def __init__(self, source):
            super().__init__(source)
            self.native = isinstance(source, pa.OSFile)

        def read(self, columns=None, use_threads=True):
            seen.append(self.native or not use_threads)
            return super().read(columns, use_threads=use_threads)

        def read_row_group(self, i, columns=None, use_threads=True):
            seen.append(self.native or not use_threads)
            return super().read_row_group(i, columns, use_threads=use_threads)

    monkeypatch.setattr(pq, "ParquetFile", Watched)
    assert store.read_table("词.parquet").num_rows == 2
    assert store.read_rows("词.parquet", [1]).to_pydict() == {"id": ["word"]}
    assert seen == [True, True]


def test_rows_are_read_by_their_numbers(store):
    store.write_table("x.parquet", pa.table({"id": [f"文{n}" for n in range(25)], "n": list(range(25))}), row_group=4)
    assert store.read_rows("x.parquet", [0, 3, 4, 17, 24], ["id"]).to_pydict() == {"id": ["文0", "文3", "文4", "文17", "文24"]}
    assert store.read_rows("x.parquet", [], ["id"]).to_pydict() == {"id": []}
    with pytest.raises(IntegrityError, match=r"\b25 rows.*\brow 25\b"):
        store.read_rows("x.parquet", [2, 25])


def test_an_interrupted_write_leaves_nothing(store):
    store.write_text("kept.txt", "old")
    with pytest.raises(RuntimeError), store.writing("kept.txt") as file:
        file.write(b"half of the new")
        raise RuntimeError("power cut")
    assert store.read_text("kept.txt") == "old"
    assert store.names() == ["kept.txt"]


def test_equal_tables_are_equal_bytes(store):
    table = pa.table({"text": ["中文", "English"] * 100})
    assert store.write_table("x.parquet", table).sha256 == store.write_table("y.parquet", table).sha256


def test_missing_and_broken_files_are_named(store):
    with pytest.raises(StorageError, match=r"gone\.txt does not exist"):
        store.read_bytes("gone.txt")
    store.write_bytes("broken.parquet", b"PAR1 not really")
    with pytest.raises(IntegrityError, match=r"broken\.parquet"):
        store.read_table("broken.parquet")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up.txt", "a/../../b"])
def test_names_stay_inside(store, name):
    with pytest.raises(StorageError, match="bad file name"):
        store.write_bytes(name, b"x")


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        Store(tmp_path / "file" / "inside").write_bytes("x", b"x")


def test_a_killed_writer_leaves_only_what_sweep_removes(tmp_path):
    program = textwrap.dedent(f"""
        import os, signal
        from skyloom.core.store import Store
        with Store({str(tmp_path)!r}).writing("big.bin") as file:
            file.write(b"x" * 100_000)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    store = Store(tmp_path)
    assert store.names() == [] and len(os.listdir(tmp_path)) == 1
    store.sweep()
    assert os.listdir(tmp_path) == []
