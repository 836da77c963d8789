"""Train a bilingual tokenizer: documents in, a SentencePiece model and its `transformers` twin out (report 3.3).

The report extends LLaMA's 32,000 pieces with Chinese characters and words to 65,536. We take the same road from the start,
because another model's vocabulary cannot be published as ours: a BPE base is trained on Latin text and code (each
digit its own token, bytes for what is unknown), then `extend` adds characters and words by their use in the corpus.

No normalisation and no space in front of a text: what is decoded is what was encoded, line ends and indentation included.
A corpus too small for the wanted sizes gives a smaller vocabulary (a multiple of 64) rather than pieces that nothing can train.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import sentencepiece

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer import export
from skyloom.tokenizer.extend import choose_words, count_words, rank_characters, rank_words, segmenter
from skyloom.tokenizer.measure import measure
from skyloom.tokenizer.pieces import BYTES, LAYOUT, RESERVED, SPECIAL, build_model, normal_pieces, parts_of
from skyloom.tokenizer.sample import Sample, draw
from skyloom.tokenizer.tokenizer import Tokenizer

ROUND = 64
"""A vocabulary that must shrink becomes a multiple of this, so that matrix sizes stay friendly to accelerators."""

_SMALLEST_BASE = len(SPECIAL) + len(BYTES) + len(LAYOUT) + 256


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of the vocabulary and its parts. The report's: 65,536 = 32,000 + 8,000 + 25,519 + 17."""

    vocabulary: int = setting(8192, doc="size of the whole vocabulary; the parts must add up to it", unit="pieces", low=1024)
    base: int = setting(4300, doc="Latin pieces, with 3 specials and 256 bytes", unit="pieces", low=_SMALLEST_BASE, high=1 << 20)
    characters: int = setting(2400, doc="Chinese characters and symbols", unit="pieces", low=0)
    words: int = setting(1475, doc="Chinese words of two characters or more", unit="pieces", low=0)
    reserved: int = setting(17, doc="pieces for padding, chat roles and later use", unit="pieces", low=17, high=17)
    least_count: int = setting(3, doc="an added character or word occurs at least this often in the sample", low=1)
    dictionary_weight: float = setting(
        0.1, doc="weight of jieba's dictionary against counts from the corpus when words are ranked", low=0.0, high=10.0
    )
    sample_megabytes: float = setting(20.0, doc="text that is looked at, shared evenly by the domains", unit="MB", low=0.01)
    seed: int = setting(1, doc="chooses the sampled documents", low=0)

    def __post_init__(self) -> None:
        parts = self.base + self.characters + self.words + self.reserved
        if parts != self.vocabulary:
            raise ConfigError(
                f"the parts add up to {parts} (base {self.base} + characters {self.characters} + words {self.words} + "
                f"reserved {self.reserved}), but vocabulary is {self.vocabulary}; change one by {self.vocabulary - parts:+d}"
            )


def train(documents: Store, out: Store, config: TokenizerConfig, *, progress: Progress) -> None:
    """Train on `documents-*.parquet` (split "train") and write the files that docs/design.md lists.

    Same documents and settings give the same bytes. DataError if there are no training documents, no Latin text for the
    base, or no Chinese for parts that are to be Chinese.
    """
    sample = draw(documents, round(config.sample_megabytes * 1e6), config.seed)
    if not sample.texts:
        raise DataError(f"{documents.root} has no documents of split 'train' to train a tokenizer on")
    progress.log(
        f"tokenizer: {len(sample.texts):,} documents, {sample.taken_bytes / 1e6:.1f} of {sample.corpus_bytes / 1e6:.1f} MB"
    )
    base = train_base(sample, config)
    latin = _latin_pieces(base, config.base - len(SPECIAL) - len(BYTES))
    characters, words = _chinese(base, latin, sample, config, progress)
    model = build_model(base, latin, characters, words)
    parts = parts_of(latin, characters, words)
    if parts.total < config.vocabulary:
        progress.log(
            f"tokenizer: the corpus supports {parts.total:,} of {config.vocabulary:,} pieces "
            f"(base {len(latin) + 259:,}, characters {len(characters):,}, words {len(words):,}); the vocabulary shrinks to that"
        )
    tokenizer = Tokenizer(model, parts)
    out.write_bytes("tokenizer.model", model)
    export.write(model, out)
    out.write_json("parts.json", {"vocabulary": parts.total, "parts": parts.to_json()})
    out.write_json("measure.json", measure(tokenizer, documents, sample))


def train_base(sample: Sample, config: TokenizerConfig) -> bytes:
    """A SentencePiece BPE model of at most `config.base` pieces, from the sample's Latin text."""
    lines = [line for line in sample.latin_lines() if not line.isspace()]
    if not any(lines):
        raise DataError("the training documents hold no Latin text or code, which the base vocabulary is made from")
    buffer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=buffer,
            model_type="bpe",
            vocab_size=config.base,
            hard_vocab_limit=False,  # a small corpus gives fewer pieces instead of an error
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,  # indentation of code
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            character_coverage=0.9998,
            max_sentence_length=1 << 20,
            num_threads=1,  # the order of equal pairs must not depend on threads
            pad_id=-1,
            minloglevel=2,
        )
    except RuntimeError as problem:
        raise DataError(f"SentencePiece cannot train a base of {config.base} pieces on this corpus: {problem}") from problem
    return buffer.getvalue()


def _latin_pieces(base: bytes, size: int) -> list[str]:
    """The pieces of the base with those of LAYOUT in front; merges that were found last make room for them."""
    found = [piece for piece, _ in normal_pieces(base)]
    pieces = [*(p for p in LAYOUT if p not in found), *found]
    surplus = max(len(pieces) - size, 0)
    merges = [p for p in pieces if len(p) > 1 and p not in LAYOUT]
    late = set(merges[len(merges) - surplus :])
    return [p for p in pieces if p not in late]


def _chinese(
    base: bytes, latin: Sequence[str], sample: Sample, config: TokenizerConfig, progress: Progress
) -> tuple[list[str], list[str]]:
    """The added characters and words, as many as wanted or as the sample supports."""
    counts = sample.characters()
    candidates = rank_characters(counts, {*latin, " "}, config.least_count)
    runs = sample.han_runs()
    if (config.characters or config.words) and not runs:
        raise DataError(
            f"the training documents hold no Chinese ({len(candidates)} candidate characters, 0 candidate words): "
            "add a Chinese source, or set tokenizer.characters and tokenizer.words to 0"
        )
    characters = candidates[: config.characters]
    if not config.words:
        return characters, []
    with progress.task("count Chinese words", runs.total(), "runs") as bar:
        jieba = segmenter()
        word_counts = count_words(runs, jieba, bar)
    ranked = rank_words(word_counts, jieba, config.least_count, config.dictionary_weight)
    size = config.words
    while True:
        words, aside = choose_words(ranked, characters, size, lambda w: build_model(base, latin, characters, w))
        total = len(SPECIAL) + len(BYTES) + len(latin) + len(characters) + len(words) + len(RESERVED)
        if total == config.vocabulary or total % ROUND == 0 or not words:
            break
        size = max(len(words) - total % ROUND, 0)
    progress.log(
        f"tokenizer: {len(characters):,} of {len(candidates):,} characters, {len(words):,} of {len(ranked):,} words "
        f"({aside:,} put aside because no merge leads to them)"
    )
    return characters, words
