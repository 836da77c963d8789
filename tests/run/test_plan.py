"""`--dry-run`: what is there, what is damaged, how long it took; no broken file of a finished step ends it."""

from pathlib import Path
from types import MappingProxyType

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST, TIMING, Step, run_steps
from skyloom.core.store import Store
from skyloom.run.recipe import load
from skyloom.run.run import ResolvedRun

ROOT = Path(__file__).parents[2]


def test_a_dry_run_tells_damaged_manifests_and_takes_broken_telemetry_for_none(tmp_path):
    work = Store(tmp_path)
    steps = {
        name: Step(name, lambda ctx: ctx.out.write_text("字.txt", "内容") and None) for name in ("pages", "extract", "parallel")
    }
    run_steps(list(steps.values()), work, Engine(), Progress.silent())
    (tmp_path / steps["pages"].folder / MANIFEST).write_text('{"files": []}')
    (tmp_path / steps["extract"].folder / TIMING).write_text("{坏")
    (tmp_path / steps["parallel"].folder / MANIFEST).unlink()
    recipe = load(ROOT / "recipes" / "tiny.toml")
    rows = {row["step"]: row for row in ResolvedRun(recipe, MappingProxyType(steps), work, Engine(), Progress.silent()).plan()}
    assert [rows[name]["state"] for name in steps] == ["damaged", "there", "to do"]
    assert [rows[name]["bytes"] for name in steps] == [None, 6, None]
    known = [rows[name]["seconds, when last done here"] is not None for name in steps]
    assert known == [True, False, True]
