"""`corpus/croissant.json`: the corpus described for machines, as Croissant 1.1 with the responsible-AI fields.

Input: what a release says of itself, its counts and the checksums of its shards. Output: JSON-LD by the specification of MLCommons
(http://mlcommons.org/croissant/1.1 and http://mlcommons.org/croissant/RAI/1.0): each shard with SHA-256 and size, a record set for
each split, and what was collected, dropped, redacted and exempt in sentences with figures. Names and descriptions are in English
and Chinese.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyloom.release import sentences, tables
from skyloom.release.corpus_shards import CORPUS, FIELDS
from skyloom.release.formats import count, percent, size
from skyloom.release.sentences import HUB
from skyloom.release.statements.transparency import Told

PLACE = f"{CORPUS}/croissant.json"
_TERMS = (
    "arrayShape citeAs column equivalentProperty extract field fileProperty fileObject fileSet format includes isArray "
    "isLiveDataset jsonPath key md5 "
    "parentField path recordSet references regex repeated replace samplingRate separator source subField transform"
).split()
_MEANING = {
    "text": ("The document, UTF-8, NFC.", "文档正文，UTF-8，NFC。"),
    "id": ("A hash of the record, 32 hexadecimal digits.", "记录的散列值，32 位十六进制数字。"),
    "lang": ("The language.", "语言。"),
    "source": ("The source of the recipe that it is from.", "所属的配方来源。"),
    "domain": ("The tag that mixtures and held-out sets use.", "混合比例和留出集所用的标签。"),
    "url": ("Where it is from.", "出处。"),
    "date": ("When it was fetched or written; may be null.", "获取或写作的时间；可为空。"),
    "license": ("The licence that its source states; may be null.", "来源所述的许可证；可为空。"),
}
_SPLITS = {
    "train": ("What training read from.", "训练所读的部分。"),
    "valid": ("Held out, never trained on.", "留出部分，从未用于训练。"),
}


def croissant(told: Told, shards: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """The description of the corpus. `shards`: SHA-256 and size in bytes of each shard by its name in the folder `corpus/`."""
    facts, published = told.facts, told.published
    config = facts.config
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{bytes_} B",
            "encodingFormat": "application/zstd",
            "sha256": digest,
        }
        for name, (digest, bytes_) in sorted(shards.items())
    ]
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-files",
            "name": f"{split}-files",
            "encodingFormat": "application/jsonlines",
            "includes": f"{split}-*.jsonl.zst",
        }
        for split in published.documents
    ]
    text = f"{count(sum(published.documents.values()))} documents, {size(sum(published.bytes.values()))} of text"
    chinese = f"{count(sum(published.documents.values()))} 篇文档，{size(sum(published.bytes.values()))} 文本"
    found: dict[str, Any] = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "name": _both(f"{config.name} corpus", f"{config.name} 语料"),
        "description": _both(
            f"The text that {config.name} was trained and measured on: {text}.", f"{config.name} 训练和评测所用的文本：{chinese}。"
        ),
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "url": f"{HUB}/datasets/{config.corpus_repository}"
        if config.corpus_repository
        else config.url or "https://example.org/not-published",
        "version": config.version,
        "license": sorted({name for _, name in published.licenses}) or ["unknown"],
        "inLanguage": sorted(lang for lang, number in published.languages.items() if number),
        "creator": [{"@type": "sc:Organization", "name": name} for name in config.authors],
        "datePublished": str(facts.run.get("finished") or "")[:10],
        "citeAs": f"{config.name} corpus, version {config.version}",
        "isLiveDataset": False,
        "distribution": [*files, *sets],
        "recordSet": [_records(split, number) for split, number in published.documents.items()],
        **_responsible(told),
    }
    return {key: value for key, value in found.items() if value not in ("", [])}


def _records(split: str, documents: int) -> dict[str, Any]:
    english, chinese = _SPLITS[split]
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": _both(split, split),
        "description": _both(f"{english} {count(documents)} documents.", f"{chinese}{count(documents)} 篇文档。"),
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/{name}",
                "name": _both(name, name),
                "description": _both(*_MEANING[name]),
                "dataType": "sc:Text",
                "source": {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": name}},
            }
            for name in FIELDS
        ],
    }


def _responsible(told: Told) -> dict[str, str | list[str]]:
    """The responsible-AI fields, as far as the run recorded what they ask."""
    evidence = told.evidence
    rows = tables.funnel(evidence)
    sources = tables.sources(evidence)
    lost = [
        f"{row['stage']}: " + ", ".join(f"{r['reason']} {count(r['documents'])}" for r in row["reasons"])
        for row in rows
        if row["reasons"]
    ]
    shares = [f"{tables.language_name(group['language'])} {percent(group['share'])}" for group in tables.mixture(evidence)]
    kinds = sorted({row["kind"] for row in sources if row["kind"]})
    personal = sum((evidence.redaction or {}).values())
    found: dict[str, str | list[str]] = {
        "rai:dataCollection": "; ".join(f"{row['name']} ({row['kind']}): {row['origin']}" for row in sources if row["origin"]),
        "rai:dataCollectionType": [f"Existing sources: {kind}" for kind in kinds],
        "rai:dataPreprocessingProtocol": [f"Stage {number}: {row['stage']}" for number, row in enumerate(rows, 1)],
        "rai:dataManipulationProtocol": [*lost, *([sentences.removed(evidence)] if evidence.removed else [])],
        "rai:dataAnnotationProtocol": "No person annotated this text. Languages, domains and quality were decided by programs.",
        "rai:dataBiases": f"By units of text: {', '.join(shares)}. Filters keep what is like the text that they were made for."
        if shares
        else "",
        "rai:dataLimitations": "Wrong languages, boilerplate and personal data may be left by the filters. Facts were not checked.",
        "rai:personalSensitiveInformation": (
            f"{count(personal)} personal data were replaced by placeholders; no such filter finds everything."
            if evidence.redaction is not None
            else "Nothing was redacted."
        ),
        "rai:dataUseCases": ["Training of language models", "Study of filters, duplicates and leaks"],
        "rai:dataReleaseMaintenancePlan": (
            "Documents are removed on request by their ids; removed.json lists them."
            + (f" Contact: {told.facts.config.contact}" if told.facts.config.contact else " No contact is named.")
        ),
    }
    return {key: value for key, value in found.items() if value}


def _both(english: str, chinese: str) -> dict[str, str]:
    return {"en": english, "zh": chinese}


def _context() -> dict[str, Any]:
    """The JSON-LD context that the specification fixes."""
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "name": {"@container": "@language"},
        "description": {"@container": "@language"},
        **{term: f"cr:{term}" for term in _TERMS},
    }
