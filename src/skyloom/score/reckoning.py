"""How much an evaluation computes, reckoned before it begins, in tokens of a forward pass.

Input: requests as token ids, and how they are answered; output: a number of tokens. A forward pass costs its tokens, padding
included, and `Costs.call` more. The engine (`score.likelihood`) computes what requests share once; a model that is spread over
processes (`WholeTexts`) reads each text anew, and each new token of a generated text costs the whole text again. Training takes
its subset of benchmark items by this number, because it is the same in each run, and a clock is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skyloom.score.requests import Asked, Costs, batches, distinct, plan


@dataclass(frozen=True)
class Reckoning:
    """How requests are answered. `context`: most tokens of a text; `batch_tokens`: of a forward pass; `shared`: by the engine."""

    context: int
    batch_tokens: int
    costs: Costs
    shared: bool

    def likelihoods(self, asked: Sequence[Asked]) -> float:
        """Tokens that these requests take. Errors as `distinct`."""
        if not asked:
            return 0.0
        if not self.shared:
            rows = {((*one.context, *one.continuation), len(one.continuation)) for one in asked}
            return self._batches([min(len(row) - 1, self.context) for row, _ in rows])
        leaves, _ = distinct(asked, self.context)
        total, waiting = 0.0, [(plan(leaves, self.costs, self.batch_tokens), 0)]
        while waiting:
            group, known = waiting.pop()
            total += group.depth - known + self.costs.call if group.depth > known else 0.0
            total += self._batches([size for _, _, size in group.rows])
            waiting += [(inner, group.depth) for inner in group.inner]
        return total

    def rolling(self, sizes: Sequence[int]) -> float:
        """Tokens of texts of these sizes in windows: all of a text's but its first have the full length."""
        windows = [size if size <= self.context else self.context for size in sizes for _ in range(-(-size // self.context))]
        return self._batches(windows)

    def generated(self, prompts: Sequence[Sequence[int]], most: Sequence[int]) -> float:
        """Tokens at most of generated texts of `most` tokens each."""
        if not prompts:
            return 0.0
        if self.shared:
            return self.likelihoods([Asked(tuple(p), (0,)) for p in prompts]) + sum(most) + max(most) * self.costs.call
        return sum(
            self._batches([len(p) + new for p, end in zip(prompts, most, strict=True) if new < end]) for new in range(max(most))
        )

    def _batches(self, sizes: Sequence[int]) -> float:
        """Tokens of forward passes over rows of these sizes, in batches by length; pairs of tokens within a row included."""
        total = 0.0
        for batch in batches(sizes, self.batch_tokens, self.costs.call):
            widest = sizes[batch[0]]
            total += self.costs.call + len(batch) * (widest + self.costs.pair * widest * widest)
        return total
