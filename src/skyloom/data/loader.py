"""The stream of samples: token shards and a plan in, the batch of any step out (docs/design.md, contract 6).

A pure function of (manifest, seed, plan, step). There is no state to save: a resumed run asks for the next step, any
number of data-parallel ranks cuts the same global batch into rows, and `documents` says what a step saw.

A source's sequences lie end to end in one stream that is cut into windows of context + 1 tokens at a stride of `context`, so that
every token is a target exactly once in an epoch. The last window runs on at the head of the stream: nothing is left out, and
fewer than `context` targets come twice. Windows are taken by a seeded permutation, a new one in each epoch, without
replacement. `schedule` says which source a sample takes, and which place in that source's permutation it has.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.store import Store
from skyloom.data.indexed import open_indexed
from skyloom.data.mixture import StagePlan
from skyloom.data.permute import key_of, permute
from skyloom.data.schedule import BLOCK, Schedule


@dataclass(frozen=True)
class Batch:
    """Rows of a step. `tokens`: int64[rows, context + 1]; `domains`: int16[rows], indices into `Loader.domains`;
    `windows`: int64[rows], which window of its domain each row is; `samples`: int64[rows], its number in the stage."""

    tokens: npt.NDArray[np.int64]
    domains: npt.NDArray[np.int16]
    windows: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """What one row of a step held: its domain, window and epoch, and the documents in it, as sequence numbers and ids."""

    row: int
    domain: str
    window: int
    epoch: int
    documents: tuple[int, ...]
    ids: tuple[str, ...]


class Loader:
    """Batches of a stage; see the module's docstring.

    `batch`: samples per step over all ranks; `context`: targets per sample. Raises ConfigError if the stage is shorter than
    one step or the passes do not fit, IntegrityError or StorageError if the shards are not the ones of the manifest.
    """

    def __init__(self, tokens: Store, plan: StagePlan, *, seed: int, batch: int, context: int) -> None:
        self.plan, self.domains = plan, plan.domains
        self.batch_size, self.context, self.seed = batch, context, seed
        self._store = tokens
        self._streams = [open_indexed(tokens, domain) for domain in plan.domains]
        for domain, stream, size in zip(plan.domains, self._streams, plan.available, strict=True):
            if len(stream.tokens) != size:
                raise DataError(f"{tokens.url(domain)}.bin has {len(stream.tokens):,} tokens, the plan was made for {size:,}")
        self.windows = np.array([-(-len(s.tokens) // context) for s in self._streams], np.int64)
        self.steps = plan.tokens // (batch * context)
        if self.steps < 1:
            raise ConfigError(
                f"the stage has {plan.tokens:,} tokens, one step takes {batch * context:,} ({batch} samples of {context}): "
                "give it more tokens or make the batch smaller"
            )
        self._schedule = Schedule(self.steps * batch, *self._shares())
        self._before = -(-np.array(plan.used, np.int64) // context)
        self._keys = [key_of("window", seed, domain) for domain in plan.domains]
        self._block = functools.lru_cache(maxsize=2)(self._rows)

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        """Rows rank, rank + world, … of the batch of `step` (0 … steps - 1)."""
        samples = self._samples(step, rank, world)
        domains, windows, _ = self._places(samples)
        tokens = np.empty((len(samples), self.context + 1), np.int64)
        for row, (domain, window) in enumerate(zip(domains.tolist(), windows.tolist(), strict=True)):
            stream, start = self._streams[domain].tokens, window * self.context
            inside = stream[start : start + self.context + 1]
            if len(inside) <= self.context:
                inside = stream[(start + np.arange(self.context + 1)) % len(stream)]
            tokens[row] = inside
        return Batch(tokens, domains, windows, samples)

    def documents(self, step: int) -> list[Seen]:
        """What each row of a step held, in the order of the rows."""
        domains, windows, epochs = self._places(self._samples(step, 0, 1))
        seen = []
        for row, (domain, window, epoch) in enumerate(zip(domains.tolist(), windows.tolist(), epochs.tolist(), strict=True)):
            stream = self._streams[domain]
            places = (window * self.context + np.arange(self.context + 1)) % len(stream.tokens)
            found = np.searchsorted(stream.offsets, places, side="right") - 1
            documents = tuple(dict.fromkeys(found.tolist()))
            ids = self._document_ids(self.domains[domain])
            seen.append(Seen(row, self.domains[domain], window, epoch, documents, tuple(ids[d] for d in documents)))
        return seen

    def realised(self, step: int) -> dict[str, float]:
        """Share of each domain in the samples of the first `step` steps."""
        counts = self._schedule.counts(step * self.batch_size)
        return dict(zip(self.domains, (counts / max(int(counts.sum()), 1)).tolist(), strict=True))

    def planned(self, step: int) -> dict[str, float]:
        """Share of each domain that the plan asks for in the first `step` steps."""
        ideal = self._schedule.ideal(step * self.batch_size)
        return dict(zip(self.domains, (ideal / max(float(ideal.sum()), 1.0)).tolist(), strict=True))

    def consumed(self, step: int) -> dict[str, int]:
        """Tokens of each domain read when `step` steps are done, earlier stages included: `used` of the next stage's plan."""
        counts = self._before + self._schedule.counts(step * self.batch_size)
        return dict(zip(self.domains, (counts * self.context).tolist(), strict=True))

    def _shares(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Positions in samples, and the shares there with the fixed passes in them."""
        samples = self.steps * self.batch_size
        fixed = np.array(self.plan.passes, np.int64) * self.windows
        if fixed.sum() > samples:
            raise ConfigError(
                f"the passes take {int(fixed.sum()):,} samples of {self.context} tokens, the stage has {samples:,}: "
                "give the stage more tokens or lower its passes"
            )
        rest = (samples - int(fixed.sum())) / samples
        return np.array(self.plan.positions) * samples, np.array(self.plan.shares) * rest + fixed / samples

    def _samples(self, step: int, rank: int, world: int) -> npt.NDArray[np.int64]:
        if not 0 <= step < self.steps:
            raise ConfigError(f"step {step} is outside this stage, which has steps 0 to {self.steps - 1}")
        if self.batch_size % world or not 0 <= rank < world:
            raise ConfigError(f"rank {rank} of {world} cannot take equal parts of a batch of {self.batch_size} samples")
        return np.arange(step * self.batch_size + rank, (step + 1) * self.batch_size, world, dtype=np.int64)

    def _places(self, samples: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Domain, window and epoch of samples."""
        parts = []
        for number in range(samples[0] // BLOCK, samples[-1] // BLOCK + 1):
            inside = samples[(samples // BLOCK) == number] - number * BLOCK
            parts.append([column[inside] for column in self._block(number)])
        domains, windows, epochs = (np.concatenate(column) for column in zip(*parts, strict=True))
        return domains, windows, epochs

    def _rows(self, number: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Domain, window and epoch of a block of samples."""
        domains, ranks = self._schedule.block(number)
        windows, epochs = np.empty_like(ranks), np.empty_like(ranks)
        for domain in np.unique(domains):
            rows = np.flatnonzero(domains == domain)
            size = int(self.windows[domain])
            epochs[rows], places = np.divmod(ranks[rows] + self._before[domain], size)
            for epoch in np.unique(epochs[rows]):
                inside = epochs[rows] == epoch
                windows[rows[inside]] = permute(places[inside], size, self._keys[domain] + np.uint64(epoch))
        return domains, windows, epochs

    @functools.cache  # noqa: B019 - as long-lived as the loader
    def _document_ids(self, domain: str) -> list[str]:
        return list(self._store.read_table(f"{domain}.ids.parquet")["id"].to_pylist())
