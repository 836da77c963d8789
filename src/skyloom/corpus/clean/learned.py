"""Models learned from the corpus before filtering: block vectors and their groups, and quality judges.

Input: tasks with a shard's key, as in phases.py. Output: samples and counts of the shard, and from tasks that stand alone the
merged models. Both parts run only where the recipe asks for them: `corpus.clean.meaning.wanted`, and reference text for
`corpus.clean.quality.judges`. The rules themselves are those of distribution/meaning.py and quality/learned/judges.py.

    meaning   sample → fit → sketch → find groups → count → decide           → space.npz, groups.npz, decision.npz
    groups    sample → train → score and count → thresholds                  → judges/, scores-KEY, thresholds.json

Memory: a shard and its block vectors (290 bytes each); the samples, 60,000 blocks of each language; the judges' training text.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done
from skyloom.core.store import Store
from skyloom.corpus.candidates import PAGES, origin_is
from skyloom.corpus.clean.config import CleanJob
from skyloom.corpus.clean.gates import COUNTS, DECISION, GROUPS, JUDGES, SPACE, THRESHOLDS, read, remaining, templates
from skyloom.corpus.clean.phase_results import AllShardsTask, ShardTask
from skyloom.corpus.clean.phases import pass_duplicates
from skyloom.corpus.distribution import (
    BlockCounts,
    BlockSpace,
    MeaningCounts,
    MeaningGroups,
    MeaningSketch,
    count_meaning,
    decide,
    find_groups,
    fit,
    judge_blocks,
    language_codes,
    merge_counts,
    merge_meaning,
    merge_samples,
    pack,
    sample_blocks,
    sketch_meaning,
)
from skyloom.corpus.quality import (
    cited_in_dump,
    count_scores,
    fit_thresholds,
    is_cited,
    load_judges,
    merge_cited,
    sample,
    train_judges,
)
from skyloom.corpus.quality import merge_counts as merge_perplexity
from skyloom.corpus.quality import merge_samples as merge_documents
from skyloom.corpus.text import list_lengths


def meaning_sample(task: ShardTask, work: Store) -> Done[None]:
    """The blocks of a shard that the vectors may be learned from."""
    job, key = task.payload.job, task.payload.part
    table = _prose(job, work, key)
    langs = np.repeat(language_codes(table.column("lang")), list_lengths(table.column("blocks")))
    config = job.config.meaning
    found = sample_blocks(pc.list_flatten(table.column("blocks")), langs, minimum_units=config.minimum_units, sample=config.sample)
    return Done((work.write_table(f"meaning-sample-{key}.parquet", found),), None)


def _prose(job: CleanJob, work: Store, key: str) -> pa.Table:
    """The pages of a shard that are judged, without the blocks that recur word for word."""
    table = pass_duplicates(job, work, key).table
    part = table.filter(pa.array(templates(table, job)))
    return remaining(part, judge_blocks(part, read(BlockCounts, work, COUNTS), job.config.distribution))


def meaning_space(task: AllShardsTask, work: Store) -> Done[None]:
    """The space of block vectors, learned from the samples of all shards (one task)."""
    job, keys = task.payload.job, task.payload.part
    config = job.config.meaning
    table = merge_samples([work.read_table(f"meaning-sample-{key}.parquet") for key in keys], sample=config.sample)
    langs = np.asarray(table.column("lang").to_numpy(), np.int64)
    space = fit(table.column("text"), langs, minimum_units=config.minimum_units, sample=config.sample)
    return Done((work.write_bytes(SPACE, pack(space)),), None)


def meaning_sketch(task: ShardTask, work: Store) -> Done[None]:
    """The buckets of a shard's blocks."""
    job, key = task.payload.job, task.payload.part
    found = sketch_meaning(_prose(job, work, key), read(BlockSpace, work, SPACE), job.config.meaning)
    return Done((work.write_bytes(f"meaning-sketch-{key}.npz", pack(found)),), None)


def meaning_groups(task: AllShardsTask, work: Store) -> Done[int]:
    """The groups that the buckets of all shards show (one task)."""
    job, keys = task.payload.job, task.payload.part
    parts = (read(MeaningSketch, work, f"meaning-sketch-{key}.npz") for key in keys)
    groups = find_groups(merge_meaning(parts, job.config.meaning), job.config.meaning)
    return Done((work.write_bytes(GROUPS, pack(groups)),), len(groups.langs))


def meaning_count(task: ShardTask, work: Store) -> Done[None]:
    """How many blocks of a shard are in each group, and which would stay."""
    job, key = task.payload.job, task.payload.part
    space, groups = read(BlockSpace, work, SPACE), read(MeaningGroups, work, GROUPS)
    found = count_meaning(_prose(job, work, key), space, groups, job.config.meaning)
    return Done((work.write_bytes(f"meaning-count-{key}.npz", pack(found)),), None)


def meaning_decision(task: AllShardsTask, work: Store) -> Done[int]:
    """Which groups recur too often (one task)."""
    job, keys = task.payload.job, task.payload.part
    counts = merge_counts([read(MeaningCounts, work, f"meaning-count-{key}.npz") for key in keys])
    decision = decide(read(MeaningGroups, work, GROUPS), counts, job.config.meaning)
    return Done((work.write_bytes(DECISION, pack(decision)),), int(decision.often.sum()))


def judges_sample(task: ShardTask, work: Store) -> Done[None]:
    """Reference text and other pages of a shard, as many bytes of each as a judge may be trained on."""
    job, key = task.payload.job, task.payload.part
    config = job.config.quality.judges
    table = work.read_table(f"{job.before}-{key}.parquet", ["id", "url", "text", "lang", "source", "origin"])
    good = reference(table, job.config.quality.judges.reference, merge_cited(cited_in_dump(path) for path in config.cited_by))
    budget, columns = config.lm.train_mb << 20, ["id", "text", "lang"]
    prose = origin_is(table, *PAGES)
    files = []
    for name, rows in (("reference", good & prose), ("plain", ~good & prose)):
        files.append(work.write_table(f"{name}-{key}.parquet", sample(table.filter(pa.array(rows)).select(columns), budget)))
    return Done(tuple(files), None)


def reference(table: pa.Table, sources: tuple[str, ...], cited: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents of the sources that are reference text, and those that an encyclopedia cites."""
    named = pc.is_in(table.column("source"), value_set=pa.array(sources, pa.string()))
    return np.asarray(named.to_numpy(zero_copy_only=False), bool) | is_cited(table.column("url"), cited)


def judges_train(task: AllShardsTask, work: Store) -> Done[None]:
    """The judges, trained on the samples of all shards (one task)."""
    job, keys = task.payload.job, task.payload.part
    config = job.config.quality.judges
    budget = config.lm.train_mb << 20
    parts = [merge_documents((work.read_table(f"{name}-{key}.parquet") for key in keys), budget) for name in ("reference", "plain")]
    out = work.child(JUDGES)
    train_judges(parts[0], parts[1], out, config)
    return Done(tuple(work.describe(f"{JUDGES}/{name}") for name in out.names()), None)


def judges_score(task: ShardTask, work: Store) -> Done[None]:
    """The scores of a shard's prose, and what they add to the percentiles."""
    job, key = task.payload.job, task.payload.part
    table = work.read_table(f"{job.before}-{key}.parquet", ["text", "lang", "origin"])
    rows = np.flatnonzero(origin_is(table, *PAGES))
    part = table.take(pa.array(rows))
    scores = load_judges(work.child(JUDGES)).score(part.column("text"), part.column("lang"))
    counts = count_scores(scores, part.column("lang"))
    scores = scores.append_column("row", pa.array(rows))
    files = work.write_table(f"scores-{key}.parquet", scores), work.write_table(f"perplexity-{key}.parquet", _flat(counts))
    return Done(files, None)


def judges_thresholds(task: AllShardsTask, work: Store) -> Done[None]:
    """Perplexities of head and tail over all shards (one task)."""
    job, keys = task.payload.job, task.payload.part
    tables = [work.read_table(f"perplexity-{key}.parquet") for key in keys]
    counts = merge_perplexity(np.stack([c.to_numpy() for c in t.columns]).astype(np.int64) for t in tables)
    found = fit_thresholds(counts, job.config.quality.judges.groups)
    return Done((work.write_json(THRESHOLDS, {lang: asdict(limit) for lang, limit in found.items()}),), None)


def _flat(counts: npt.NDArray[np.int64]) -> pa.Table:
    return pa.table({str(k): row for k, row in enumerate(counts)})
