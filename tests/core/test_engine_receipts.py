"""The journal: few files for many tasks, nothing lost between writers, and damage that costs a task and not a run."""

import pytest
from tests.core.test_engine import SILENT

from skyloom.core import engine_receipts
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.engine_receipts import ReceiptJournal, records
from skyloom.core.store import FileRecord, Store


def test_many_tasks_leave_few_files(tmp_path):
    out, tasks = Store(tmp_path), [Task(f"t{i:05d}", i) for i in range(5000)]
    results = Engine().map(quick, tasks, out, progress=SILENT, label="Quick ones, 很快")
    assert results == list(range(5000))
    files = out.names("receipts/quick-ones/")
    assert 1 <= len(files) < 50
    ran.clear()
    assert Engine().map(quick, tasks, out, progress=SILENT, label="Quick ones, 很快") == results
    assert ran == [] and out.names("receipts/") == files


ran: list[str] = []


def quick(task, out):
    ran.append(task.key)
    return Done((), task.payload)


def test_small_batches_are_merged_and_a_reader_misses_none(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_receipts, "_MERGE", 4)
    out = Store(tmp_path)
    writer, reader = ReceiptJournal(out, "x"), ReceiptJournal(out, "x")
    seen = set()
    for number in range(11):
        writer.add(f"任务{number}", Done((), number))
        writer.flush()
        reader.read()
        found = reader.whole([f"任务{n}" for n in range(11)], full=True)
        assert sorted(found.values()) == list(range(number + 1))
        seen |= set(out.names("receipts/"))
    assert len(out.names("receipts/")) == 2 + 3 and len(seen) > 5


def test_a_batch_that_is_merged_while_it_is_read_is_found_in_the_merged_one(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_receipts, "_MERGE", 2)
    out = Store(tmp_path)
    writer, reader = ReceiptJournal(out, "x"), ReceiptJournal(out, "x")
    writer.add("a", Done((), 1))
    writer.flush()
    original = out.names

    def stale(prefix=""):
        names = original(prefix)
        if not writer._waiting and len(writer._written) == 1:
            writer.add("b", Done((), 2))
            writer.flush()  # merges, and removes what was just listed
        return names

    monkeypatch.setattr(out, "names", stale)
    reader.read()
    assert reader.whole(["a", "b"], full=True) == {"a": 1, "b": 2}


def test_the_manifest_can_be_made_of_receipts(tmp_path):
    out = Store(tmp_path)
    one, two = out.write_text("一.txt", "甲"), out.write_text("two.txt", "b")
    for label, files in (("x", (one, two)), ("y", (FileRecord("two.txt", 1, "0" * 64),))):
        journal = ReceiptJournal(out, label)
        journal.add("t", Done(files, None))
        journal.flush()
    assert records(out) == {"一.txt": one}, "a file of which two receipts tell different things is read again"


@pytest.mark.parametrize(
    "line",
    [
        b"[1]", b"null", b"[" * 100_000, "任务".encode("utf-16"), b'{"task": "t", "files": 3, "result": 1}',
        b'{"task": "t", "files": [{"name": ["a"], "size": 1, "sha256": "x"}], "result": 1}',
        b'{"task": "t", "files": [{"name": "../a", "size": 1, "sha256": "' + b"0" * 64 + b'"}], "result": 1}',
        b'{"task": "t", "files": [{"name": "a", "size": "1", "sha256": "' + b"0" * 64 + b'"}], "result": 1}',
        b'{"task": "t", "files": [], "result": ' + b"1" * 10_000 + b"}",
    ],
    ids=range(9),
)  # fmt: skip
def test_a_damaged_line_costs_its_task_and_nothing_else(line, tmp_path):
    out = Store(tmp_path)
    out.write_bytes("receipts/x/0.jsonl", line + b'\n{"task": "t2", "files": [], "result": 2}\n')
    journal = ReceiptJournal(out, "x")
    journal.read()
    assert journal.whole(["t", "t2"], full=True) == {"t2": 2} and records(out) == {}
