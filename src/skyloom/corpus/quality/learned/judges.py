"""The learned judges of quality, shard by shard: train on reference text, score, count, fit thresholds, group.

Input: reference text and a sample of the corpus' own pages (both chosen by `reference_text.sample`). Output: a folder of
models, then for each shard of documents a table of scores, and in the end a group for each document. Report 3.1 names both
judges: CCNet's language model and the classifier of "would be a reference in an encyclopedia".

    train_judges(reference, pages, out, config)            once
    judges = load_judges(out)                              in each worker
    scores = judges.score(texts, langs)                    per shard: perplexity, reference
    counts = merge_counts(count_scores(s, langs) ...)      shards in any order
    groups = group(scores, langs, fit_thresholds(counts, config.groups), config.groups)

Without reference text there is no learned judge and every document that passed the rules is in the high group. A judge
trained on the corpus itself would call good whatever there is most of, and nobody could say what its scores mean; so the
recipe must name what good text is.

Memory: the models (32 to 64 bytes for each n-gram, 4 MB for the classifier) and the columns of one shard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.errors import DataError
from skyloom.core.store import Store
from skyloom.corpus.quality.learned.classifier import Classifier, train_classifier
from skyloom.corpus.quality.learned.config import GroupConfig, JudgesConfig
from skyloom.corpus.quality.learned.ngram import LanguageModel, lm_score, load_model
from skyloom.corpus.quality.learned.ngram_train import train_lm
from skyloom.corpus.quality.learned.quality_groups import Thresholds, count_perplexity, lm_grade, quality_group, reference_grade
from skyloom.corpus.text import Texts

LANGUAGES = ("en", "zh")
_SHORT = {"en": "en", "zh-Hans": "zh", "zh-Hant": "zh", "zh": "zh"}
_CLASSIFIER, _SUMMARY = "classifier.npz", "judges.json"


@dataclass(frozen=True)
class Judges:
    """Language models by language ("en", "zh") and the linear judge; any may be missing."""

    models: Mapping[str, LanguageModel]
    classifier: Classifier | None

    def score(self, texts: Texts, langs: Texts) -> pa.Table:
        """`perplexity` and `reference` (a probability) of each document, float32; null where no judge can say."""
        short = short_languages(langs)
        perplexity = lm_score(texts, short, self.models)
        nothing = np.full(len(short), np.nan, np.float32)
        probability = self.classifier.score(texts, short) if self.classifier else nothing
        return pa.table({"perplexity": _nulls(perplexity), "reference": _nulls(probability)})


def train_judges(reference: pa.Table, pages: pa.Table, out: Store, config: JudgesConfig) -> None:
    """Train on `reference` and, as what reference text is compared with, `pages` (columns `text`, `lang`); write to `out`.

    Writes `lm-<language>.arpa` for each language that has reference text, `classifier.npz` if there is enough for it, and
    `judges.json`, which says what was trained on how many texts. DataError if there is no reference text in either language.
    """
    good, plain = short_languages(reference.column("lang")), short_languages(pages.column("lang"))
    summary: dict[str, object] = {"reference": {}, "pages": {}, "trainer": {}, "classifier": []}
    names = [lang for lang in LANGUAGES if (good == lang).any()]
    if not names:
        raise DataError("the reference text has no document in English or Chinese: name another source in quality.judges.reference")
    given = {"en": config.lm_en, "zh": config.lm_zh}
    for lang in LANGUAGES:
        if given[lang]:
            summary["trainer"][lang] = "given"  # type: ignore[index]
            with Store(Path(given[lang]).absolute().parent).reading(Path(given[lang]).name) as model:
                out.write_bytes(f"lm-{lang}.arpa", model.read())
        elif lang in names:
            texts = reference.column("text").filter(pa.array(good == lang))
            summary["trainer"][lang] = train_lm(texts, out, f"lm-{lang}.arpa", config.lm)  # type: ignore[index]
    for kind, column in (("reference", good), ("pages", plain)):
        summary[kind] = {lang: int((column == lang).sum()) for lang in LANGUAGES}
    least = config.classifier.minimum_texts
    if any(min((good == lang).sum(), (plain == lang).sum()) >= least for lang in names):
        texts = pa.chunked_array([*_chunks(reference), *_chunks(pages)], pa.large_string())
        positive = np.arange(len(texts)) < len(good)
        classifier = train_classifier(texts, positive, np.concatenate([good, plain]), config.classifier)
        classifier.save(out, _CLASSIFIER)
        summary["classifier"] = sorted(classifier.bias)
    out.write_json(_SUMMARY, summary)


def load_judges(store: Store) -> Judges:
    """What `train_judges` wrote, or what is laid out alike: `lm-en.arpa` may be gzipped ARPA or a binary file of kenlm's."""
    there = set(store.names())
    if _SUMMARY not in there:
        raise DataError(f"{store.root} has no {_SUMMARY}: train the judges first")
    models = {lang: load_model(store, f"lm-{lang}.arpa") for lang in LANGUAGES if f"lm-{lang}.arpa" in there}
    return Judges(models, Classifier.load(store, _CLASSIFIER) if _CLASSIFIER in there else None)


def count_scores(scores: pa.Table, langs: Texts) -> npt.NDArray[np.int64]:
    """What a shard gives to the thresholds: see `groups.count_perplexity`; add with `merge_counts`."""
    return count_perplexity(_values(scores, "perplexity"), short_languages(langs))


def group(scores: pa.Table, langs: Texts, thresholds: Mapping[str, Thresholds], config: GroupConfig) -> pa.Array:
    """The group of each document, string[rows]: "high", "middle" or "low"."""
    perplexity, short = _values(scores, "perplexity"), short_languages(langs)
    grades = lm_grade(perplexity, short, thresholds), reference_grade(_values(scores, "reference"), config)
    return pa.array(quality_group(*grades), pa.string())


def group_reasons(groups: pa.Array, config: GroupConfig) -> pa.Array:
    """Why documents of groups that do not stay are dropped, string[rows]; null for the others."""
    return pa.array([None if name in config.keep else f"{name} quality group" for name in groups.to_pylist()], pa.string())


def short_languages(langs: Texts) -> npt.NDArray[np.object_]:
    """ "en", "zh" (either script) or "other" for each document, object[rows]."""
    return np.array([_SHORT.get(lang, "other") for lang in langs.to_pylist()], object)


def _nulls(values: npt.NDArray[np.float32]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _values(scores: pa.Table, name: str) -> npt.NDArray[np.float32]:
    return np.asarray(scores.column(name).to_numpy(), np.float32)


def _chunks(table: pa.Table) -> list[pa.Array]:
    return list(table.column("text").cast(pa.large_string()).chunks)
