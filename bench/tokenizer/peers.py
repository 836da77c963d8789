"""A published vocabulary in a process of its own: how many tokens it makes of texts.

    python -m bench.tokenizer.peers FILE

reads texts, each one line of JSON, until the input ends, and prints one line of JSON: {"tokens": [...]} or {"not_installed":
module}. FILE is a SentencePiece model (*.model), tiktoken's ranks (*.tiktoken, with Qwen's pattern) or a WordPiece vocabulary
(*.txt). A space that a model puts in front of a text is counted, as it is in use. Only the standard library is imported here,
because the peers' environment need not have ours.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

# What Qwen cuts text by before it joins bytes: contractions, words with a sign in front, digits, signs, line ends, spaces.
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
Count = Callable[[list[str]], list[int]]


def sentencepiece_model(path: Path) -> Count:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return lambda texts: [len(ids) for ids in processor.encode(texts)]


def tiktoken_ranks(path: Path) -> Count:
    import tiktoken

    with open(path, "rb") as lines:
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    encoding = tiktoken.Encoding(path.stem, pat_str=QWEN, mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [len(ids) for ids in encoding.encode_ordinary_batch(texts)]


def wordpiece(path: Path) -> Count:
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(str(path), lowercase=True)
    return lambda texts: [len(e.ids) for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


def main() -> int:
    path = Path(sys.argv[1])
    kind = {".model": sentencepiece_model, ".tiktoken": tiktoken_ranks, ".txt": wordpiece}[path.suffix]
    try:
        count = kind(path)
    except ImportError as missing:
        print(json.dumps({"not_installed": missing.name}))
        return 0
    print(json.dumps({"tokens": count([json.loads(line) for line in sys.stdin])}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
