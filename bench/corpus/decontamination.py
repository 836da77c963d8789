"""Decontamination: are leaked test items found, what is taken for one wrongly, and how fast.

Input: documents with leaked items in disguise (tests/planted/decontamination.py, frozen before the detector was written)
and, where SKYLOOM_BENCH_DATA has them, published test items (`eval/`) planted in real prose (`text/`) with the same disguises.
Output: the share found with the right item, by disguise and language; the share of documents without a leak that are accused,
by kind; alarms on prose as it is, with each accusation's passage to be read; MB per CPU-second. For the prose the n-grams
common in it are counted first, as a run does. Alarms on the prose include true leaks: whoever reads them decides.

    python -m bench.corpus.decontamination [--show N]                                   the tables, and N alarms with their passages
    python -m bench.corpus.decontamination --json planted|planted-real|accused|alarms|alarms-code|speed  one bar
    python -m bench.corpus.decontamination --json edited-en|edited-zh|edited-code|edited-real-en|edited-real-zh|verb-ratio

planted, planted-real: share of leaks found with the right item, of generated and of published items. accused: percent of generated
documents without a leak that are accused. alarms: percent of prose documents accused. speed: MB per CPU-second over the prose.
edited: share of items found after one number, or one name wherever it stands, was changed (tests/planted/edited_items.py), the
worse of the two kinds. alarms-code: percent of real source files accused of 300 generated items of code. verb-ratio: CPU-seconds of
`skyloom leak corpus` on the prose as files, reading included, over those of the step's two passes on the same texts in memory.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import os
import random
import statistics
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from tests.planted import decontamination as generated
from tests.planted.decontamination import DISGUISES, Item, Plant
from tests.planted.edited_items import EDITS, edit_items, edited_set, plant_edited

from bench.answers import NotMeasuredError, answer, offer
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.corpus.decontaminate.command import CorpusSearch, search_corpus
from skyloom.corpus.decontaminate.config import DecontaminationConfig, ItemSet
from skyloom.corpus.decontaminate.item_index import (
    Contamination,
    ItemIndex,
    build_index,
    count_documents,
    judge_contamination,
    merge_counts,
)
from skyloom.corpus.decontaminate.item_sets import ITEMS, read_items
from skyloom.corpus.dedup import row_lines

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
CONFIG = DecontaminationConfig()
GENERATED, PLANTED, SEED = 700, 50, 2023
EDITED, EDIT_SEED = 300, 2026
ROUNDS = 5
BARS = (
    "planted", "planted-real", "accused", "alarms", "speed", "edited-en", "edited-zh", "edited-code", "edited-real-en",
    "edited-real-zh", "alarms-code", "verb-ratio",
)  # fmt: skip
SOURCES = (
    ("gsm8k", "gsm8k/test.jsonl.gz", ("question",)),
    ("cmath", "cmath/test.jsonl.gz", ("question",)),
    ("mmlu-stem", "mmlu_stem/test.jsonl.gz", ("question", "choices")),
    ("aqua", "aqua/test.jsonl.gz", ("question", "options")),
    ("gaokao-math", "gaokao_math_qa/test.jsonl.gz", ("question", "options")),
)


def folder() -> Path:
    found = Path(os.environ.get(DATA_VARIABLE, ""))
    if not (found / "eval").is_dir():
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds eval/ and text/ (bench/data.toml lists them)")
    return found


def read_published() -> pa.Table:
    """The published items, a table ITEMS."""
    root = folder() / "eval"
    items = read_items([ItemSet(name, str(root / path), "id", text) for name, path, text in SOURCES])
    rows = []
    with tarfile.open(root / "cmmlu" / "cmmlu_data.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            file = archive.extractfile(member) if member.isfile() and "/test/" in member.name and "/." not in member.name else None
            if file is not None:
                for k, row in enumerate(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))):
                    text = "\n".join(row[field] for field in ("Question", "A", "B", "C", "D"))
                    rows.append(("cmmlu", f"{Path(member.name).stem}/{k}", text))
    cmmlu = pa.table([pa.array([r[k] for r in rows], f.type) for k, f in enumerate(ITEMS)], ITEMS)
    return pa.concat_tables([items, cmmlu]).combine_chunks()


def read_prose() -> dict[str, pa.Table]:
    """Prose by file, tables of id and text."""
    found = {}
    for path in sorted(folder().glob("text/[ez]*/*.jsonl.gz")):
        items = read_items([ItemSet(path.name.removesuffix(".jsonl.gz"), str(path))])
        found[f"{path.parent.name}/{items['benchmark'][0]}"] = pa.table([items["item"], items["text"]], ["id", "text"])
    return found


def table_of(items: Sequence[Item]) -> pa.Table:
    columns = [[i.id.split("/")[0] for i in items], [i.id for i in items], [i.text for i in items]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, ITEMS, strict=True)], ITEMS)


def judge(plants: Sequence[Plant], index: ItemIndex) -> Contamination:
    ids = pa.array([str(k) for k in range(len(plants))])
    return judge_contamination(ids, pa.array([p.text for p in plants]), index, CONFIG)


def outcomes(plants: Sequence[Plant], found: Contamination) -> dict[tuple[str, str], tuple[int, int]]:
    """(kind, language): how many documents, and how many of them accused, where something leaked by the right item."""
    by_document: dict[int, set[str]] = {}
    for document, item in zip(found.spans["document"].to_pylist(), found.spans["item"].to_pylist(), strict=True):
        by_document.setdefault(int(document), set()).add(item)
    total: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for k, (plant, reason) in enumerate(zip(plants, found.reason.to_pylist(), strict=True)):
        total[plant.kind, plant.lang] += 1
        right[plant.kind, plant.lang] += plant.item.id in by_document.get(k, set()) if plant.item else reason is not None
    return {key: (total[key], right[key]) for key in sorted(total)}


def plant_published(items: pa.Table, prose: dict[str, pa.Table]) -> list[Plant]:
    """`PLANTED` items of each language and disguise in the first documents of the prose; items that can be searched for."""
    rng, plants = random.Random(SEED), []
    index = build_index(items, CONFIG)
    rows = np.flatnonzero(index.sizes >= 10)
    texts = items["text"].take(pa.array(rows)).to_pylist()
    names = items["item"].take(pa.array(rows)).to_pylist()
    for lang in generated.LANGS:
        hosts = [t[:3000] for name, table in prose.items() if name.startswith(lang) for t in table["text"].slice(0, 40).to_pylist()]
        own = [
            Item(n, lang, t)
            for n, t in zip(names, texts, strict=True)
            if any("\u4e00" <= c <= "\u9fff" for c in t) == (lang == "zh")
        ]
        for kind in DISGUISES:
            plants += [generated.plant(item, rng.choice(hosts), kind, rng) for item in rng.sample(own, PLANTED)]
    return plants


def alarms(index: ItemIndex, prose: dict[str, pa.Table]) -> tuple[dict[str, Contamination], float]:
    """The verdicts on each file, and MB per CPU-second of counting and judging together."""
    judge([Plant("compile the kernels and make the lookup first", "en", "", None)], index)
    started = time.process_time()
    counts = merge_counts(count_documents(table["text"], index) for table in prose.values())
    found = {name: judge_contamination(t["id"], t["text"], index, CONFIG, counts) for name, t in prose.items()}
    seconds = time.process_time() - started
    size = sum(len(t) for table in prose.values() for t in table["text"].cast(pa.large_binary()).to_pylist())
    return found, 2 * size / 1e6 / seconds


def share(found: dict[tuple[str, str], tuple[int, int]], leaked: bool) -> float:
    chosen = [counts for (kind, _), counts in found.items() if (kind in DISGUISES) == leaked]
    return sum(right for _, right in chosen) / sum(total for total, _ in chosen)


def edit_published(items: pa.Table, prose: dict[str, pa.Table]) -> list[Plant]:
    """At most `EDITED` published items of each language and kind, with a number or name changed, in real prose."""
    rng, plants = random.Random(EDIT_SEED), list[Plant]()
    rows = list(zip(items["item"].to_pylist(), items["text"].to_pylist(), strict=True))
    for lang in generated.LANGS:
        hosts = [t[:3000] for name, table in prose.items() if name.startswith(lang) for t in table["text"].slice(0, 40).to_pylist()]
        own = [Item(n, lang, t) for n, t in rows if any("\u4e00" <= c <= "\u9fff" for c in t) == (lang == "zh")]
        for kind in EDITS:
            found = (plant_edited(item, rng.choice(hosts), kind, rng) for item in rng.sample(own, len(own)))
            plants += itertools.islice((plant for plant in found if plant is not None), EDITED)
    return plants


def worst(found: dict[tuple[str, str], tuple[int, int]], lang: str) -> float:
    return min(right / total for (_, own), (total, right) in found.items() if own == lang)


def edited(what: str) -> float:
    lang = what.rpartition("-")[2]
    if "real" in what:
        published = read_published()
        plants = edit_published(published, read_prose())
        return worst(outcomes(plants, judge(plants, build_index(published, CONFIG))), lang)
    items, plants = edited_set(EDITED, EDIT_SEED)
    return worst(outcomes(plants, judge(plants, build_index(table_of(items), CONFIG))), lang)


def verb_ratio() -> float:
    """CPU-seconds of the verb over those of the step: medians of `ROUNDS` of each in turn."""
    published, prose = read_published(), read_prose()
    index, steps, verbs = build_index(published, CONFIG), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        texts, items = place / "texts", place / "items.jsonl"
        texts.mkdir()
        for number, table in enumerate(prose.values()):
            (texts / f"{number:02d}.jsonl").write_bytes(row_lines(table))
        ids = pa.array(
            [f"{b}/{i}/{k}" for k, (b, i) in enumerate(zip(*(published[c].to_pylist() for c in ITEMS.names[:2]), strict=True))]
        )
        items.write_bytes(row_lines(pa.table({"id": ids, "text": published["text"]})))
        asked = CorpusSearch((str(texts),), (str(items),))
        size = sum(len(t) for table in prose.values() for t in table["text"].cast(pa.large_binary()).to_pylist())
        for _ in range(ROUNDS):
            steps.append(2 * size / 1e6 / alarms(index, prose)[1])
            started = time.process_time()
            build_index(published, CONFIG)  # the verb makes its index; the step has it already
            prepared = time.process_time()
            search_corpus(asked, place / "matches.jsonl", CONFIG, engine=Engine(), progress=Progress.silent())
            verbs.append(time.process_time() - prepared - (prepared - started))
    return statistics.median(verbs) / statistics.median(steps)


def code_alarms() -> float:
    files = read_items([ItemSet("code", str(folder() / "text" / "code" / "code.jsonl.gz"))])
    index = build_index(table_of(edit_items(EDITED, "code", EDIT_SEED)), CONFIG)
    counts = count_documents(files["text"], index)
    reason = judge_contamination(files["item"], files["text"], index, CONFIG, counts).reason
    return 100 * float(len(reason) - reason.null_count) / len(reason)


def bar(what: str) -> float:
    if what.startswith("edited"):
        return edited(what)
    if what == "verb-ratio":
        return verb_ratio()
    if what == "alarms-code":
        return code_alarms()
    if what in ("planted", "accused"):
        items, plants = generated.own_set(GENERATED, SEED)
        found = outcomes(plants, judge(plants, build_index(table_of(items), CONFIG)))
        return share(found, True) if what == "planted" else 100 * share(found, False)
    items_table, prose = read_published(), read_prose()
    index = build_index(items_table, CONFIG)
    if what == "planted-real":
        plants = plant_published(items_table, prose)
        return share(outcomes(plants, judge(plants, index)), True)
    verdicts, speed = alarms(index, prose)
    if what == "speed":
        return speed
    accused = sum(len(v.reason) - v.reason.null_count for v in verdicts.values())
    return 100 * accused / sum(len(v.reason) for v in verdicts.values())


def tables(show: int) -> None:
    items, plants = generated.own_set(GENERATED, SEED)
    own = outcomes(plants, judge(plants, build_index(table_of(items), CONFIG)))
    print("| generated | language | documents | found or accused |\n|---|---|---|---|")
    for (kind, lang), (total, right) in own.items():
        print(f"| {kind} | {lang} | {total} | {right / total:.3f} |")
    published, prose = read_published(), read_prose()
    index = build_index(published, CONFIG)
    lost = Counter(benchmark for benchmark, _ in index.unsearchable)
    print(f"\n{len(published)} published items, {len(index.grams)} n-grams; not searchable: {dict(lost)}\n")
    plants = plant_published(published, prose)
    print("| published | language | documents | found |\n|---|---|---|---|")
    for (kind, lang), (total, right) in outcomes(plants, judge(plants, index)).items():
        print(f"| {kind} | {lang} | {total} | {right / total:.3f} |")
    asked, changed = edited_set(EDITED, EDIT_SEED)
    both = {"generated": (changed, build_index(table_of(asked), CONFIG)), "published": (edit_published(published, prose), index)}
    print("\n| items | edited | language | documents | found |\n|---|---|---|---|---|")
    for name, (plants, searched) in both.items():
        for (kind, lang), (total, right) in outcomes(plants, judge(plants, searched)).items():
            print(f"| {name} | {kind} | {lang} | {total} | {right / total:.3f} |")
    verdicts, speed = alarms(index, prose)
    print("\n| prose | documents | accused | percent |\n|---|---|---|---|")
    for name, verdict in verdicts.items():
        accused = len(verdict.reason) - verdict.reason.null_count
        print(f"| {name} | {len(verdict.reason)} | {accused} | {100 * accused / len(verdict.reason):.3f} |")
    print(f"\n{speed:.0f} MB per CPU-second for each of the two passes")
    for name, verdict in verdicts.items():
        for row in verdict.spans.to_pylist()[:show]:
            text = prose[name]["text"].filter(pa.compute.equal(prose[name]["id"], row["document"]))[0].as_py()
            print(
                name, row["benchmark"], row["item"], f"{row['share']:.2f}", repr(text[row["start"] : row["stop"]][:150]), sep="\t"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure decontamination.")
    offer(parser, BARS)
    parser.add_argument("--show", type=int, default=0, help="passages to print of each file of prose")
    options = parser.parse_args()
    return answer(options.json, bar, lambda: tables(options.show))


if __name__ == "__main__":
    sys.exit(main())
