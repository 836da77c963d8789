"""The validation monitor: the model's loss on held-out sets at set points of a stage (report 2.2).

Training loss misleads once data repeats, and benchmark scores of small checkpoints are noise. So every point scores the
same texts of every held-out set, in the same unit as all other figures (`score.nll`). A set is sampled once: its
documents in the order of their ids (which are hashes, so a random draw), each cut to a bounded size, until a budget of
bytes is reached. Many short pieces make the interval narrow and a point cheap.

One process scores with the fp32 master weights, which are what is released, and plain eager code, which takes windows of
any length without compiling again; see `learner`.

A small set of benchmark scores at the named checkpoints supplements the losses (report 2.2: benchmarks only supplement).
Training does not know benchmarks: it is handed a function (`Scores`) and writes down what that says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.records import tags_of
from skyloom.score.nll import Encode, Model, Scorer, TextLosses, score_texts
from skyloom.suites import within_budget
from skyloom.train.config import TrainConfig
from skyloom.train.watch.journal import HeldOutLine, Score, ScoreLine

BATCH_TOKENS = 4096

Scores: TypeAlias = Callable[[Model | Scorer], Sequence[Score]]
"""A model to its benchmark scores."""


class HeldOutSet(Protocol):
    """What `suites.heldout_sets` gives: ids and texts of one held-out set."""

    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def texts(self) -> Sequence[str]: ...


def cut(text: str, size: int) -> str:
    """The longest beginning of `text` of at most `size` UTF-8 bytes that ends between characters."""
    return text.encode("utf-8")[:size].decode("utf-8", "ignore")


def sample(heldout: HeldOutSet, budget: int, document: int) -> list[str]:
    """Beginnings of at most `document` bytes, by document id, until `budget` bytes are reached (at least one if any)."""
    pieces = (cut(text, document) for _, text in sorted(zip(heldout.ids, heldout.texts, strict=True)))
    return within_budget((piece for piece in pieces if piece.strip()), budget)


def watched(heldout: Mapping[str, HeldOutSet], config: TrainConfig, progress: Progress) -> dict[str, list[str]]:
    """The texts that are scored of each set. DataError if no set has text; an empty set is named and left out."""
    texts: dict[str, list[str]] = {}
    for name, item in heldout.items():
        texts[name] = sample(item, config.monitor_bytes, config.monitor_document_bytes)
        if not texts[name]:
            del texts[name]
            progress.log(f"held-out set {name} has no documents: it is not watched")
    if not texts:
        raise DataError("no held-out set has any document; raise the share that the corpus keeps for validation")
    return texts


class Monitor:
    """The sampled texts of all held-out sets, and how to score them."""

    def __init__(
        self, heldout: Mapping[str, HeldOutSet], encode: Encode, bos_id: int, config: TrainConfig, progress: Progress
    ) -> None:
        """DataError if no set has text; an empty set is named and left out."""
        self.texts = watched(heldout, config, progress)
        self._encode, self._bos_id, self._context = encode, bos_id, config.context

    def score(self, model: Model | Scorer) -> dict[str, TextLosses]:
        """Losses of each set, in the order of the sets."""
        return {
            name: score_texts(model, self._encode, texts, context=self._context, batch_tokens=BATCH_TOKENS, bos_id=self._bos_id)
            for name, texts in self.texts.items()
        }


def heldout_line(stage: str, step: int, tokens: int, name: str, losses: TextLosses) -> HeldOutLine:
    """A line of `heldout.jsonl`; the ends of the interval are null where one document gives none."""
    low, high = losses.interval(name)
    tags = tags_of(name)
    return {
        "stage": stage,
        "step": step,
        "tokens": tokens,
        "set": name,
        "lang": tags.lang,
        "domain": tags.domain,
        "kind": tags.kind,
        "loss": losses.loss,
        "bits_per_byte": losses.bits_per_byte,
        "low": low if math.isfinite(low) else None,
        "high": high if math.isfinite(high) else None,
        "scored_tokens": int(losses.tokens.sum()),
        "scored_bytes": int(losses.bytes.sum()),
    }


def score_line(stage: str, step: int, tokens: int, score: Score) -> ScoreLine:
    """A line of `scores.jsonl`: one benchmark score of a named checkpoint."""
    return {"stage": stage, "step": step, "tokens": tokens, **score}
