"""The data loader: the batch of any step of a stage, from token shards and a plan (docs/design.md, contract 6).

A pure function of (manifest, seed, plan, step). There is no state to save: a resumed run asks for the next step, any
number of data-parallel ranks cuts the same global batch into rows, and `documents` says what a step saw. A step that training
skips is a step that nobody asks for: the others keep their numbers.

A source's sequences lie end to end in one stream that is cut into windows of context + 1 tokens at a stride of `context`, so that
every token is a target exactly once in an epoch. The last window runs on at the head of the stream: nothing is left out, and
fewer than `context` targets come twice. Windows are taken by a seeded permutation, a new one in each epoch, without
replacement. `schedule` says which source a sample takes, and which place in that source's permutation it has.

All counts are 64-bit integers, and shares float64: exact to far less than a sample at a thousand times the report's size.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.json_files import TokensManifest
from skyloom.core.kernels import Hashes, Ints, kernel
from skyloom.core.records import Json
from skyloom.core.store import Store
from skyloom.data.gather import documents_of, gather
from skyloom.data.indexed import Indexed, open_indexed
from skyloom.data.mixture import StagePlan
from skyloom.data.pack import MANIFEST
from skyloom.data.permute import half_bits, key_of, permute_one
from skyloom.data.schedule import Schedule

ORDER = 2
"""Raised whenever equal settings come to give other samples; part of a stream's identity. 1: shares were added up in the order of
the recipe's keys, so that two plans of one recipe could differ in their last bits."""
_EARLIER = (
    ". The checkpoint is of an earlier version of Skyloom, which added shares up in the order of the recipe's keys: that version "
    "can finish the run"
)
Places = tuple[npt.NDArray[np.int16], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Domain, window and epoch of samples."""


@dataclass(frozen=True)
class Batch:
    """Rows of a step. `tokens`: int64[rows, context + 1]; `domains`: int16[rows], indices into `Loader.domains`;
    `windows`: int64[rows], which window of its domain each row is; `samples`: int64[rows], its number in the stage;
    `documents`: int64[rows, context], which document each input belongs to (`gather.documents_of`), if borders were asked for."""

    tokens: npt.NDArray[np.int64]
    domains: npt.NDArray[np.int16]
    windows: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Seen:
    """What one row of a step held: its domain, window and epoch, and the documents in it, as sequence numbers and ids."""

    row: int
    domain: str
    window: int
    epoch: int
    documents: tuple[int, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class SourceProgress:
    """How far a stage has read a domain. `planned`, `realised`: shares of the samples so far; `samples`: so far in this stage;
    `passes`: over the domain, earlier stages included."""

    domain: str
    planned: float
    realised: float
    samples: int
    passes: float


class Loader:
    """Batches of a stage; see the module's docstring.

    `batch`: samples per step over all ranks; `context`: targets per sample; `borders`: batches say which document each token
    belongs to; `vocabulary`: of the model, to be compared with that of the tokens. Raises ConfigError if the stage is shorter
    than one step, the passes do not fit, a domain would be read beyond the cap or the vocabularies differ, DataError,
    IntegrityError or StorageError if the shards are not the ones of the manifest and the plan.
    """

    def __init__(
        self,
        tokens: Store,
        plan: StagePlan,
        *,
        seed: int,
        batch: int,
        context: int,
        borders: bool = False,
        vocabulary: int | None = None,
    ) -> None:
        self.plan, self.domains = plan, plan.domains
        self.batch_size, self.context, self.seed, self.borders = batch, context, seed, borders
        self._store = tokens
        self._manifest: TokensManifest = tokens.read_json(MANIFEST)
        self._check_vocabulary(vocabulary)
        self._streams = [open_indexed(tokens, domain) for domain in plan.domains]
        for domain, stream, size in zip(plan.domains, self._streams, plan.available, strict=True):
            if len(stream.tokens) != size:
                raise DataError(f"{tokens.url(domain)}.bin has {len(stream.tokens):,} tokens, the plan was made for {size:,}")
            if stream.tokens.dtype != np.dtype(self._manifest["dtype"]):
                raise DataError(
                    f"{tokens.url(domain)}.bin holds {stream.tokens.dtype.name}, {MANIFEST} says {self._manifest['dtype']}; "
                    "pack the tokens again"
                )
            stream.read_at_random()
        self._addresses = np.array([stream.tokens.ctypes.data for stream in self._streams], np.int64)
        self._lengths = np.array(plan.available, np.int64)
        self._wide = np.dtype(self._manifest["dtype"]).itemsize == 4
        self.windows = -(-self._lengths // context)
        self.steps = plan.tokens // (batch * context)
        if self.steps < 1:
            raise ConfigError(
                f"{plan.name} has {plan.tokens:,} tokens, one step takes {batch * context:,} ({batch} samples of {context}): "
                "give it more tokens or make the batch smaller"
            )
        self._schedule = Schedule(self.steps * batch, *self._shares())
        self._before = np.array([self._samples_of(used, i) for i, used in enumerate(plan.used)], np.int64)
        self._check_cap()
        self._keys = np.array([key_of("window", seed, domain) for domain in plan.domains], np.uint64)
        self._recent: dict[int, Places] = {}

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        """Rows rank, rank + world, … of the batch of `step` (0 … steps - 1)."""
        samples = self._samples(step, rank, world)
        domains, windows, _ = self._places(samples)
        tokens = gather(self._addresses, self._lengths, self._wide, domains, windows, self.context)
        documents = documents_of(tokens[:, :-1], self._manifest["bos"]) if self.borders else None
        return Batch(tokens, domains, windows, samples, documents)

    def prefetch(self, step: int, *, rank: int = 0, world: int = 1) -> None:
        """Ask the system to read what `batch` of this step will need, and return before it has.

        While one step computes, the next one's windows then come from a slow disk all at once instead of one after the other.
        """
        domains, windows, _ = self._places(self._samples(step, rank, world))
        for domain, start in zip(domains.tolist(), (windows * self.context).tolist(), strict=True):
            self._streams[domain].fetch(start, start + self.context + 1)

    def documents(self, step: int, *, rank: int = 0, world: int = 1) -> list[Seen]:
        """What each row of a step held, in the order of the rows."""
        domains, windows, epochs = self._places(self._samples(step, rank, world))
        held: list[tuple[int, ...]] = [()] * len(domains)
        names: dict[int, Mapping[int, str]] = {}
        for domain in np.unique(domains).tolist():
            rows = np.flatnonzero(domains == domain)
            found = _documents_in(self._streams[domain], windows[rows] * self.context, self.context + 1)
            for row, documents in zip(rows.tolist(), found, strict=True):
                held[row] = documents
            wanted = sorted({document for documents in found for document in documents})
            ids = self._store.read_rows(f"{self.domains[domain]}.ids.parquet", wanted, ["id"])["id"].to_pylist()
            names[domain] = dict(zip(wanted, ids, strict=True))
        columns = zip(domains.tolist(), windows.tolist(), epochs.tolist(), held, strict=True)
        return [
            Seen(row, self.domains[domain], window, epoch, documents, tuple(names[domain][d] for d in documents))
            for row, (domain, window, epoch, documents) in enumerate(columns)
        ]

    def realised(self, step: int) -> dict[str, float]:
        """Share of each domain in the samples of the first `step` steps."""
        counts = self._schedule.counts(step * self.batch_size)
        return dict(zip(self.domains, (counts / max(int(counts.sum()), 1)).tolist(), strict=True))

    def planned(self, step: int) -> dict[str, float]:
        """Share of each domain that the plan asks for in the first `step` steps."""
        ideal = self._schedule.ideal(step * self.batch_size)
        return dict(zip(self.domains, (ideal / max(float(ideal.sum()), 1.0)).tolist(), strict=True))

    def progress(self, step: int) -> list[SourceProgress]:
        """What was planned and read of each domain when `step` steps are done."""
        planned, realised = self.planned(step), self.realised(step)
        counts = self._schedule.counts(step * self.batch_size)
        passes = (self._before + counts) * self._targets() / self._lengths
        columns = zip(self.domains, counts.tolist(), passes.tolist(), strict=True)
        return [SourceProgress(d, planned[d], realised[d], samples, over) for d, samples, over in columns]

    def consumed(self, step: int) -> dict[str, int]:
        """Tokens of each domain read when `step` steps are done, earlier stages included: `used` of the next stage's plan.

        A pass counts as the domain's tokens, not as the few more that the windows hold.
        """
        counts = self._before + self._schedule.counts(step * self.batch_size)
        read = np.rint(counts * self._targets()).astype(np.int64)
        return dict(self.plan.set_aside) | dict(zip(self.domains, read.tolist(), strict=True))

    @property
    def identity(self) -> dict[str, Json]:
        """What the stream of samples is a function of, with checksums for what is long; for a checkpoint to keep."""
        return {
            "order": ORDER,
            "seed": self.seed,
            "batch": self.batch_size,
            "context": self.context,
            "vocabulary": self._manifest["vocabulary"],
            "plan": _hash(asdict(self.plan)),
            "tokens": self._token_sums(),
        }

    def _token_sums(self) -> dict[str, str]:
        """A checksum of the shards of each domain."""
        files = {
            d: [(f["name"], f["sha256"]) for f in sorted(self._manifest["domains"][d]["files"], key=lambda f: str(f["name"]))]
            for d in self.domains
        }
        return {domain: _hash(listed) for domain, listed in files.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `identity`."""
        return _hash(self.identity)

    def check_identity(self, recorded: Mapping[str, Json]) -> None:
        """IntegrityError if this is not the stream that was recorded; says what differs.

        A record of order 1 with an equal plan is of this stream: a plan decides alone which samples are read.
        """
        mine = self.identity
        if recorded.get("order") == 1 and recorded.get("plan") == mine["plan"]:
            mine["order"] = 1
        differing = [key for key in mine if key != "tokens" and mine[key] != recorded.get(key)]
        sums, listed = self._token_sums(), recorded.get("tokens")
        theirs = listed if isinstance(listed, Mapping) else {}
        changed = [d for d in sorted({*sums, *theirs}) if sums.get(d) != theirs.get(d)]
        differing += [f"the tokens of {', '.join(changed)}"] if changed else []
        if differing:
            raise IntegrityError(
                f"{self.plan.name}: the checkpoint was trained on another stream of samples; changed: {'; '.join(differing)}. "
                f"Bring back what it began with (tokens: {self._store.root}), or begin a new run in a folder of its own"
                + (_EARLIER if recorded.get("order") == 1 and "order" in differing else "")
            )

    def _check_vocabulary(self, vocabulary: int | None) -> None:
        has, dtype = self._manifest["vocabulary"], np.dtype(self._manifest["dtype"])
        if has - 1 > np.iinfo(dtype).max:
            raise DataError(
                f"{self._store.url(MANIFEST)}: ids of a vocabulary of {has:,} do not fit {dtype.name}; pack the tokens again"
            )
        if vocabulary is not None and vocabulary != has:
            raise ConfigError(
                f"the tokens in {self._store.root} were made with a vocabulary of {has:,}, the model has one of {vocabulary:,}: "
                "pack the tokens with the model's tokenizer, or set model.vocabulary to the tokenizer's"
            )

    def _check_cap(self) -> None:
        """ConfigError if a domain may be read beyond the cap, to the sample; `mixture` knows tokens, not samples.

        A domain shorter than a sample is gone through more than once in each: there the cap is of tokens, rounded up to a sample.
        """
        for i, most in enumerate(self._schedule.most().tolist()):
            size, before, cap = self.plan.available[i], int(self._before[i]), self.plan.repeat_cap
            allowed = cap * (int(self.windows[i]) if size >= self.context else size / self.context)
            if math.isfinite(allowed) and before + most > math.ceil(allowed - 1e-9):
                raise ConfigError(
                    f"{self.plan.name}: {self.domains[i]} has {size:,} tokens; {before:,} samples of {self.context:,} were read of "
                    f"it before, and up to {most:,} more would exceed the cap of {cap:g} passes. Give it more text or less weight "
                    f"in {self.plan.name}, or raise {self.plan.name}.repeat_cap"
                )

    def _targets(self) -> npt.NDArray[np.float64]:
        """Tokens that a sample counts for, so that a pass counts for all of its domain's, float64[domains]."""
        return np.where(self._lengths < self.context, self.context, self._lengths / self.windows)

    def _samples_of(self, used: int, domain: int) -> int:
        """How many samples of a domain `used` tokens are: `consumed` backwards. If they were of another length, rounded down."""
        size, windows = self.plan.available[domain], int(self.windows[domain])
        if size < self.context:
            return -(-used // self.context)
        nearest = (2 * used * windows + size) // (2 * size)
        return nearest if round(nearest * (size / windows)) == used else used * windows // size

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

    def _places(self, samples: npt.NDArray[np.int64]) -> Places:
        """Domain, window and epoch of samples."""
        size = self._schedule.block_size
        first, last = int(samples[0]) // size, int(samples[-1]) // size
        if first == last:
            domains, windows, epochs = self._block(first)
            inside = samples - first * size
            return domains[inside], windows[inside], epochs[inside]
        parts = []
        for number in range(first, last + 1):
            inside = samples[samples // size == number] - number * size
            parts.append([column[inside] for column in self._block(number)])
        domains, windows, epochs = (np.concatenate(column) for column in zip(*parts, strict=True))
        return domains, windows, epochs

    def _block(self, number: int) -> Places:
        """Domain, window and epoch of a block of samples; the last two blocks are kept, since a step may lie across a border."""
        recent = self._recent
        if number not in recent:
            block = self._schedule.block(number)
            windows, epochs = _permuted(block.sources, block.ranks, self._before, self.windows, self._keys)
            # Replaced whole, never changed: another thread may be reading ahead.
            self._recent = recent = dict([*recent.items(), (number, (block.sources, windows, epochs))][-2:])
        return recent[number]


def _documents_in(stream: Indexed, starts: npt.NDArray[np.int64], width: int) -> list[tuple[int, ...]]:
    """The sequences in each window of `width` ids, in the order in which they come; a window may run on at the head."""
    length, total = len(stream.tokens), len(stream)
    bounds = stream.sequence_at(np.stack([starts, (starts + width - 1) % length], 1))
    found = []
    for start, (first, last) in zip(starts.tolist(), bounds.tolist(), strict=True):
        around = range(first, first + total) if width >= length else range(first, last + 1 + total * (start + width > length))
        found.append(tuple(dict.fromkeys(document % total for document in around)))
    return found


def _hash(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@kernel
def _permuted(sources: npt.NDArray[np.int16], ranks: Ints, before: Ints, sizes: Ints, keys: Hashes) -> tuple[Ints, Ints]:
    """Window and epoch of samples of which each is the `ranks`-th of its source in this stage."""
    halves = np.empty(len(sizes), np.uint64)
    for source in range(len(sizes)):
        halves[source] = half_bits(sizes[source])
    windows, epochs = np.empty(len(ranks), np.int64), np.empty(len(ranks), np.int64)
    for i in range(len(ranks)):
        source = sources[i]
        epochs[i], place = divmod(ranks[i] + before[source], sizes[source])
        windows[i] = permute_one(place, sizes[source], halves[source], keys[source] + np.uint64(epochs[i]))
    return windows, epochs
