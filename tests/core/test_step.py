"""Steps: skipped when there, redone when damaged, re-run only where a setting matters, safe for two runs at once."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest

from skyloom.core.config import setting
from skyloom.core.engine import Engine
from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST, TIMING, Step, is_done, ordered, read_manifest, run_steps, seconds_taken, verify
from skyloom.core.store import Store


@dataclass(frozen=True)
class Words:
    text: str = setting("文本 text", doc="what is written")
    workers: int = setting(1, doc="speed only", identity=False)


def two_steps(calls, first=Words(), second=2):
    def write(ctx):
        calls.append("write")
        ctx.out.write_text("words.txt", ctx.step.settings.text)
        ctx.out.write_text("telemetry/time.txt", os.urandom(4).hex())

    def double(ctx):
        calls.append("double")
        ctx.out.write_text("twice.txt", ctx.need("write").read_text("words.txt") * ctx.step.settings["times"])

    one = Step("write", write, first)
    return Step("double", double, {"times": second}, needs=(one,))


def run(step, path):
    return run_steps([step], Store(path), Engine(), Progress.silent())


def test_done_steps_are_skipped_and_settings_re_run_what_depends_on_them(tmp_path):
    calls = []
    assert [o.status for o in run(two_steps(calls), tmp_path)] == ["done", "done"]
    assert [o.status for o in run(two_steps(calls), tmp_path)] == ["skipped", "skipped"]
    assert [o.status for o in run(two_steps(calls, second=3), tmp_path)] == ["skipped", "done"]
    assert [o.status for o in run(two_steps(calls, first=Words(text="别的")), tmp_path)] == ["done", "done"]
    assert calls == ["write", "double", "double", "write", "double"]


def test_settings_of_speed_and_telemetry_are_no_part_of_the_hash(tmp_path):
    a, b = run(two_steps([]), tmp_path / "a"), run(two_steps([], first=Words(workers=9)), tmp_path / "b")
    assert [(o.folder, o.content) for o in a] == [(o.folder, o.content) for o in b]


def test_a_damaged_file_is_named_and_its_step_done_again(tmp_path):
    calls, lines = [], []
    step = two_steps(calls)
    first = run(step, tmp_path)
    (tmp_path / step.needs[0].folder / "words.txt").write_text("文本 texT")
    progress = Progress.silent()
    progress.log = lines.append
    outcomes = run_steps([step], Store(tmp_path), Engine(), progress)
    assert [o.status for o in outcomes] == ["redone", "skipped"]
    assert [o.content for o in outcomes] == [o.content for o in first]
    assert any("words.txt" in line and "checksum" in line for line in lines)


def test_a_failed_step_is_not_done(tmp_path):
    def fail(ctx):
        ctx.out.write_text("part.txt", "x")
        raise StorageError("disk full")

    step = Step("fail", fail)
    with pytest.raises(StorageError):
        run(step, tmp_path)
    assert not is_done(Store(tmp_path), step)


def test_the_manifest_names_what_the_step_was_made_of(tmp_path):
    step = two_steps([])
    run(step, tmp_path)
    manifest = Store(tmp_path / step.folder).read_json(MANIFEST)
    assert manifest["settings"] == {"times": 2} and manifest["needs"] == [step.needs[0].folder]
    assert [f["name"] for f in manifest["files"]] == ["twice.txt"]


def test_key_is_stable():
    """Golden: a changed hash would make every finished run start anew; change it knowingly."""
    assert Step("name", print, Words(), 3).key == "1d3dc266ae411845"


def test_order_has_each_step_once_and_needs_first():
    a = Step("a", print)
    b, c = Step("b", print, needs=(a,)), Step("c", print, needs=(a,))
    assert [s.name for s in ordered([Step("d", print, needs=(b, c)), c])] == ["a", "b", "c", "d"]


def test_two_runs_in_one_folder_the_second_waits_and_finds_it_done(tmp_path):
    program = textwrap.dedent(f"""
        import time
        from skyloom.core.engine import Engine
        from skyloom.core.progress import Progress
        from skyloom.core.step import Step, run_steps
        from skyloom.core.store import Store
        def work(ctx):
            with open({str(tmp_path / "calls")!r}, "a") as log:
                log.write("x")
            time.sleep(1.0)
            ctx.out.write_text("a.txt", "甲")
        print(run_steps([Step("slow", work)], Store({str(tmp_path / "work")!r}), Engine(), Progress())[0].status)
    """)
    pair = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    results = [p.communicate(timeout=60) for p in pair]
    assert sorted(out.decode().strip() for out, _ in results) == ["done", "skipped"]
    assert (tmp_path / "calls").read_text() == "x"
    assert b"waiting for it" in results[0][1] + results[1][1]


def _without(key):
    return lambda manifest: {k: v for k, v in manifest.items() if k != key}


def _file(**changes):
    return lambda manifest: manifest | {"files": [{**manifest["files"][0], **changes}]}


DAMAGE = {
    **{f"no {key}": _without(key) for key in ("name", "key", "files", "content")},
    "another content": lambda m: m | {"content": "0" * 64},
    "a content that is no text": lambda m: m | {"content": 7},
    "another step's": lambda m: m | {"name": "写"},
    "another key": lambda m: m | {"key": "0" * 16},
    "no record": lambda m: m | {"files": [3]},
    "files that are a table": lambda m: m | {"files": {"words.txt": 3}},
    "files that are none": lambda m: m | {"files": None},
    "a size that is a text": _file(size="9"),
    "a size below nothing": _file(size=-1),
    "a checksum that is none": _file(sha256="甲" * 64),
    "a field too many": _file(文=1),
    "a file elsewhere": _file(name="../文.txt"),
    "a file of the machine": _file(name="/etc/hostname"),
    "the folder itself": _file(name=""),
    "a list": lambda m: [m],
    "nothing": lambda m: None,
    "cut": lambda m: b'{"name": "wri',
    "deep": lambda m: b"[" * 100_000,
    "a number of 10,000 digits": lambda m: b'{"files": ' + b"1" * 10_000 + b"}",
    "bytes that are no text": lambda m: "内容".encode("utf-16"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_manifest_is_not_believed_and_its_step_done_again(what, tmp_path):
    calls, lines = [], []
    step = two_steps(calls)
    first = run(step, tmp_path)
    beside = tmp_path / "文.txt"
    beside.write_text("not ours to remove")
    path = tmp_path / step.needs[0].folder / MANIFEST
    damaged = DAMAGE[what](json.loads(path.read_bytes()))
    path.write_bytes(damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode())
    with pytest.raises(IntegrityError, match=r"_step\.json is damaged"):
        read_manifest(Store(path.parent), step.needs[0])
    progress = Progress.silent()
    progress.log = lines.append
    outcomes = run_steps([step], Store(tmp_path), Engine(), progress)
    assert [o.status for o in outcomes] == ["redone", "skipped"] and calls == ["write", "double", "write"]
    assert [o.content for o in outcomes] == [o.content for o in first]
    assert any("_step.json" in line and "damaged" in line for line in lines)
    assert beside.read_text() == "not ours to remove"
    assert verify(Store(path.parent), step=step.needs[0]) == []


@pytest.mark.parametrize(
    "told",
    [b"", b"{", b"[]", b"null", b"3", b'{"seconds": null}', b'{"seconds": "\xe4\xb8\x80"}', b'{"seconds": NaN}', b'{"seconds": 1e999}',
     b'{"seconds": -1}', b'{"seconds": true}', b'{"seconds": ' + b"9" * 10_000 + b"}", b"[" * 100_000, "秒".encode("utf-16")],
    ids=range(14),
)  # fmt: skip
def test_broken_telemetry_is_no_error(told, tmp_path):
    step = two_steps([])
    run(step, tmp_path)
    folder = Store(tmp_path / step.folder)
    assert seconds_taken(folder) is not None
    (tmp_path / step.folder / TIMING).write_bytes(told)
    assert seconds_taken(folder) is None
    assert [o.status for o in run(step, tmp_path)] == ["skipped", "skipped"]
    (tmp_path / step.folder / TIMING).unlink()
    assert seconds_taken(folder) is None
