"""`skyloom leak family`: score clean models on a benchmark, a reference set and a third set, and write the family file.

Input: words for models, three files of items. Output: one family file. Models are opened one after the other, so that a family of
many needs the memory of the largest. What a model cost is kept beside the output until the file is whole, under a name that holds
the model's checksum and the items'; so an interrupted command goes on with the next model. Each text is scored whole, behind the
begin token; one that is longer than a model's context is an error that names it, since all models must have the same items.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.records import record_id
from skyloom.core.store import Store
from skyloom.evaluate.opened import OpeningOptions, OpenModel, locate, open_model, open_words
from skyloom.evaluate.texts import named
from skyloom.leakage.benchmark_sets import TEMPLATE, BenchmarkSet, read_benchmark
from skyloom.leakage.family.family_file import (
    ABILITY,
    BENCHMARK,
    BY_DATE,
    DECLARED,
    FORMAT,
    NOT_KNOWN,
    REFERENCE,
    SETS,
    FamilyHead,
    FamilyRow,
    check_date,
    family_of,
    write_family,
)
from skyloom.score.nll import score_tokens


@dataclass(frozen=True)
class FamilyRequest:
    """What the command line asked for. `sets`: file by set; `released`, `lineage`: NAME=VALUE; `clean`: names that the user
    declares to be clean; `benchmark_date`: when the benchmark was published, None if that is not known."""

    models: tuple[str, ...]
    sets: Mapping[str, Path]
    released: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()
    benchmark_date: str | None = None
    template: str = TEMPLATE
    batch_tokens: int = 2048
    opening: OpeningOptions = field(default_factory=OpeningOptions)


@dataclass(frozen=True)
class SetTexts:
    """A set that is ready to be scored."""

    name: str
    sha256: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def write_family_of(asked: FamilyRequest, out: Path, *, progress: Progress) -> list[FamilyRow]:
    """Score all models and write the family file; its rows. ConfigError for names that no model has, DataError for items that
    cannot be scored; nothing is written then."""
    if out.resolve() in {p.resolve() for p in asked.sets.values()}:
        raise ConfigError(f"--out {out} is one of the sets; give another file")
    words = named(asked.models, asked.opening)
    names = [name for name, _ in words]
    dates = {k: check_date(v, f"--released {k}") for k, v in _pairs(asked.released, "--released", names).items()}
    lineages = _pairs(asked.lineage, "--lineage", names)
    for name in asked.clean:
        _known(name, names, "--clean")
    day = check_date(asked.benchmark_date, "--benchmark-date")
    sets = [ready(name, read_benchmark(asked.sets[name], asked.template, fewest=1)) for name in SETS]
    _third(sets)
    head: FamilyHead = {
        "family": FORMAT, "benchmark_sha256": sets[0].sha256, "sha256": {s.name: s.sha256 for s in sets},
        "sets": {s.name: len(s.ids) for s in sets}, "template": asked.template, "benchmark_date": day,
    }  # fmt: skip
    parts = Store(out.parent / f"{out.name}.parts")
    rows: list[FamilyRow] = []
    for name, place in words:
        date = dates.get(name)
        clean = DECLARED if name in asked.clean else BY_DATE if date and day and date < day else NOT_KNOWN
        costs = _costs(name, place, sets, asked, parts, progress)
        rows += _rows(name, lineages.get(name, name), date, clean, sets, costs)
    family_of(head, rows, str(out))
    write_family(out, head, rows)
    for name in parts.names():
        parts.remove(name)
    parts.path().rmdir()
    return rows


def ready(name: str, found: BenchmarkSet) -> SetTexts:
    """The texts of a set."""
    return SetTexts(name, found.sha256, found.ids, found.texts)


def suspect_rows(model: OpenModel, sets: Sequence[SetTexts], batch_tokens: int) -> list[FamilyRow]:
    """What a model costs on the sets of a family, as `judge` takes it."""
    costs = {one.name: score_set(model, one, batch_tokens) for one in sets}
    return _rows(model.name, model.name, None, NOT_KNOWN, sets, costs)


def score_set(model: OpenModel, one: SetTexts, batch_tokens: int) -> tuple[list[float], list[int]]:
    """(nats, tokens) of each text. DataError, with the item, for a text beyond the context, without tokens or with a loss that is
    no number."""
    rows = model.encode(one.texts, one.ids)
    for key, row in zip(one.ids, rows, strict=True):
        if not row or len(row) > model.context:
            size = f"{len(row):,} tokens, its context holds {model.context:,}" if row else "no token"
            raise DataError(f"the set {one.name}, item {key}: the tokenizer of {model.name} makes {size}; leave the item out")
    ids = np.array([token for row in rows for token in row], np.int32)
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    nats = score_tokens(model, ids, offsets, context=model.context, batch_tokens=batch_tokens, bos_id=model.begin)
    for key, loss in zip(one.ids, nats.tolist(), strict=True):
        if not math.isfinite(loss):
            dtype = str(model.dtype).removeprefix("torch.")
            raise DataError(f"{model.name} gives a loss of {loss} in {dtype} for the item {key} of the set {one.name}")
    return nats.tolist(), [len(row) for row in rows]


Costs = dict[str, tuple[list[float], list[int]]]


def _costs(name: str, place: str, sets: Sequence[SetTexts], asked: FamilyRequest, parts: Store, progress: Progress) -> Costs:
    """A model's costs, or those that an earlier try has kept."""
    opening = asked.opening
    found_place = locate(place, offline=opening.offline, trust_code=opening.trust_code)
    what = (found_place.digest, open_words(place, opening).digest, opening.dtype, opening.device, opening.context)
    digest = record_id(*map(str, what), *(t for one in sets for t in (one.name, *one.ids, *one.texts)))
    kept = f"{digest}.json"
    if parts.exists(kept):
        found = _kept(parts, kept)
        if found is not None:
            progress.log(f"{name}: scored before")
            return found
    model = open_model(place, opening, name)
    costs: Costs = {}
    with progress.task(name, sum(len(one.ids) for one in sets), "items") as bar:
        for one in sets:
            bar.note(one.name)
            costs[one.name] = score_set(model, one, asked.batch_tokens)
            bar.advance(len(one.ids))
    parts.write_text(kept, json.dumps(costs))
    return costs


def _kept(parts: Store, name: str) -> Costs | None:
    try:
        found = parts.read_json(name)
    except (DataError, IntegrityError):
        return None
    return {key: (list(value[0]), list(value[1])) for key, value in found.items()}


def _rows(
    model: str,
    lineage: str,
    released: str | None,
    clean: str,
    sets: Sequence[SetTexts],
    costs: Mapping[str, tuple[list[float], list[int]]],
) -> list[FamilyRow]:
    return list(_each(model, lineage, released, clean, sets, costs))


def _each(
    model: str,
    lineage: str,
    released: str | None,
    clean: str,
    sets: Sequence[SetTexts],
    costs: Mapping[str, tuple[list[float], list[int]]],
) -> Iterator[FamilyRow]:
    for one in sets:
        for key, text, nats, tokens in zip(one.ids, one.texts, *costs[one.name], strict=True):
            yield {
                "model": model, "lineage": lineage, "released": released, "clean": clean, "set": one.name, "item": key,
                "nats": nats, "tokens": tokens, "bytes": len(text.encode()),
            }  # fmt: skip


def _third(sets: Sequence[SetTexts]) -> None:
    """ConfigError where ability would be measured on a set whose gap is judged, or both sets are one."""
    texts = {one.name: set(one.texts) for one in sets}
    for a, b in ((ABILITY, BENCHMARK), (ABILITY, REFERENCE), (BENCHMARK, REFERENCE)):
        if texts[a] & texts[b]:
            shared = len(texts[a] & texts[b])
            raise ConfigError(f"the sets {a} and {b} share {shared:,} texts; each needs texts of its own")


def _pairs(words: Sequence[str], option: str, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.rpartition("=")
        if not equals or not value.strip():
            raise ConfigError(f"{option} takes NAME=VALUE, not '{word[:60]}'")
        _known(name, names, option)
        if name in found:
            raise ConfigError(f"{option} is given twice for {name}")
        found[name] = value.strip()
    return found


def _known(name: str, names: Sequence[str], option: str) -> None:
    if name not in names:
        raise ConfigError(f"{option}: no model is named '{name}'; there are {', '.join(names)}")
