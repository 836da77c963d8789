"""One seed of the study of known power: a small model, its forks that read planted items, and what each pays for every item.

Input: `StudyTexts`, a seed and a size. Output: plain arrays (`raw`), from which all statistics are computed afterwards.

A seed draws by lot which items are planted, the weights, what is read beforehand and every order. Training is the project's own
decoder and optimiser in fp32, scoring that of `leak model`:

- first: the model reads long items of GSM8K's train split and CMMLU, and no item of a pool;
- forks: from there each of four goes on with the same filler, and with 0, 1, 3 or 10 copies of planted items among it. At one and
  three copies these are 300 items of each language as documents of their own, in random order. At ten copies they are the first 100
  of each, as a file in the order of the lot that is read ten times as one stream, cut into windows anew each time. The fork of no
  copies is the clean twin model. Ten copies, and n = 1,000, are for seeds of even number only: they cost as much as all the rest.

Names of the arrays: `<copies>.<set>.<field>`, float64 or int64 [items of the set], fields as in `ItemScores`; `….item`: the
item's number in its pool (of a twin: that of its original). Sets: `en` and `zh` in the order of the lot, `en-twins`,
`zh-twins`, `published`. `<copies>.order.<language>`: nats of each shard's published order and of others, float64[shards, 6],
NaN where there are fewer; `<copies>.order-items.<language>`: items of these shards; `<copies>.planted.<language>`: planted
items, the first of the lot.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from studies.leakage_power_texts import EN, ZH, Row, StudyTexts, TextPool
from torch.nn import functional as F

from skyloom.leakage.benchmark_sets import BenchmarkItem
from skyloom.leakage.suspect import BETWEEN, SHUFFLES, ItemScores, item_shards, shard_text
from skyloom.leakage.suspect.token_scores import item_scores, token_scores
from skyloom.model.cached import CachedDecoder
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score.intervals import generator
from skyloom.train.config import TrainConfig
from skyloom.train.step.optim import MasterOptimizer

COPIES = (0, 1, 3, 10)
STREAMED = 10
"""The number of copies that are read as one stream."""
Raw = dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]


@dataclass(frozen=True)
class PowerSize:
    """A model. `wide`: whether enough items for n = 1,000 are scored, in seeds of even number."""

    name: str
    hidden: int
    ffn: int
    wide: bool


SIZES = {
    "0.9M": PowerSize("0.9M", 128, 352, True),
    "0.25M": PowerSize("0.25M", 48, 128, False),
    "1.9M": PowerSize("1.9M", 208, 560, False),
}


@dataclass(frozen=True)
class PowerRecipe:
    """What a seed trains. `first_en`, `first_zh`, `filler_en`, `filler_zh`: tokens; `rate`: peak at first; forks begin at `late`.
    `window`: tokens of a piece of the stream; `step`: tokens of a batch."""

    first_en: int = 120_000
    first_zh: int = 40_000
    filler_en: int = 16_000
    filler_zh: int = 8_000
    planted: int = 300
    streamed_en: int = 100
    streamed_zh: int = 100
    benchmark: int = 1000
    layers: int = 2
    context: int = 512
    window: int = 448
    step: int = 1100
    rate: float = 4e-3
    late: float = 1e-3
    published: int = 300


def one_seed(seed: int, size: PowerSize, recipe: PowerRecipe, texts: StudyTexts, say: Callable[[str], None] = print) -> Raw:
    """Train the models of a seed and score the items."""
    torch.manual_seed(seed)
    lots = {lang: generator(seed, "lot", lang).permutation(len(pool.rows)) for lang, pool in texts.pools.items()}
    rng = generator(seed, "training")
    read, filler = _reading(texts, recipe, generator(seed, "reading"))
    first = initialise(Decoder(config_of(size, recipe, texts)), seed)
    _learn(first, read, texts, recipe, rng, (recipe.rate, recipe.late))
    full = seed % 2 == 0
    raw: Raw = {"parameters": np.array([sum(weight.numel() for weight in first.parameters())], np.int64)}
    for copies in COPIES if full else COPIES[:-1]:
        model = copy.deepcopy(first)
        planted = _planted(texts, lots, copies, recipe, generator(seed, "stream"))
        _learn(model, [*filler, *planted], texts, recipe, generator(seed, "fork", str(copies)), (recipe.late, recipe.late / 10))
        _score(raw, copies, model.eval(), recipe, texts, lots, wide=full and size.wide)
        means = (float(raw[f"{copies}.{lang}.nats"].sum() / raw[f"{copies}.{lang}.tokens"].sum()) for lang in (EN, ZH))
        say(f"  {copies} copies: {' and '.join(f'{mean:.3f}' for mean in means)} nats per token (en, zh)")
    return raw


def config_of(size: PowerSize, recipe: PowerRecipe, texts: StudyTexts) -> ModelConfig:
    return ModelConfig(
        vocabulary=texts.tokenizer.vocab_size,
        hidden=size.hidden,
        layers=recipe.layers,
        heads=4,
        ffn=size.ffn,
        context=recipe.context,
    )


def _reading(texts: StudyTexts, recipe: PowerRecipe, rng: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """What the model reads first, and the filler of the forks; no text stands in both."""
    first, filler = list[Row](), list[Row]()
    for lang, enough, more in ((EN, recipe.first_en, recipe.filler_en), (ZH, recipe.first_zh, recipe.filler_zh)):
        left = [(first, enough), (filler, more)]
        count = 0
        for n in rng.permutation(len(texts.read[lang])):
            if left:
                left[0][0].append(texts.read[lang][n])
                count += len(texts.read[lang][n])
                if count >= left[0][1]:
                    left, count = left[1:], 0
    return first, filler


def _planted(
    texts: StudyTexts, lots: dict[str, npt.NDArray[np.int64]], copies: int, recipe: PowerRecipe, rng: np.random.Generator
) -> list[Row]:
    """Rows of the planted items, as often as there are copies."""
    found: list[Row] = []
    for lang, lot in lots.items():
        chosen = lot[: streamed(recipe, lang) if copies == STREAMED else recipe.planted]
        if copies == STREAMED:
            between = tuple(texts.tokenizer.encode(BETWEEN))
            stream = [token for n in chosen for token in (*texts.pools[lang].rows[n], *between)]
            for _ in range(copies):
                cuts = [0, *range(int(rng.integers(1, recipe.window)), len(stream), recipe.window), len(stream)]
                found += [tuple(stream[a:b]) for a, b in itertools.pairwise(cuts)]
        else:
            found += [texts.pools[lang].rows[n] for n in chosen for _ in range(copies)]
    return found


def streamed(recipe: PowerRecipe, lang: str) -> int:
    """Items that are read ten times."""
    return recipe.streamed_en if lang == EN else recipe.streamed_zh


def _learn(
    model: Decoder,
    rows: Sequence[Row],
    texts: StudyTexts,
    recipe: PowerRecipe,
    rng: np.random.Generator,
    rates: tuple[float, float],
) -> None:
    """Read each row once as a document, in random order; the rate rises over the first steps and falls by a cosine."""
    model.train()
    optimiser = MasterOptimizer(model, dict(model.named_parameters()), TrainConfig(precision="fp32"))
    begin, end = texts.tokenizer.bos_id, texts.tokenizer.eos_id
    steps = batched([len(row) + 1 for row in rows], recipe.step, rng)
    for place, step in enumerate(steps):
        batch = [torch.tensor([begin, *rows[n], end]) for n in step]
        inputs = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)[:, :-1]
        target = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=-100)[:, 1:]
        loss = F.cross_entropy(model(inputs).flatten(0, 1), target.flatten(), ignore_index=-100)
        loss.backward()
        falling = rates[1] + (rates[0] - rates[1]) * (1 + math.cos(math.pi * place / len(steps))) / 2
        optimiser.step(falling * min(1.0, (place + 1) / 20))


def batched(sizes: Sequence[int], most: int, rng: np.random.Generator) -> list[list[int]]:
    """Numbers of rows in batches of at most `most` tokens, padding counted: rows of like length go together, within groups drawn at
    random; batches are in random order."""
    order = rng.permutation(len(sizes))
    found: list[list[int]] = []
    for start in range(0, len(order), 96):
        held: list[int] = []
        for n in sorted(order[start : start + 96], key=lambda n: sizes[n]):
            if held and sizes[n] * (len(held) + 1) > most:
                found.append(held)
                held = []
            held.append(int(n))
        found.append(held)
    return [found[k] for k in rng.permutation(len(found))]


def _score(
    raw: Raw,
    copies: int,
    model: Decoder,
    recipe: PowerRecipe,
    texts: StudyTexts,
    lots: dict[str, npt.NDArray[np.int64]],
    *,
    wide: bool,
) -> None:
    """Append the figures of a fork. `wide`: of items enough for n = 1,000."""
    network, begin = CachedDecoder(model), texts.tokenizer.bos_id

    def scores(rows: Sequence[Row], names: Sequence[str]) -> list[ItemScores]:
        found = {n: item_scores(one, names[n]) for n, one in token_scores(network, rows, begin=begin, batch_tokens=2048)}
        return [found[n] for n in range(len(rows))]

    def keep(name: str, pool: TextPool, chosen: Sequence[int]) -> None:
        found = scores([pool.rows[n] for n in chosen], [pool.texts[n] for n in chosen])
        kinds = {"float": np.float64, "int": np.int64}
        for one in fields(ItemScores):
            raw[f"{copies}.{name}.{one.name}"] = np.array([getattr(s, one.name) for s in found], kinds[str(one.type)])
        raw[f"{copies}.{name}.item"] = np.array([pool.places[n] for n in chosen], np.int64)

    for lang, lot in lots.items():
        many = 2 * recipe.benchmark if wide and copies in (0, STREAMED) else 2 * recipe.planted
        keep(lang, texts.pools[lang], [int(n) for n in lot[:many]])
        marked = set(lot[: streamed(recipe, lang) if copies == STREAMED else recipe.planted].tolist())
        raw[f"{copies}.planted.{lang}"] = np.array([len(marked) if copies else 0], np.int64)
        keep(f"{lang}-twins", texts.twins[lang], [n for n, place in enumerate(texts.twins[lang].places) if place in marked])
        if copies in (0, STREAMED):
            _score_order(raw, copies, lang, scores, recipe, texts, lot)
    if copies == 0:
        keep("published", texts.published, range(min(recipe.published, len(texts.published.rows))))


def _score_order(
    raw: Raw,
    copies: int,
    lang: str,
    scores: Callable[[Sequence[Row], Sequence[str]], list[ItemScores]],
    recipe: PowerRecipe,
    texts: StudyTexts,
    lot: npt.NDArray[np.int64],
) -> None:
    """The items that are streamed at ten copies, in their file's order and in others."""
    pool = texts.pools[lang]
    chosen = [int(n) for n in lot[: streamed(recipe, lang)]]
    items = [BenchmarkItem(str(n), lang, "", "", pool.texts[n], order=float(place)) for place, n in enumerate(chosen)]
    shards = item_shards(items, [len(pool.rows[n]) for n in chosen], recipe.context)
    encoded = [[texts.tokenizer.encode(shard_text(items, order)) for order in shard] for shard in shards]
    fits = [n for n, rows in enumerate(encoded) if all(0 < len(row) <= recipe.context for row in rows)]
    flat = [tuple(row) for n in fits for row in encoded[n]]
    found = iter(scores(flat, [""] * len(flat)))
    nats = np.full((len(fits), 1 + SHUFFLES), np.nan)
    for place, n in enumerate(fits):
        nats[place, : len(encoded[n])] = [next(found).nats for _ in encoded[n]]
    raw[f"{copies}.order.{lang}"] = nats
    raw[f"{copies}.order-items.{lang}"] = np.array([sum(len(shards[n][0]) for n in fits)], np.int64)
