"""The step `exercises`: generated exercises with worked solutions in English and Chinese, the STEM part of the corpus.

Input: a `StemConfig`. Output: Parquet shards of documents, one for each split. The report's second stage feeds exercises, exam
questions and solutions (2.2); its collection is not published, so ours is generated, with an exact answer, four choices and a
licence for each problem.

Splits: every problem (its family and parameters, `meta.canonical`) is used once, in one language and one split, so no
split ever meets another's problem, not in the other language either. The problems of a family are drawn uniformly
without replacement and dealt out to the splits, so all splits are exchangeable: a model that read none of them has
the same expected loss on each. That is what the leakage test of report 5.2 assumes of its reference set, and what a
reference set imitated by another model cannot promise. `canary` problems are trained on deliberately (the positive
control of the leakage audit); the `twin` of a canary has the same family, phrasing, names and language but other numbers,
and is never trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import pyarrow as pa

from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, DocumentRow, domain_of, record_id
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.families import algebra, arithmetic, chance, geometry, numbers, science
from skyloom.corpus.stem.families.family import Dice, Family, Guise, Params
from skyloom.suites.prompts import exercise_text

FAMILIES: tuple[Family, ...] = (
    *arithmetic.FAMILIES, *algebra.FAMILIES, *geometry.FAMILIES,
    *numbers.FAMILIES, *chance.FAMILIES, *science.FAMILIES,
)  # fmt: skip
LANGUAGES = ("en", "zh-Hans")
SPLITS = ("train", "valid", "test", "ref", "canary", "twin")


def generate(config: StemConfig, out: Store, *, progress: Progress) -> dict[str, int]:
    """Write `exercises-<split>.parquet` for each split, sorted by id; returns the number of exercises by split.

    Same config, same bytes. DataError, naming the family and its size, if a family has too few problems.
    """
    rows: dict[str, list[DocumentRow]] = {split: [] for split in SPLITS}
    wanted = {lang: _shares(config, lang) for lang in LANGUAGES}
    with progress.task("exercises", len(FAMILIES), "families") as bar:
        for family in FAMILIES:
            for row in _family_rows(family, config, {lang: wanted[lang][family.name] for lang in LANGUAGES}):
                rows[row["split"]].append(row)
            bar.advance()
    for split, found in rows.items():
        found.sort(key=lambda row: row["id"])
        out.write_table(f"exercises-{split}.parquet", pa.Table.from_pylist(found, schema=DOCUMENT))
    return {split: len(found) for split, found in rows.items()}


def _shares(config: StemConfig, lang: str) -> dict[str, dict[str, int]]:
    """How many exercises of each split a family gets: equal shares, the odd ones to families chosen by the seed.

    The choice is the same for all splits, so splits of one size hold the same families equally often.
    """
    canaries = config.canaries // 2 if lang == "zh-Hans" else config.canaries - config.canaries // 2
    totals = {"train": config.train, "valid": config.valid, "test": config.test, "ref": config.ref, "canary": canaries}
    shares: dict[str, dict[str, int]] = {family.name: {} for family in FAMILIES}
    order = Dice(config.seed, "shares", lang).shuffled(list(shares))
    for split, total in totals.items():
        each, odd = divmod(total, len(FAMILIES))
        for place, name in enumerate(order):
            shares[name][split] = each + (place < odd)
    return shares


def _family_rows(family: Family, config: StemConfig, wanted: dict[str, dict[str, int]]) -> Iterator[DocumentRow]:
    """All exercises of a family, from one draw over both languages, so that no problem is used twice."""
    problems = enumerate(family.draw(Dice(config.seed, family.name, "problems")))
    for lang in LANGUAGES:
        dice = Dice(config.seed, family.name, lang)
        for split, count in wanted[lang].items():
            for _ in range(count):
                guise = family.guise(lang, dice)
                number, params = next(problems)
                row = _row(family, lang, split, number, params, guise, dice)
                yield row
                if split == "canary":
                    number, params = next(problems)
                    yield _row(family, lang, "twin", number, params, guise, dice, twin_of=row["id"])


def _row(
    family: Family, lang: str, split: str, number: int, params: Params, guise: Guise, dice: Dice, twin_of: str | None = None
) -> DocumentRow:
    """One document; `number` counts the problems of the family and makes the address unique."""
    written = family.write(params, lang, guise, dice)
    canonical = family.canonical(params)
    meta = {
        **asdict(written), "family": family.name, "field": family.field, "lang": lang, "canonical": canonical,
        "params": params, "guise": asdict(guise), **({"twin_of": twin_of} if twin_of else {}),
    }  # fmt: skip
    return {
        "id": record_id("exercise", lang, canonical),
        "text": exercise_text(lang, written.question, written.solution, written.answer),
        "lang": lang,
        "source": "exercises",
        "domain": domain_of("stem", lang),
        "category": "stem",
        "url": f"skyloom:exercise/{family.name}/{number}",
        "date": None,
        "license": "Apache-2.0",
        "split": split,
        "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
    }
