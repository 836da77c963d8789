"""The byte-level vocabulary of a run: the base as it is, or with Chinese characters and words, and its files (report 3.3).

Input: the base, the counts of a sample of the corpus and the sizes of the parts. Output: a `Tokenizer`, and the files that it and
`transformers` load: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `parts.json`.

With `characters`, `words` and `reserved` of 0 the vocabulary stays the base's. Bytes that the base lacks (SmolLM2 has no piece
for eight control characters and planes) are added as the part `bytes`, out of the number of characters. The part `characters`
holds the starts of characters that merges need too (`byte_extend`), so that the sizes of the parts are what the recipe says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from skyloom.core.errors import DataError
from skyloom.core.json_files import PlainTable
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer.byte_level.byte_cutter import ByteLevelCutter
from skyloom.tokenizer.byte_level.byte_extend import AddedPieces, ByteExtension, extended_tree, rank_han
from skyloom.tokenizer.byte_level.byte_vocabulary import ByteVocabulary
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.count import Counts
from skyloom.tokenizer.extend import dictionary_runs, rank_characters
from skyloom.tokenizer.pieces import PAD, RESERVED, Parts
from skyloom.tokenizer.tokenizer import Tokenizer

ROUND = 64
"""A vocabulary that must shrink becomes a multiple of this, so that matrix sizes stay friendly to accelerators."""


def choose(base: ByteVocabulary, counts: Counts, config: TokenizerConfig, progress: Progress) -> AddedPieces:
    """What the base is extended with: as many pieces as the recipe wants; with `fit` as many as the corpus supports.

    There is room for the bytes that the base lacks (`GivenBase.check`). DataError if the corpus holds no Chinese, or too little for
    the sizes and `fit` is off.
    """
    room = config.characters - len(base.lacking)
    if not (room or config.words):
        return AddedPieces(lacking=base.lacking)
    runs, dictionary = counts.runs(), dictionary_runs()
    extension = ByteExtension(base)
    seen, further = rank_characters(counts.points, (), config.least_count, dictionary)
    known = extension.known([*rank_han(seen, ()), *rank_han(further, ())])
    seen, further = rank_han(seen, known), rank_han(further, known)
    if not len(runs.weight):
        raise DataError(
            f"the training documents hold no Chinese ({len(seen)} candidate characters, 0 candidate words): "
            "add a Chinese source, or set tokenizer.characters and tokenizer.words to 0"
        )
    added = extension.characters(seen if config.fit else [*seen, *further], room)
    there = len(added.starts) + len(added.characters)
    if there < room and not config.fit:
        raise DataError(
            f"{room:,} characters (with their starts) were asked for, the corpus and the dictionary give {there:,} "
            "that the base lacks: set tokenizer.characters lower, or set tokenizer.fit"
        )
    with progress.task("find Chinese words", config.words, "words") as bar:

        def counted() -> Iterator[str]:
            for word in extension.candidates(runs, added, config.least_count, dictionary, config.dictionary_weight):
                bar.advance()
                yield word

        added, chosen = extension.words(counted() if config.words else iter(()), added, config.words)
    if len(chosen.words) < config.words and not config.fit:
        raise DataError(
            f"{config.words:,} words were asked for, the corpus has {len(chosen.words):,} candidates (seen at least "
            f"{config.least_count} times) that the base lacks: add text, set tokenizer.words lower, or set tokenizer.fit"
        )
    added = _rounded(extension, added, config)
    progress.log(
        f"tokenizer: {len(added.characters):,} characters with {len(added.starts):,} starts of characters, {len(added.words):,} "
        f"words ({chosen.aside:,} put aside because no merge leads to them)"
    )
    return added


def _rounded(extension: ByteExtension, added: AddedPieces, config: TokenizerConfig) -> AddedPieces:
    """Fewer words, so that a vocabulary that is smaller than wanted is a multiple of 64; as it is where there are too few words."""
    while True:
        total = extension.base.size + len(added.pieces) + config.reserved
        surplus = total % ROUND
        if total >= config.vocabulary or not surplus or surplus > len(added.words):
            return added
        fewer = added.words[: len(added.words) - surplus]  # a word may be lost with its parts; then the next turn takes off more
        characters = AddedPieces(added.starts, added.characters, (), _of_characters(added), added.lacking)
        added = extension.words(iter(fewer), characters, len(fewer))[0]


def _of_characters(added: AddedPieces) -> tuple[tuple[str, str], ...]:
    """The merges that make characters and their starts."""
    made = {*added.starts, *added.pieces[len(added.starts) : len(added.starts) + len(added.characters)]}
    return tuple((left, right) for left, right in added.merges if left + right in made)


def write(base: ByteVocabulary, added: AddedPieces, config: TokenizerConfig, out: Store) -> Tokenizer:
    """Write the files of the vocabulary, and give it."""
    reserved = RESERVED if config.reserved else ()
    tree = extended_tree(base, added, reserved)
    parts = Parts(
        (
            ("base", base.size),
            ("characters", len(added.starts) + len(added.characters)),
            ("words", len(added.words)),
            *((("bytes", len(added.lacking)),) if added.lacking else ()),
            ("reserved", len(reserved)),
        )
    )
    pad = parts.range("reserved").start if reserved else base.end if base.pad is None else base.pad
    ends = {"bos": base.begin, "eos": base.end, "pad": pad}
    special: PlainTable = {**ends}
    model = (json.dumps(tree, ensure_ascii=False, indent=1) + "\n").encode()
    out.write_bytes("tokenizer.json", model)
    names = {f"{name}_token": [*base.pieces, *added.pieces, *reserved][number] for name, number in ends.items()}
    further = [piece for piece in reserved if piece != PAD]
    out.write_json("special_tokens_map.json", {**names, "additional_special_tokens": further})
    out.write_json(
        "tokenizer_config.json",
        {
            **names,
            "additional_special_tokens": further,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
        },
    )
    out.write_json(
        "parts.json",
        {
            "vocabulary": parts.total, "parts": parts.to_json(), "kind": "byte-level", "special": special,
            "starts": len(added.starts), "base_merges": len(base.merges), "base_sha256": base.digest,
        },
    )  # fmt: skip
    return Tokenizer(ByteLevelCutter(model, special), parts)
