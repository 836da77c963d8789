"""The sentences of the cards that depend on the run: computed, so that no card says of one run what is true of another.

Input: the recipe, the model's shape and what the run measured. Output: words for the templates. A sentence whose facts were not
recorded is left out or says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from skyloom.core.config import TomlTable
from skyloom.core.json_files import RunFacts
from skyloom.evaluate.config import MEASURED
from skyloom.model.config import ModelConfig
from skyloom.model.hf_config import FAMILIES, family_of
from skyloom.release import tables
from skyloom.release.config import ReleaseConfig
from skyloom.release.corpus_shards import PublishedCorpus
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, known, percent, short, size
from skyloom.release.formats import energy as power
from skyloom.release.licenses import README as LICENSES
from skyloom.release.tables import SetTable
from skyloom.train.stage_list import stage_tables

SMALL_PARAMETERS, SMALL_TOKENS = 1e9, 2e10
"""Below one of them a model is called small: it has few parameters, or read fewer tokens than 20 for each of 10^9 parameters."""
_CODES = {"en": "en", "zh-Hans": "zh", "zh-Hant": "zh", "zh": "zh"}
_NUMBERS = ("No", "One", "Two", "Three")
HUB = "https://huggingface.co"
XZ = tables.model_name("xz")
_LEAST = 0.005
"""Smallest share that a list of what was read names."""


@dataclass(frozen=True)
class Facts:
    """What a release says of itself. `dtype`: of the stored weights; `recipe`: the tables of recipe.toml; `run`: may be empty."""

    config: ReleaseConfig
    recipe: TomlTable
    run: RunFacts
    dtype: str

    @property
    def base_model(self) -> str:
        """Name of the model that training continued; "" if it began with random weights."""
        return PurePath(str(self.recipe.get("train", {}).get("init_from") or "")).name

    @property
    def corpus_link(self) -> str:
        """Where the corpus is, as the model card links it: its repository on a hub, else the folder beside the card."""
        name = self.config.corpus_repository
        return f"[`{name}`]({HUB}/datasets/{name})" if name else "[`corpus/`](corpus/README.md)"

    @property
    def model_link(self) -> str:
        """The model as the corpus card links it: its repository on a hub, else the folder above."""
        name = self.config.repository
        return f"[`{name}`]({HUB}/{name})" if name else "[the model](../README.md)"

    @property
    def licenses_place(self) -> str:
        """The table of the licences, seen from the corpus card."""
        name = self.config.corpus_repository
        return f"{HUB}/datasets/{name}/blob/main/{LICENSES}" if name else f"../{LICENSES}"

    @property
    def training_hours(self) -> float | None:
        """Hours of the training stages, as their steps took them; None if not recorded."""
        names = [stage["name"] for stage in stage_tables(self.recipe)]
        taken = [step["seconds"] for step in self.run.get("steps", []) if step["name"] in names]
        seconds = [s for s in taken if s is not None]
        return sum(seconds) / 3600 if seconds and len(seconds) == len(taken) else None

    @property
    def energy(self) -> float | None:
        """kWh of training: as measured, else by the power that the publisher states; None if neither is known."""
        if measured := self.run.get("energy"):
            return measured["kwh"]
        hours = self.training_hours
        return hours * self.config.watts / 1000 if hours is not None and self.config.watts else None

    @property
    def meters(self) -> str:
        """What measured the energy: "RAPL, CPU package"; "" if it was not measured."""
        measured = self.run.get("energy")
        return "; ".join(measured["sources"]) if measured else ""

    @property
    def carbon(self) -> float | None:
        """kg of CO₂ of training, by the intensity that the publisher states; None if that or the energy is not known."""
        grams = self.config.grams_co2_per_kwh
        return self.energy * grams / 1000 if self.energy is not None and grams else None

    @property
    def corpus_place(self) -> str:
        """Where the corpus is, in words."""
        return f"{HUB}/datasets/{self.config.corpus_repository}" if self.config.corpus_repository else "corpus/"

    @property
    def hardware(self) -> str:
        """The publisher's words, else what the machine said of itself; "" if neither is known."""
        machine = self.run.get("machine")
        if self.config.hardware or not machine or "cores" not in machine:
            return self.config.hardware
        return f"{machine['cores']} cores, {machine['architecture']}, {size(machine['memory_bytes'])} memory, {machine['system']}"


def languages(facts: Facts, published: PublishedCorpus) -> list[str]:
    """Languages of the model by ISO code: of the settings, those that the corpus has text in (all, if a model is continued)."""
    present = {_CODES[lang] for lang, number in published.languages.items() if number and lang in _CODES}
    given = list(facts.config.languages)
    return [lang for lang in given if lang not in ("en", "zh") or lang in present or facts.base_model] or sorted(present) or given


def named(codes: list[str]) -> str:
    """`["en", "zh"]` → "English and Chinese"."""
    return joined([tables.language_name(code) for code in codes])


def kind(codes: list[str]) -> str:
    """What language model it is, with the article: "A bilingual (English and Chinese)", "An English"."""
    words = f"bilingual ({named(codes)})" if len(codes) == 2 else named(codes)
    return f"{'An' if words[:1] in 'AEIO' else 'A'} {words}"


def joined(words: list[str]) -> str:
    """A list in a sentence: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def form(shape: ModelConfig) -> str:
    """The architecture in a line, from the shape of the weights."""
    if shape.grouped_heads == shape.heads:
        attention = "multi-head attention"
    elif shape.grouped_heads == 1:
        attention = f"multi-query attention ({shape.heads} query heads share the keys and values of one)"
    else:
        attention = f"grouped-query attention ({shape.heads} query heads share {shape.grouped_heads} heads of keys and values)"
    output = "tied embeddings (the output matrix is the input embedding)" if shape.tied else "untied embeddings"
    scaling, biases = shape.rope_scaling, "biases of queries, keys and values" if shape.query_bias else "no biases"
    rope = f"RoPE (scaled {scaling.factor:g} times, {scaling.kind})" if scaling else "RoPE"
    parts = [f"decoder; {rope}", "RMSNorm before each part", "SwiGLU", attention]
    parts += [f"each token sees {shape.window:,}"] if shape.window else []
    parts += ["norms of queries and keys"] if shape.head_norm else []
    return f"{', '.join([*parts, output, biases])} (`{FAMILIES[family_of(shape)].architecture}`)"


def small(shape: ModelConfig, tokens: float | None) -> bool:
    """Whether the model is called small: by its size, or by what it read in this run (not known: it is)."""
    return shape.parameters < SMALL_PARAMETERS or (tokens or 0) < SMALL_TOKENS


def course(evidence: Evidence) -> str:
    """How many stages there were, and when exercises came in."""
    rows = tables.stages(evidence)
    number = _NUMBERS[len(rows)] if len(rows) < len(_NUMBERS) else str(len(rows))
    text = f"{number} stage{'s' if len(rows) != 1 else ''} of training"
    shares = {row["name"]: sum(v for k, v in final_shares(evidence, row["stage"]).items() if k.startswith("stem")) for row in rows}
    told = [f"{percent(share)} of {name}" for name, share in shares.items() if share > _LEAST]
    if told:
        return f"{text}. Exercises are {joined(told)}."
    return f"{text}{', without exercises' if any(final_shares(evidence, row['stage']) for row in rows) else ''}."


def final_shares(evidence: Evidence, stage: str) -> dict[str, float]:
    """The shares of domains that a stage realised, largest first; empty if they were not recorded."""
    last: dict[str, float] = {}
    for row in evidence.metrics or []:
        if row["stage"] == stage:
            last = row.get("shares") or last
    return dict(sorted(last.items(), key=lambda item: (-item[1], item[0])))


def what_was_read(evidence: Evidence, stage: str) -> str:
    """The parts of a stage with their shares."""
    found = [
        f"{tables.domain_name(name)} {percent(share)}" for name, share in final_shares(evidence, stage).items() if share > _LEAST
    ]
    return "; ".join(found) or "not recorded"


def parts(evidence: Evidence) -> str:
    """The kinds of text of the corpus by their share of it, and the sources, for the card's limits."""
    shares: dict[str, float] = defaultdict(float)
    for row in evidence.mixture["rows"] if evidence.mixture else ():
        shares[row["category"]] += row["share"]
    kinds = [
        f"{_kind(name)} ({percent(share)})" for name, share in sorted(shares.items(), key=lambda i: (-i[1], i[0])) if share > _LEAST
    ]
    return joined(kinds)


def _kind(category: str) -> str:
    return {"web": "web pages", "stem": "exercises", "parallel": "parallel text"}.get(category, category)


def tokenizer(facts: Facts, evidence: Evidence) -> str:
    """What the tokenizer is: trained in this run, or an extension of a given base."""
    given = facts.recipe.get("tokenizer", {}).get("base_model")
    parts = {name: number for name, number in (evidence.measure["parts"] if evidence.measure else {}).items() if number}
    held = f"; its parts: {', '.join(f'{name} {number:,}' for name, number in parts.items())}" if parts else ""
    kind = (
        "SentencePiece"
        if evidence.measure is None or "kind" not in evidence.measure
        else str(evidence.measure["kind"]).capitalize()
    )
    return f"{kind} BPE, {f'extended from {PurePath(str(given)).name}' if given else 'trained in this run'}{held}"


def prompt(evidence: Evidence, codes: list[str]) -> str:
    """Words to begin with in the example of use: the first sample prompt of the run in a language of the model."""
    for row in evidence.samples or []:
        if _CODES.get(row["lang"]) in codes and "\n" not in row["prompt"] and '"' not in row["prompt"]:
            return row["prompt"]
    return "今天" if codes == ["zh"] else "The"


def intake(evidence: Evidence) -> str:
    """From what came in to what is left, in documents and bytes; "" if the funnel was not recorded."""
    rows = tables.funnel(evidence)
    if not rows:
        return ""
    first, last = rows[0], rows[-1]
    joined = sum(row["joined"] for row in rows)
    told = f"{count(first['documents'])} pages or documents with {size(first['bytes'])} came in first"
    told += f", {count(joined)} more at later stages" if joined else ""
    return f"{told}; after {len(rows)} stages {count(last['kept'])} documents with {size(last['kept_bytes'])} of text are left."


def overlap(evidence: Evidence) -> tuple[str, str] | None:
    """How much of the test items behind the multiple-choice scores stands in the training text, in English and Chinese."""
    table = evidence.leakage.get("corpus") if evidence.leakage else None
    rows = [row for row in (table or {}).get("rows", []) if row["split"] == "test" and row["items"]]
    if not rows:
        return None
    row = rows[0]
    share = percent(row["share"]) if known(row["share"]) else "–"
    return (
        f"{count(row['whole'])} of {count(row['items'])} test items stand in the training text; {share} of their "
        "13-grams do, as items of one "
        "family share their wording.",
        f"{count(row['items'])} 个测试题中有 {count(row['whole'])} 个出现在训练文本中；其 13 元组中有 {share} 出现在其中"
        "，因为同一类题目的措辞相同。",
    )


def whole_items(evidence: Evidence) -> str:
    """The same as a share for a cell of a table: "0 of 60"."""
    table = evidence.leakage.get("corpus") if evidence.leakage else None
    rows = [row for row in (table or {}).get("rows", []) if row["split"] == "test" and row["items"]]
    return f"{count(rows[0]['whole'])} of {count(rows[0]['items'])}" if rows else "not measured"


def removed(evidence: Evidence) -> str:
    """What was taken out of the corpus after the release; "" if nothing was."""
    number = len(evidence.removed)
    if not number:
        return ""
    read = sum(row["split"] == "train" for row in evidence.removed)
    whom = f"the model had read {count(read)} of them" if read else "the model had read none of them"
    documents = f"{count(number)} document{'s' if number != 1 else ''}"
    return f"{documents} ({size(sum(row['bytes'] for row in evidence.removed))}) were removed after the release; {whom}."


def bold(tested: bool, found: Sequence[SetTable]) -> str:
    """What bold figures mean in the tables of perplexity. `tested`: the run has paired differences between models."""
    if not found:
        return ""
    if not tested:
        return "Differences between models were not tested in this run, so no figure is marked as the best of its row."
    marked = any(cell["best"] for table in found for row in table["rows"] for cell in row["cells"])
    xz = "; xz has one figure for a whole set, which stays as it is" if any(XZ in table["models"] for table in found) else ""
    rule = (
        "is lower than every other of its row beyond chance: the 95 % interval of each paired difference excludes zero (the same "
        f"documents are resampled for both models{xz})"
    )
    return f"A bold figure {rule}." if marked else f"No figure {rule}, so none is bold."


def checks(evidence: Evidence) -> tuple[str, list[str]]:
    """What the sanity checks of the evaluation say (finite losses, below the unigram baseline), and those that fail."""
    rows = evidence.perplexity.get("sanity", []) if evidence.perplexity else []
    if not rows:
        return "These figures were not checked against the baseline.", []
    wrong = tables.failed_checks(evidence)
    if not wrong:
        return f"All {len(rows)} sanity checks of these figures hold: losses are finite, and below the unigram baseline.", []
    return f"{len(wrong)} of {len(rows)} sanity checks of these figures {'fail' if len(wrong) > 1 else 'fails'}:", wrong


def rounded(facts: Facts) -> str:
    """That the released weights are not quite those that were measured; "" if they are."""
    if not facts.dtype or facts.dtype == MEASURED:
        return ""
    return (
        f"The results were computed with {MEASURED} weights; the released weights are {facts.dtype}, rounded from these: with them "
        "figures may differ a little, and a verdict or a bold figure whose interval ends close to its limit may turn out otherwise."
    )


def cost(facts: Facts) -> str:
    """Hardware, hours and energy of the training, as far as they are known."""
    hours, energy = facts.training_hours, facts.energy
    told = [f"{short(hours)} hours of training" if hours is not None else "The hours of training were not recorded"]
    if facts.hardware:
        told[0] += f" on {facts.hardware}"
    if energy is not None:
        how = f"measured ({facts.meters})" if facts.meters else f"computed from the stated {facts.config.watts:g} W"
        told.append(f"{power(energy)}, {how}")
        if facts.carbon is not None:
            told.append(f"{short(facts.carbon)} kg of CO₂ at the stated {facts.config.grams_co2_per_kwh:g} g for each kWh")
    else:
        told.append("the energy was not measured")
    return "; ".join(told) + "."
