"""The step `exercises`: generated exercises with worked solutions in English and Chinese, the STEM part of the corpus.

Input: a `StemConfig`. Output: Parquet shards of documents, one for each split. The report's second stage feeds exercises, exam
questions and solutions (2.2); its collection is not published, so ours is generated, with an exact answer, four choices and a
licence for each problem.

Splits: every problem (its family and parameters, `meta.canonical`) is used once, in one language and one split, so no
split ever meets another's problem, not in the other language either. The problems of a family are drawn uniformly
without replacement and dealt out to the splits, so all splits are exchangeable: a model that read none of them has
the same expected loss on each. That is what the leakage test of report 5.2 assumes of its reference set, and what a
reference set imitated by another model cannot promise.

`canary` problems are trained on deliberately (the planted half, the positive control of the leakage audit); `heldback` ones never
(the held-back half, the negative control). Both are halves of one pool: the same families and languages equally often, drawn by
lot. A planted exercise is told (phrasing and world) as no item of `heldback`, `test` and `ref` of its family and language is, so
none of these profits from what a model learnt of its words; within each of these splits tellings recur only when all have been
used. Which tellings are planted is drawn by lot as well, so every telling is as likely in one split as in another: without
planting, the expected losses are equal, and with it those of `heldback`, `test` and `ref` still are. The pool takes families
that have many tellings, all in other words (`TELLINGS`).
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
from skyloom.corpus.stem.families.family import Dice, Family, Guise, Params, Telling
from skyloom.suites.prompts import exercise_text

FAMILIES: tuple[Family, ...] = (
    *arithmetic.FAMILIES, *algebra.FAMILIES, *geometry.FAMILIES,
    *numbers.FAMILIES, *chance.FAMILIES, *science.FAMILIES,
)  # fmt: skip
LANGUAGES = ("en", "zh-Hans")
SPLITS = ("train", "valid", "test", "ref", "canary", "heldback")
TELLINGS = 6
"""Ways of telling a problem that a family must have to take part in the control: with fewer, the exercises that are not planted
would be told in one or two ways only."""


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

    The choice is the same for all splits, so splits of one size hold the same families equally often. The halves of the control
    take families of the pool only.
    """
    planted = config.canaries // 2 if lang == "zh-Hans" else config.canaries - config.canaries // 2
    totals = {"train": config.train, "valid": config.valid, "test": config.test, "ref": config.ref}
    shares: dict[str, dict[str, int]] = {family.name: {} for family in FAMILIES}
    order = Dice(config.seed, "shares", lang).shuffled(list(shares))
    pool = {family.name for family in control_families(lang)}
    for split, total, names in (
        *((split, total, order) for split, total in totals.items()),
        *((split, planted, [name for name in order if name in pool]) for split in ("canary", "heldback")),
    ):
        each, odd = divmod(total, len(names))
        for place, name in enumerate(names):
            shares[name][split] = each + (place < odd)
    return shares


def control_families(lang: str) -> list[Family]:
    """The pool of the leakage audit's control: families with at least `TELLINGS` tellings in a language, all in other words."""
    return [family for family in FAMILIES if len(family.tellings(lang)) >= TELLINGS and family.told_apart(lang)]


def _family_rows(family: Family, config: StemConfig, wanted: dict[str, dict[str, int]]) -> Iterator[DocumentRow]:
    """All exercises of a family, from one draw over both languages, so that no problem is used twice."""
    problems = enumerate(family.draw(Dice(config.seed, family.name, "problems")))
    for lang in LANGUAGES:
        dice, counts = Dice(config.seed, family.name, lang), wanted[lang]
        told: dict[str, Iterator[Telling]] = {}
        for split, count in counts.items():
            if split == "test":  # train and valid are read by every model and may tell a problem in any way
                told = _dealt(family, lang, counts.get("canary", 0), dice)
            for _ in range(count):
                guise = family.guise(lang, dice, next(told[split]) if split in told else None)
                number, params = next(problems)
                yield _row(family, lang, split, number, params, guise, dice)


def _dealt(family: Family, lang: str, planted: int, dice: Dice) -> dict[str, Iterator[Telling]]:
    """The tellings of the judged splits, dealt by lot: some are the planted exercises' alone, the others share the rest."""
    order = dice.shuffled(family.tellings(lang))
    own = min(planted, len(order) // 2)
    sides = {"test": order[own:], "ref": order[own:], "heldback": order[own:], "canary": order[:own]}
    return {split: _rounds(side, dice) for split, side in sides.items()}


def _rounds(tellings: list[Telling], dice: Dice) -> Iterator[Telling]:
    """All of them in random order, again and again."""
    while tellings:
        yield from dice.shuffled(tellings)


def _row(family: Family, lang: str, split: str, number: int, params: Params, guise: Guise, dice: Dice) -> DocumentRow:
    """One document; `number` counts the problems of the family and makes the address unique."""
    written = family.write(params, lang, guise, dice)
    canonical = family.canonical(params)
    meta = {
        **asdict(written), "family": family.name, "field": family.field, "lang": lang, "canonical": canonical,
        "params": params, "guise": asdict(guise),
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
