"""The road: a recipe's configs enter, one content-addressed step for each room's function leaves.

This is the only place that knows both the rooms and the steps. Each step below is a name, a version, the settings that
shape its output, what it needs, and one call. Heavy rooms are imported when their step runs, so that a road whose steps
are all there answers in a few seconds.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST, TIMING, Outcome, Step, is_done, run_steps
from skyloom.core.store import Store
from skyloom.corpus import sources
from skyloom.run import watch
from skyloom.run.engines import make_engine
from skyloom.run.recipe import Recipe, load, sessions
from skyloom.run.steps import ORDER, _corpus_steps, _judging_steps, _reference_step, _training_steps

DOWNLOADS = "downloads"
RUN_RECORD = "telemetry/run.json"


@dataclass
class Road:
    """A recipe in a work folder. `steps` finds the sources (which may ask apt), so it is made when first needed."""

    recipe: Recipe
    work: Store
    engine: Engine
    progress: Progress
    samples: Path

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        work: str | None = None,
        overrides: Sequence[str] = (),
        source: str | None = None,
        workers: int | None = None,
        engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> Road:
        """Read the recipe; nothing runs yet. ConfigError for whatever is wrong with it."""
        recipe = load(path, overrides, source)
        folder = Store(work or Path("runs", recipe.name))
        return cls(
            recipe, folder, engine or make_engine("local", workers), progress or Progress(), path.absolute().parent / recipe.samples
        )

    @functools.cached_property
    def steps(self) -> dict[str, Step]:
        """All steps by name, in the order of the road."""
        self.work.prepare()
        found = sources.resolve(
            self.recipe.corpus.sources, cache=self.work.scratch(DOWNLOADS), samples=self.samples, progress=self.progress
        )
        self.recipe = scaled(self.recipe, found, self.progress)
        steps = _corpus_steps(self.recipe, found)
        steps |= _reference_step(self.recipe, steps)
        steps |= _training_steps(self.recipe, steps)
        return steps | _judging_steps(self.recipe, steps)

    def folder(self, name: str) -> Store:
        """The folder of a step."""
        return self.work.child(self.steps[name].folder)

    def run(self, until: str = ORDER[-1]) -> list[Outcome]:
        """Do all steps that `until` needs, and record wall time and peak memory in `telemetry/run.json`."""
        from skyloom.run import processes

        started = time.monotonic()
        steps = self.steps
        if processes.processes() > 1:
            processes.meet(self.recipe)
        if processes.follows():
            processes.follow(steps, self.work, self.engine)
            return []
        if not is_done(self.work, self.steps["corpus"]):
            self._prepare()
        with watch.peak_memory() as peak:
            try:
                outcomes = run_steps(self._targets(until), self.work, self.engine, self.progress)
                processes.dismiss()
            finally:
                self.engine.close()
        record = {
            "seconds": round(time.monotonic() - started, 3),
            "peak_memory_bytes": peak.bytes,
            "until": until,
            "steps": [{"name": o.name, "folder": o.folder, "status": o.status, "seconds": round(o.seconds, 3)} for o in outcomes],
        }
        # A run that found everything done must not hide what the run that did it took.
        self.work.write_json(RUN_RECORD if any(o.status != "skipped" for o in outcomes) else "telemetry/rerun.json", record)
        return outcomes

    def _targets(self, until: str) -> list[Step]:
        """`until`, and before it what other models pay for the held-out texts, so that it can be seen while ours is trained."""
        first = [self.steps["references"]] if "references" in self.steps and ORDER.index(until) >= ORDER.index("stage1") else []
        return [*first, self.steps[until]]

    def _prepare(self) -> None:
        """Start the workers of the corpus steps, and say why that takes long where it does."""
        from skyloom.core.kernels import cache

        folder = cache()
        if self.engine.workers > 1 and not (folder and any(folder.rglob("*.nbc"))):
            self.progress.log("compiling the kernels of the corpus steps: about a minute, once for each version on a machine")
        self.engine.prepare()

    def plan(self) -> list[dict[str, Any]]:
        """What `run` would do: each step with its folder, whether it is there, its size, and how long it took here before."""
        here = self.work.path().glob(f"*/{TIMING}") if self.work.local else ()  # of a remote folder times are not asked
        timings = sorted(here, key=lambda p: p.stat().st_mtime)
        before = {p.parent.parent.name.rsplit("-", 1)[0]: p for p in timings}  # the newest of each name
        rows = []
        for name, step in self.steps.items():
            there = is_done(self.work, step)
            size = sum(f["size"] for f in self.folder(name).read_json(MANIFEST)["files"]) if there else None
            known = Store(before[name].parent.parent) if name in before else None
            rows.append(
                {
                    "step": name,
                    "folder": step.folder,
                    "state": "there" if there else "to do",
                    "bytes": size,
                    "seconds, when last done here": known.read_json(TIMING)["seconds"] if known else None,
                    "tokens": getattr(self.recipe, name).data.tokens if name in sessions(self.recipe) else None,
                }
            )
        return rows


def scaled(recipe: Recipe, found: Sequence[sources.ResolvedSource], progress: Progress) -> Recipe:
    """The recipe with fewer tokens where the sample pages stand in for a source: they would be repeated far beyond the cap."""
    if not any(s.kind == "samples" != s.config.kind for s in found) or not all(recipe.samples_tokens):
        return recipe
    first, second = recipe.samples_tokens
    progress.log(f"so little text: stage1 is scaled down to {first:,} tokens, stage2 to {second:,}; the figures will mean little")
    return replace(
        recipe,
        stage1=replace(recipe.stage1, data=recipe.stage1.data.resized(first)),
        stage2=replace(recipe.stage2, data=recipe.stage2.data.resized(second)),
    )
