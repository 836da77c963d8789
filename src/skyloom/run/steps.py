"""The steps of a run: name, version, settings, inputs and function of each content-addressed step.

This is the only module that knows both the packages and the steps. A heavy package is imported when its step runs, so that a run
of which every step is finished ends in a few seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError
from skyloom.core.json_files import DoneStep, PlainTable, PlannedShares, RunFacts
from skyloom.core.progress import Progress
from skyloom.core.step import Step, StepContext, finished_at, made_on, read_manifest, seconds_taken
from skyloom.core.store import FileRecord, Store
from skyloom.corpus import sources
from skyloom.run import watch
from skyloom.run.packaged import asked_as
from skyloom.run.recipe import Recipe, meaning, order, stage_of, stages
from skyloom.tokenizer.base import given_base
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.train.config import ScoreTaskConfig
from skyloom.train.stage_list import FINAL, Stage, planting

_ALONE = {"exercises": (), **dict.fromkeys(("pages", "extract", "parallel", "corpus", "references"), ("corpus.sources",))}
_WITH_VOCABULARY = ("corpus.sources", "tokenizer")
_WHOLE = (*_WITH_VOCABULARY, "model", "stages")


def require(recipe: Recipe, until: str, origin: str) -> None:
    """ConfigError that names the keys which `until`, or a step before it, needs and the recipe does not have."""
    keys = _ALONE.get(until, _WITH_VOCABULARY if until in ("tokenizer", "tokens") else _WHOLE)
    absent = [key for key in keys if not (recipe.corpus.sources if key == "corpus.sources" else getattr(recipe, key))]
    if absent:
        what = "missing key" if len(absent) == 1 else "missing keys"
        raise ConfigError(f"{origin}: {what} {', '.join(map(meaning, absent))}; the step {until} needs {_it(absent)}")


def _it(absent: list[str]) -> str:
    return "it" if len(absent) == 1 else "them"


def all_steps(recipe: Recipe, found: tuple[sources.ResolvedSource, ...]) -> dict[str, Step]:
    """The steps of a run by name, in their order, as far as the recipe describes it. `found`: the recipe's sources, resolved."""
    steps = _corpus_steps(recipe, found)
    if recipe.tokenizer is not None:
        steps |= _token_steps(recipe, recipe.tokenizer, steps)
    steps |= _reference_step(recipe, steps)
    if recipe.tokenizer is None or recipe.model is None or not recipe.stages:
        return steps
    steps |= _training_steps(recipe, steps)
    return steps | _judging_steps(recipe, steps)


def _corpus_steps(recipe: Recipe, found: tuple[sources.ResolvedSource, ...]) -> dict[str, Step]:
    """Pages to documents. Language policies and exemptions are no part of `pages`: changing one fetches nothing again."""
    from skyloom.corpus import bitext, extract, filters, stem
    from skyloom.corpus import clean as cleaning

    own = filters.resolve(recipe.corpus.filters)
    corpus, rules = recipe.corpus, sources.policies(recipe.corpus.sources)
    policy_settings = {name: plain(policy) for name, policy in rules.items()}

    def read(ctx: StepContext) -> None:
        sources.fetch(found, ctx.out, engine=ctx.engine, progress=ctx.progress)

    def judge(ctx: StepContext) -> None:
        extract.extract(ctx.need("pages"), ctx.out, corpus.extract, rules, engine=ctx.engine, progress=ctx.progress)

    def align(ctx: StepContext) -> None:
        bitext.align(ctx.need("extract"), ctx.out, corpus.parallel_text, engine=ctx.engine, progress=ctx.progress)

    def write(ctx: StepContext) -> None:
        stem.generate(recipe.exercises, ctx.out, progress=ctx.progress)

    def clean(ctx: StepContext) -> None:
        inputs = (ctx.need("extract"), ctx.need("parallel"), ctx.need("exercises"))
        cleaning.clean(*inputs, ctx.out, corpus.clean, rules, engine=ctx.engine, progress=ctx.progress, own=own)

    # what came later stands in the identity of a source of its own kind, so that the others keep their names
    later = ("languages", "exempt", "use", "version", "settings")
    what = [{k: v for k, v in plain(s).items() if k not in later} for s in corpus.sources]
    pages = Step("pages", read, what, version=5, identity="\n".join(f"{s.config.name} {s.kind} {s.identity}" for s in found))
    own_text = extract.extractor_identity(corpus.extract) if corpus.extract.use else ""
    extracting = {"extract": corpus.extract, "policies": policy_settings}
    extracted = Step("extract", judge, extracting, version=6, needs=(pages,), identity=own_text)
    pairs = Step("parallel", align, corpus.parallel_text, version=3, needs=(extracted,))
    exercises = Step("exercises", write, recipe.exercises, version=2)
    inputs = (extracted, pairs, exercises)
    settings = {"clean": corpus.clean, "policies": policy_settings}
    differs = cleaning.identity(corpus.clean.order, own, corpus.clean.lists)  # nothing in a usual recipe: its step keeps its name
    identity = json.dumps(differs, ensure_ascii=False, sort_keys=True) if differs else ""
    cleaned = Step("corpus", clean, settings, version=4, needs=inputs, identity=identity)
    return {s.name: s for s in (pages, extracted, pairs, exercises, cleaned)}


def _token_steps(recipe: Recipe, config: TokenizerConfig, done: dict[str, Step]) -> dict[str, Step]:
    """The tokenizer and the token shards."""
    from skyloom.data import pack
    from skyloom.tokenizer import train as tokenizer

    def vocabulary(ctx: StepContext) -> None:
        tokenizer.train(ctx.need("corpus"), ctx.out, config, progress=ctx.progress)

    def shards(ctx: StepContext) -> None:
        inputs = (ctx.need("corpus"), ctx.need("exercises"), ctx.need("tokenizer"))
        pack.pack(*inputs, ctx.out, recipe.tokens, engine=ctx.engine, progress=ctx.progress)

    settings, identity = _vocabulary(config)
    tokens = Step("tokenizer", vocabulary, settings, version=2, needs=(done["corpus"],), identity=identity)
    packed = Step("tokens", shards, recipe.tokens, needs=(done["corpus"], done["exercises"], tokens))
    return {s.name: s for s in (tokens, packed)}


def _vocabulary(config: TokenizerConfig) -> tuple[PlainTable, str]:
    """Settings and identity of the tokenizer's step: a given base counts by what it holds, not by where it lies."""
    settings = {k: v for k, v in plain(config, identity_only=True).items() if k != "base_model"}
    if not config.base_model:
        return settings, ""
    given = given_base(Path(config.base_model))
    given.check(config.base, config.reserved, config.characters)
    return settings, given.digest


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
        from skyloom.train.watch import watched

        sets = heldout_sets(ctx.need("corpus"), ctx.need("exercises"), recipe.heldout_sets)
        references(config, figures, watched(sets, train, ctx.progress), ctx.out, progress=ctx.progress)

    settings = {"heldout": recipe.heldout_sets, "bytes": train.monitor_bytes, "document": train.monitor_document_bytes}
    needs = (done["corpus"], done["exercises"])
    return {"references": Step("references", compare, settings, needs=needs, identity=json.dumps([figures, identity]))}


def _training_steps(recipe: Recipe, done: dict[str, Step]) -> dict[str, Step]:
    """The training stages; each begins with the weights, the moments and the data positions that the one before ended with."""
    names = stages(recipe)

    def stage(name: str) -> Callable[[StepContext], None]:
        def learn(ctx: StepContext) -> None:
            from skyloom.run import processes
            from skyloom.run.stages import train_stage_step

            processes.call(recipe, name)
            train_stage_step(recipe, name, ctx)

        return learn

    inputs = tuple(done[n] for n in ("corpus", "exercises", "tokenizer", "tokens"))
    shared: dict[str, object] = {"train": recipe.train, "model": recipe.model, "heldout": recipe.heldout_sets}
    begun = ""
    if recipe.train.init_from:
        from skyloom.model.adopt import fingerprint

        begun = fingerprint(Path(recipe.train.init_from))
    if recipe.train.score_tasks:  # they change what is written, so they are part of the step; where there are none, nothing changes
        begun = json.dumps([begun, [_scored(task) for task in recipe.train.score_tasks], recipe.train.score_share])
    steps: dict[str, Step] = {}
    for place, name in enumerate(names):
        settings: dict[str, object] = {**shared, "stage": stage_of(recipe, name)}
        if place:
            settings["before"] = [stage_of(recipe, earlier).data for earlier in names[:place]]
            if changed := [_changes(stage_of(recipe, earlier)) for earlier in names[:place]]:
                settings |= {"earlier": changed} if any(changed) else {}
        steps[name] = Step(name, stage(name), settings, needs=(*inputs, *steps.values()), identity="" if place else begun)
    return steps


def _changes(stage: Stage) -> dict[str, object]:
    """What an earlier stage had of its own that a later one follows from: a count of samples, or its model."""
    own = {"context": stage.context, "batch": stage.batch, "rope_theta": stage.rope_theta}
    return {name: value for name, value in own.items() if value is not None}


def _scored(task: ScoreTaskConfig) -> list[str | int]:
    """What a benchmark task writes follows from: its items count by what they hold, not by where they lie."""
    digest = hashlib.sha256()
    root = Path(task.data)
    if task.data:
        if not root.exists():
            raise ConfigError(f"train.score_tasks: {root}, the data of {task.task}, is not there")
        for path in sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]:
            digest.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return [task.task, task.items, task.shots, digest.hexdigest()]


def _judging_steps(recipe: Recipe, done: dict[str, Step]) -> dict[str, Step]:
    """Evaluation, leakage, release and run page over the models at the ends of the stages that are released."""

    names = stages(recipe)
    compared = [stage.name for stage in recipe.stages[:-1] if stage.release]

    def models(ctx: StepContext) -> dict[str, Store]:
        """Models by the names that tables give them: that of the stage, and "final" for the last."""
        found = {name: ctx.need(name).child("final") for name in compared}
        return {**found, FINAL: ctx.need(names[-1]).child("final")}

    def evaluate(ctx: StepContext) -> None:
        from skyloom.evaluate.report import evaluate

        inputs = (ctx.need("corpus"), ctx.need("exercises"), ctx.need("tokens"), ctx.need("tokenizer"))
        evaluate(models(ctx), *inputs, ctx.out, recipe.evaluate, progress=ctx.progress)

    def leak(ctx: StepContext) -> None:
        from skyloom.leakage.gap import audit
        from skyloom.release import evidence

        inputs = (ctx.need("exercises"), ctx.need("tokenizer"))
        read = evidence.read({name: ctx.need(name) for name in names}).canaries_read
        planted = planting(recipe.stages) if read else None
        audit(models(ctx), *inputs, ctx.out, recipe.leakage, corpus=ctx.need("corpus"), planted=planted, progress=ctx.progress)

    def publish(ctx: StepContext) -> None:
        from skyloom.release.weights import release
        from skyloom.report.page import write

        facts = run_facts(recipe, ctx)

        def page(out: Store) -> FileRecord:
            return write({**ctx.inputs, "release": out}, out, recipe.report, facts, progress=ctx.progress)

        release(ctx.inputs, ctx.out, recipe.release, publishable(recipe), run=facts, page=page, progress=ctx.progress)

    def show(ctx: StepContext) -> None:
        from skyloom.report.page import write

        write(ctx.inputs, ctx.out, recipe.report, run_facts(recipe, ctx), progress=ctx.progress)

    base = tuple(done[n] for n in ("corpus", "exercises", "tokens", "tokenizer", *names))
    differs = "" if len(compared) == len(names) - 1 else json.dumps(compared)  # which models are judged
    judged = Step("evaluate", evaluate, recipe.evaluate, version=3, needs=base, identity=differs)
    audited = Step("leakage", leak, recipe.leakage, version=4, needs=base, identity=differs)
    # A release carries the resolved recipe, so every setting is part of it; so does the run page, which is in the release as well.
    others = tuple(done[name] for name in ("references",) if name in done)
    inputs = (*others, *base, done["pages"], done["extract"], done["parallel"], judged, audited)
    released = Step("release", publish, recipe, version=6, needs=inputs)
    shown = Step("report", show, recipe, version=5, needs=(*released.needs, released))
    return {s.name: s for s in (judged, audited, released, shown)}


def run_facts(recipe: Recipe, ctx: StepContext) -> RunFacts:
    """What the run page says of the run itself: its recipe, steps with hashes and times, versions and machine."""
    from skyloom.train.watch import measured  # needs torch, which the steps of a corpus do not

    steps: list[DoneStep] = []
    finished = ""
    names = order(recipe)
    for need in sorted(ctx.step.needs, key=lambda s: names.index(s.name)):
        folder = ctx.inputs[need.name]
        manifest = read_manifest(folder, need)
        finished = finished_at(folder) if need.name == recipe.stages[-1].name else finished
        steps.append(
            {
                "name": need.name,
                "folder": need.folder,
                "status": "done",
                "seconds": seconds_taken(folder),
                "bytes": sum(f["size"] for f in manifest["files"]),
                "content": manifest["content"],
                "machine": made_on(folder),
            }
        )
    energy = measured([ctx.need(name) for name in stages(recipe)])
    return {
        "name": recipe.name,
        "recipe": publishable(recipe),
        "steps": steps,
        "versions": watch.versions(),
        "packages": watch.packages(),
        "machine": watch.machine(),
        "commit": watch.commit(),
        "finished": finished,
        "asked": asked_as(recipe.name),
        "planned": _planned(recipe, ctx.need("tokens")),
        **({"energy": energy} if energy is not None else {}),
    }


def _planned(recipe: Recipe, tokens: Store) -> dict[str, PlannedShares]:
    """The mixture that each stage was resolved to, with the domains that have a fixed number of passes."""
    from skyloom.run.stages import open_streams

    found: dict[str, PlannedShares] = {}
    for name, stream in open_streams(recipe, tokens, Progress.silent()).items():
        plan = stream.plan
        fixed = [passes * size / plan.tokens for passes, size in zip(plan.passes, plan.available, strict=True)]
        left = 1.0 - sum(fixed)
        rows = [[own + left * share for own, share in zip(fixed, shares, strict=True)] for shares in plan.shares]
        found[name] = {"tokens": plan.tokens, "domains": list(plan.domains), "positions": list(plan.positions), "shares": rows}
    return found


def publishable(recipe: Recipe) -> PlainTable:
    """The resolved recipe as plain values, with local files by their names alone: folders of this machine are not published."""
    table = plain(recipe)
    table["train"]["init_from"] = Path(table["train"]["init_from"]).name
    others = table["references"]
    others["file"] = Path(others["file"]).name
    others["models"] = {name: Path(folder).name for name, folder in others["models"].items()}
    lists = table["corpus"]["clean"]["lists"]
    for key in ("block_files", "allow_files"):
        lists[key] = [Path(file).name for file in lists[key]]
    for source in table["corpus"]["sources"]:
        if "://" not in source["path"]:
            source["path"] = Path(source["path"]).name
    published: PlainTable = table
    return published
