"""Trains a bilingual tokenizer on documents: a SentencePiece model with a copy for `transformers`, or a byte-level one (3.3).

The report extends LLaMA's 32,000 pieces with 8,000 Chinese characters and symbols and 25,519 words to 65,536. The same
is done here: a BPE base on Latin text and code is trained, or read from a file (`base_model`), and then characters
and words are added by their use in the corpus. A base that is a byte-level vocabulary (Llama 3, Qwen) stays one (`byte_level`).

A base of our own neither normalises nor puts a space in front of a text: what is decoded is what was encoded, line ends and
indentation included. Of another base that is kept as it is, because its ids would mean something else.

Sizes are kept exactly. A corpus too small for them is an error that says how many candidates there were; with `fit` the
vocabulary becomes smaller instead (a multiple of 64) and holds no piece that nothing here trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import Store
from skyloom.tokenizer import export
from skyloom.tokenizer.base import given_base, train_base
from skyloom.tokenizer.byte_level import byte_train
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.count import Counts
from skyloom.tokenizer.extend import candidates, choose_characters, choose_words, dictionary_runs, rank_characters
from skyloom.tokenizer.measure import measure
from skyloom.tokenizer.pieces import (
    JOINED_DIGITS,
    RESERVED,
    Parts,
    digest,
    extended_model,
    holds_digits,
    normal_pieces,
    parts_of,
    read_model,
)
from skyloom.tokenizer.sample import Sample, draw
from skyloom.tokenizer.sentencepiece_cutter import SentencePieceCutter
from skyloom.tokenizer.tokenizer import Tokenizer

ROUND = 64
"""A vocabulary that must shrink becomes a multiple of this, so that matrix sizes stay friendly to accelerators."""


def train(documents: Store, out: Store, config: TokenizerConfig, *, progress: Progress) -> None:
    """Train on `documents-*.parquet` (split "train") and write the files that docs/design.md lists.

    Same documents and settings give the same bytes. DataError if there are no training documents, no Latin text for the
    base, no Chinese for parts that are to be Chinese, or fewer candidates than the sizes ask for and `fit` is off.
    """
    given = given_base(Path(config.base_model)) if config.base_model else None
    if given is not None:
        given.check(config.base, config.reserved, config.characters)
    sample = draw(documents, round(config.sample_megabytes * 1e6), config.seed, config.balance, config.weights)
    if not sample.rates:
        raise DataError(f"{documents.root} has no documents of split 'train' to train a tokenizer on")
    progress.log(f"tokenizer: {sample.taken_bytes / 1e6:,.1f} of {sample.corpus_bytes / 1e6:,.1f} MB")
    counts = count(sample, progress)
    if not counts.bytes:
        raise DataError(
            f"a sample of {config.sample_megabytes:g} MB holds no document of these {sample.corpus_bytes / 1e6:,.2f} MB: "
            "raise tokenizer.sample_megabytes"
        )
    if given is not None and given.byte_level is not None:
        added = byte_train.choose(given.byte_level, counts, config, progress)
        tokenizer = byte_train.write(given.byte_level, added, config, out)
        _say_smaller(tokenizer.parts, config, progress)
    else:
        tokenizer = _sentencepiece(given.model if given is not None else b"", counts, config, out, progress)
    with progress.task("measure the tokenizer", sample.taken_bytes, "bytes") as bar:
        out.write_json("measure.json", measure(tokenizer, documents, sample, bar))


def _sentencepiece(given: bytes, counts: Counts, config: TokenizerConfig, out: Store, progress: Progress) -> Tokenizer:
    """A SentencePiece model with its files; its base is the given one, or trained here."""
    base = given or _trained(counts, config, progress)
    characters, words = _chinese(base, counts, config, progress)
    model = extended_model(base, characters, words)
    parts = parts_of(base, characters, words)
    _say_smaller(parts, config, progress)
    out.write_bytes("tokenizer.model", model)
    export.write(model, out)
    out.write_json(
        "parts.json",
        {"vocabulary": parts.total, "parts": parts.to_json(), "base_sha256": digest(base, parts.base)},
    )
    return Tokenizer(SentencePieceCutter(model), parts)


def _say_smaller(parts: Parts, config: TokenizerConfig, progress: Progress) -> None:
    if parts.total < config.vocabulary:
        sizes = ", ".join(f"{name} {parts.size(name):,}" for name in ("characters", "words"))
        progress.log(
            f"tokenizer: the corpus supports {parts.total:,} of {config.vocabulary:,} pieces (base {parts.base:,}, {sizes}); the "
            "vocabulary shrinks to that"
        )


def count(sample: Sample, progress: Progress) -> Counts:
    """Characters, words and runs of Chinese of the sample."""
    counts = Counts()
    with progress.task("count text", sample.taken_bytes, "bytes") as bar:
        for domain, texts in sample.tables():
            before = counts.bytes
            counts.add(texts, sample.weights[domain])
            bar.advance(counts.bytes - before)
    if counts.dropped_below > 1:
        progress.log(f"tokenizer: more distinct words than fit; those seen fewer than {counts.dropped_below} times were dropped")
    if counts.runs_share < 1:
        progress.log(f"tokenizer: more distinct runs of Chinese than fit; {counts.runs_share:.1%} of them are looked at")
    return counts


def _trained(counts: Counts, config: TokenizerConfig, progress: Progress) -> bytes:
    words, sums = counts.words()
    progress.log(f"tokenizer: training a base of {config.base:,} pieces on {len(words):,} distinct words")
    base = train_base(words, sums[:, 0], config.base)
    found = len(read_model(base).pieces)
    if found < config.base and not config.fit:
        raise DataError(
            f"a base of {config.base:,} pieces was asked for, the Latin text of the corpus gives {found:,}: "
            f"add text, set tokenizer.base to {found} or less, or set tokenizer.fit"
        )
    return base


def _chinese(base: bytes, counts: Counts, config: TokenizerConfig, progress: Progress) -> tuple[list[str], list[str]]:
    """The added characters and words, as many as wanted; with `fit` as many as the corpus supports."""
    pieces = normal_pieces(base)
    joined = [p for p, _ in pieces if holds_digits(p)]
    if len(joined) > len(JOINED_DIGITS):
        progress.log(
            f"tokenizer: the base joins digits in {len(joined):,} pieces, for example {joined[:3]}; those numbers are not split"
        )
    if not (config.characters or config.words):
        return [], []
    runs, dictionary = counts.runs(), dictionary_runs()
    known = {p.piece for p in read_model(base).pieces}
    seen, further = rank_characters(counts.points, known, config.least_count, dictionary)
    if not len(runs.weight):
        raise DataError(
            f"the training documents hold no Chinese ({len(seen)} candidate characters, 0 candidate words): "
            "add a Chinese source, or set tokenizer.characters and tokenizer.words to 0"
        )
    characters = choose_characters(seen if config.fit else [*seen, *further], base, config.characters)
    if len(characters) < config.characters and not config.fit:
        raise DataError(_too_few("characters", config, f"{len(seen):,}", f", and the dictionary {len(further):,} more"))
    with progress.task("find Chinese words", config.words, "words") as bar:
        found = candidates(runs, base, characters, config.least_count, dictionary, config.dictionary_weight)
        chosen = choose_words(_counted(found, bar) if config.words else iter(()), base, characters, config.words)
    words = chosen.words
    if len(words) < config.words and not config.fit:
        raise DataError(_too_few("words", config, f"{len(words):,}"))
    characters, words = _rounded(base, characters, words, config.vocabulary)
    progress.log(
        f"tokenizer: {len(characters):,} characters ({len(seen):,} in the corpus), {len(words):,} words "
        f"({chosen.aside:,} put aside because no merge leads to them)"
    )
    return characters, words


def _rounded(base: bytes, characters: list[str], words: list[str], wanted: int) -> tuple[list[str], list[str]]:
    """The best of both so that the vocabulary is the wanted one or a multiple of 64: words are given up first, then characters.

    Only where the base itself is no multiple and nothing is left to give up is the vocabulary none.
    """
    fixed = len(read_model(base).pieces) + len(RESERVED)
    while (total := fixed + len(characters) + len(words)) < wanted and total % ROUND:
        surplus = total % ROUND
        if words:
            fewer = words[: max(len(words) - surplus, 0)]
            words = choose_words(iter(fewer), base, characters, len(fewer)).words
        elif len(characters) >= surplus:
            characters = characters[:-surplus]
        else:
            break
    return characters, words


def _counted(found: Iterator[str], bar: ProgressTask) -> Iterator[str]:
    for word in found:
        bar.advance()
        yield word


def _too_few(what: str, config: TokenizerConfig, there: str, further: str = "") -> str:
    return (
        f"{getattr(config, what):,} {what} were asked for, the corpus has {there} candidates "
        f"(seen at least {config.least_count} times){further}: add text, set tokenizer.{what} lower, or set tokenizer.fit"
    )
