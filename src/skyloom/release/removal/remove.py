"""Takes documents out of a published corpus by their ids, and brings everything that counts them up to date.

Input: a release folder and ids. Output: the same folder without these documents: their shards, the mixture, the ledger (a last
stage named STAGE), the tables of licences, cards and sums are written again, and `corpus/removed.json` lists what was removed, so
that whoever has an older copy can remove it there too. The models stay as they are: they have read the documents, and the cards
say so. What training read (`tokens.json`) stays as it was recorded; `release check` adds the removed documents to what is there.

The new folder is made beside the old one, of links to the files that stay, and takes its place when it is whole.
"""

from __future__ import annotations

import html
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import DataError, StorageError
from skyloom.core.json_files import RemovedEntry
from skyloom.core.ledger import KEPT, Ledger
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST
from skyloom.core.store import FileRecord, Store
from skyloom.release import claims, evidence, licenses, sums
from skyloom.release.corpus_shards import REMOVED, SPLITS, read_documents, write_documents
from skyloom.release.folder import PAGE, open_release, records_of
from skyloom.release.recount import recount

STAGE = "removed after the release"
REASON = "on request"
_LEDGER, _MIXTURE = "run/corpus/ledger.json", "run/corpus/mixture.json"
_EXCERPT = 40
"""Characters of a removed text that are looked for in the run page."""


@dataclass(frozen=True)
class Removal:
    """What was done. `files`: those that were written again; `left`: places that may still show a removed text, in words."""

    removed: tuple[RemovedEntry, ...]
    files: tuple[str, ...]
    left: tuple[str, ...]


def remove(folder: str | Path, ids: Iterable[str], *, reason: str = REASON, progress: Progress) -> Removal:
    """Remove the documents `ids` from the release in `folder`.

    DataError, before anything is written, if an id is not in the corpus, or if the folder is that of a run's step, which the next
    run would make again with the documents in it. StorageError if the folder cannot be replaced.
    """
    place = Path(folder)
    before = place.with_name(f"{place.name}.before-removal")
    if before.exists() and not place.exists():  # a removal was cut short between the two renames
        os.replace(before, place)
    release = Store(place)
    if release.exists(MANIFEST):
        raise DataError(
            f"{place} is the folder of a run's step: the next run would make it again with these documents. Copy it elsewhere and "
            "remove them there; and drop them from the recipe's sources, or by a list of blocked pages"
        )
    wanted = set(ids)
    found, texts = _find(release, wanted, reason, progress)
    if missing := sorted(wanted - {row["id"] for rows in found.values() for row in rows}):
        raise DataError(f"{place} has no document with the id {', '.join(missing[:5])}; nothing was changed")
    if not wanted:
        raise DataError("no id was given; nothing was changed")
    aside = place.with_name(f"{place.name}.removing")
    try:
        if aside.exists():
            shutil.rmtree(aside)
        listed = [*sums.read(release), sums.SUMS]
        for name in listed:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(place / name, aside / name)
        written = _rewrite(Store(aside), found)
        os.replace(place, before)
        os.replace(aside, place)
        shutil.rmtree(before)
    except OSError as problem:
        raise StorageError(f"cannot write {place} again: {problem.strerror or problem}") from problem
    removed = tuple(row for rows in found.values() for row in rows)
    return Removal(removed, tuple(sorted(written)), tuple(_shown_elsewhere(release, texts)))


def _find(
    release: Store, wanted: set[str], reason: str, progress: Progress
) -> tuple[dict[str, list[RemovedEntry]], dict[str, str]]:
    """The documents by their shard, and the longest line of each by its id."""
    found: dict[str, list[RemovedEntry]] = {}
    texts: dict[str, str] = {}
    shards = [(split, name) for split in SPLITS for name in release.names(f"corpus/{split}-")]
    with progress.task("release remove", len(shards), "shards") as bar:
        for split, name in shards:
            for _, document in read_documents(release, name):
                if document["id"] in wanted:
                    entry: RemovedEntry = {
                        "id": document["id"], "split": split, "source": document["source"], "lang": document["lang"],
                        "domain": document["domain"], "bytes": len(document["text"].encode()), "reason": reason,
                    }  # fmt: skip
                    found.setdefault(name, []).append(entry)
                    texts[document["id"]] = max(document["text"].split("\n"), key=len)
            bar.advance()
    return found, texts


def _rewrite(release: Store, found: dict[str, list[RemovedEntry]]) -> list[str]:
    """Write all files again that change, in a folder of links, and return their names. Equal inputs give equal bytes."""
    digests = sums.read(release)
    records: list[FileRecord] = []
    for name, rows in found.items():
        gone = {row["id"] for row in rows}
        records.append(write_documents(release, name, (d for _, d in read_documents(release, name) if d["id"] not in gone)))
    earlier: list[RemovedEntry] = release.read_json(REMOVED) if release.exists(REMOVED) else []
    every = sorted([*earlier, *(row for rows in found.values() for row in rows)], key=lambda row: row["id"])
    records.append(release.write_json(REMOVED, every))
    if release.exists(_LEDGER):
        ledger = Ledger.from_json(release.read_json(_LEDGER))
        records.append(release.write_json(_LEDGER, _with_stage(ledger, every).to_json()))
    opened = open_release(release)
    kinds = {row["name"]: row["kind"] for row in evidence.read(records_of(release)).sources or []}
    counted = recount(release, licenses.rules(release, opened.recipe, kinds))
    if release.exists(_MIXTURE):
        records.append(release.write_json(_MIXTURE, counted.mixture))
    records.append(licenses.write_table(licenses.packages_of(release), counted.published, release))
    now = {**digests, **{record.name: record.sha256 for record in records}}
    records += [release.write_text(name, text) for name, text in claims.written_again(release, counted.published, now).items()]
    changed = {record.name: record.sha256 for record in records if digests.get(record.name) != record.sha256}
    sums.write_digests({**digests, **changed}, release)
    return [*changed, sums.SUMS]


def _with_stage(ledger: Ledger, removed: Sequence[RemovedEntry]) -> Ledger:
    """The ledger with what the last stage of cleaning kept, less all that was ever removed after the release."""
    for key in [key for key in ledger.intake if key[0] == STAGE]:
        del ledger.intake[key]
    for cell in [cell for cell in ledger.counts if cell[0] == STAGE]:
        del ledger.counts[cell]
    last = ledger.stages()[-1]
    for entry in [entry for entry in ledger.entries() if entry.stage == last and entry.reason == KEPT]:
        gone = [row for row in removed if (row["source"], row["lang"]) == (entry.source, entry.lang)]
        documents, size = len(gone), sum(row["bytes"] for row in gone)
        ledger.enter(STAGE, entry.source, entry.lang, entry.documents, entry.bytes)
        ledger.post(STAGE, entry.source, entry.lang, KEPT, entry.documents - documents, entry.bytes - size)
        for reason in sorted({row["reason"] for row in gone}):
            mine = [row for row in gone if row["reason"] == reason]
            ledger.post(STAGE, entry.source, entry.lang, reason, len(mine), sum(row["bytes"] for row in mine))
    return ledger


def _shown_elsewhere(release: Store, texts: dict[str, str]) -> list[str]:
    """Where a removed text may still be read: the run page is not written again."""
    if not release.exists(PAGE):
        return []
    page = release.read_text(PAGE)
    found = []
    for identity, text in sorted(texts.items()):
        excerpt = text.strip()[:_EXCERPT]
        forms = {excerpt, html.escape(excerpt), json.dumps(excerpt)[1:-1]}
        if identity in page or (excerpt and any(form in page for form in forms)):
            found.append(f"{PAGE} shows the beginning of {identity}")
    return found
