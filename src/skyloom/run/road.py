"""The road: a recipe's configs enter, one content-addressed step for each room's function leaves.

This is the only place that knows both the rooms and the steps. Each step below is a name, a version, the settings that
shape its output, what it needs, and one call. Heavy rooms are imported when their step runs, so that a road whose steps
are all there answers in a few seconds.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skyloom.core.config import plain
from skyloom.core.engine import Engine, Shard
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST, TIMING, Outcome, Step, StepContext, is_done, run_steps
from skyloom.core.store import Store
from skyloom.corpus import sources
from skyloom.run import watch
from skyloom.run.doctor import usable_cores
from skyloom.run.recipe import Recipe, load, sessions
from skyloom.tokenizer.base import read_base
from skyloom.tokenizer.train import TokenizerConfig

DOWNLOADS = "downloads"
RUN_RECORD = "telemetry/run.json"
ORDER = (
    "pages", "extract", "parallel", "exercises", "corpus", "tokenizer", "tokens", "lr-test", "references",
    "stage1", "stage1b", "stage2", "evaluate", "leakage", "release", "report",
)  # fmt: skip


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
        from skyloom.run import crew

        started = time.monotonic()
        steps = self.steps
        if crew.processes() > 1:
            crew.meet(self.recipe)
        if crew.follows():
            crew.follow(steps, self.work, self.engine)
            return []
        if not is_done(self.work, self.steps["corpus"]):
            self._prepare()
        with watch.peak_memory() as peak:
            try:
                outcomes = run_steps(self._targets(until), self.work, self.engine, self.progress)
                crew.dismiss()
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
        kernels = os.environ.get("NUMBA_CACHE_DIR")
        if self.engine.workers > 1 and not (kernels and any(Path(kernels).rglob("*.nbc"))):
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


def make_engine(
    kind: str, workers: int | None = None, *, shard: str | None = None, patience: float = 0.0, verify: str = "full", memory: int = 0
) -> Engine:
    """The engine "local" or "ray" with `workers` (None: one for each usable core). `memory`: bytes for all of them, 0 for no limit.

    ConfigError for a shard that is not i/n.
    """
    count = usable_cores() if workers is None else workers
    made: type[Engine] = Engine
    if kind == "ray":
        from skyloom.core.engine_ray import RayEngine

        made = RayEngine
    share = Shard.parse(shard) if shard else None
    preload = ("skyloom.corpus.warm",)
    return made(count, shard=share, patience=patience, verify=verify, memory=memory // max(count, 1), preload=preload)


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


def _corpus_steps(recipe: Recipe, found: tuple[sources.ResolvedSource, ...]) -> dict[str, Step]:
    """Pages to token shards. Language policies and exemptions are no part of `pages`: changing one fetches nothing again."""
    from skyloom.corpus import extract, parallel, pipeline, stem
    from skyloom.data import pack
    from skyloom.tokenizer import train as tokenizer

    corpus, rules = recipe.corpus, sources.policies(recipe.corpus.sources)
    policy_settings = {name: plain(policy) for name, policy in rules.items()}

    def read(ctx: StepContext) -> None:
        sources.fetch(found, ctx.out, engine=ctx.engine, progress=ctx.progress)

    def judge(ctx: StepContext) -> None:
        extract.extract(ctx.need("pages"), ctx.out, corpus.extract, rules, engine=ctx.engine, progress=ctx.progress)

    def align(ctx: StepContext) -> None:
        parallel.align(ctx.need("extract"), ctx.out, corpus.parallel, engine=ctx.engine, progress=ctx.progress)

    def write(ctx: StepContext) -> None:
        stem.generate(recipe.exercises, ctx.out, progress=ctx.progress)

    def clean(ctx: StepContext) -> None:
        inputs = (ctx.need("extract"), ctx.need("parallel"), ctx.need("exercises"))
        pipeline.clean(*inputs, ctx.out, corpus.clean, rules, engine=ctx.engine, progress=ctx.progress)

    def vocabulary(ctx: StepContext) -> None:
        tokenizer.train(ctx.need("corpus"), ctx.out, recipe.tokenizer, progress=ctx.progress)

    def shards(ctx: StepContext) -> None:
        inputs = (ctx.need("corpus"), ctx.need("exercises"), ctx.need("tokenizer"))
        pack.pack(*inputs, ctx.out, recipe.tokens, engine=ctx.engine, progress=ctx.progress)

    what = [{k: v for k, v in plain(s).items() if k not in ("languages", "exempt")} for s in corpus.sources]
    pages = Step("pages", read, what, version=2, identity="\n".join(f"{s.config.name} {s.kind} {s.identity}" for s in found))
    extracted = Step("extract", judge, {"extract": corpus.extract, "policies": policy_settings}, version=2, needs=(pages,))
    pairs = Step("parallel", align, corpus.parallel, version=3, needs=(extracted,))
    exercises = Step("exercises", write, recipe.exercises)
    inputs = (extracted, pairs, exercises)
    cleaned = Step("corpus", clean, {"clean": corpus.clean, "policies": policy_settings}, version=2, needs=inputs)
    settings, identity = _vocabulary(recipe.tokenizer)
    tokens = Step("tokenizer", vocabulary, settings, version=2, needs=(cleaned,), identity=identity)
    packed = Step("tokens", shards, recipe.tokens, needs=(cleaned, exercises, tokens))
    return {s.name: s for s in (pages, extracted, pairs, exercises, cleaned, tokens, packed)}


def _vocabulary(config: TokenizerConfig) -> tuple[dict[str, Any], str]:
    """Settings and identity of the tokenizer's step: a given base counts by what it holds, not by where it lies."""
    settings = {k: v for k, v in plain(config, identity_only=True).items() if k != "base_model"}
    identity = hashlib.sha256(read_base(Path(config.base_model))).hexdigest() if config.base_model else ""
    return settings, identity


def _reference_step(recipe: Recipe, done: dict[str, Step]) -> dict[str, Step]:
    """Other models' bits per byte on the monitor's texts, if the recipe names any. Training does not depend on it."""
    from skyloom.evaluate.figures import fingerprint, read_figures

    config, train = recipe.references, recipe.train
    figures = read_figures(config)
    identity = [[name, fingerprint(name, Path(folder))] for name, folder in config.models.items()]
    if not figures and not identity:
        return {}

    def compare(ctx: StepContext) -> None:
        from skyloom.evaluate.reference import references
        from skyloom.suites import heldout_sets
        from skyloom.train.monitor import watched

        sets = heldout_sets(ctx.need("corpus"), ctx.need("exercises"), recipe.heldout)
        references(config, figures, watched(sets, train, ctx.progress), ctx.out, progress=ctx.progress)

    settings = {"heldout": recipe.heldout, "bytes": train.monitor_bytes, "document": train.monitor_document_bytes}
    needs = (done["corpus"], done["exercises"])
    return {"references": Step("references", compare, settings, needs=needs, identity=json.dumps([figures, identity]))}


def _training_steps(recipe: Recipe, done: dict[str, Step]) -> dict[str, Step]:
    """The sessions; each begins with the weights, the moments and the data positions that the one before ended with."""
    names = sessions(recipe)

    def stage(name: str) -> Callable[[StepContext], None]:
        def learn(ctx: StepContext) -> None:
            from skyloom.run import crew

            crew.call(recipe, name)
            crew.train(recipe, name, ctx)

        return learn

    inputs = tuple(done[n] for n in ("corpus", "exercises", "tokenizer", "tokens"))
    shared = {"train": recipe.train, "model": recipe.model, "heldout": recipe.heldout}
    begun = ""
    if recipe.train.init_from:
        from skyloom.model.adopt import fingerprint

        begun = fingerprint(Path(recipe.train.init_from))
    steps: dict[str, Step] = {}
    for place, name in enumerate(names):
        settings = {**shared, "stage": getattr(recipe, name)}
        if place:
            settings["before"] = [getattr(recipe, earlier).data for earlier in names[:place]]
        steps[name] = Step(name, stage(name), settings, needs=(*inputs, *steps.values()), identity="" if place else begun)
    return steps


def loader(recipe: Recipe, stage: str, tokens: Store, progress: Progress, *, vocabulary: int | None = None) -> Any:
    """The stream of samples of a session, which goes on in each source where the one before stopped.

    `vocabulary`: of the model that will read it. ConfigError if that is not the one of the tokens, or a session cannot work.
    All sessions are planned, so that one that cannot work is refused before the first is trained, not after.
    """
    from skyloom.data.loader import Loader
    from skyloom.data.mixture import resolve

    manifest = tokens.read_json("tokens.json")
    train = recipe.train
    shape: dict[str, Any] = {"seed": train.seed, "batch": train.batch, "context": train.context, "vocabulary": vocabulary}
    made: dict[str, Loader] = {}
    used: dict[str, float] = {}
    for name in sessions(recipe):
        plan = resolve(getattr(recipe, name).data, manifest, progress=progress, name=f"{name}.data", used=used)
        made[name] = Loader(tokens, plan, **shape)
        used |= made[name].consumed(made[name].steps)
    return made[stage]


def _judging_steps(recipe: Recipe, done: dict[str, Step]) -> dict[str, Step]:
    """Evaluation, leakage, release and report over both checkpoints."""

    *general, last = sessions(recipe)

    def models(ctx: StepContext) -> dict[str, Store]:
        return {"stage1": ctx.need(general[-1]).child("final"), "final": ctx.need("stage2").child("final")}

    def evaluate(ctx: StepContext) -> None:
        from skyloom.evaluate.report import evaluate

        inputs = (ctx.need("corpus"), ctx.need("exercises"), ctx.need("tokens"), ctx.need("tokenizer"))
        evaluate(models(ctx), *inputs, ctx.out, recipe.evaluate, progress=ctx.progress)

    def leak(ctx: StepContext) -> None:
        from skyloom.leakage.gap import audit
        from skyloom.release import evidence

        inputs = (ctx.need("exercises"), ctx.need("tokenizer"))
        planted = evidence.read({name: ctx.need(name) for name in (*general, last)}).canaries_read
        audit(models(ctx), *inputs, ctx.out, recipe.leakage, corpus=ctx.need("corpus"), planted=planted, progress=ctx.progress)

    def publish(ctx: StepContext) -> None:
        from skyloom.release.weights import release

        release(ctx.inputs, ctx.out, recipe.release, publishable(recipe), progress=ctx.progress)

    def show(ctx: StepContext) -> None:
        from skyloom.report.page import write

        write(ctx.inputs, ctx.out, recipe.report, _run_facts(recipe, ctx), progress=ctx.progress)

    base = tuple(done[n] for n in ("corpus", "exercises", "tokens", "tokenizer", *general, last))
    judged = Step("evaluate", evaluate, recipe.evaluate, needs=base)
    audited = Step("leakage", leak, recipe.leakage, needs=base)
    # A release carries the resolved recipe, so every setting is part of it; so does the report.
    released = Step("release", publish, recipe, needs=(*base, done["pages"], done["extract"], done["parallel"], judged, audited))
    others = tuple(done[name] for name in ("references",) if name in done)
    shown = Step("report", show, recipe, needs=(*others, *released.needs, released))
    return {s.name: s for s in (judged, audited, released, shown)}


def _run_facts(recipe: Recipe, ctx: StepContext) -> dict[str, Any]:
    """What the report page says of the run itself: its recipe, steps with hashes and times, versions and machine."""
    steps = []
    for need in sorted(ctx.step.needs, key=lambda s: ORDER.index(s.name)):
        folder = ctx.inputs[need.name]
        manifest = folder.read_json(MANIFEST)
        facts = {
            "seconds": folder.read_json(TIMING)["seconds"],
            "bytes": sum(f["size"] for f in manifest["files"]),
            "content": manifest["content"],
        }
        steps.append({"name": need.name, "folder": need.folder, "status": "done", **facts})
    return {
        "name": recipe.name,
        "recipe": publishable(recipe),
        "steps": steps,
        "versions": watch.versions(),
        "machine": watch.machine(),
    }


def publishable(recipe: Recipe) -> dict[str, Any]:
    """The resolved recipe as plain values, with local source files by their names: folders of a machine are nobody's business."""
    table: dict[str, Any] = plain(recipe)
    table["train"]["init_from"] = Path(table["train"]["init_from"]).name
    others = table["references"]
    others["file"] = Path(others["file"]).name
    others["models"] = {name: Path(folder).name for name, folder in others["models"].items()}
    for source in table["corpus"]["sources"]:
        if "://" not in source["path"]:
            source["path"] = Path(source["path"]).name
    return table


def continue_text(folder: Path, prompt: str, *, tokens: int, temperature: float, top_p: float, seed: int) -> str:
    """What the released model in `folder` writes after `prompt`. ConfigError if the folder holds no model."""
    from skyloom.release.weights import load_released
    from skyloom.score.config import SamplingConfig
    from skyloom.score.generate import generate

    if not (folder / "config.json").exists():
        raise ConfigError(f"{folder} holds no released model (skyloom release build RECIPE makes one)")
    model, tokenizer, context = load_released(Store(folder))
    sampling = SamplingConfig(tokens=tokens, temperature=temperature, top_p=top_p, seed=seed)
    begun = [tokenizer.bos_id, *tokenizer.encode(prompt)]
    (made,) = generate(model, [begun], sampling, context=context, eos_id=tokenizer.eos_id)
    return prompt + tokenizer.decode(made)
