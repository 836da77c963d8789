"""A whole small run in seconds: exercises, corpus, tokenizer, token shards and two checkpoints, the second with canaries.

What the tests of evaluation and of the audit read. The texts are composed by seed; the models are small decoders that
are really trained: `stage1` on exercises and prose, `final` some steps further with the canaries among them.
"""

from __future__ import annotations

import atexit
import functools
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional as F

from skyloom.core.config import plain
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate
from skyloom.data.config import PackConfig
from skyloom.data.pack import pack
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train
from skyloom.train.checkpoint import Checkpoint, write
from skyloom.train.config import TrainConfig
from skyloom.train.step.optim import MasterOptimizer
from tests.tokenizer.texts import text

DOMAINS = {"web_en": ("web", "en"), "web_zh": ("web", "zh-Hans"), "code": ("code", "code"), "parallel": ("parallel", "other")}
CONTEXT = 96


@dataclass(frozen=True)
class World:
    """The folders of the steps that evaluation reads, and the checkpoints of both stages."""

    exercises: Store
    corpus: Store
    tokenizer: Store
    tokens: Store
    stage1: Store
    final: Store


@functools.cache
def shared() -> World:
    """The world that the tests of a process read; it is removed when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="skyloom-world-")
    atexit.register(folder.cleanup)
    return build(Path(folder.name))


def build(root: Path, canaries: int = 40) -> World:
    """All of it below `root`; the same bytes each time on one machine."""
    world = World(*(Store(root / name) for name in ("exercises", "corpus", "tokenizer", "tokens", "stage1/final", "stage2/final")))
    silent = Progress.silent()
    generate(StemConfig(train=104, valid=26, test=104, ref=104, canaries=canaries), world.exercises, progress=silent)
    _write_corpus(world)
    sizes = {"vocabulary": 1408, "base": 1000, "characters": 300, "words": 91, "reserved": 17}
    train(world.corpus, world.tokenizer, TokenizerConfig(**sizes, least_count=2, fit=True), progress=silent)
    pack(world.corpus, world.exercises, world.tokenizer, world.tokens, PackConfig(), engine=Engine(), progress=silent)
    _train(world)
    return world


def _write_corpus(world: World) -> None:
    draw = random.Random(3)
    rows = []
    for domain, (category, lang) in DOMAINS.items():
        for number in range(24):
            body = text(domain, draw)
            rows.append(
                {
                    "id": record_id(domain, str(number)),
                    "text": body,
                    "lang": lang,
                    "source": "composed",
                    "domain": domain,
                    "category": category,
                    "url": f"test:{domain}/{number}",
                    "split": "valid" if number < 8 else "train",
                    "meta": "{}",
                }
            )
    for split in ("train", "valid"):
        rows += world.exercises.read_table(f"exercises-{split}.parquet").to_pylist()
    world.corpus.write_table("documents-00000.parquet", pa.Table.from_pylist(rows, schema=DOCUMENT))


def _train(world: World) -> None:
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(world.tokenizer)
    documents = world.corpus.read_table("documents-00000.parquet", ["text", "split"]).to_pylist()
    seen = [d["text"] for d in documents if d["split"] == "train"]
    planted = world.exercises.read_table("exercises-canary.parquet", ["text"])["text"].to_pylist()
    config = ModelConfig(vocabulary=tokenizer.vocab_size, hidden=48, layers=2, heads=2, ffn=96, context=CONTEXT)
    model = initialise(Decoder(config), 1)
    optimiser = MasterOptimizer(model, dict(model.named_parameters()), TrainConfig(precision="fp32", weight_decay=0.0))
    for folder, texts, steps in ((world.stage1, seen, 50), (world.final, planted * 4 + seen, 60)):
        _steps(model, optimiser, tokenizer, texts, steps)
        write(folder, Checkpoint(optimiser.weights(), {}, {"model": plain(config), "train": {"context": CONTEXT}}))


def _steps(model: Decoder, optimiser: MasterOptimizer, tokenizer: Tokenizer, texts: list[str], steps: int) -> None:
    rng = np.random.default_rng(5)
    ids = [torch.tensor([tokenizer.bos_id, *t[:CONTEXT]]) for t in tokenizer.encode_batch(texts, threads=1)]
    for _ in range(steps):
        rows = [ids[i] for i in rng.integers(len(ids), size=12)]
        batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        target = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), target[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        optimiser.step(5e-3)
