"""Baselines: the unigram model equals THE loss of a model that knows nothing else, and xz brackets what it should."""

from __future__ import annotations

import lzma
import math
import random

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch

from skyloom.evaluate.baselines import token_counts, unigram_losses, unigram_nats, xz_bits_per_byte
from skyloom.evaluate.config import UNITS
from skyloom.evaluate.perplexity import reference_counter, table_set
from skyloom.score.nll import score_texts

TEXTS = ["你好，世界 hello", "b", "第二 document 🙂 with more words than the first", "aaaaaa"]


def encode(column: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """A tokenizer of 256 bytes."""
    ids = [np.frombuffer(t.encode(), np.uint8).astype(np.int32) for t in column.to_pylist()]
    return np.concatenate(ids), np.concatenate([[0], np.cumsum([len(i) for i in ids])])


def test_the_unigram_is_a_distribution_with_one_added_to_each_count() -> None:
    costs = unigram_nats(np.array([7, 0, 1]))
    assert np.exp(-costs) == pytest.approx([8 / 11, 1 / 11, 2 / 11])


def test_the_unigram_agrees_with_the_one_loss() -> None:
    counts = np.bincount(np.frombuffer("".join(TEXTS).encode(), np.uint8), minlength=256)
    costs = unigram_nats(counts)
    _, count = reference_counter(UNITS)
    held = table_set("web", TEXTS, count)
    found = unigram_losses(held, encode, costs)

    def model(ids: torch.Tensor) -> torch.Tensor:
        return torch.tensor(-costs, dtype=torch.float32).expand(*ids.shape, -1)

    same = score_texts(model, encode, TEXTS, context=8, batch_tokens=64, bos_id=1, reference_tokens=held.reference)
    assert found.nats == pytest.approx(same.nats, rel=1e-5)
    assert found.tokens.tolist() == same.tokens.tolist() and found.bytes.tolist() == same.bytes.tolist()
    assert found.loss == pytest.approx(same.loss, rel=1e-5)
    assert found.reference_loss == pytest.approx(same.reference_loss, rel=1e-5)


def test_tokens_are_counted_over_all_shards_and_ids_that_never_occur_are_there() -> None:
    shards = [np.array([1, 1, 3], np.uint16), np.array([], np.uint16), np.array([0, 3, 3], np.uint16)]
    assert token_counts(shards, 6).tolist() == [1, 2, 0, 3, 0, 0]


def test_xz_needs_eight_bits_for_noise_and_hardly_any_for_repetition() -> None:
    noise = "".join(map(chr, random.Random(5).choices(range(32, 127), k=20_000)))
    assert xz_bits_per_byte([noise]) == pytest.approx(math.log2(95), abs=0.35)
    assert xz_bits_per_byte(["重复的一行。\n" * 4000]) < 0.05
    assert math.isnan(xz_bits_per_byte([])) and math.isnan(xz_bits_per_byte([""]))


def test_xz_compresses_all_texts_as_one_stream_without_a_container() -> None:
    texts = [f"第{i}页 page {i} of the same manual, 同一本手册的内容" for i in range(60)]
    size = sum(len(t.encode()) for t in texts)
    together, alone = xz_bits_per_byte(texts), sum(xz_bits_per_byte([t]) * len(t.encode()) for t in texts) / size
    assert together < alone / 3
    container = len(lzma.compress("\n\n".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME)) * 8 / size
    assert together < container < together + 100 * 8 / size
