"""Licences of the published text: the copyright files that the sources came with, and what a document may say of its own.

Input: the folder of the step `pages` and the recipe. Output: `licenses/` of a release, with the copyright file of each Debian
package (name, version, SPDX expression where the file is machine-readable) and a table; and, for the check, the rule that a
document's licence is the one that its source states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from skyloom.core.config import TomlTable
from skyloom.core.json_files import PackageEntry
from skyloom.core.store import FileRecord, Store
from skyloom.corpus.sources import COPYRIGHTS, copyright_place
from skyloom.release.corpus_shards import UNKNOWN, PublishedCorpus, PublishedDocument

FOLDER, README = "licenses", "licenses/README.md"
_THEIR_OWN = frozenset({"jsonl", "parquet", "hub", "epub", "parallel", "own"})
"""Kinds of sources whose records may each state a licence."""
_WITHOUT = {"stdlib": "PSF-2.0", "samples": "Apache-2.0"}
"""Licence of what comes with Python and with this program, where a recipe states none."""


@dataclass(frozen=True)
class Rules:
    """The licence of each source's documents, where the source decides it: by source, and by source and Debian package."""

    sources: Mapping[str, str | None] = field(default_factory=dict)
    packages: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def broken(self, document: PublishedDocument) -> str:
        """What is wrong with a document's licence, in words; "" if nothing is, or if its source leaves it to the document."""
        source, stated = document["source"], document["license"]
        package = document["url"].removeprefix("debian://").split("/")[0]
        if (source, package) in self.packages:
            expected: str | None = self.packages[source, package]
        elif source in self.sources:
            expected = self.sources[source]
        else:
            return ""
        return "" if stated == expected else f"has the licence {stated!r}, but its source {source} states {expected!r}"


def rules(release: Store, recipe: TomlTable, kinds: Mapping[str, str]) -> Rules:
    """The rules of a release. `kinds`: what each source was found to be, by its name (`sources.json`)."""
    stated: dict[str, str | None] = {"exercises": "Apache-2.0"}
    corpus = recipe.get("corpus", {})
    pages_state = bool(corpus.get("extract", {}).get("page_licenses"))
    debian: set[str] = set()
    for source in corpus.get("sources", []):
        name, kind = source["name"], kinds.get(source["name"], source.get("kind", "auto"))
        if kind == "debian-docs" and not source.get("license"):
            debian.add(name)
        elif kind not in _THEIR_OWN and kind != "auto":
            ours = kind == "stdlib" or (kind == "samples" and not source.get("path"))
            if pages_state and not ours and not source.get("license"):
                continue  # what the pages state
            stated[name] = source.get("license") or (_WITHOUT[kind] if ours else None)
    packages = {(row["source"], row["package"]): row["license"] for row in packages_of(release) if row["source"] in debian}
    return Rules(stated, packages)


def packages_of(release: Store) -> list[PackageEntry]:
    """The Debian packages of a release; none if it has no such source."""
    place = f"{FOLDER}/packages.json"
    if not release.exists(place):
        return []
    rows: list[PackageEntry] = release.read_json(place)
    return rows


def write(pages: Store | None, published: PublishedCorpus, out: Store) -> list[FileRecord]:
    """Write `licenses/`: the copyright files of the step `pages`, and a table of all licences that documents state."""
    records: list[FileRecord] = []
    rows: list[PackageEntry] = []
    if pages is not None and pages.exists(COPYRIGHTS):
        entries: list[PackageEntry] = pages.read_json(COPYRIGHTS)
        for entry in entries:
            place = copyright_place(entry["package"]) if entry["file"] else ""
            file = place.rpartition("/")[2]
            rows.append({**entry, "file": file})
            if place and f"{FOLDER}/{file}" not in {r.name for r in records}:
                records.append(out.write_bytes(f"{FOLDER}/{file}", pages.read_bytes(place)))
        records.append(out.write_json(f"{FOLDER}/packages.json", rows))
    return [*records, write_table(rows, published, out)]


def write_table(rows: list[PackageEntry], published: PublishedCorpus, out: Store) -> FileRecord:
    """Write the table of the licences alone."""
    return out.write_text(README, _table(rows, published))


def _table(rows: list[PackageEntry], published: PublishedCorpus) -> str:
    lines = [
        "# Licences of the documents", "", "Each document of `corpus/` keeps its source's licence, in the field `license`.",
        "A name from https://spdx.org/licenses/ means that licence.", "", "| licence | documents |", "|---|---:|",
    ]  # fmt: skip
    total: dict[str, int] = {}
    for (_, name), number in sorted(published.licenses.items()):
        total[name] = total.get(name, 0) + number
    lines += [f"| {name} | {number:,} |" for name, number in sorted(total.items())]
    if UNKNOWN in total:
        lines += ["", f"`{UNKNOWN}`: the source states no licence. Ask its owner before you pass these documents on."]
    if rows:
        lines += ["", "## Debian packages", "", "The licence is that of `Files: *` in the copyright file, if that file is",
                  "machine-readable (DEP-5); else `LicenseRef-debian-<package>`, which means: read the file.", "",
                  "| package | version | licence | copyright file |", "|---|---|---|---|"]  # fmt: skip
        for row in rows:
            shown = f"[{row['file']}]({row['file']})" if row["file"] else "none in the package"
            lines.append(f"| {row['package']} | {row['version']} | {row['license']} | {shown} |")
    return "\n".join(lines) + "\n"
