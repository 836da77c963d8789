"""`--shard i/n`: shares are disjoint and complete, nobody repeats another's work, and the last one goes on."""

import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_engine import SILENT, TASKS, shuffle, square

from skyloom.core.engine import Engine, Shard, ShardsMissingError
from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.step import MANIFEST, Step, run_steps
from skyloom.core.store import Store

ROOT = Path(__file__).parents[2]


@given(st.integers(1, 40), st.integers(0, 200))
def test_every_task_belongs_to_exactly_one_shard(count, tasks):
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for position in range(tasks):
        assert sum(shard.owns(position) for shard in shards) == 1


def test_a_shard_is_read_as_people_write_it():
    assert Shard.parse(" 3/48 ") == Shard(3, 48) and str(Shard(3, 48)) == "3/48"


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/3", "1/2/3", ""])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ConfigError, match=r"for example 3/48"):
        Shard.parse(text)


def test_a_map_in_three_shards(tmp_path):
    log, out = str(tmp_path / "log"), Store(tmp_path / "out")

    def run(shard):
        return Engine(shard=shard).map(partial(square, log), TASKS, out, progress=SILENT, label="x")

    with pytest.raises(ShardsMissingError, match=r"shard 2/3\b.*\b2 of 6\b") as told:
        run(Shard(2, 3))
    assert told.value.exit_code == 0
    with pytest.raises(ShardsMissingError, match="4 of 6"):
        run(Shard(1, 3))
    assert run(Shard(3, 3)) == [0, 1, 4, 9, 16, 25], "the last one has all results and goes on"
    assert run(None) == run(Shard(1, 7)) == [0, 1, 4, 9, 16, 25]
    assert sorted(Path(log).read_text().split()) == [t.key for t in TASKS]


def test_a_run_without_shard_does_what_a_dead_shard_left(tmp_path):
    log, out = str(tmp_path / "log"), Store(tmp_path / "out")
    with pytest.raises(ShardsMissingError):
        Engine(shard=Shard(1, 2)).map(partial(square, log), TASKS, out, progress=SILENT, label="x")
    assert Engine().map(partial(square, log), TASKS, out, progress=SILENT, label="x") == [0, 1, 4, 9, 16, 25]
    assert Path(log).read_text().split() == ["part-00", "part-02", "part-04", "part-01", "part-03", "part-05"]


def test_a_file_of_another_shard_that_is_gone_is_not_counted_as_done(tmp_path):
    log, out = str(tmp_path / "log"), Store(tmp_path / "out")
    with pytest.raises(ShardsMissingError):
        Engine(shard=Shard(1, 2)).map(partial(square, log), TASKS, out, progress=SILENT, label="x")
    out.remove("part-02.txt")
    with pytest.raises(ShardsMissingError, match="5 of 6"):
        Engine(shard=Shard(2, 2)).map(partial(square, log), TASKS, out, progress=SILENT, label="x")


def two_maps(context):
    out, log = context.out, context.step.settings["log"]
    scratch = out.child("scratch")
    context.engine.map(partial(square, f"{log}.scratch"), TASKS, scratch, progress=SILENT, label="scratch")
    squares = context.engine.map(partial(square, log), TASKS, out, progress=SILENT, label="squares")
    names = shuffle(context.engine, out, 5)
    context.engine.discard(out, "scratch")
    out.write_json("summary.json", {"合计": sum(squares), "names": names})


def after(context):
    context.out.write_json("size.json", len(context.need("both").names("part-")))


def two_steps(log: Path) -> list[Step]:
    both = Step("both", two_maps, {"log": str(log)})
    return [Step("after", after, needs=(both,))]


def test_rounds_of_an_array_end_in_the_bytes_of_one_run(tmp_path):
    """Four maps (scratch, squares, scatter, gather): each round every shard comes once, in another order."""
    log, work, rounds = tmp_path / "log", Store(tmp_path / "work"), []
    for order in ((1, 2, 3), (3, 1, 2), (2, 3, 1), (1, 2, 3), (1, 2, 3)):
        done = 0
        for number in order:
            try:
                outcomes = run_steps(two_steps(log), work, Engine(shard=Shard(number, 3)), SILENT)
            except ShardsMissingError:
                continue
            done += 1
        rounds.append(done)
    assert rounds[-1] == 3 and rounds[0] == 0
    for done_by_all in (log, log.with_name("log.scratch")):
        assert sorted(done_by_all.read_text().split()) == [t.key for t in TASKS], "no task was done twice"
    alone = run_steps(two_steps(log), Store(tmp_path / "alone"), Engine(), SILENT)
    assert [(o.folder, o.content) for o in outcomes] == [(o.folder, o.content) for o in alone]
    assert not [n for n in work.names() if "/shuffle/" in n or "/scratch/" in n]


def test_a_damaged_step_is_left_to_a_run_that_is_alone(tmp_path):
    log, work = tmp_path / "log", Store(tmp_path / "work")
    folder = run_steps(two_steps(log), work, Engine(), SILENT)[0].folder
    work.write_text(f"{folder}/part-03.txt", "cut")
    with pytest.raises(IntegrityError, match="without --shard"):
        run_steps(two_steps(log), work, Engine(shard=Shard(1, 2)), SILENT)
    assert work.exists(f"{folder}/{MANIFEST}")
    assert [o.status for o in run_steps(two_steps(log), work, Engine(), SILENT)] == ["redone", "skipped"]


def test_shards_that_run_at_once_wait_for_each_other_and_all_finish(tmp_path):
    """Patience makes one submission enough where all shards run at the same time, each in a process of its own."""
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from skyloom.core.engine import Engine, Shard
        from skyloom.core.step import run_steps
        from skyloom.core.store import Store
        from tests.core.test_engine_shard import SILENT, two_steps
        engine = Engine(shard=Shard.parse(sys.argv[1]), patience=60)
        outcomes = run_steps(two_steps(Path({str(tmp_path / "log")!r})), Store({str(tmp_path / "work")!r}), engine, SILENT)
        print(outcomes[0].content)
    """)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"{number}/3"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in (1, 2, 3)
    ]
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], told
    alone = run_steps(two_steps(tmp_path / "log"), Store(tmp_path / "alone"), Engine(), SILENT)
    assert {out.strip() for out, _ in told} == {alone[0].content}
    assert sorted((tmp_path / "log").read_text().split()) == sorted([t.key for t in TASKS] * 2)
