"""Suffix arrays over numbered units: built by induced sorting (SA-IS), searched by binary search.

Input: the units of many texts as one array of whole numbers, 0 after each text. Output: the positions of all suffixes in
lexicographic order. SA-IS takes linear time also for text that repeats itself, and needs little beside the two arrays (G. Nong,
S. Zhang, W. H. Chan, Two Efficient Algorithms for Linear Time Suffix Array Construction, IEEE Trans. Computers 60, 2011). The end
of the array counts as a unit smaller than all others.

While it sorts, the array of units holds in the lowest bit of each number whether the suffix there is smaller than the one after it
(type S) or larger (type L); so one memory access gives both. An LMS position has type S and type L before it.
"""

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Int, Ints32, inlined, kernel

MOST = 1 << 30
"""Numbers and positions stay below this: one bit of 31 is the type."""


def sort_suffixes(units: Ints32, alphabet: int) -> Ints32:
    """The suffix array int32[n] of `units` int32[n], which are in 0..alphabet-1. n is at least 1 and below 2^30.

    `units` is changed while it works and is afterwards as before.
    """
    order = np.empty(len(units), np.int32)
    _sort(units, order, alphabet)
    units >>= 1
    return order


def _sort(units: Ints32, order: Ints32, alphabet: int) -> None:
    """Fill `order`; `units` keep their type bits."""
    size = len(units)
    counts, places = np.zeros(alphabet, np.int32), np.empty(alphabet, np.int32)
    _classify(units, counts)
    order.fill(-1)
    _place_all(units, order, counts, places)
    _induce(units, order, counts, places)
    number = _gather(units, order)
    names = _name(units, order, number)
    del counts, places  # the numbers of names can be as many as a third of the units
    reduced, sorted_names = order[size - number :], order[:number]
    if names < number:
        _sort(reduced, sorted_names, names)
    elif number:
        _invert(reduced, sorted_names)
    _positions(units, reduced)
    counts, places = np.zeros(alphabet, np.int32), np.empty(alphabet, np.int32)
    _count(units, counts)
    _place_sorted(units, order, number, counts, places)
    _induce(units, order, counts, places)


@inlined
def _is_lms(units: Ints32, i: Int) -> bool:
    return bool(i > 0 and units[i] & 1 == 1 and units[i - 1] & 1 == 0)


@kernel
def _classify(units: Ints32, counts: Ints32) -> None:
    """Shift the numbers, put the types into the lowest bits, and count the units."""
    after, kind = np.int64(-1), 0
    for i in range(len(units) - 1, -1, -1):
        unit = np.int64(units[i])
        if unit != after:
            kind = 1 if unit < after else 0
        after = unit
        units[i] = unit << 1 | kind
        counts[unit] += 1


@kernel
def _count(units: Ints32, counts: Ints32) -> None:
    for unit in units:
        counts[unit >> 1] += 1


@inlined
def _heads(counts: Ints32, places: Ints32) -> None:
    total = 0
    for unit in range(len(counts)):
        places[unit] = total
        total += counts[unit]


@inlined
def _tails(counts: Ints32, places: Ints32) -> None:
    total = 0
    for unit in range(len(counts)):
        total += counts[unit]
        places[unit] = total


@kernel
def _place_all(units: Ints32, order: Ints32, counts: Ints32, places: Ints32) -> None:
    """Put all LMS positions at the ends of their buckets, in the order of the text."""
    _tails(counts, places)
    for i in range(1, len(units)):
        if _is_lms(units, i):
            unit = units[i] >> 1
            places[unit] -= 1
            order[places[unit]] = i


@kernel
def _place_sorted(units: Ints32, order: Ints32, number: Int, counts: Ints32, places: Ints32) -> None:
    """Replace numbers of LMS positions by the positions, and put them at the ends of their buckets in their order."""
    size = len(units)
    for i in range(number):
        order[i] = order[size - number + order[i]]
    for i in range(number, size):
        order[i] = -1
    _tails(counts, places)
    for i in range(number - 1, -1, -1):
        position = order[i]
        order[i] = -1
        unit = units[position] >> 1
        places[unit] -= 1
        order[places[unit]] = position


@kernel
def _induce(units: Ints32, order: Ints32, counts: Ints32, places: Ints32) -> None:
    """From the sorted LMS positions the order of all of type L, from those the order of all of type S."""
    size = len(units)
    _heads(counts, places)
    unit = units[size - 1] >> 1  # what stands before the end of the array is of type L and comes first
    order[places[unit]] = size - 1
    places[unit] += 1
    for i in range(size):
        before = order[i] - 1
        if before >= 0 and units[before] & 1 == 0:
            unit = units[before] >> 1
            order[places[unit]] = before
            places[unit] += 1
    _tails(counts, places)
    for i in range(size - 1, -1, -1):
        before = order[i] - 1
        if before >= 0 and units[before] & 1 == 1:
            unit = units[before] >> 1
            places[unit] -= 1
            order[places[unit]] = before


@kernel
def _gather(units: Ints32, order: Ints32) -> int:
    """Move the LMS positions to the front, in their order; how many there are."""
    number = 0
    for i in range(len(units)):
        if _is_lms(units, order[i]):
            order[number] = order[i]
            number += 1
    return number


@kernel
def _same(units: Ints32, a: Int, b: Int) -> bool:
    """Whether the stretches from two LMS positions to the next ones are equal."""
    size, k = len(units), 0
    while True:
        if a + k >= size or b + k >= size or units[a + k] != units[b + k]:
            return False
        if k > 0:
            ends = _is_lms(units, a + k)
            if ends or _is_lms(units, b + k):
                return ends and _is_lms(units, b + k)
        k += 1


@kernel
def _name(units: Ints32, order: Ints32, number: Int) -> int:
    """Give equal stretches one number, in their order, and write the numbers at the end in the order of the text; how many."""
    size = len(units)
    for i in range(number, size):
        order[i] = -1
    name, last = -1, np.int64(-1)
    for i in range(number):
        position = np.int64(order[i])
        if last < 0 or not _same(units, last, position):
            name += 1
        last = position
        order[number + position // 2] = name
    free = size - 1
    for i in range(size - 1, number - 1, -1):
        if order[i] >= 0:
            order[free] = order[i]
            free -= 1
    return name + 1


@kernel
def _invert(numbers: Ints32, order: Ints32) -> None:
    for i in range(len(numbers)):
        order[numbers[i]] = i


@kernel
def _positions(units: Ints32, out: Ints32) -> None:
    """All LMS positions in the order of the text."""
    filled = 0
    for i in range(1, len(units)):
        if _is_lms(units, i):
            out[filled] = i
            filled += 1


@kernel
def bucket_starts(units: Ints32, alphabet: Int) -> Ints32:
    """Where the suffixes of each first unit begin in the suffix array without those of unit 0, int32[alphabet + 1]."""
    out = np.zeros(alphabet + 1, np.int32)
    for unit in units:
        if unit > 0:
            out[unit + 1] += 1
    for unit in range(alphabet):
        out[unit + 1] += out[unit]
    return out


@kernel
def _common(units: Ints32, position: Int, query: Ints32, start: Int, known: Int) -> Int:
    """How many units the suffix at `position` and the query from `start` have in common; `known` of them are."""
    length = known
    while start + length < len(query) and 0 <= position + length < len(units) and units[position + length] == query[start + length]:
        length += 1
    return length


@inlined
def _below(units: Ints32, position: Int, query: Ints32, start: Int, length: Int) -> bool:
    """Whether the suffix is below the query, with which it has `length` units in common; a suffix that ends is."""
    return bool(position + length >= len(units) or units[position + length] < query[start + length])


@kernel
def longest(units: Ints32, order: Ints32, starts: Ints32, query: Ints32) -> Ints32:
    """For each unit of a query, how many units from there on stand somewhere in the text, int32[units of the query].

    `order`: the suffix array without the suffixes that begin with 0. `starts` int32[alphabet + 1]: where the suffixes of each first
    unit begin in it. A unit of the query that the text has not is 0. Damaged arrays give wrong lengths, never a fault.
    """
    out = np.zeros(len(query), np.int32)
    for start in range(len(query)):
        if query[start] <= 0 or query[start] >= len(starts) - 1:
            continue
        low: Int = max(int(starts[query[start]]), 0)
        high: Int = min(int(starts[query[start] + 1]), len(order))
        at_low, at_high, most = 1, 1, 0
        while low < high:
            middle = (low + high) // 2
            position = np.int64(order[middle])
            length = int(_common(units, position, query, start, min(at_low, at_high)))
            most = max(most, length)
            if start + length == len(query):
                break
            if _below(units, position, query, start, length):
                low, at_low = middle + 1, length
            else:
                high, at_high = middle, length
        out[start] = most
    return out


@kernel
def occurrences(units: Ints32, order: Ints32, starts: Ints32, query: Ints32) -> tuple[int, int]:
    """The part of the suffix array whose suffixes begin with the query: first, and after the last. Arrays as in `longest`."""
    if query[0] <= 0 or query[0] >= len(starts) - 1:
        return 0, 0
    low: Int = max(int(starts[query[0]]), 0)
    top: Int = min(int(starts[query[0] + 1]), len(order))
    high: Int = top
    while low < high:
        middle = (low + high) // 2
        position = np.int64(order[middle])
        length = _common(units, position, query, 0, 0)
        if length < len(query) and _below(units, position, query, 0, length):
            low = middle + 1
        else:
            high = middle
    first: Int = low
    high = top
    while low < high:
        middle = (low + high) // 2
        position = np.int64(order[middle])
        length = _common(units, position, query, 0, 0)
        if length == len(query) or _below(units, position, query, 0, length):
            low = middle + 1
        else:
            high = middle
    return int(first), int(low)
