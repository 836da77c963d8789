"""The bars: rows are judged by their threshold, what is not measured is no pass, and a broken bench is seen."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.answers import answer_measured

from bench import bars, demo

ROOT = Path(__file__).parents[2]


def bar(direction: str = "at most", command: str = "true") -> Any:
    return bars.Bar("b", 2, "多少", command, direction, 3)


@pytest.mark.parametrize(
    ("direction", "value", "met"),
    [("at most", 3, True), ("at most", 3.01, False), ("at least", 3, True), ("at least", 2.9, False), ("below", 3, False)],
)
def test_a_value_is_judged_by_direction_and_threshold(direction: str, value: float, met: bool) -> None:
    assert bar(direction).met(value) is met


@pytest.mark.parametrize(
    ("line", "status", "value"),
    [
        ('{"value": 2.5}', "pass", 2.5),
        ('{"value": 4}', "fail", 4.0),
        ('{"not_measured": "没有数据"}', "not measured", None),
        ('{"value": null}', "broken", None),
        ('{"value": true}', "broken", None),
        ("[1]", "broken", None),
        ("no json", "broken", None),
    ],
)
def test_a_line_becomes_a_result(line: str, status: str, value: float | None) -> None:
    found = bars._judge(bar(), line)
    assert (found.status, found.value) == (status, value)
    assert bool(found.note) == (value is None)


def test_a_figure_without_a_threshold_is_recorded_and_judged_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "bars.toml"
    path.write_text('[[bar]]\nid = "x"\nissue = 1\nmeasures = "量"\ncommand = "c"\ndirection = "recorded"\nunit = "F1"\n')
    (row,) = bars.read_bars(path)
    found = bars._judge(row, '{"value": 0.25}')
    assert (found.status, found.value) == ("recorded", 0.25)
    assert bars.table([found]).splitlines()[1].split() == ["x", "1", "0.25", "F1", "–", "recorded", "量"]


def test_a_command_is_run_and_its_last_line_counts(tmp_path: Path) -> None:
    script = tmp_path / "one two.py"  # a path with a space
    script.write_text("import json, sys\nprint('noise')\nprint(json.dumps({'value': len(sys.argv[1])}))\n")
    row = bar(command=f"{{python}} '{script}' {{work}}")
    (found,) = bars.measure([row], Path("a b"))
    assert found.value == 3.0
    script.write_text("raise SystemExit('it broke')")
    (broken,) = bars.measure([row], Path("x"))
    assert broken.status == "broken" and "it broke" in broken.note
    (absent,) = bars.measure([bar(command="no-such-program")], Path("x"))
    assert absent.status == "broken"


def test_bars_of_one_command_are_measured_by_one_process(tmp_path: Path) -> None:
    script = tmp_path / "bench.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        """
import argparse, os
from bench.answers import NotMeasuredError, answer, offer

def value(name):
    if name == "没有":
        raise NotMeasuredError("没有数据 no data")
    return os.getpid() if name == "pid" else len(name)

parser = argparse.ArgumentParser()
offer(parser, ("pid", "one", "没有"))
sys.exit(answer(parser.parse_args().json, value, lambda: print("tables")))
""",
        encoding="utf-8",
    )
    rows = [bars.Bar(name, 3, "", f"{{python}} {script} --json {name}", "at least", 3) for name in ("pid", "one", "没有", "pid")]
    found = list(bars.measure(rows, tmp_path))
    assert [r.status for r in found] == ["pass", "pass", "not measured", "pass"]
    assert found[0].value == found[3].value, "one process"
    assert found[1].value == 3.0 and found[2].note == "没有数据 no data"
    run = [sys.executable, str(script)]
    alone = subprocess.run([*run, "--json", "没有"], capture_output=True, text=True, check=True)
    assert json.loads(alone.stdout) == {"not_measured": "没有数据 no data"}
    assert (
        json.loads(subprocess.run([*run, "--json", "all"], capture_output=True, text=True, check=True).stdout)["values"]["one"] == 3
    )
    assert subprocess.run([*run, "--json", "two"], capture_output=True, check=False).returncode == 2
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "tables\n"


def test_figures_of_one_measurement_are_measured_once(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def measure() -> dict[str, float]:
        calls.append(1)
        return {"ids": 1, "logits": 0.00123456789}

    assert answer_measured(["ids", "logits"], measure) == 0 and len(calls) == 1
    assert json.loads(capsys.readouterr().out) == {"values": {"ids": 1, "logits": 0.00123456789}}
    assert answer_measured(None, measure) == 0
    assert capsys.readouterr().out == "ids: 1\nlogits: 0.00123457\n"


def test_the_projects_bars_are_well_formed_and_say_why_they_are_not_measured(tmp_path: Path) -> None:
    rows = bars.read_bars(ROOT / "bench" / "bars.toml")
    assert len(rows) >= 7
    for bar in rows:
        python, option, module, *_ = bar.command.split()
        assert (python, option) == ("{python}", "-m"), f"{bar.id}: {bar.command}"
        assert importlib.util.find_spec(module) is not None, f"{bar.id}: there is no module {module}"
    quick = [b.id for b in rows if b.id.startswith("demo-")] + ["extraction-en", "quality-rules-ratio", "corpus-speed"]
    command = [sys.executable, "-m", "bench.bars", "--work", str(tmp_path), "--json", "--only", *quick]
    bare = {name: value for name, value in os.environ.items() if name not in ("SKYLOOM_BENCH_DATA", "SKYLOOM_PEERS")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=bare)
    found = json.loads(done.stdout)
    assert {r["id"] for r in found} == set(quick)
    assert {r["status"] for r in found} == {"not measured"}
    assert all(r["value"] is None and "make demo" in r["note"] for r in found if r["id"].startswith("demo-"))


def test_a_misspelt_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bars.toml"
    row = '[[bar]]\nid = "x"\nissue = 1\nmeasures = "m"\ncommand = "c"\nthreshold = 1\n'
    for wrong, word in (('direction = "under"\n', "under"), ('direction = "below"\nlimit = 2\n', "limit")):
        path.write_text(row + wrong)
        with pytest.raises(ValueError, match=word):
            bars.read_bars(path)
    path.write_text(row + 'direction = "recorded"\n')
    with pytest.raises(ValueError, match="a threshold stands with every direction but 'recorded'"):
        bars.read_bars(path)
    path.write_text(2 * (row + 'direction = "below"\n'))
    with pytest.raises(ValueError, match="two bars"):
        bars.read_bars(path)


def test_data_is_compared_with_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"text")
    (tmp_path / "bad").write_bytes(b"other")
    digest = hashlib.sha256(b"text").hexdigest()
    listing = tmp_path / "data.toml"
    listing.write_text("".join(f'[[file]]\npath = "{p}"\nsha256 = "{digest}"\n' for p in ("good", "bad", "gone")))
    assert bars.check_data(listing, tmp_path) == [("good", "ok"), ("bad", "differs"), ("gone", "missing")]


def finished(work: Path, step: str, name: str, text: str) -> None:
    folder = work / f"{step}-0123456789abcdef"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_step.json").write_text("{}")
    (folder / name).write_text(text)


def control(final: tuple[bool | None, bool | None], before: tuple[bool | None, bool | None]) -> dict[str, Any]:
    """The control of leakage.json; of each model whether either half is flagged. The halves differ where only the planted one is."""
    models = {"final": final, "stage1": before}
    rows = {
        name: {"flagged": planted, "heldback_flagged": other, "flagged_paired": name == "final" and planted and not other}
        for name, (planted, other) in models.items()
    }
    return {"models": rows, "clean_test_flagged_in_final": False, "clean_test_flagged_in_stage1": False, "holds": True}


def test_canaries_that_are_flagged_like_the_held_back_half_are_no_pass(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.bars", "--work", str(tmp_path), "--json", "--only", "demo-canaries", "demo-clean"]
    finished(tmp_path, "leakage", "leakage.json", json.dumps({"control": control(final=(True, True), before=(False, False))}))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    canaries, clean = json.loads(done.stdout)
    assert (canaries["status"], canaries["note"]) == ("not measured", "cannot tell: flagged, but so is the held-back half")
    assert (clean["status"], clean["value"]) == ("fail", 1.0) and done.returncode == 1
    for final, value in (((True, False), 1.0), ((False, False), 0.0)):
        finished(tmp_path, "leakage", "leakage.json", json.dumps({"control": control(final, (False, False))}))
        assert demo.canaries_found(tmp_path) == value and demo.clean_flagged(tmp_path) == 0.0


def test_halves_that_are_not_told_apart_are_no_pass(tmp_path: Path) -> None:
    found = control(final=(True, False), before=(False, False))
    found["models"]["final"]["flagged_paired"] = False
    finished(tmp_path, "leakage", "leakage.json", json.dumps({"control": found}))
    with pytest.raises(demo.NotMeasuredError, match="cannot tell: flagged, but not told from the held-back half"):
        demo.canaries_found(tmp_path)
    assert demo.clean_flagged(tmp_path) == 0.0
    found["models"]["stage1"]["heldback_flagged"] = True
    finished(tmp_path, "leakage", "leakage.json", json.dumps({"control": found}))
    assert demo.clean_flagged(tmp_path) == 1.0


def test_figures_are_read_from_a_work_folder(tmp_path: Path) -> None:
    rows = [("final", "web_en", 2.0), ("final", "web_zh", 5.0), ("unigram", "web_en", 6.0), ("unigram", "web_zh", 4.0)]
    table = {"rows": [{"model": m, "set": s, "loss": loss} for m, s, loss in rows]}
    finished(tmp_path, "evaluate", "perplexity.json", json.dumps(table))
    finished(tmp_path, "leakage", "leakage.json", json.dumps({"control": control(final=(True, False), before=(True, False))}))
    for stage, steps in (("stage1", (0, 10)), ("stage2", (10, 20, 30))):
        lines = [json.dumps({"step": step, "set": s}) for step in steps for s in ("web_en", "web_zh")]
        finished(tmp_path, stage, "heldout.jsonl", "\n".join(lines) + "\n")
    assert demo.sets_not_below_unigram(tmp_path) == 1 and demo.heldout_sets(tmp_path) == 2
    assert demo.canaries_found(tmp_path) == 1.0 and demo.clean_flagged(tmp_path) == 1.0
    assert demo.monitoring_points(tmp_path) == 4


@pytest.mark.parametrize(
    ("statuses", "until", "minutes"),
    [("done done", "report", 2.0), ("skipped done", "report", None), ("done", "corpus", None)],
)
def test_only_a_run_that_did_everything_is_timed(tmp_path: Path, statuses: str, until: str, minutes: float | None) -> None:
    (tmp_path / "telemetry").mkdir()
    record = {"seconds": 120.0, "until": until, "steps": [{"status": s} for s in statuses.split()]}
    (tmp_path / "telemetry" / "run.json").write_text(json.dumps(record))
    if minutes is None:
        with pytest.raises(demo.NotMeasuredError, match="make demo"):
            demo.wall_minutes(tmp_path)
    else:
        assert demo.wall_minutes(tmp_path) == minutes
