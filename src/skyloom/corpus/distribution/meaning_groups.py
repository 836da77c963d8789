"""Clusters of block vectors that recur: how they are found and counted, and which of them are templates.

Input: the sums of `meaning.py`. Output: the groups' centres (`find_groups`, from the merged buckets of the hash) and the
decision on each group (`decide`, from the merged counts). A bucket or a group is judged by its tightness: the mean cosine of
two of its blocks in wording. It follows from the sum of their unit vectors, |sum|² = n + n (n - 1) × mean cosine, so that
nothing but sums is ever needed of the whole corpus.

Both run once, on merged sums, in floating point: the number of workers and the order of the shards change nothing, another BLAS
might change a group whose similarity lies within rounding of a limit.

Memory: at most 4,096 groups of each language, 2 KB each, and 24 bytes for each pair of near groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.corpus.distribution.config import MeaningConfig
from skyloom.corpus.distribution.space import LANGUAGES, SCALE, WORDING

_SEED = 4  # blocks of a bucket whose common direction can be told from chance
_JOIN = 0.5  # cosine from which two buckets' sums are of one group
_MOST = 4096  # groups of a language that blocks are compared with


@dataclass(frozen=True)
class MeaningSketch:
    """`keys`: uint64[buckets], ascending. `counts`: int64[buckets]. `sums`: int32[buckets, WORDING]. `error`: by how much a count
    may be too low; 0 while all buckets fitted."""

    keys: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int64]
    sums: npt.NDArray[np.int32]
    error: int = 0


@dataclass(frozen=True)
class MeaningGroups:
    """`centres`: int8[groups, WORDING] of length SCALE. `langs`: uint8[groups], index into LANGUAGES; ascending."""

    centres: npt.NDArray[np.int8]
    langs: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MeaningCounts:
    """By group: `blocks` int64[g], `sums` int64[g, WORDING], and of the blocks that stay, best first, `quality` float64[g, keep]
    (-inf: none) and `ids` uint64[g, keep]."""

    blocks: npt.NDArray[np.int64]
    sums: npt.NDArray[np.int64]
    quality: npt.NDArray[np.float64]
    ids: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class MeaningDecision:
    """By group: `family` int64, the group whose number stands for all that are one template. By family, at that number: `blocks`
    int64, `tight` float64 (mean cosine of two members), `often` bool, and as in MeaningCounts `quality` and `ids` of what stays."""

    family: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]
    tight: npt.NDArray[np.float64]
    often: npt.NDArray[np.bool_]
    quality: npt.NDArray[np.float64]
    ids: npt.NDArray[np.uint64]


def find_groups(sketch: MeaningSketch, config: MeaningConfig) -> MeaningGroups:
    """The groups that the merged buckets show: bucket sums that point one way are seeds; buckets around a seed are pooled."""
    found: list[npt.NDArray[np.int8]] = []
    langs: list[npt.NDArray[np.uint8]] = []
    for code in range(len(LANGUAGES)):
        rows = np.flatnonzero((sketch.keys & np.uint64(1)) == code)
        rows = rows[sketch.counts[rows] >= _SEED]
        counts, sums = sketch.counts[rows], sketch.sums[rows].astype(np.float64)
        tight = tightness(counts, sums)
        limit = (config.tightness_en, config.tightness_zh)[code]
        lengths = np.sqrt((sums * sums).sum(axis=1))
        axes = (sums / np.maximum(lengths, 1e-9)[:, None]).astype(np.float32)
        seeds = np.flatnonzero(tight >= limit)
        seeds = seeds[np.lexsort((rows[seeds], -(tight[seeds] * np.minimum(counts[seeds], 1000))))]
        centres = np.clip(np.rint(_leaders(axes, sums, seeds, _JOIN) * SCALE), -127, 127).astype(np.int8)
        found.append(centres)
        langs.append(np.full(len(centres), code, np.uint8))
    return MeaningGroups(np.concatenate(found), np.concatenate(langs))


def tightness(counts: npt.NDArray[np.int64], sums: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Mean cosine of two different members of each group, float64[groups], from the sum of their vectors; 0 for fewer than two."""
    n = counts.astype(np.float64)
    square = (np.asarray(sums, np.float64) ** 2).sum(axis=1) / SCALE**2
    return np.where(counts > 1, (square - n) / np.maximum(n * (n - 1), 1), 0.0)


def _leaders(
    axes: npt.NDArray[np.float32], sums: npt.NDArray[np.float64], seeds: npt.NDArray[np.int64], join: float
) -> npt.NDArray[np.float64]:
    """Centres float64[groups, WORDING] of unit length: each seed in turn takes the buckets within reach that are still free."""
    centres: list[npt.NDArray[np.float64]] = []
    free = np.ones(len(axes), bool)
    for seed in seeds:
        if not free[seed] or len(centres) == _MOST:
            continue
        centre = axes[seed]
        for _ in range(2):  # the pooled centre reaches further than the seed
            near = (axes @ centre >= join) & free
            pooled = sums[near].sum(axis=0)
            centre = (pooled / np.sqrt((pooled * pooled).sum())).astype(np.float32)
        free[near] = False
        free[seed] = False
        centres.append(pooled / np.sqrt((pooled * pooled).sum()))
    return np.array(centres).reshape(len(centres), WORDING)


def decide(groups: MeaningGroups, counts: MeaningCounts, config: MeaningConfig) -> MeaningDecision:
    """Which groups are one template, how often that recurs, and what of it stays.

    Groups are joined, the nearest first, as long as the mean cosine of two members of the union stays a template's.
    """
    family = np.arange(len(groups.langs))
    blocks, sums = counts.blocks.copy(), counts.sums.astype(np.float64)
    limits = np.array([config.tightness_en, config.tightness_zh])[groups.langs]
    for one, other in _near_pairs(groups.langs, blocks, sums, limits):
        left, right = _root(family, one), _root(family, other)
        if left == right:
            continue
        both = blocks[left] + blocks[right]
        if tightness(both[None], (sums[left] + sums[right])[None])[0] >= limits[left]:
            left, right = min(left, right), max(left, right)
            family[right] = left
            blocks[left], sums[left] = both, sums[left] + sums[right]
    family = np.array([_root(family, g) for g in range(len(family))], np.int64)
    size, keep = counts.ids.shape
    there = counts.quality > -np.inf
    owner = np.repeat(family, keep).reshape(size, keep)
    quality, ids = best_of(owner[there], counts.quality[there], counts.ids[there], size, keep)
    tight = tightness(blocks, sums)
    return MeaningDecision(family, blocks, tight, (blocks >= config.minimum_blocks) & (tight >= limits), quality, ids)


def _root(family: npt.NDArray[np.int64], group: int) -> int:
    while family[group] != group:
        group = int(family[group])
    return group


def _near_pairs(
    langs: npt.NDArray[np.uint8], blocks: npt.NDArray[np.int64], sums: npt.NDArray[np.float64], limits: npt.NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Pairs of groups of one language whose members have a mean cosine of at least the language's limit, the nearest first."""
    left, right, near = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for code in range(len(LANGUAGES)):
        rows = np.flatnonzero((langs == code) & (blocks > 0))
        means = sums[rows] / blocks[rows, None] / SCALE
        for k in range(len(rows) - 1):
            cosines = means[k + 1 :] @ means[k]
            close = np.flatnonzero(cosines >= limits[rows[k]])
            left.append(np.full(len(close), rows[k]))
            right.append(rows[k + 1 + close])
            near.append(cosines[close])
    one, other, cosine = (np.concatenate(x) for x in (left, right, near))
    order = np.lexsort((other, one, -np.rint(cosine * 1e9)))  # rounded: the last bits of a product are the machine's
    return list(zip(one[order].tolist(), other[order].tolist(), strict=True))


def best_of(
    group: npt.NDArray[np.int64], quality: npt.NDArray[np.float64], ids: npt.NDArray[np.uint64], size: int, keep: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint64]]:
    """The `keep` best of each group: float64[size, keep] with -inf where there are fewer, and uint64[size, keep]."""
    best, names = np.full((size, keep), -np.inf), np.zeros((size, keep), np.uint64)
    order = np.lexsort((ids, -quality, group))
    group, quality, ids = group[order], quality[order], ids[order]
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    top = rank < keep
    best[group[top], rank[top]], names[group[top], rank[top]] = quality[top], ids[top]
    return best, names
