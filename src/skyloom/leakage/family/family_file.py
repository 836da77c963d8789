"""The family file: what models of known innocence, and the suspect, pay for each item of three sets.

Input and output: JSON lines. The first says which sets were scored (`{"family": 1, "benchmark_sha256", "sets", "template"}`); each
other one is a model's cost of one item: model, lineage, released, clean, set, item, nats, tokens, bytes. Costs are
compared in bits per byte, so tokenizers do not matter. Models of one lineage (one pretraining, several sizes or tunings) name it;
`released` is a date or null; `clean` says why the model counts as clean.
"""

from __future__ import annotations

import datetime
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import DataError, StorageError
from skyloom.core.json_lines import json_object
from skyloom.core.store import Store

BENCHMARK, REFERENCE, ABILITY = "benchmark", "reference", "ability"
SETS = (BENCHMARK, REFERENCE, ABILITY)
DECLARED, BY_DATE, NOT_KNOWN = "declared", "date", "not known"
FORMAT = 1


class FamilyHead(TypedDict):
    """The first line. `sets`: number of items of each; `sha256`: checksum of each set's file."""

    family: int
    benchmark_sha256: str
    sha256: dict[str, str]
    sets: dict[str, int]
    template: str
    benchmark_date: str | None


class FamilyRow(TypedDict):
    """A model's cost of one item. `clean`: DECLARED, BY_DATE or NOT_KNOWN."""

    model: str
    lineage: str
    released: str | None
    clean: str
    set: str
    item: str
    nats: float
    tokens: int
    bytes: int


@dataclass(frozen=True)
class MemberCosts:
    """A model. `nats` float64[n] and `bytes` int64[n] by set, in the order of the family's items."""

    model: str
    lineage: str
    released: str | None
    clean: str
    nats: dict[str, npt.NDArray[np.float64]]
    bytes: dict[str, npt.NDArray[np.int64]]

    def bits_per_byte(self, name: str) -> float:
        return float(self.nats[name].sum() / self.bytes[name].sum() / math.log(2))

    @property
    def gap(self) -> float:
        """Benchmark minus reference, bits per byte."""
        return self.bits_per_byte(BENCHMARK) - self.bits_per_byte(REFERENCE)

    @property
    def ability(self) -> float:
        """Bits per byte of the third text set, with the sign turned: higher is better."""
        return -self.bits_per_byte(ABILITY)


@dataclass(frozen=True)
class ModelFamily:
    """A family file. `items`: ids of each set; all models have the same."""

    head: FamilyHead
    items: dict[str, tuple[str, ...]]
    members: tuple[MemberCosts, ...]

    def only(self, kept: Mapping[str, Sequence[str]]) -> ModelFamily:
        """The same models on some of the items, in their order. DataError for an item that the family does not have."""
        places: dict[str, list[int]] = {}
        for name, ids in kept.items():
            where = {item: place for place, item in enumerate(self.items[name])}
            if unknown := [item for item in ids if item not in where]:
                raise DataError(f"the family has no item {unknown[0]} in the set {name}")
            places[name] = [where[item] for item in ids]
        members = tuple(
            replace(
                m, nats={name: m.nats[name][rows] for name, rows in places.items()},
                bytes={name: m.bytes[name][rows] for name, rows in places.items()},
            )
            for m in self.members
        )  # fmt: skip
        head: FamilyHead = {**self.head, "sets": {name: len(rows) for name, rows in places.items()}}
        return ModelFamily(head, {name: tuple(ids) for name, ids in kept.items()}, members)

    def mean_bits(self, name: str) -> list[float]:
        """Bits per byte of each item of a set, the mean over the models."""
        every = [m.nats[name] / m.bytes[name] / math.log(2) for m in self.members]
        return [float(value) for value in np.mean(every, axis=0)]


def read_family(path: Path) -> ModelFamily:
    """The models of a family file. StorageError if it cannot be read; DataError, with the line or the model, for damaged lines,
    wrong dates, losses that are no numbers, an item twice, two models of one name, or models of other items."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as problem:
        raise StorageError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    head = _head(lines[0], path)
    rows = [_row(line, number, path) for number, line in enumerate(lines[1:], 2) if line.strip()]
    return family_of(head, rows, str(path))


def family_of(head: FamilyHead, rows: Sequence[FamilyRow], origin: str) -> ModelFamily:
    """The models of a family from its rows. Errors as `read_family`."""
    if not rows:
        raise DataError(f"{origin} holds no models")
    by_model: defaultdict[str, list[FamilyRow]] = defaultdict(list)
    for row in rows:
        by_model[row["model"]].append(row)
    first = next(iter(by_model.values()))
    items = {name: tuple(dict.fromkeys(row["item"] for row in first if row["set"] == name)) for name in SETS}
    for name in SETS:
        if not items[name]:
            raise DataError(f"{origin}: {first[0]['model']} has no items of the set {name}")
    members = tuple(_member(model, found, items, origin) for model, found in by_model.items())
    for name in SETS:
        if head["sets"].get(name) != len(items[name]):
            raise DataError(
                f"{origin}: {first[0]['model']} has {len(items[name]):,} items of the set {name}, the first line says "
                f"{head['sets'].get(name)}: the file is cut short, or the model was scored in part"
            )
    return ModelFamily(head, items, members)


def member_of(rows: Sequence[FamilyRow], family: ModelFamily, origin: str) -> MemberCosts:
    """The suspect's costs, in the order of the family's items. DataError if it was scored on other items."""
    if not rows:
        raise DataError(f"{origin} holds no costs of the suspect")
    names = sorted({row["model"] for row in rows})
    if len(names) > 1:
        raise DataError(f"{origin}: costs of several models ({', '.join(names)}); the suspect is one")
    return _member(names[0], rows, family.items, origin)


def _member(model: str, rows: Sequence[FamilyRow], items: Mapping[str, Sequence[str]], origin: str) -> MemberCosts:
    for field in ("lineage", "released", "clean"):
        if len({str(row.get(field)) for row in rows}) > 1:
            raise DataError(f"{origin}: two models are named '{model}' (they differ in {field}); give NAME=MODEL")
    nats: dict[str, npt.NDArray[np.float64]] = {}
    sizes: dict[str, npt.NDArray[np.int64]] = {}
    for name in SETS:
        found: dict[str, FamilyRow] = {}
        for row in rows:
            if row["set"] == name:
                if row["item"] in found:
                    raise DataError(
                        f"{origin}: {model} has the item {row['item']} of the set {name} twice: two models of one name?"
                    )
                found[row["item"]] = row
        _same_items(model, name, items[name], found, origin)
        ordered = [found[item] for item in items[name]]
        nats[name] = np.array([row["nats"] for row in ordered], np.float64)
        sizes[name] = np.array([row["bytes"] for row in ordered], np.int64)
    return MemberCosts(model, rows[0]["lineage"], rows[0]["released"], rows[0]["clean"], nats, sizes)


def _same_items(model: str, name: str, items: Sequence[str], found: Mapping[str, FamilyRow], origin: str) -> None:
    missing = [item for item in items if item not in found]
    others = sorted(set(found) - set(items))
    if missing or others:
        what = f"lacks the item {missing[0]}" if missing else f"has the item {others[0]}, which others lack"
        raise DataError(
            f"{origin}: {model} was scored on other items of the set {name} ({len(missing) + len(others):,} differ; it {what})"
        )


def check_date(text: object, where: str) -> str | None:
    """A date as 2024-05-31, or None. DataError otherwise."""
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(str(text)).isoformat()
    except ValueError as problem:
        raise DataError(f"{where}: {str(text)[:40]!r} is no date; write it as 2024-05-31") from problem


def _head(line: bytes, path: Path) -> FamilyHead:
    head = json_object(line)
    if isinstance(head, str) or head.get("family") != FORMAT:
        raise DataError(f'{path} is no family file: its first line must hold {{"family": {FORMAT}, …}}')
    sets = head.get("sets")
    if not isinstance(sets, dict) or not all(isinstance(sets.get(name), int) for name in SETS):
        raise DataError(f"{path}, line 1: the field sets must give the number of items of {', '.join(SETS)}")
    sums = head.get("sha256")
    return {
        "family": FORMAT, "benchmark_sha256": str(head.get("benchmark_sha256", "")), "sets": {name: sets[name] for name in SETS},
        "sha256": {str(k): str(v) for k, v in sums.items()} if isinstance(sums, dict) else {},
        "template": str(head.get("template", "")), "benchmark_date": check_date(head.get("benchmark_date"), f"{path}, line 1"),
    }  # fmt: skip


def _row(line: bytes, number: int, path: Path) -> FamilyRow:
    where = f"{path}, line {number}"
    row = json_object(line)
    if isinstance(row, str):
        raise DataError(f"{where}: {row}")
    model, name, item = row.get("model"), row.get("set"), row.get("item")
    if not isinstance(model, str) or not model or name not in SETS or not isinstance(item, str | int):
        raise DataError(f"{where}: it needs model, item and set ({', '.join(SETS)}); there are {', '.join(map(str, row))}")
    nats, tokens, size = row.get("nats"), row.get("tokens"), row.get("bytes")
    if isinstance(nats, bool) or not isinstance(nats, int | float) or not math.isfinite(nats):
        raise DataError(f"{where}: the loss of the item {item} of {model} is {nats}, no finite number")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in (tokens, size)):
        raise DataError(f"{where}: tokens and bytes of the item {item} of {model} must be whole numbers from 1")
    clean = row.get("clean", NOT_KNOWN)
    return {
        "model": model, "lineage": str(row.get("lineage") or model), "released": check_date(row.get("released"), where),
        "clean": clean if clean in (DECLARED, BY_DATE) else NOT_KNOWN,
        "set": str(name), "item": str(item), "nats": float(nats), "tokens": int(str(tokens)), "bytes": int(str(size)),
    }  # fmt: skip


def write_family(out: Path, head: FamilyHead, rows: Iterable[FamilyRow]) -> None:
    """Write a family file, whole or not at all. StorageError if that fails."""
    lines = [json.dumps(head, ensure_ascii=False), *(json.dumps(row, ensure_ascii=False) for row in rows)]
    Store(out.parent).write_text(out.name, "\n".join(lines) + "\n")
