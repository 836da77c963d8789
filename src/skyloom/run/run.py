"""A run: a recipe in a work folder. It resolves the sources, makes the steps (`run.steps`), and does those that are not done yet.

`Run.open` reads the recipe and touches nothing. `Run.resolve` makes the work folder, looks at the sources (which may ask apt) and
returns a `ResolvedRun`, which does not change: the recipe as it will be trained, and all steps with the names of their folders.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.json_files import Rows
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST, TIMING, Step, StepOutcome, is_done, read_manifest, run_steps, seconds_taken, verify
from skyloom.core.store import Store
from skyloom.corpus import sources
from skyloom.run import watch
from skyloom.run.engines import make_engine
from skyloom.run.packaged import find_recipe, samples_folder
from skyloom.run.recipe import STEPS_AFTER, USUAL_SAMPLES, Recipe, load, order, stage_of, stages
from skyloom.run.recipe_checks import check_files, release_doubts
from skyloom.run.steps import all_steps, require

DOWNLOADS = "downloads"
RUN_RECORD = "telemetry/run.json"


@dataclass(frozen=True)
class Run:
    """A recipe in a work folder. Nothing is made or looked up before `resolve`.

    `origin`: the recipe as the user named it, for messages.
    """

    recipe: Recipe
    work: Store
    engine: Engine
    progress: Progress
    samples: Path
    origin: str

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        work: str | Path | None = None,
        overrides: Sequence[str] = (),
        source: str | None = None,
        text_field: str | None = None,
        workers: int | None = None,
        engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Read the recipe, a file or the name of one that comes with the program; nothing runs yet. ConfigError for whatever is
        wrong with it."""
        file = find_recipe(path)
        recipe = load(file, overrides, source, text_field)
        folder = Store(work or Path("runs", recipe.name))
        samples = samples_folder(file, recipe.samples, USUAL_SAMPLES)
        return cls(recipe, folder, engine or make_engine("local", workers), progress or Progress(), samples, str(path))

    def require(self, step: str) -> None:
        """ConfigError if the recipe lacks what a step needs."""
        require(self.recipe, step, self.origin)

    def finished(self, *steps: str, maker: str) -> ResolvedRun:
        """The run, resolved, if all of `steps` are done and whole in its work folder; for commands that only look. `maker`: the
        command that does the last of them.

        DataError if one is not done: nothing was made or fetched then, unless the folder holds the last step of other settings.
        IntegrityError if one was changed.
        """
        self.require(steps[-1])
        command = f"`{maker} {self.origin}` with the same options"
        others = [p.name for p in self.work.path().glob(f"{steps[-1]}-*") if (p / MANIFEST).is_file()] if self.work.local else []
        if self.work.local and not others:
            raise DataError(f"{self.work.root} has no finished step '{steps[-1]}'; {command} makes it")
        resolved = self.resolve(steps[-1])
        for name in steps:
            folder = resolved.folder(name)
            if not is_done(self.work, resolved.steps[name]):
                had = f" ({', '.join(sorted(others))}: made with other settings or from other pages)" if others else ""
                raise DataError(f"{self.work.root} has no finished step '{name}' of this recipe{had}; {command} makes it")
            if wrong := verify(folder, full=self.engine.full_checks, threads=self.engine.workers):
                raise IntegrityError(f"{', '.join(wrong[:3])} in {folder.root} differs from its checksum; {command} mends it")
        return resolved

    def resolve(self, until: str = STEPS_AFTER[-1]) -> ResolvedRun:
        """Make the work folder and find the sources. `until`: the last step that will be asked for.

        ConfigError if the recipe lacks what that step needs, ConfigError or DataError if a source is not there.
        """
        self.require(until)
        self.work.prepare()
        cache = self.work.scratch(DOWNLOADS)
        found = sources.resolve(self.recipe.corpus.sources, cache=cache, samples=self.samples, progress=self.progress)
        recipe = scaled(self.recipe, found, self.progress)
        return ResolvedRun(recipe, MappingProxyType(all_steps(recipe, found)), self.work, self.engine, self.progress)


@dataclass(frozen=True)
class ResolvedRun:
    """A run whose sources are known. `recipe`: as it will be trained; `steps`: all steps by name, in the order of the run."""

    recipe: Recipe
    steps: Mapping[str, Step]
    work: Store
    engine: Engine
    progress: Progress

    def folder(self, name: str) -> Store:
        """The folder of a step."""
        return self.work.child(self.steps[name].folder)

    def with_steps(self, more: Mapping[str, Step]) -> ResolvedRun:
        """The same run with further steps."""
        return replace(self, steps=MappingProxyType({**self.steps, **more}))

    def run(self, until: str = STEPS_AFTER[-1]) -> list[StepOutcome]:
        """Do all steps that `until` needs, and record wall time and peak memory in `telemetry/run.json`."""
        from skyloom.run import processes

        started = time.monotonic()
        if processes.processes() > 1:
            processes.meet(self.recipe)
        if processes.follows():
            processes.follow(self.steps, self.work, self.engine)
            return []
        corpus = not is_done(self.work, self.steps["corpus"])
        check_files(self.recipe, corpus=corpus, evaluation=self._trains(until))
        for doubt in release_doubts(self.recipe) if self._trains(until) else ():
            self.progress.log(f"warning: {doubt}")
        if corpus:
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
        """`until`, and before it the other models' bits per byte, so that they can be seen while ours is trained."""
        first = [self.steps["references"]] if "references" in self.steps and self._trains(until) else []
        return [*first, self.steps[until]]

    def _trains(self, until: str) -> bool:
        """Whether a run to the step `until` trains."""
        names, first = order(self.recipe), stages(self.recipe)[:1]
        return bool(first) and names.index(until) >= names.index(first[0])

    def _prepare(self) -> None:
        """Start the workers of the corpus steps, and say why that takes long where it does."""
        from skyloom.core.kernels import cache

        folder = cache()
        if self.engine.workers > 1 and not (folder and any(folder.rglob("*.nbc"))):
            self.progress.log("compiling the kernels of the corpus steps: one to four minutes, once for each version on a machine")
        self.engine.prepare()

    def plan(self) -> Rows:
        """What `run` would do: each step with its folder, whether it is there, its size, and how long it took here before.

        A folder with a damaged manifest is "damaged": its step will be done again.
        """
        before = self._seconds_before()
        rows: Rows = []
        for name, step in self.steps.items():
            state, size = "to do", None
            if is_done(self.work, step):
                try:
                    state, size = "there", sum(f["size"] for f in read_manifest(self.folder(name), step)["files"])
                except IntegrityError:
                    state = "damaged"
            rows.append(
                {
                    "step": name,
                    "folder": step.folder,
                    "state": state,
                    "bytes": size,
                    "seconds, when last done here": before.get(name),
                    "tokens": stage_of(self.recipe, name).data.tokens if name in stages(self.recipe) else None,
                }
            )
        return rows

    def _seconds_before(self) -> dict[str, float]:
        """How long each step took when it was last done here, by its name; those of which it cannot be read are left out."""
        here = self.work.path().glob(f"*/{TIMING}") if self.work.local else ()  # of a remote folder times are not asked
        timings = sorted((p for p in here if p.is_file()), key=lambda p: p.stat().st_mtime)
        taken = {p.parent.parent.name.rsplit("-", 1)[0]: seconds_taken(Store(p.parent.parent)) for p in timings}
        return {name: seconds for name, seconds in taken.items() if seconds is not None}


def scaled(recipe: Recipe, found: Sequence[sources.ResolvedSource], progress: Progress) -> Recipe:
    """The recipe with fewer tokens where the sample pages stand in for a source: they would be repeated far beyond the cap."""
    if not any(s.kind == "samples" != s.config.kind for s in found) or not any(s.samples_tokens for s in recipe.stages):
        return recipe
    told = ", ".join(
        f"{stage.name} is scaled down to {stage.samples_tokens:,} tokens" for stage in recipe.stages if stage.samples_tokens
    )
    progress.log(f"warning: so little text: {told}; the figures will mean little")
    shorter = (replace(s, data=s.data.resized(s.samples_tokens)) if s.samples_tokens else s for s in recipe.stages)
    return replace(recipe, stages=tuple(shorter))
