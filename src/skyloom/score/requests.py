"""What is asked of a model, and the plan by which each shared part of it is computed once.

Input: requests, each a context and a continuation as token ids. Output: groups of rows. A group has a prefix that all of its rows
share (few-shot examples), which is computed once and cached, and may lie in another group. A row is a part of the tree of all
requests: one question with its answers behind it, say. Requests with equal tokens are one; answers of one token each, behind the
same context, are all read at one place.

The plan is made by counting tokens. A forward pass over n tokens costs n and, for reading the weights, as much as `Costs.call`
tokens more; each pair of tokens in a row costs `Costs.pair`, since attention to masked places is computed too. So a question's
few answers are worth a row of their own, a hundred questions are worth a prefix, and three tokens that two questions begin with
are computed twice.

Requests longer than the context lose their oldest tokens, as in lm-evaluation-harness: context and continuation are cut to
context + 1 tokens, of which the last is only a target. What is shared is looked for after the cut, at equal positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from skyloom.core.errors import DataError

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """How likely is `continuation` after `context`? Token ids; the context begins with BOS where the model wants one."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


@dataclass(frozen=True)
class Likelihood:
    """The answer. `nats`: −log-probability of the continuation, ≥ 0 (lm-evaluation-harness has the opposite sign); `tokens`: of the
    continuation; `greedy`: whether greedy decoding would write it; `margin`: the smallest difference, over its tokens, between
    the token's logit and the best other one: negative where it is not greedy, near 0 where that is nearly a tie."""

    nats: float
    tokens: int
    greedy: bool
    margin: float


@dataclass(frozen=True)
class Costs:
    """In tokens: what a forward pass costs beside its tokens, and a pair of tokens of one row."""

    call: float
    pair: float

    @classmethod
    def of(cls, device: torch.device, hidden: int) -> Costs:
        """Measured for a model of 135 M parameters on one core; a GPU needs more tokens at a time to be busy.

        A token's matrices cost about 24 · hidden² operations a layer and a pair 4 · hidden, which run at a quarter of the speed.
        """
        return cls(64 if device.type == "cpu" else 512, 0.7 / hidden)


@dataclass
class Leaf:
    """An input that the model reads, and what is scored in it: of each distinct request (its number, its targets), whose places
    are the last ones of the input."""

    inputs: Ids
    wanted: list[tuple[int, Ids]] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The first place that is scored."""
        return len(self.inputs) - max((len(targets) for _, targets in self.wanted), default=1)


@dataclass
class PrefixGroup:
    """Rows behind a common prefix: the first `depth` tokens of each of their leaves. A row is leaves (start, stop) of the sorted
    ones, and has so many tokens of its own; `inner` groups have longer prefixes, which begin with this one."""

    depth: int
    leaf: int
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    inner: list[PrefixGroup] = field(default_factory=list)


@dataclass
class Leaves:
    """The distinct inputs in the order of their tokens, and how many tokens each shares with the one before it (the first: 0)."""

    leaves: list[Leaf]
    common: list[int]


def distinct(asked: Sequence[Asked], context: int) -> tuple[Leaves, list[list[int]]]:
    """The inputs of all requests, and for each distinct request the numbers of those that ask it.

    `context`: most tokens that the model reads. DataError, with the request's number, for an empty context or continuation, or a
    continuation longer than `context`.
    """
    found: dict[tuple[bytes, int], int] = {}
    numbers: list[list[int]] = []
    leaves: dict[bytes, Leaf] = {}
    for number, one in enumerate(asked):
        size = len(one.continuation)
        if not one.context or not 0 < size <= context:
            raise DataError(
                f"request {number}: a context of {len(one.context)} and a continuation of {size} tokens; a context needs at least "
                f"BOS, and a continuation 1 to {context} tokens"
            )
        whole = np.array([*one.context, *one.continuation][-(context + 1) :], ">i4")
        key = whole.tobytes(), size
        if key not in found:
            found[key] = len(numbers)
            numbers.append([])
            inputs = whole[:-1].tobytes()
            leaf = leaves.setdefault(inputs, Leaf(whole[:-1].astype(np.int64)))
            leaf.wanted.append((found[key], whole[-size:].astype(np.int64)))
        numbers[found[key]].append(number)
    return in_order(leaves), numbers


def in_order(leaves: dict[bytes, Leaf]) -> Leaves:
    """The inputs sorted; the keys are their tokens, big-endian."""
    ordered = [leaves[key] for key in sorted(leaves)]
    common = [0] + [_shared(a.inputs, b.inputs) for a, b in pairwise(ordered)]
    return Leaves(ordered, common[: len(ordered)])


def _shared(one: Ids, other: Ids) -> int:
    size = min(len(one), len(other))
    differs = one[:size] != other[:size]
    return int(differs.argmax()) if differs.any() else size


@dataclass
class _Node:
    """Leaves start to stop, which share `depth` tokens. `size`: tokens of their tree, from its root; `first`: the first place that
    is scored in any; `rows`: about how many rows they will be."""

    start: int
    stop: int
    depth: int
    size: int
    first: int
    above: int = 0
    rows: int = 1
    parts: list[_Node] = field(default_factory=list)

    def close(self, costs: Costs, longest: int) -> None:
        """All parts are known."""
        self.start, self.stop = self.parts[0].start, self.parts[-1].stop
        self.size = self.depth + sum(part.size - self.depth for part in self.parts)
        self.first = min(part.first for part in self.parts)
        self.rows = sum(part.rows for part in self.parts)

    def is_row(self, known: int, costs: Costs, longest: int) -> bool:
        """Whether all leaves are best one row behind a cache of `known` tokens."""
        if not self.parts:
            return True
        size, saved = self.size - known, (len(self.parts) - 1) * (self.depth - known)
        if size > longest:
            return False
        alone = sum((part.size - known) ** 2 for part in self.parts)
        if saved <= costs.pair * (size * size - alone):
            return False
        trunk = self.depth - known
        cached = trunk + costs.pair * trunk * trunk / 2 + 2 * costs.call
        cached += sum(own + costs.pair * own * own for own in (part.size - self.depth + 1 for part in self.parts))
        return size + costs.pair * size * size <= cached


def plan(leaves: Leaves, costs: Costs, longest: int, *, trees: bool = True) -> PrefixGroup:
    """The outermost group, without a prefix. `longest`: most tokens of a row of several leaves, one each without `trees`."""
    outer = PrefixGroup(0, 0)
    waiting = [(_tree(leaves, costs, longest, trees), outer)] if leaves.leaves else []
    while waiting:
        node, group = waiting.pop()
        cut = min(node.depth, node.first)
        ahead = cut - group.depth
        if not node.parts or (trees and node.is_row(group.depth, costs, longest)):
            if node.parts and costs.pair * ahead * ahead / 2 > 2 * costs.call:  # no place of a long trunk is masked in vain
                group = _inside(group, cut, node)
            group.rows.append((node.start, node.stop, node.size - group.depth))
            continue
        if (node.rows - 1) * ahead > 2 * costs.call:
            group = _inside(group, cut, node)
        waiting += [(part, group) for part in reversed(node.parts)]
    return outer


def _inside(group: PrefixGroup, depth: int, node: _Node) -> PrefixGroup:
    group.inner.append(PrefixGroup(depth, node.start))
    return group.inner[-1]


def _tree(leaves: Leaves, costs: Costs, longest: int, trees: bool) -> _Node:
    """The tree of common beginnings: a node for each place where leaves part."""
    path: list[_Node] = []

    def closed(node: _Node, depth: int) -> _Node:
        """`node` with those of the path around it that are deeper than `depth`."""
        while path and path[-1].depth > depth:
            outer = path.pop()
            outer.parts.append(node)
            outer.close(costs, longest)
            above = max(depth, path[-1].depth if path else 0)
            if trees and all(part.rows == 1 for part in outer.parts) and outer.is_row(above, costs, longest):
                outer.rows = 1
            node = outer
        return node

    for number, leaf in enumerate(leaves.leaves):
        size = len(leaf.inputs)
        node = _Node(number, number + 1, size, size, leaf.first)
        if number + 1 == len(leaves.leaves):
            return closed(node, -1)
        depth = leaves.common[number + 1]
        node = closed(node, depth)
        if path and path[-1].depth == depth:
            path[-1].parts.append(node)
        else:
            path.append(_Node(0, 0, depth, 0, 0, parts=[node]))
    raise AssertionError("no leaves")


def batches(sizes: Sequence[int], tokens: int, spare: float) -> Iterator[list[int]]:
    """Numbers of rows by their sizes, longest first: at most `tokens` padded ones a batch, and at most `spare` of padding."""
    batch: list[int] = []
    padding = 0
    for number in sorted(range(len(sizes)), key=lambda n: (-sizes[n], n)):
        padding += sizes[batch[0]] - sizes[number] if batch else 0
        if batch and ((len(batch) + 1) * sizes[batch[0]] > tokens or padding > spare):
            yield batch
            batch, padding = [], 0
        batch.append(number)
    if batch:
        yield batch
