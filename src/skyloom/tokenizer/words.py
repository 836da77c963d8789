"""Byte-pair encoding over weighted runs of Chinese, which finds the words that save most tokens, best first (report 3.3).

The report takes 25,519 frequent Chinese words from a list. Which words save most tokens depends on what else is there:
人民政府 is worth little where 人民 and 政府 are words. So words are found by byte-pair encoding: the pair of neighbouring
pieces with the largest weight becomes a piece, everywhere, and again. A dictionary takes part as further text: each of its
words is a run with the weight of its frequency, which keeps pieces at word borders and gives words that the corpus at hand
happens to lack.

Two weights are kept for each pair. `weight` is what is compared: integers in 64 bits, scaled so that the whole corpus is
below 2^60, so that no count can overflow and sums do not depend on their order. `seen` counts real occurrences, without the
dictionary: a word that occurs fewer than `least` times is not taken.

As in SentencePiece, which looks only at the concatenation, a new piece joins every pair that makes it, not only the pair
that it was found as. Ties go to the smaller pair of numbers; characters are numbered by code point, pieces in the order
they were made.

Cost: 28 bytes for each character of the runs, 28 for each slot of a table of distinct pairs that is an eighth to a half
full, and 24 for each pair on the heap. Where `count` sampled the runs, `seen` is of the sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Bool, Hashes, Int, Ints, Ints32, kernel

LONGEST = 8
"""Characters of the longest word; longer ones are titles and set phrases of single sources."""

_BITS = 60  # of all weights together: a sum of any of them fits in 64 bits


@dataclass(frozen=True)
class Runs:
    """Runs of characters. `points`: int32[characters], code points one run after the other; `offsets`: int64[runs + 1];
    `weight`: float64[runs]; `seen`: int64[runs], how often the run occurs."""

    points: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    seen: npt.NDArray[np.int64]

    @staticmethod
    def of(texts: Sequence[str], weight: npt.NDArray[np.float64], seen: npt.NDArray[np.int64]) -> Runs:
        """From texts, one run each."""
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(t) for t in texts], out=offsets[1:])
        return Runs(np.frombuffer("".join(texts).encode("utf-32-le"), "<i4").astype(np.int32), offsets, weight, seen)

    @staticmethod
    def joined(parts: Sequence[Runs]) -> Runs:
        """All runs of several."""
        lengths = np.concatenate([np.diff(p.offsets) for p in parts])
        return Runs(
            np.concatenate([p.points for p in parts]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([p.weight for p in parts]),
            np.concatenate([p.seen for p in parts]),
        )

    def scaled(self) -> npt.NDArray[np.int64]:
        """Weights as integers, int64[runs]: none of a positive weight is 0, and all characters together stay below 2^60.

        They are multiplied by a power of two, so that weights that are counts keep their ties.
        """
        total = float(self.weight @ np.diff(self.offsets).astype(np.float64))
        if total <= 0:
            return np.zeros(len(self.weight), np.int64)
        whole = np.rint(np.ldexp(self.weight, _BITS - 2 - math.frexp(total)[1])).astype(np.int64)
        return np.where(self.weight > 0, np.maximum(whole, 1), 0)


def find_words(runs: Runs, present: Sequence[str], least: int) -> Iterator[tuple[str, int]]:
    """Words, the most valuable first, with how often each was there to be joined; ends when no pair is seen `least` times.

    `present`: pieces of the base in its own order of merging; they are joined first, and never given.
    """
    alphabet = np.unique(runs.points)
    table = _Table(np.searchsorted(alphabet, runs.points).astype(np.int32), runs.offsets, runs.scaled(), runs.seen)
    texts = [chr(c) for c in alphabet]
    number = {text: i for i, text in enumerate(texts)}

    def join(text: str, new: int) -> None:
        for cut in range(1, len(text)):
            left, right = number.get(text[:cut], -1), number.get(text[cut:], -1)
            if left >= 0 and right >= 0:
                table.join(left, right, new)

    for text in present:
        if len(text) > 1 and set(text) <= number.keys():
            join(text, len(texts))
            number[text] = len(texts)
            texts.append(text)
    table.offer_all(least)
    while True:
        left, right, seen = table.best(least)
        if left < 0:
            return
        text = texts[left] + texts[right]
        if len(text) > LONGEST or text in number:
            continue
        new = len(texts)
        join(text, new)  # (left, right) is one of the ways to make it
        number[text] = new
        texts.append(text)
        table.offer_new(least)
        yield text, seen


class _Table:
    """The runs as linked symbols, and for each pair of neighbours its weights and where it stands (a doubly linked list)."""

    def __init__(
        self,
        symbols: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        weight: npt.NDArray[np.int64],
        seen: npt.NDArray[np.int64],
    ) -> None:
        size = len(symbols)
        self.symbols, self.weight, self.seen = symbols, weight, seen
        self.run = np.repeat(np.arange(len(weight), dtype=np.int32), np.diff(offsets))
        self.before, self.after = _neighbours(offsets, size)
        # `lists`: previous and next place of the same pair, and the slot of the pair that begins here (-1: none).
        self.lists = np.full((3, size), -1, np.int32)
        self.keys = np.zeros(1 << 16, np.uint64)
        self.sums = np.zeros((len(self.keys), 2), np.int64)  # weight, seen
        self.heads = np.full(len(self.keys), -1, np.int32)
        self.used: Int = 0
        self.heap = np.zeros((1 << 16, 3), np.int64)  # weight, left, right
        self.waiting: Int = 0
        self.touched = np.zeros(1 << 10, np.int64)
        self.count: Int = 0
        start: Int = 0
        while start < size:
            self._room()
            start, self.used = _link(
                start, symbols, self.run, self.after, weight, seen, self.lists, self.keys, self.sums, self.heads, self.used
            )

    def _room(self) -> None:
        """Twice the slots where half are taken."""
        if 2 * self.used > len(self.keys):
            keys, sums, heads = self.keys, self.sums, self.heads
            self.keys = np.zeros(4 * len(keys), np.uint64)
            self.sums = np.zeros((len(self.keys), 2), np.int64)
            self.heads = np.full(len(self.keys), -1, np.int32)
            self.used = _rehash(keys, sums, heads, self.keys, self.sums, self.heads, self.lists)

    def join(self, left: int, right: int, new: int) -> None:
        """Make every (left, right) the symbol `new`."""
        while True:
            self._room()
            left_over, self.used, self.count = _join(
                left, right, new, self.symbols, self.run, self.before, self.after, self.weight, self.seen,
                self.lists, self.keys, self.sums, self.heads, self.used, self.touched, self.count,
            )  # fmt: skip
            if self.count > len(self.touched) // 2:
                self.touched = np.concatenate([self.touched, np.zeros_like(self.touched)])
            if not left_over:
                return

    def offer_all(self, least: int) -> None:
        """Put all pairs on the heap."""
        self.count = 0
        slots = np.flatnonzero((self.keys != 0) & (self.sums[:, 1] >= least) & (self.sums[:, 0] > 0))
        self._offer(slots, least)

    def offer_new(self, least: int) -> None:
        """Put the pairs that came since the last call on the heap; each stands in `touched` at least once."""
        pairs = np.unique(self.touched[: self.count].view(np.uint64))
        self.count = 0
        self._offer(_slots(self.keys, pairs), least)

    def _offer(self, slots: npt.NDArray[np.int64], least: int) -> None:
        need = self.waiting + len(slots) + 1
        if need > len(self.heap):
            self.heap = np.concatenate([self.heap, np.zeros((max(need, len(self.heap)), 3), np.int64)])
        self.waiting = _push_all(self.heap, self.waiting, slots, self.keys, self.sums, least)

    def best(self, least: int) -> tuple[int, int, int]:
        """The pair with the largest weight and how often it is seen; -1 where there is none."""
        left, right, seen, self.waiting = _best(self.heap, self.waiting, self.keys, self.sums, least)
        return int(left), int(right), int(seen)


@kernel
def _neighbours(offsets: Ints, size: Int) -> tuple[Ints32, Ints32]:
    before, after = np.empty(size, np.int32), np.empty(size, np.int32)
    for run in range(len(offsets) - 1):
        for p in range(offsets[run], offsets[run + 1]):
            before[p] = p - 1 if p > offsets[run] else -1
            after[p] = p + 1 if p + 1 < offsets[run + 1] else -1
    return before, after


@kernel
def _key(left: Int, right: Int) -> np.uint64:
    """Never 0, which is an empty slot."""
    return (np.uint64(left + 1) << np.uint64(32)) | np.uint64(right)


@kernel
def _place(keys: Hashes, key: np.uint64) -> Int:
    """The slot of a key, or the empty one where it would be."""
    mask = np.uint64(len(keys) - 1)
    slot = (((key ^ (key >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(32)) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@kernel
def _slots(keys: Hashes, wanted: Hashes) -> Ints:
    out = np.empty(len(wanted), np.int64)
    for i in range(len(wanted)):
        out[i] = _place(keys, wanted[i])
    return out


@kernel
def _put(p: Int, key: np.uint64, weight: Int, seen: Int, lists: Ints32, keys: Hashes, sums: Ints, heads: Ints32, used: Int) -> Int:
    """Note that the pair `key` stands at p; the number of slots in use."""
    slot = _place(keys, key)
    if keys[slot] == 0:
        keys[slot] = key
        used += 1
    sums[slot, 0] += weight
    sums[slot, 1] += seen
    first = heads[slot]
    lists[0, p], lists[1, p], lists[2, p] = -1, first, slot
    if first >= 0:
        lists[0, first] = p
    heads[slot] = p
    return used


@kernel
def _take(p: np.int32, weight: Int, seen: Int, lists: Ints32, sums: Ints, heads: Ints32) -> None:
    """Forget the pair that stands at p."""
    slot = lists[2, p]
    if slot < 0:
        return
    sums[slot, 0] -= weight
    sums[slot, 1] -= seen
    if lists[0, p] >= 0:
        lists[1, lists[0, p]] = lists[1, p]
    else:
        heads[slot] = lists[1, p]
    if lists[1, p] >= 0:
        lists[0, lists[1, p]] = lists[0, p]
    lists[2, p] = -1


@kernel
def _link(
    start: Int, symbols: Ints32, run: Ints32, after: Ints32, weight: Ints, seen: Ints, lists: Ints32, keys: Hashes, sums: Ints,
    heads: Ints32, used: Int,
) -> tuple[Int, Int]:  # fmt: skip
    """Note all pairs from `start` on, until half the slots are in use; where to go on, and the number of slots in use."""
    p = start
    while p < len(symbols) and 2 * used <= len(keys):
        if after[p] >= 0:
            key = _key(symbols[p], symbols[after[p]])
            used = _put(p, key, weight[run[p]], seen[run[p]], lists, keys, sums, heads, used)
        p += 1
    return p, used


@kernel
def _rehash(old_keys: Hashes, old_sums: Ints, old_heads: Ints32, keys: Hashes, sums: Ints, heads: Ints32, lists: Ints32) -> int:
    """Move all pairs that stand somewhere into the larger table; how many there are."""
    used = 0
    for old in range(len(old_keys)):
        if old_keys[old] != 0 and old_heads[old] >= 0:
            slot = _place(keys, old_keys[old])
            keys[slot] = old_keys[old]
            sums[slot, 0], sums[slot, 1] = old_sums[old, 0], old_sums[old, 1]
            heads[slot] = old_heads[old]
            used += 1
            p = old_heads[old]
            while p >= 0:
                lists[2, p] = slot
                p = lists[1, p]
    return used


@kernel
def _join(
    left: Int, right: Int, new: Int, symbols: Ints32, run: Ints32, before: Ints32, after: Ints32, weight: Ints, seen: Ints,
    lists: Ints32, keys: Hashes, sums: Ints, heads: Ints32, used: Int, touched: Ints, count: Int,
) -> tuple[bool, Int, Int]:  # fmt: skip
    """Join every (left, right) into `new`; whether some are left over for want of room, the slots in use, the touched pairs."""
    slot = _place(keys, _key(left, right))
    if keys[slot] == 0:
        return False, used, count
    while heads[slot] >= 0:
        if 2 * used > len(keys) or count + 2 > len(touched):
            return True, used, count
        p = heads[slot]
        if left == right:  # of AAA the first two are joined, as SentencePiece does
            while before[p] >= 0 and symbols[before[p]] == left:
                p = before[p]
        q = after[p]
        w, s = weight[run[p]], seen[run[p]]
        first, last = before[p], after[q]
        _take(p, w, s, lists, sums, heads)
        if first >= 0:
            _take(first, w, s, lists, sums, heads)
        if last >= 0:
            _take(q, w, s, lists, sums, heads)
        symbols[p], symbols[q], after[p] = new, -1, last
        if last >= 0:
            before[last] = p
            key = _key(new, symbols[last])
            used = _put(p, key, w, s, lists, keys, sums, heads, used)
            touched[count] = np.int64(key)
            count += 1
        if first >= 0:
            key = _key(symbols[first], new)
            used = _put(first, key, w, s, lists, keys, sums, heads, used)
            touched[count] = np.int64(key)
            count += 1
    return False, used, count


@kernel
def _before(heap: Ints, a: Int, weight: Int, left: Int, right: Int) -> Bool:
    """Whether entry `a` of the heap comes before (weight, left, right): a larger weight, then smaller numbers."""
    its_weight: Int = heap[a, 0]
    if its_weight != weight:
        return its_weight > weight
    its_left: Int = heap[a, 1]
    if its_left != left:
        return its_left < left
    its_right: Int = heap[a, 2]
    return its_right <= right


@kernel
def _push(heap: Ints, size: Int, weight: Int, left: Int, right: Int) -> Int:
    k = size
    while k and not _before(heap, (k - 1) >> 1, weight, left, right):
        heap[k] = heap[(k - 1) >> 1]
        k = (k - 1) >> 1
    heap[k, 0], heap[k, 1], heap[k, 2] = weight, left, right
    return size + 1


@kernel
def _pop(heap: Ints, size: Int) -> Int:
    size -= 1
    weight, left, right = heap[size]
    k = 0
    while 2 * k + 1 < size:
        child = 2 * k + 1
        if child + 1 < size and _before(heap, child + 1, heap[child, 0], heap[child, 1], heap[child, 2]):
            child += 1
        if not _before(heap, child, weight, left, right):
            break
        heap[k] = heap[child]
        k = child
    heap[k, 0], heap[k, 1], heap[k, 2] = weight, left, right
    return size


@kernel
def _push_all(heap: Ints, size: Int, slots: Ints, keys: Hashes, sums: Ints, least: Int) -> Int:
    for i in range(len(slots)):
        slot = slots[i]
        if keys[slot] != 0 and sums[slot, 1] >= least and sums[slot, 0] > 0:
            key = keys[slot]
            left, right = np.int64(key >> np.uint64(32)) - 1, np.int64(key & np.uint64(0xFFFFFFFF))
            size = _push(heap, size, sums[slot, 0], left, right)
    return size


@kernel
def _best(heap: Ints, size: Int, keys: Hashes, sums: Ints, least: Int) -> tuple[Int, Int, Int, Int]:
    """Take the best pair off the heap. An entry whose weight has fallen since is put back with the weight it has now."""
    while size:
        weight, left, right = heap[0]
        size = _pop(heap, size)
        slot = _place(keys, _key(left, right))
        if keys[slot] == 0 or sums[slot, 1] < least or sums[slot, 0] <= 0:
            continue
        if sums[slot, 0] != weight:
            size = _push(heap, size, sums[slot, 0], left, right)
            continue
        return left, right, sums[slot, 1], size
    return -1, -1, 0, size
