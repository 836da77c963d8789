"""The records of a corpus as Arrow schemas: pages, extracted pages and documents.

Each stage reads and writes Parquet shards with one of these schemas. They are declared column by column, so that a reader sees
what a page, an extracted page and a document are without running anything.

A page is what a source gives: bytes as they came, with what the source knows about them. An extracted page is a
page after structural extraction (report 3.1): a list of text blocks with the tag each came from. A document is what
leaves the corpus: one string of text with its provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

import pyarrow as pa

PAGE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # 32 hex digits, see `record_id`
        pa.field("source", pa.string(), nullable=False),  # name of the source in the recipe
        pa.field("category", pa.string(), nullable=False),  # one of CATEGORIES
        pa.field("kind", pa.string(), nullable=False),  # "html", "text", "code", "parallel" or "exercise"
        pa.field("url", pa.string(), nullable=False),
        pa.field("date", pa.string()),  # ISO 8601 or null
        pa.field("license", pa.string()),  # SPDX identifier or null
        pa.field("charset", pa.string()),  # what the transport declared (HTTP header), or null
        pa.field("body", pa.binary(), nullable=False),  # the bytes as they came
        pa.field("error", pa.string()),  # reason why the source could not deliver it whole, or null
        pa.field("meta", pa.string(), nullable=False),  # JSON object, for example {"package": "...", "pair": "..."}
    ]
)

EXTRACTED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("date", pa.string()),
        pa.field("license", pa.string()),
        pa.field("title", pa.string()),
        pa.field("lang", pa.string(), nullable=False),  # "en", "zh-Hans", "zh-Hant", "other", "code" or "" when not judged
        pa.field("lang_score", pa.float32(), nullable=False),  # 0 to 1
        pa.field("blocks", pa.list_(pa.string()), nullable=False),  # passages in reading order, never empty strings
        pa.field("tags", pa.list_(pa.string()), nullable=False),  # HTML tag of each block: "p", "h1", "li", "pre", "tr"
        pa.field("bytes_in", pa.int64(), nullable=False),  # size of the page's body
        pa.field("reason", pa.string()),  # why this page is dropped by the first filter, or null
        pa.field("meta", pa.string(), nullable=False),
    ]
)

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # NFC, "\n" line ends, blocks separated by "\n\n"
        pa.field("lang", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),  # the tag that held-out sets and mixtures use, see DOMAINS
        pa.field("category", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("date", pa.string()),
        pa.field("license", pa.string()),
        pa.field("split", pa.string(), nullable=False),  # "train", "valid", or for exercises "test", "ref", "canary", "heldback"
        pa.field("meta", pa.string(), nullable=False),
    ]
)


class DocumentRow(TypedDict):
    """A row of DOCUMENT."""

    id: str
    text: str
    lang: str
    source: str
    domain: str
    category: str
    url: str
    date: str | None
    license: str | None
    split: str
    meta: str


class PageRow(TypedDict):
    """A row of PAGE."""

    id: str
    source: str
    category: str
    kind: str
    url: str
    date: str | None
    license: str | None
    charset: str | None
    body: bytes
    error: str | None
    meta: str


CATEGORIES = ("web", "books", "papers", "encyclopedia", "social", "code", "miscellany", "stem", "parallel")
"""The rows of the report's Table 1, with our STEM and parallel parts beside them."""

DOMAINS = ("web_en", "web_zh", "code", "stem_en", "stem_zh", "parallel")
"""The held-out sets of the demo; other sources add `<category>_<en|zh>`, see `domain_of`."""


def domain_of(category: str, lang: str) -> str:
    """The tag of a document for mixtures and held-out sets: `web_en`, `stem_zh`, `code`, `parallel`, `web_other`."""
    if category in ("code", "parallel"):
        return category
    short = {"en": "en", "zh-Hans": "zh", "zh-Hant": "zh"}.get(lang, "other")
    return f"{category}_{short}"


def all_domains() -> tuple[str, ...]:
    """Every tag that `domain_of` can give, sorted."""
    return tuple(sorted({domain_of(category, lang) for category in CATEGORIES for lang in ("en", "zh-Hans", "other")}))


@dataclass(frozen=True)
class Tags:
    """What a held-out set is of. `lang`: "en", "zh", "en-zh" (parallel), "code" or "other"; `domain`: one of CATEGORIES;
    `kind`: "prose", "exercises", "parallel" or "code"."""

    lang: str
    domain: str
    kind: str


def tags_of(name: str) -> Tags:
    """The tags of a held-out set by its name, which is a document's tag (`domain_of`): `stem_zh` is Chinese exercises."""
    if name in ("code", "parallel"):
        return Tags("code" if name == "code" else "en-zh", name, name)
    domain, _, lang = name.rpartition("_")
    if not domain or lang not in ("en", "zh"):
        return Tags("other", domain if lang == "other" and domain else name, "prose")
    return Tags(lang, domain, "exercises" if domain == "stem" else "prose")


def record_id(*parts: bytes | str) -> str:
    """128-bit BLAKE2b of the parts (each preceded by its length) as 32 hex digits.

    Two different records share an id with probability below 1e-18 even among 10^10 records.
    """
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What a JSON file can hold."""


class FileEntry(TypedDict):
    """A `core.store.FileRecord` in a JSON file: name relative to its folder, size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str
