"""A moment of training on disk: weights, moments and where it stood, whole or not at all.

A checkpoint is a folder with `model.safetensors` (fp32 master weights under our names), `optimizer.safetensors` (the two
moments of AdamW) and, written last, `state.json` with the size and SHA-256 of both and a SHA-256 of itself. A folder
without `state.json` was never finished; one whose files differ from their checksums was damaged. `latest` passes over
both, says so, and takes the one before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import safetensors.torch
from torch import Tensor

from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.train.journal import Journal

WEIGHTS, MOMENTS, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
FOLDER, FINAL = "checkpoints", "final"
FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """`weights` and `moments`: fp32 tensors by name; `state`: see `loop.Run.state`."""

    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    state: Mapping[str, Any]


def folder_of(step: int) -> str:
    """Folder of the checkpoint after `step` steps since the start of stage 1."""
    return f"{FOLDER}/step-{step:07d}"


def write(folder: Store, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; it counts from the moment `state.json` appears."""
    folder.remove(STATE)
    files = [
        folder.write_bytes(name, safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()}))
        for name, tensors in ((WEIGHTS, checkpoint.weights), (MOMENTS, checkpoint.moments))
    ]
    state = {**checkpoint.state, "format": FORMAT, "files": [asdict(f) for f in files]}
    folder.write_json(STATE, {**state, "sha256": _digest(state)})


def read_state(folder: Store) -> dict[str, Any]:
    """`state.json` of a checkpoint. IntegrityError if it is missing, damaged or of another format."""
    try:
        state = dict(folder.read_json(STATE))
        sealed, version = state.pop("sha256"), state["format"]
    except (StorageError, ValueError, KeyError, TypeError) as problem:
        raise IntegrityError(f"{folder.root} is not a whole checkpoint: {problem}") from problem
    if version != FORMAT:
        raise IntegrityError(f"{folder.root} is a checkpoint of format {version}, this program reads {FORMAT}")
    if sealed != _digest(state):
        raise IntegrityError(f"{folder.url(STATE)} differs from its own checksum")
    return state


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read(folder: Store) -> Checkpoint:
    """A checkpoint, verified. IntegrityError naming the file that is missing or damaged."""
    state = read_state(folder)
    tensors = {}
    for table in state["files"]:
        record = FileRecord(**table)
        if not folder.exists(record.name) or folder.describe(record.name) != record:
            raise IntegrityError(f"{folder.url(record.name)} is missing or differs from its checksum")
        tensors[record.name] = safetensors.torch.load(folder.read_bytes(record.name))
    return Checkpoint(tensors[WEIGHTS], tensors[MOMENTS], state)


def steps(out: Store) -> list[int]:
    """Steps of which there is a folder, whole or not, ascending."""
    found = {name.split("/")[1] for name in out.names(f"{FOLDER}/step-") if name.count("/") >= 2}
    return sorted(int(name.removeprefix("step-")) for name in found)


def latest(out: Store, progress: Progress) -> tuple[Checkpoint, dict[str, Journal]] | None:
    """The newest whole checkpoint with the journals up to it, or None. Damaged ones are named and removed."""
    for step in reversed(steps(out)):
        folder = out.child(folder_of(step))
        try:
            checkpoint = read(folder)
            journals = {name: Journal.restore(out, name, seal) for name, seal in checkpoint.state["journals"].items()}
            return checkpoint, journals
        except IntegrityError as problem:
            progress.log(f"checkpoint {folder_of(step)} cannot be used ({problem}); taking the one before")
            out.remove(folder_of(step))
    return None


def prune(out: Store, keep: set[int]) -> None:
    """Remove all checkpoints but those of the steps in `keep`; `state.json` first, so that none is left half there."""
    for step in steps(out):
        if step not in keep:
            out.remove(f"{folder_of(step)}/{STATE}")
            out.remove(folder_of(step))
