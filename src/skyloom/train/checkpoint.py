"""Checkpoints of training: weights, moments and the state of the run, whole on disk or not there.

A checkpoint is a folder of safetensors files and, written last, `state.json` with the size and SHA-256 of each and a SHA-256 of
itself. A folder without `state.json` was never finished; one whose files differ from their checksums was damaged. `find`
passes over both, says so, and takes the one before.

One process writes `model.safetensors` (fp32 master weights under our names) and `optimizer.safetensors` (AdamW's two moments,
of Muon's matrices one). Many write a file each, through torch's distributed checkpoint (DCP) with its safetensors storage: a
file holds the rank's own cuts of weights and moments, and says in its header where in the whole they lie. So any number of
processes under any layout reads what any other wrote, a whole model can be read without any process group, and nothing is
pickled.

Writing is asynchronous (`Saver`): the tensors are copied to the host's memory, and training goes on while a thread writes,
syncs and hashes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import NotRequired, TypeAlias, TypedDict, TypeVar

import safetensors
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.records import FileEntry, Json
from skyloom.core.store import FileRecord, Store
from skyloom.train.distributed import Ranks
from skyloom.train.step import split_state
from skyloom.train.watch import Journal, Seal

WEIGHTS, MOMENTS, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
FOLDER, FINAL = "checkpoints", "final"
FORMAT = 2

T = TypeVar("T")
Journals: TypeAlias = dict[str, Journal]


class TrainJson(TypedDict):
    """What is read back of `TrainConfig`, which is there whole."""

    context: int
    optimizer: NotRequired[str]


class StageSettings(TypedDict):
    """The settings that a checkpoint belongs to."""

    stage: str
    train: TrainJson
    calendar: Mapping[str, Json]
    model: Mapping[str, Json]


class StageState(StageSettings):
    """Where a stage stands. `step` and `tokens` count from the start of the first stage, `stage_step` from that of the stage."""

    step: int
    stage_step: int
    tokens: int
    updates: int
    rollbacks: int
    compiled: bool
    threads: int
    torch: str
    layout: Json
    stream: dict[str, Json]
    journals: dict[str, Seal]


class SealedState(StageState):
    """`state.json` without the checksum of itself."""

    format: int
    files: list[FileEntry]


class _StateFile(SealedState):
    sha256: NotRequired[str]


@dataclass(frozen=True)
class Checkpoint:
    """`weights` and `moments`: whole fp32 tensors by name; `state`: see `StageState`."""

    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    state: StageState | SealedState


@dataclass(frozen=True)
class Found:
    """A checkpoint that is whole, its tensors still on disk: see `fill`."""

    folder: Store
    state: SealedState
    journals: Journals


def folder_of(step: int) -> str:
    """Folder of the checkpoint after `step` steps since the start of stage 1."""
    return f"{FOLDER}/step-{step:07d}"


class Saver:
    """Writes checkpoints in a thread while training goes on, one at a time; all processes call its methods alike.

    `then` of `save` is called on rank 0 once `state.json` is there. A failure (a full disk, say) is raised by
    the next `settle`, on all processes.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._group = dist.new_group(backend="gloo") if ranks.world > 1 else None  # its own, so that threads do not mix messages
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._running: Future[list[FileRecord]] | None = None
        self._finish: Callable[[list[FileRecord]], None] = lambda _: None

    @property
    def busy(self) -> bool:
        """Whether this process still writes."""
        return self._running is not None and not self._running.done()

    @property
    def pending(self) -> bool:
        """Whether a checkpoint waits to be settled."""
        return self._running is not None

    def save(self, folder: Store, tensors: Mapping[str, Tensor], state: StageState, then: Callable[[], None]) -> None:
        """Begin to write a checkpoint; returns once the tensors are copied."""
        self.settle()
        if self._ranks.is_main:
            folder.remove(STATE)
        copies = {n: t.detach().to("cpu", copy=True).contiguous() for n, t in tensors.items()}

        def finish(files: list[FileRecord]) -> None:
            _write_state(folder, state, files)
            then()

        self._finish = finish
        if self._ranks.world == 1:
            self._running = self._pool.submit(_write_whole, folder, copies)
        else:
            folder.path().mkdir(parents=True, exist_ok=True)
            self._ranks.wait()
            self._running = self._pool.submit(_write_cuts, folder, copies, self._ranks, self._group)

    def settle(self) -> None:
        """Wait until the checkpoint that is being written is whole. Raises what went wrong with it."""
        if self._running is None:
            return
        problem: Exception | None = None
        files: list[FileRecord] = []
        try:
            files = self._running.result()
        except Exception as failure:  # told to the others first: none may wait for one that gave up
            problem = failure
        self._running = None
        parts = self._ranks.gather((files, str(problem) if problem else ""))
        if problem is not None:
            raise problem
        told = [f"rank {rank}: {said}" for rank, (_, said) in enumerate(parts) if said]
        if told:
            raise StorageError(f"a checkpoint could not be written by {told[0]}")
        if self._ranks.is_main:
            self._finish([record for records, _ in parts for record in records])

    def close(self) -> None:
        self._pool.shutdown()


def write(folder: Store, checkpoint: Checkpoint) -> None:
    """Write a checkpoint of one process, and wait for it."""
    folder.remove(STATE)
    _write_state(folder, checkpoint.state, _write_parts(folder, checkpoint.weights, checkpoint.moments))


def _write_whole(folder: Store, tensors: Mapping[str, Tensor]) -> list[FileRecord]:
    return _write_parts(folder, *split_state(tensors))


def _write_parts(folder: Store, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> list[FileRecord]:
    parts = ((WEIGHTS, weights), (MOMENTS, moments))
    return [folder.write_bytes(name, safetensors.torch.save({k: v.contiguous() for k, v in part.items()})) for name, part in parts]


def _write_cuts(folder: Store, tensors: dict[str, Tensor], ranks: Ranks, group: dist.ProcessGroup | None) -> list[FileRecord]:
    """This process's cuts, as `shard-….safetensors`. StorageError if the disk does not take them."""
    name = f"shard-{ranks.rank + 1:05d}-model-00001-of-00001.safetensors"
    try:
        writer = HuggingFaceStorageWriter(str(folder.path()), save_distributed=True)
        dcp_save(tensors, storage_writer=writer, process_group=group)
    except (OSError, RuntimeError, CheckpointException) as problem:
        raise StorageError(f"{folder.url(name)} could not be written: {str(problem).strip().splitlines()[-1]}") from problem
    return [folder.describe(name)] if folder.exists(name) else []


def _write_state(folder: Store, state: StageState, files: list[FileRecord]) -> None:
    whole = {**state, "format": FORMAT, "files": [asdict(f) for f in files]}
    folder.write_json(STATE, {**whole, "sha256": _digest(whole)})


def read_state(folder: Store) -> SealedState:
    """`state.json` of a checkpoint. IntegrityError if it is missing, damaged or of another format."""
    try:
        state: _StateFile = _table(folder.read_json(STATE))
        sealed, version = state.pop("sha256"), state["format"]
    except (StorageError, ValueError, KeyError, TypeError) as problem:
        raise IntegrityError(f"{folder.root} is not a whole checkpoint: {problem}") from problem
    if version != FORMAT:
        raise IntegrityError(f"{folder.root} is a checkpoint of format {version}, this program reads {FORMAT}")
    if sealed != _digest(state):
        raise IntegrityError(f"{folder.url(STATE)} differs from its own checksum")
    return state


def _table(value: T) -> T:
    """`value` if JSON gave a table, else TypeError."""
    if not isinstance(value, dict):
        raise TypeError("it is no table")
    return value


def _digest(state: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def beginning(start: Store) -> Store:
    """The checkpoint that a run begins from: `start` itself if it is one, else the `final/` of the stage that it holds."""
    return start if start.exists(STATE) else start.child(FINAL)


def verify(folder: Store, state: SealedState, ranks: Ranks | None = None) -> None:
    """Compare all files with their checksums, each process its share. IntegrityError naming one that is missing or damaged."""
    ranks = ranks or Ranks()
    mine = [FileRecord(**f) for f in state["files"]][ranks.rank :: ranks.world]
    bad = [folder.url(r.name) for r in mine if not folder.exists(r.name) or folder.describe(r.name) != r]
    told = [name for part in ranks.gather(bad) for name in part]
    if told:
        raise IntegrityError(f"{told[0]} is missing or differs from its checksum")


def read(folder: Store, *, moments: bool = True) -> Checkpoint:
    """A checkpoint of any number of processes, whole and verified. IntegrityError naming the file that is missing or damaged."""
    state = read_state(folder)
    verify(folder, state)
    names = [f["name"] for f in state["files"]]
    if set(names) == {WEIGHTS, MOMENTS}:
        weights = _load(folder, WEIGHTS)
        return Checkpoint(weights, _load(folder, MOMENTS) if moments else {}, state)
    reader = HuggingFaceStorageReader(str(folder.path()))
    known = reader.read_metadata().state_dict_metadata
    wanted = {n: torch.empty(m.size) for n, m in known.items() if isinstance(m, TensorStorageMetadata)}
    if not moments:
        kept, _ = split_state(wanted)
        wanted = kept
    dcp_load(wanted, storage_reader=reader, no_dist=True)
    return Checkpoint(*(split_state(wanted) if moments else (wanted, {})), state)


def fill(folder: Store, state: SealedState, tensors: Mapping[str, Tensor], ranks: Ranks, *, moments: bool = True) -> None:
    """Fill `tensors` (`Learner.state`) in place with what a verified checkpoint holds, whatever layout wrote it.

    `moments=False`: `tensors` are the weights only. IntegrityError if it is of another model.
    """
    names = {f["name"] for f in state["files"]}
    if ranks.world == 1 and names == {WEIGHTS, MOMENTS}:
        found = {**_load(folder, WEIGHTS), **(_load(folder, MOMENTS) if moments else {})}
        _same(folder, {n: tuple(t.shape) for n, t in found.items()}, tensors)
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(found[name])
        return
    reader = HuggingFaceStorageReader(str(folder.path()))
    known = {
        n: tuple(m.size) for n, m in reader.read_metadata().state_dict_metadata.items() if isinstance(m, TensorStorageMetadata)
    }
    _same(folder, {n: shape for n, shape in known.items() if n in tensors or (moments and ranks.world == 1)}, tensors)
    dcp_load(dict(tensors), storage_reader=reader, no_dist=ranks.world == 1)


def _same(folder: Store, found: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> None:
    expected = {n: tuple(t.shape) for n, t in tensors.items()}
    if found != expected:
        differing = sorted(n for n in set(found) | set(expected) if found.get(n) != expected.get(n))
        raise IntegrityError(f"{folder.root} holds another model: {', '.join(differing[:3])} differ in name or shape")


def _load(folder: Store, name: str) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(folder.read_bytes(name))
    except safetensors.SafetensorError as problem:
        raise IntegrityError(f"{folder.url(name)} is no file of tensors: {problem}") from problem


def steps(out: Store) -> list[int]:
    """Steps of which there is a folder, whole or not, ascending."""
    found = {name.split("/")[1] for name in out.names(f"{FOLDER}/step-") if name.count("/") >= 2}
    return sorted(int(name.removeprefix("step-")) for name in found)


def open_whole(out: Store, name: str, ranks: Ranks) -> Found:
    """The checkpoint in the folder `name` of a stage with its journals. IntegrityError if any of it is not whole."""
    folder = out.child(name)
    state = read_state(folder)
    verify(folder, state, ranks)
    return Found(folder, state, {file: Journal.restore(out, file, seal) for file, seal in state["journals"].items()})


def find(out: Store, progress: Progress, ranks: Ranks, valid: Callable[[SealedState], bool]) -> Found | None:
    """The newest whole checkpoint whose state is `valid`, or None. Damaged and invalid ones are named and removed."""
    names = ranks.share([folder_of(step) for step in reversed(steps(out))])
    if ranks.share(out.child(FINAL).exists(STATE)):
        names = [FINAL, *names]
    for name in names:
        try:
            found = open_whole(out, name, ranks)
            if valid(found.state):
                return found
            problem = "it was left behind when training went back"
        except IntegrityError as damage:
            problem = str(damage)
        which = "the final checkpoint" if name == FINAL else f"checkpoint {name}"
        progress.log(f"warning: {which} cannot be used ({problem}); taking the one before")
        ranks.wait()
        if ranks.is_main:
            out.remove(name)
        ranks.wait()
    return None


def prune(out: Store, keep: Collection[int]) -> None:
    """Remove all checkpoints but those of the steps in `keep`; `state.json` first, so that none is left half there."""
    for step in steps(out):
        if step not in keep:
            out.remove(f"{folder_of(step)}/{STATE}")
            out.remove(folder_of(step))


def retained(have: Collection[int], back: int) -> set[int]:
    """Of the steps with checkpoints: the newest two (one in case the other is damaged), and one at least `back` steps older.

    Going back after bad batches needs the last. It is found by thinning: of checkpoints that lie `back` apart the last two stay.
    """
    ordered, anchors = sorted(have), list[int]()
    for step in ordered:
        if not anchors or step >= anchors[-1] + back:
            anchors.append(step)
    return {*ordered[-2:], *anchors[-2:]}
