"""Distribution filtering, measured: planted templates found, real prose left alone, topics more even, and how fast.

Input: the planted templates of tests/planted/distribution.py among real prose and documentation pages (`text/`, `warc/` in
SKYLOOM_BENCH_DATA). Output: tables. **Recall**: share of the planted blocks that are found to belong to a recurring group.
**Precision**: share of planted ones among all blocks found, where every block of real prose counts as an error, also one that
is a template. Families are those of the generator's `TEST`; thresholds were chosen on its `DEV`. Intervals are 95 % percentile
bootstraps over families.

    python -m bench.corpus.distribution [--quick]         the tables
    python -m bench.corpus.distribution --crowds          topic entropy by the share of one template
    python -m bench.corpus.distribution --web             topic entropy with thousands of templates of all sizes
    python -m bench.corpus.distribution --pages           what each depth removes from real documentation pages, with examples
    python -m bench.corpus.distribution --json recall-en|recall-zh|precision-en|precision-zh|false-removal|entropy|speed
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tests.planted.distribution import LANGS, SPREADS, families, planted, prose

from bench.answers import NotMeasuredError, answer, offer
from bench.corpus.template_crowd import crowd
from bench.corpus.topics import directions, fit_topics, topic_entropy, topics_of
from skyloom.core.errors import DataError
from skyloom.corpus.distribution.config import DistributionConfig, MeaningConfig
from skyloom.corpus.distribution.meaning import MeaningVerdict, count_meaning, judge_meaning, merge_meaning, sketch_meaning, vectors
from skyloom.corpus.distribution.meaning_groups import MeaningDecision, decide, find_groups
from skyloom.corpus.distribution.space import BlockSpace, BlockVectors, fit, language_codes
from skyloom.corpus.distribution.wording import REASONS, recurring_blocks
from skyloom.corpus.text.columns import list_lengths

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
PROSE = {
    "en": ("movie_reviews", "news_mixed", "literature", "government_speeches"),
    "zh": ("reviews", "encyclopedia_exam", "literature", "web_mixed"),
}
"""Prose without furniture, on the planted topics too (films, hotels, news)."""
SIZES = (30, 100, 400)
BAR_SIZE = 100
CROWD = 1000
CROWDS = (1000, 4000, 16000)
PART_BYTES = 1_000_000  # of real prose from each file
SEED, BOOTSTRAPS = 2023, 2000
WEB_SEEDS = (1, 2, 3)
CONFIG = MeaningConfig()


@dataclass(frozen=True)
class Mix:
    """Documents with blocks in an Arrow table; of each block its family ("" for real prose, "<topic>, prose" for a hard negative)
    and its language."""

    table: pa.Table
    family: npt.NDArray[np.str_]
    lang: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """All that one run over a mix as one shard gives, with CPU seconds by step."""

    space: BlockSpace
    made: BlockVectors
    decision: MeaningDecision
    verdict: MeaningVerdict
    seconds: dict[str, float]


def data_folder() -> Path:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not (Path(folder) / "text").is_dir():
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds text/ (bench/data.toml lists it)")
    return Path(folder)


def real_documents(lang: str, name: str, limit: int, skip: int = 0) -> Iterator[list[str]]:
    """Documents as lists of paragraphs, about `limit` bytes after the first `skip`; no paragraph twice, as exact copies are the
    first depth's."""
    seen: set[str] = set()
    size = 0
    with gzip.open(data_folder() / "text" / lang / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            blocks = [b for b in json.loads(line)["text"].split("\n\n") if b.strip() and b not in seen]
            seen.update(blocks)
            size += sum(len(b.encode()) for b in blocks)
            if blocks and size > skip:
                yield blocks
            if size > skip + limit:
                return


def mix(part: str, spread: str, size: int, *, only: str = "") -> Mix:
    """Real prose, hard negatives and `size` documents of each family of `part` (or of `only`), in both languages."""
    rows: list[tuple[str, str, Sequence[str]]] = []
    for lang in LANGS:
        rows += [(lang, "", blocks) for name in PROSE[lang] for blocks in real_documents(lang, name, PART_BYTES)]
        for family in [only] if only else families(part):
            rows += [(lang, family, d.blocks) for d in planted(family, lang, spread, size, SEED)]
            rows += [(lang, d.family, d.blocks) for d in prose(family, lang)]
    return _mix(rows)


def _mix(rows: Sequence[tuple[str, str, Sequence[str]]]) -> Mix:
    table = pa.table(
        {
            "id": [f"{k:032x}" for k in range(len(rows))],
            "lang": [r[0] for r in rows],
            "blocks": pa.array([list(r[2]) for r in rows], pa.list_(pa.string())),
        }
    )
    lengths = list_lengths(table.column("blocks"))
    return Mix(table, np.repeat([r[1] for r in rows], lengths), np.repeat(language_codes(table.column("lang")), lengths))


def run(given: Mix) -> Found:
    """Fit, sketch, count and judge."""
    seconds: dict[str, float] = {}
    clock = time.process_time()

    def done(step: str) -> None:
        nonlocal clock
        seconds[step] = time.process_time() - clock
        clock = time.process_time()

    space = fit(pc.list_flatten(given.table.column("blocks")), given.lang, minimum_units=CONFIG.minimum_units, sample=CONFIG.sample)
    done("fit")
    made = vectors(given.table, space, CONFIG)
    done("vectors")
    sketch = merge_meaning([sketch_meaning(given.table, space, CONFIG, made=made)], CONFIG)
    done("hashing")
    groups = find_groups(sketch, CONFIG)
    done("groups")
    counts = count_meaning(given.table, space, groups, CONFIG, made=made)
    done("count")
    decision = decide(groups, counts, CONFIG)
    done("decide")
    verdict = judge_meaning(given.table, space, groups, decision, CONFIG, made=made)
    done("judge")
    return Found(space, made, decision, verdict, seconds)


@dataclass(frozen=True)
class Score:
    """Of one language: blocks by family (planted and found), and blocks of prose found and judged."""

    planted: dict[str, int]
    found: dict[str, int]
    prose_found: int
    prose: int
    hard_found: int

    @property
    def recall(self) -> float:
        return sum(self.found.values()) / sum(self.planted.values())

    @property
    def precision(self) -> float:
        all_found = sum(self.found.values()) + self.prose_found + self.hard_found
        return sum(self.found.values()) / all_found if all_found else 0.0

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap of the recall over families."""
        names = sorted(self.planted)
        shares = np.array([self.found[n] / self.planted[n] for n in names])
        draws = np.random.default_rng(SEED).integers(0, len(names), (BOOTSTRAPS, len(names)))
        low, high = np.quantile(shares[draws].mean(axis=1), (0.025, 0.975))
        return float(low), float(high)


def score(given: Mix, verdict: MeaningVerdict, lang: str) -> Score:
    mine, hit = given.lang == LANGS.index(lang), verdict.group >= 0
    names = [f for f in np.unique(given.family[mine]) if f and not f.endswith(", prose")]
    hard, real = np.char.endswith(given.family, ", prose"), given.family == ""
    return Score(
        {n: int((mine & (given.family == n)).sum()) for n in names},
        {n: int((mine & hit & (given.family == n)).sum()) for n in names},
        int((mine & hit & real).sum()),
        int((mine & real).sum()),
        int((mine & hit & hard).sum()),
    )


def false_removal(lang: str, name: str) -> tuple[MeaningVerdict, Mix, float]:
    """A file of real prose by itself: the verdict, its blocks, and the share of its bytes removed."""
    given = _mix([(lang, "", blocks) for blocks in real_documents(lang, name, 3 * PART_BYTES)])
    verdict = run(given).verdict
    sizes = pc.binary_length(pc.list_flatten(given.table.column("blocks"))).to_numpy()
    return verdict, given, float(sizes[verdict.remove].sum() / sizes.sum())


def entropies(given: Mix, found: Found) -> tuple[float, float]:
    """Topic entropy in bits of the embedded blocks before and after removal, over the same 128 clusters of their meaning.

    The clusters are those of other prose, so that neither side has a part in them.
    """
    kept = ~found.verdict.remove[found.made.rows]
    return _entropy_of(found, np.ones(len(kept), np.bool_)), _entropy_of(found, kept)


def _entropy_of(found: Found, chosen: npt.NDArray[np.bool_]) -> float:
    other = _mix(
        [(lang, "", b) for lang in LANGS for n in PROSE[lang] for b in real_documents(lang, n, PART_BYTES // 2, skip=PART_BYTES)]
    )
    centres = fit_topics(directions(vectors(other.table, found.space, CONFIG).signs))
    return topic_entropy(topics_of(directions(found.made.signs), centres)[chosen])


def crowded(family: str, size: int = CROWD) -> tuple[float, float]:
    """The entropies where one template of each language takes a large part of the corpus: `size` documents of one family."""
    given = mix("test", "sentences", size, only=family)
    return entropies(given, run(given))


def crowds() -> None:
    """How the entropies depend on the share of a template: a rare one adds a topic, one that is everywhere hides the others."""
    print("| template | documents in each language | share of the blocks | found of it | entropy, bits |\n|---|---|---|---|---|")
    for family in families("test"):
        for size in CROWDS:
            given = mix("test", "sentences", size, only=family)
            found = run(given)
            planted_rows = given.family[found.made.rows] == family
            recall = found.verdict.remove[found.made.rows][planted_rows].mean()
            before, after = entropies(given, found)
            print(f"| {family} | {size:,} | {planted_rows.mean():.1%} | {recall:.3f} | {before:.3f} → {after:.3f} |", flush=True)


def web_like(seed: int, groups: int = 1000) -> Mix:
    """Real prose with thousands of templates in it, `groups` of each language (bench/corpus/template_crowd.py)."""
    rows: list[tuple[str, str, Sequence[str]]] = []
    for lang in LANGS:
        own = [(lang, "", blocks) for name in PROSE[lang] for blocks in real_documents(lang, name, PART_BYTES)]
        far = (b for name in PROSE[lang] for b in real_documents(lang, name, 2 * PART_BYTES, skip=3 * PART_BYTES))
        texts = [block for blocks in far for block in blocks]
        count = sum(len(blocks) for _, _, blocks in own)
        rows += own + [(lang, f"template {lang} {k}", [text]) for k, text in crowd(texts, count, seed, groups)]
    return _mix(rows)


def web_entropies(given: Mix) -> tuple[float, float, float, float]:
    """Entropy before, after, and of the prose alone (all templates out), over clusters of other prose; share of templates found."""
    found = run(given)
    before, after = entropies(given, found)
    planted_rows = given.family[found.made.rows] != ""
    alone = _entropy_of(found, ~planted_rows)
    return before, after, alone, float(found.verdict.remove[found.made.rows][planted_rows].mean())


def web() -> None:
    """Entropy where thousands of templates of all sizes stand in real prose, as on the web."""
    print("| seed | templates | share of the blocks | found of them | entropy, bits | with all templates out |")
    print("|---|---|---|---|---|---|")
    for seed in WEB_SEEDS:
        given = web_like(seed)
        count, share = len(set(given.family.tolist()) - {""}), (given.family != "").mean()
        before, after, alone, recall = web_entropies(given)
        print(f"| {seed} | {count:,} | {share:.1%} | {recall:.3f} | {before:.3f} → {after:.3f} | {alone:.3f} |", flush=True)


def speeds(given: Mix, found: Found) -> dict[str, float]:
    """MB of text per CPU-second: vectors, vectors and hashing, and a shard's three readings with its vectors kept."""
    size = pc.sum(pc.binary_length(pc.list_flatten(given.table.column("blocks")))).as_py() / 1e6
    spent = found.seconds
    return {
        "vectors": size / spent["vectors"],
        "vectors and hashing": size / (spent["vectors"] + spent["hashing"]),
        "all three steps": size / (spent["vectors"] + spent["hashing"] + spent["count"] + spent["judge"]),
    }


def examples(given: Mix, found: Found, most: int, *, only: npt.NDArray[np.bool_] | None = None) -> str:
    """Markdown: the largest groups with three of their texts."""
    lines = ["| group | blocks | removed | language | tightness | three of them |", "|---|---|---|---|---|---|"]
    verdict = found.verdict
    flat = pc.list_flatten(given.table.column("blocks"))
    chosen = verdict.group >= 0 if only is None else (verdict.group >= 0) & only
    numbers, counts = np.unique(verdict.group[chosen], return_counts=True)
    for group in numbers[np.lexsort((numbers, -counts))][:most]:
        rows = np.flatnonzero(verdict.group == group)
        texts = [flat[int(r)].as_py().replace("\n", " ").replace("|", "/")[:90] for r in rows[:: max(1, len(rows) // 3)][:3]]
        cells = (group, len(rows), verdict.remove[rows].sum(), LANGS[given.lang[rows[0]]], f"{found.decision.tight[group]:.2f}")
        lines.append("| " + " | ".join(map(str, cells)) + " | " + " // ".join(texts) + " |")
    return "\n".join(lines)


def pages() -> None:
    """Documentation pages through the extraction: what the first depth removes, and the second of what is left."""
    given, tags, sources = documentation()
    blocks = given.table.column("blocks")
    first = recurring_blocks(blocks, tags, sources, DistributionConfig())
    flat = pc.list_flatten(blocks)
    sizes = np.asarray(pc.binary_length(flat).to_numpy(), np.int64)
    print(f"{len(given.table)} pages, {len(flat)} blocks, {sizes.sum() / 1e6:.1f} MB of text\n")
    print("| removed | blocks | share of the text | the most frequent |\n|---|---|---|---|")
    for code, reason in list(enumerate(REASONS))[1:]:
        rows = np.flatnonzero(first.reason == code)
        top, seen = [], set()
        for row in rows[np.argsort(-first.documents[rows], kind="stable")]:
            if first.keys[row] not in seen and len(top) < 4:
                seen.add(first.keys[row])
                top.append(f"{flat[int(row)].as_py()[:60]!r} ({first.documents[row]})")
        print(f"| {reason} | {len(rows)} | {sizes[rows].sum() / sizes.sum():.2%} | {', '.join(top).replace('|', '/')} |")
    keep = ~first.remove
    owner = np.repeat(np.arange(len(given.table)), list_lengths(blocks))
    langs = given.table.column("lang").to_pylist()
    texts: dict[int, list[str]] = {}
    for row, text in zip(owner[keep].tolist(), flat.filter(pa.array(keep)).to_pylist(), strict=True):
        texts.setdefault(row, []).append(text)
    left = _mix([(langs[row], "", texts[row]) for row in sorted(texts)])
    found = run(left)
    sizes = np.asarray(pc.binary_length(pc.list_flatten(left.table.column("blocks"))).to_numpy(), np.int64)
    share = sizes[found.verdict.remove].sum() / sizes.sum()
    before, after = entropies(left, found)
    print(f"| recurs in meaning | {found.verdict.remove.sum()} | {share:.2%} | see below |\n")
    print(f"topic entropy {before:.3f} → {after:.3f} bits\n\n{examples(left, found, 12)}")


def documentation(most: int = 1500) -> tuple[Mix, pa.Array, pa.Array]:
    """Every few of the archive's pages, extracted: their blocks, tags, and the first part of their address as source."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    from skyloom.corpus.extract.stage import extract_html

    path = data_folder() / "warc" / "docs_en_zh.warc.gz"
    rows, tags, sources = [], [], []
    with open(path, "rb") as file:
        for number, record in enumerate(ArchiveIterator(file, record_types=WarcRecordType.response)):
            if number % 3 or len(rows) == most:
                continue
            page = extract_html(record.reader.read())
            han = sum("\u4e00" <= c <= "\u9fff" for c in page.text)
            if page.blocks:
                rows.append(("zh" if han > len(page.text) / 5 else "en", "", page.blocks))
                tags.append(list(page.tags))
                sources.append("/".join(str(record.headers["WARC-Target-URI"]).split("/")[:5]))
    return _mix(rows), pa.array(tags, pa.list_(pa.string())), pa.array(sources)


def tables(quick: bool) -> None:
    print("| planted | size | recall en | precision en | recall zh | precision zh | hard negatives found | entropy, bits |")
    print("|---|---|---|---|---|---|---|---|")
    for part, size in [("test", s) for s in SIZES] + [("dev", BAR_SIZE)]:
        for spread in SPREADS[-1:] if quick else SPREADS:
            given = mix(part, spread, size)
            found = run(given)
            cells = [f"{spread}, {part}", str(size)]
            hard = 0
            for lang in LANGS:
                got = score(given, found.verdict, lang)
                low, high = got.interval()
                cells += [f"{got.recall:.3f} ({low:.2f}–{high:.2f})", f"{got.precision:.3f}"]
                hard += got.hard_found
            before, after = entropies(given, found)
            print("| " + " | ".join([*cells, str(hard), f"{before:.3f} → {after:.3f}"]) + " |", flush=True)
    print("\n| one template in each language | entropy, bits |\n|---|---|")
    for family in families("test"):
        before, after = crowded(family)
        print(f"| {family}, {CROWD} documents each | {before:.3f} → {after:.3f} |", flush=True)
    print("\n" + ", ".join(f"{k} {v:.1f} MB/CPU-s" for k, v in speeds(given, found).items()))
    print(
        f"\n{examples(given, found, 6)}\n\n| prose | blocks | removed | of the text | groups | a group |\n|---|---|---|---|---|---|"
    )
    for lang in LANGS:
        for name in sorted(p.name.removesuffix(".jsonl.gz") for p in (data_folder() / "text" / lang).glob("*.gz")):
            print(_prose_line(lang, name), flush=True)


def _prose_line(lang: str, name: str) -> str:
    try:
        verdict, given, share = false_removal(lang, name)
    except DataError:
        return f"| {lang} {name} | too few to learn from | | | | |"
    groups, counts = np.unique(verdict.group[verdict.group >= 0], return_counts=True)
    shown = ""
    if len(groups):
        rows = np.flatnonzero(verdict.group == groups[np.argmax(counts)])
        flat = pc.list_flatten(given.table.column("blocks"))
        shown = " // ".join(flat[int(r)].as_py().replace("\n", " ").replace("|", "/")[:60] for r in rows[:: len(rows) // 2][:2])
    return f"| {lang} {name} | {len(verdict.remove)} | {verdict.remove.sum()} | {share:.2%} | {len(groups)} | {shown} |"


@functools.cache
def planted_run(spread: str) -> tuple[Mix, Found]:
    """A mix of the size of the bars, and what is found in it."""
    given = mix("test", spread, BAR_SIZE)
    return given, run(given)


def bar(what: str) -> float:
    """The value of one bar, the mean over the four spreads at 100 documents a family; entropy: the least gain of `web_like`."""
    if what == "entropy":
        return min(after - before for before, after, _, _ in (web_entropies(web_like(seed)) for seed in WEB_SEEDS))
    if what == "false-removal":
        return max(false_removal(lang, name)[2] for lang in LANGS for name in PROSE[lang])
    values: list[float] = []
    for spread in SPREADS:
        given, found = planted_run(spread)
        if what == "speed":
            values.append(speeds(given, found)["vectors and hashing"])
        else:
            kind, lang = what.split("-")
            got: Any = score(given, found.verdict, lang)
            values.append(got.recall if kind == "recall" else got.precision)
    return float(np.median(values[1:]) if what == "speed" else np.mean(values))


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure distribution filtering.")
    parser.add_argument("--quick", action="store_true", help="the loosest templates only")
    parser.add_argument("--crowds", action="store_true", help="entropy by the share of one template")
    parser.add_argument("--web", action="store_true", help="entropy with thousands of templates, as on the web: the bar's set")
    parser.add_argument("--pages", action="store_true", help="what is removed from real documentation pages")
    offer(parser, ("recall-en", "recall-zh", "precision-en", "precision-zh", "false-removal", "entropy", "speed"))
    options = parser.parse_args()
    shown = pages if options.pages else crowds if options.crowds else web if options.web else lambda: tables(options.quick)
    return answer(options.json, bar, shown)


if __name__ == "__main__":
    sys.exit(main())
