"""A corpus, a vocabulary and a loader small enough to train on within a test, and a program that trains on them.

The corpus is arithmetic in two languages; it is learnable, endless and our own. Run as a program it trains one stage
(or both) into a folder, so that tests can kill it: `python toy.py OUT STEPS [start]`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.errors import IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.score.nll import Model, Scorer, score_continuations
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.loop import MakeLearner, one_process, train_stage

ENGLISH = "zero one two three four five six seven eight nine ten".split()
CHINESE = "零一二三四五六七八九十"
ALPHABET = sorted(set("".join(ENGLISH) + CHINESE + " .。加等于plusis😀"))
DOMAINS = ("web_en", "web_zh")
MODEL = ModelConfig(vocabulary=len(ALPHABET) + 3, hidden=32, layers=2, heads=2, ffn=96, context=32)
CONFIG = TrainConfig(batch=4, context=32, precision="bf16", compile="off", threads=1, checkpoint_seconds=0.0, monitor_bytes=400)


def sentence(stream: np.random.Generator, domain: str) -> str:
    a, b = int(stream.integers(6)), int(stream.integers(6))
    if domain == "web_en":
        return f"{ENGLISH[a]} plus {ENGLISH[b]} is {ENGLISH[a + b]}. " if a + b < 11 else "ten. "
    return f"{CHINESE[a]}加{CHINESE[b]}等于{CHINESE[a + b]}。"


class ToyTokenizer:
    """One token per character; the last id stands for all others."""

    bos_id, eos_id, vocab_size = 0, 1, len(ALPHABET) + 3

    def encode(self, text: str) -> list[int]:
        return [ALPHABET.index(c) + 2 if c in ALPHABET else self.vocab_size - 1 for c in text]

    def encode_column(self, texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        rows = [self.encode(t) for t in texts.to_pylist()]
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return np.array([i for row in rows for i in row], np.int32), offsets


@dataclass(frozen=True)
class ToyBatch:
    tokens: npt.NDArray[np.int64]


@dataclass(frozen=True)
class ToySeen:
    domain: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class ToyLoader:
    """Batch `step` is drawn from a generator keyed by the step, as the real loader's is."""

    steps: int
    batch_size: int = CONFIG.batch
    context: int = CONFIG.context
    seed: int = 5

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
        stream = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        rows = []
        for row in range(self.batch_size):
            text = "".join(sentence(stream, DOMAINS[row % 2]) for _ in range(self.context))
            rows.append([0, *ToyTokenizer().encode(text)][: self.context + 1])
        return ToyBatch(np.array(rows, np.int64)[rank::world])

    @property
    def identity(self) -> dict[str, int]:
        return {"seed": self.seed, "batch": self.batch_size}

    def check_identity(self, recorded: Mapping[str, Any]) -> None:
        if recorded != self.identity:
            raise IntegrityError(f"another stream: {recorded}, 别的数据流")

    def prefetch(self, step: int, *, rank: int = 0, world: int = 1) -> None:
        assert 0 <= step < self.steps and rank < world

    def documents(self, step: int) -> list[ToySeen]:
        return [ToySeen(DOMAINS[row % 2], (f"document-{step}-{row}",)) for row in range(self.batch_size)]

    def realised(self, step: int) -> dict[str, float]:
        return dict.fromkeys(DOMAINS, 0.5)


@dataclass(frozen=True)
class ToySet:
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def heldout() -> dict[str, ToySet]:
    stream = np.random.Generator(np.random.Philox(key=99))
    return {
        d: ToySet(tuple(f"{i:032x}" for i in range(8)), tuple("".join(sentence(stream, d) for _ in range(3)) for _ in range(8)))
        for d in DOMAINS
    }


def scores(model: Model | Scorer) -> Sequence[Mapping[str, Any]]:
    """How often a sum's right result is cheaper than that plus one, in each language."""
    found = []
    for domain, said in (("web_en", "{} plus {} is {}."), ("web_zh", "{}加{}等于{}。")):
        words, pairs = (ENGLISH if domain == "web_en" else list(CHINESE)), []
        for a, b in ((1, 2), (2, 2), (3, 1), (0, 4)):
            begun, _, end = said.rpartition("{}")
            prompt = [0, *ToyTokenizer().encode(begun.format(words[a], words[b]))]
            pairs += [(prompt, ToyTokenizer().encode(words[a + b + more] + end)) for more in (0, 1)]
        nats = score_continuations(model, pairs, context=CONFIG.context, batch_tokens=256).nats.reshape(-1, 2)
        right = float((nats[:, 0] < nats[:, 1]).mean())
        found.append(
            {"benchmark": "sums", "lang": domain[4:], "items": 4, "accuracy": right, "low": 0.0, "high": 1.0, "chance": 0.5}
        )
    return found


def train(
    out: Store,
    steps: int,
    *,
    config: TrainConfig = CONFIG,
    stage: StageConfig | None = None,
    start: Store | None = None,
    loader: ToyLoader | None = None,
    model: ModelConfig = MODEL,
    progress: Progress | None = None,
    make: MakeLearner = one_process,
) -> None:
    stage = stage or StageConfig(name="stage1", peak=3e-3, warmup_steps=2, monitor_points=4, releases=2)
    loader = loader or ToyLoader(steps, config.batch, config.context)
    shown = progress or Progress.silent()
    train_stage(
        config, stage, model, loader, heldout(), ToyTokenizer(), start, out, progress=shown, make=make, scores={"sums": scores}
    )


if __name__ == "__main__":
    train(
        Store(sys.argv[1]),
        int(sys.argv[2]),
        progress=Progress(),
        start=Store(sys.argv[3]) if len(sys.argv) > 3 else None,
    )
