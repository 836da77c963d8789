"""The YAML head of the cards, as hubs read it, and the citation.

Input: what a release says of itself and what the run measured. Output: a table for `yaml.safe_dump`. The head of the model card has
a `configs:` block as well, so that `datasets.load_dataset(FOLDER)` on the release itself reads its corpus.
"""

from __future__ import annotations

import re
from typing import TypedDict

from skyloom.core.json_files import Figure
from skyloom.model.config import ModelConfig
from skyloom.release.corpus_shards import FIELDS, PublishedCorpus
from skyloom.release.evidence import Evidence
from skyloom.release.formats import known
from skyloom.release.sentences import Facts, small


class DataFiles(TypedDict):
    """The files of a split, for hubs."""

    split: str
    path: str


class CardConfig(TypedDict):
    """A configuration of a data set, for hubs."""

    config_name: str
    data_files: list[DataFiles]


class CardFeature(TypedDict):
    """A column of a data set."""

    name: str
    dtype: str


class SplitSize(TypedDict):
    """The size of a split; `check` counts again."""

    name: str
    num_bytes: int
    num_examples: int


class DatasetInfo(TypedDict):
    """Columns and sizes of a data set."""

    features: list[CardFeature]
    splits: list[SplitSize]


class Metric(TypedDict):
    """A figure of `model-index`."""

    type: str
    name: str
    value: float


class NamedEntry(TypedDict):
    """What a result of `model-index` is about, or was measured on."""

    type: str
    name: str


class IndexResult(TypedDict):
    """A result of `model-index`."""

    task: NamedEntry
    dataset: NamedEntry
    metrics: list[Metric]


class IndexEntry(TypedDict):
    """A model of `model-index`."""

    name: str
    results: list[IndexResult]


class TrainingCost(TypedDict, total=False):
    """What training took, as far as it is known."""

    hardware: str
    hours: float
    energy_kwh: float


class Emissions(TypedDict, total=False):
    """Emissions as hubs read them, in grams of CO₂."""

    emissions: float
    source: str
    training_type: str
    hardware_used: str


class CardHead(TypedDict, total=False):
    """The YAML head of a card, as hubs read it."""

    license: str
    license_name: str
    license_link: str
    language: list[str]
    library_name: str
    pipeline_tag: str
    tags: list[str]
    base_model: str
    datasets: list[str]
    version: str
    training: TrainingCost
    co2_eq_emissions: Emissions
    task_categories: list[str]
    configs: list[CardConfig]
    dataset_info: DatasetInfo


_Index = TypedDict("_Index", {"model-index": list[IndexEntry]}, total=False)
"""The key of a model card that no Python name can spell."""


class ModelHead(CardHead, _Index, total=False):
    """The YAML head of a model's card."""


_SPDX = "https://spdx.org/licenses/"
CHOICE = "multiple-choice exercises"


def model_head(facts: Facts, shape: ModelConfig, published: PublishedCorpus, evidence: Evidence, codes: list[str]) -> ModelHead:
    """The head of `README.md`. `codes`: the languages of the model."""
    config, data = facts.config, _data(published, "corpus/")
    tags = ["skyloom", *(["bilingual"] if len(codes) == 2 else []), "continued-pretraining" if facts.base_model else "from-scratch"]
    head: ModelHead = {
        "license": config.license.lower(),
        "license_link": f"{_SPDX}{config.license}.html",
        "language": codes,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": [*tags, *(["small-scale"] if small(shape, _tokens(evidence)) else [])],
        "version": config.version,
        "datasets": _datasets(facts),
        "configs": data["configs"],
        "dataset_info": data["dataset_info"],
    }
    if facts.base_model:
        head["base_model"] = facts.base_model
    if cost := _cost(facts):
        head["training"] = cost
    if facts.carbon is not None:
        emissions: Emissions = {
            "emissions": round(1000 * facts.carbon, 3),
            "source": f"energy of training as measured ({facts.meters}), at the grams per kWh that the publisher states"
            if facts.meters
            else "hours of training, at the power and the grams per kWh that the publisher states",
            "training_type": "pre-training",
            "hardware_used": facts.hardware,
        }
        head["co2_eq_emissions"] = emissions
    if results := _results(facts, evidence):
        head["model-index"] = [{"name": config.name, "results": results}]
    return head


def corpus_head(facts: Facts, published: PublishedCorpus, codes: list[str]) -> CardHead:
    """The head of `corpus/README.md`."""
    return {
        "license": "other",
        "license_name": "per-document",
        "license_link": facts.licenses_place,
        "language": codes,
        "version": facts.config.version,
        "task_categories": ["text-generation"],
        **_data(published, ""),
    }


def citation(facts: Facts) -> str:
    """A BibTeX entry for the release."""
    config = facts.config
    finished = str(facts.run.get("finished") or "")
    fields = [
        ("title", f"{config.name}, version {config.version}"),
        ("author", " and ".join(config.authors)),
        ("year", finished[:4]),
        ("howpublished", f"\\url{{{config.url}}}" if config.url else ""),
        ("note", "made with Skyloom"),
    ]
    key = re.sub(r"[^a-z0-9]+", "-", config.name.lower()).strip("-") or "release"
    lines = [f"  {name} = {{{value}}}," for name, value in fields if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _tokens(evidence: Evidence) -> float | None:
    return evidence.metrics[-1].get("tokens") if evidence.metrics else None


def _datasets(facts: Facts) -> list[str]:
    """Data sets of a hub that the recipe names, then the corpus of this release under its own name."""
    sources = facts.recipe.get("corpus", {}).get("sources", [])
    named = [str(s["path"]).partition("@")[0] for s in sources if s.get("kind") == "hub" and "/" in str(s.get("path", ""))]
    return [*dict.fromkeys(named), facts.config.corpus_repository or facts.config.name]


def _data(published: PublishedCorpus, folder: str) -> CardHead:
    """Where the corpus is, and what it holds."""
    files: list[DataFiles] = [{"split": split, "path": f"{folder}{split}-*.jsonl.zst"} for split in published.documents]
    sizes: list[SplitSize] = [
        {"name": split, "num_bytes": published.bytes[split], "num_examples": number}
        for split, number in published.documents.items()
    ]
    features: list[CardFeature] = [{"name": name, "dtype": "string"} for name in FIELDS]
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"features": features, "splits": sizes},
    }


def _cost(facts: Facts) -> TrainingCost:
    cost: TrainingCost = {}
    if facts.hardware:
        cost["hardware"] = facts.hardware
    if facts.training_hours is not None:
        cost["hours"] = round(facts.training_hours, 3)
    if facts.energy is not None:
        cost["energy_kwh"] = round(facts.energy, 3)
    return cost


def _results(facts: Facts, evidence: Evidence) -> list[IndexResult]:
    """The final model's figures in the form of `model-index`."""
    task: NamedEntry = {"type": "text-generation", "name": "text generation"}
    results: list[IndexResult] = []
    for row in evidence.perplexity["rows"] if evidence.perplexity else ():
        values: list[tuple[str, str, Figure]] = [
            ("bits_per_byte", "bits per byte", row["bits_per_byte"]), ("perplexity", "perplexity per token", row["perplexity"]),
        ]  # fmt: skip
        if row["model"] == "final":
            results.append({"task": task, "dataset": _set(facts, f"held-out {row['set']}"), "metrics": _metrics(values)})
    for line in evidence.choice["rows"] if evidence.choice else ():
        if line["model"] == "final":
            measured = _metrics([("accuracy", "accuracy", line["accuracy"])])
            results.append({"task": task, "dataset": _set(facts, f"{CHOICE}, {line['lang']}"), "metrics": measured})
    return [result for result in results if result["metrics"]]


def _set(facts: Facts, what: str) -> NamedEntry:
    return {"type": facts.config.name, "name": what}


def _metrics(values: list[tuple[str, str, Figure]]) -> list[Metric]:
    return [{"type": kind, "name": name, "value": value} for kind, name, value in values if known(value)]
