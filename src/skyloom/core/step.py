"""Content-addressed steps: name, version, settings and inputs are hashed to the name of the folder of a step's results.

A step's key is a hash of its name, its version number, its settings and the keys of the steps it needs. Its folder
`<name>-<key>` holds what it wrote and, once it is done, `_step.json` with every file's size and SHA-256. A step whose
manifest and files agree is skipped; one whose files do not is named, cleared and done again. A manifest is believed only if
it is one that this program writes: of this step, its `content` that of its files. Because the key is known before anything
runs, changing a setting re-runs only the steps below it.

`version` is the number of the step's meaning: raise it by hand when the code writes something else for the same
settings. No test can know that meaning, so a review of such a change asks for it.

Two runs may share one work folder: a step is done under a lease (an advisory lock that the kernel frees when its holder
dies), so the second run waits and then finds the step done. Shard runs (`--shard i/n`) share a step's lease among
themselves and hold one of their own each; the last one finishes the step alone. An object store has no such lock:
two runs there may do the same work twice and write the same bytes twice, but never a wrong manifest.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import psutil

from skyloom.core.config import plain
from skyloom.core.engine import RECEIPTS, Engine, Shard
from skyloom.core.engine_receipts import records as receipted
from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.json_files import MachineFacts, StepManifest
from skyloom.core.progress import Progress
from skyloom.core.store import TELEMETRY, FileRecord, Store, recorded

MANIFEST = "_step.json"
TIMING = f"{TELEMETRY}step.json"
"""Wall seconds of the attempt that finished the step, when (UTC), and on which machine."""


@dataclass(frozen=True)
class Step:
    """What is to be done. `settings`: a config or plain values; fields marked `identity=False` are not hashed."""

    name: str
    run: Callable[[StepContext], None] = field(repr=False)
    settings: object = None
    version: int = 1
    needs: tuple[Step, ...] = ()
    identity: str = ""
    """What settings cannot say: package versions, a fingerprint of the user's files."""

    @property
    def key(self) -> str:
        """16 hex digits over name, version, settings, identity and the keys of what it needs."""
        material = {
            "name": self.name,
            "version": self.version,
            "settings": plain(self.settings, identity_only=True),
            "identity": self.identity,
            "needs": [f"{n.name}-{n.key}" for n in self.needs],
        }
        return hashlib.sha256(json.dumps(material, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.key}"


@dataclass
class StepContext:
    """What a step's function is given."""

    step: Step
    out: Store
    inputs: Mapping[str, Store]
    engine: Engine
    progress: Progress

    def need(self, name: str) -> Store:
        """The folder of a step that this one needs, by its name."""
        return self.inputs[name]


@dataclass(frozen=True)
class StepOutcome:
    """What became of a step: `status` is "done", "skipped" or "redone"; `content` hashes all its files but telemetry."""

    name: str
    folder: str
    status: str
    seconds: float
    files: int
    bytes: int
    content: str
    mended: tuple[str, ...] = ()


def ordered(targets: Sequence[Step]) -> list[Step]:
    """All steps that the targets need, each once, needs before needers."""
    seen: dict[str, Step] = {}

    def visit(step: Step) -> None:
        if step.folder not in seen:
            for need in step.needs:
                visit(need)
            seen[step.folder] = step

    for target in targets:
        visit(target)
    return list(seen.values())


def is_done(work: Store, step: Step) -> bool:
    """Whether the step's manifest is there (its files are not read; see `verify`)."""
    return work.exists(f"{step.folder}/{MANIFEST}")


def read_manifest(folder: Store, step: Step | None = None) -> StepManifest:
    """`_step.json` of a finished step. IntegrityError if it is missing, damaged, or of another step than `step`."""
    try:
        manifest = folder.read_json(MANIFEST)
        problem = _wrong(manifest, step)
    except (StorageError, ValueError, KeyError, TypeError) as found:
        raise IntegrityError(f"{folder.url(MANIFEST)} is damaged ({found!r}); run the same command again to mend it") from found
    if problem:
        raise IntegrityError(f"{folder.url(MANIFEST)} is damaged ({problem}); run the same command again to mend it")
    whole: StepManifest = manifest
    return whole


def _wrong(manifest: StepManifest, step: Step | None) -> str:
    """What is wrong with a manifest, "" if nothing. KeyError, TypeError or ValueError where it has another form."""
    files = [recorded(entry) for entry in manifest["files"]]
    if any(record.name == MANIFEST or record.name.startswith(TELEMETRY) for record in files):
        return "it names a file that no manifest names"
    if not all(isinstance(manifest[key], str) for key in ("name", "key", "content")):
        return "a name, key or content that is no text"
    if step is not None and (manifest["name"], manifest["key"]) != (step.name, step.key):
        return "it is of another step"
    if manifest["content"] != _content(files):
        return "its content is not that of its files"
    return ""


def _content(files: Sequence[FileRecord]) -> str:
    """What identifies a step's result: SHA-256 over the checksums and names of its files, in their order."""
    return hashlib.sha256("".join(f"{r.sha256} {r.name}\n" for r in files).encode()).hexdigest()


def seconds_taken(folder: Store) -> float | None:
    """Wall seconds of the attempt that finished a step; None if they are not known: no damage to telemetry is an error."""
    try:
        seconds = folder.read_json(TIMING)["seconds"]
    except (StorageError, ValueError, KeyError, TypeError):
        return None
    known = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < math.inf
    return seconds if known else None


def made_on(folder: Store) -> MachineFacts | None:
    """The machine that finished a step; None if it is not known: no damage to telemetry is an error."""
    try:
        found = folder.read_json(TIMING)["machine"]
    except (StorageError, ValueError, KeyError, TypeError):
        return None
    keys = ("system", "architecture", "cores", "memory_bytes")
    whole = isinstance(found, dict) and all(isinstance(found.get(key), (str, int)) for key in keys)
    return cast(MachineFacts, {key: found[key] for key in keys}) if whole else None


def finished_at(folder: Store) -> str:
    """When a step was finished (ISO 8601, UTC); empty if it is not known."""
    try:
        finished = folder.read_json(TIMING)["finished"]
    except (StorageError, ValueError, KeyError, TypeError):
        return ""
    return finished if isinstance(finished, str) else ""


def verify(folder: Store, *, step: Step | None = None, full: bool = True, threads: int = 1) -> list[str]:
    """Names of the files of a finished step that are missing or differ from its manifest (see `Store.differing`).

    Only the manifest itself is named where that is damaged or of another step than `step`.
    """
    try:
        records = [recorded(entry) for entry in read_manifest(folder, step)["files"]]
    except IntegrityError:
        return [MANIFEST]
    return folder.differing(records, full=full, threads=threads)


def run_steps(steps: Sequence[Step], work: Store, engine: Engine, progress: Progress) -> list[StepOutcome]:
    """Do all steps in order, skipping what is there and whole. Returns one outcome per step.

    Raises what a step raised; `ShardsMissingError` when the engine is one shard and others have tasks left.
    """
    steps = ordered(steps)
    outcomes = []
    for number, step in enumerate(steps, 1):
        place = f"[{number}/{len(steps)}] {step.name}"
        folder = work.child(step.folder)
        started = time.monotonic()
        with lease(work, step.folder, step.name, engine.shard, progress) as held:
            status, mended = "skipped", []
            if is_done(work, step):
                mended = verify(folder, step=step, full=engine.full_checks, threads=engine.workers)
            else:
                status = "done"
            if mended:
                status = "redone"
                _clear(step, folder, mended, engine.shard, progress)
            if status != "skipped":
                progress.log(f"{place} …")
                if engine.shard is None:
                    folder.sweep()
                inputs = {need.name: work.child(need.folder) for need in step.needs}
                step.run(StepContext(step, folder, inputs, engine, progress))
                held.alone()
                engine.clear()
                if engine.shard is None or not is_done(work, step):  # another shard may have been faster
                    folder.write_json(
                        TIMING, {"seconds": round(time.monotonic() - started, 3), "finished": _now(), "machine": _machine()}
                    )
                    _finish(step, folder)
            manifest = read_manifest(folder, step)
        seconds = time.monotonic() - started
        progress.log(f"{place}: {'already there' if status == 'skipped' else f'{seconds:.1f} s'}")
        size = sum(f["size"] for f in manifest["files"])
        outcomes.append(
            StepOutcome(step.name, step.folder, status, seconds, len(manifest["files"]), size, manifest["content"], tuple(mended))
        )
    return outcomes


def _clear(step: Step, folder: Store, mended: list[str], shard: Shard | None, progress: Progress) -> None:
    """Remove the damaged files of a finished step and its manifest. Shard runs leave that to a run that is alone."""
    said = "is damaged" if mended == [MANIFEST] else "differs from its checksum"
    what = f"{step.name}: {', '.join(mended[:3])} in {folder.root} {said}"
    if shard is not None:
        raise IntegrityError(f"{what}; run the same command once without --shard to mend it")
    progress.log(f"warning: {what}; doing the step again")
    for name in [*mended, MANIFEST]:
        folder.remove(name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _machine() -> MachineFacts:
    """Of this machine, without its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().total
    return {"system": platform.system(), "architecture": platform.machine(), "cores": cores, "memory_bytes": memory}


def _finish(step: Step, folder: Store) -> None:
    """Write the manifest: the step is done from here on.

    On a remote folder the checksums are those that the tasks took while writing; only what no receipt names is read again.
    """
    folder.sweep()
    sizes = folder.sizes()
    names = [n for n in sizes if n != MANIFEST and RECEIPTS not in n.split("/")[:-1]]
    known = {} if folder.local else receipted(folder)
    records = [known[n] if n in known and known[n].size == sizes[n] else folder.describe(n) for n in names]
    lasting = [r for r in records if not r.name.startswith(TELEMETRY)]
    folder.write_json(
        MANIFEST,
        {
            "name": step.name,
            "key": step.key,
            "version": step.version,
            "settings": plain(step.settings),
            "identity": step.identity,
            "needs": [n.folder for n in step.needs],
            "files": [asdict(r) for r in lasting],
            "telemetry": [r.name for r in records if r.name.startswith(TELEMETRY)],
            "content": _content(lasting),
        },
    )


class Lease:
    """A hold on work in a local work folder; the kernel frees it if we die. On a remote one it holds nothing."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    def alone(self) -> None:
        """Wait until no other shard run is in this work. The lock is given up and taken anew, so two that wait do not lock up."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_EX)


@contextlib.contextmanager
def lease(work: Store, place: str, name: str, shard: Shard | None, progress: Progress) -> Iterator[Lease]:
    """Hold a place (a step's folder, for one) for ourselves, or with the other shard runs and our own shard of it for ourselves.

    `name`: what is done there, for the message while another run holds it. StorageError if `work` cannot be written.
    """
    if not work.local:
        yield Lease(None)
        return
    with contextlib.ExitStack() as stack:
        if shard is not None:
            own = stack.enter_context(_lock_file(work, f"{place}.shard-{shard.number}-of-{shard.count}"))
            _take(own, fcntl.LOCK_EX, f"{name}: shard {shard}", progress)
        handle = stack.enter_context(_lock_file(work, place))
        _take(handle, fcntl.LOCK_EX if shard is None else fcntl.LOCK_SH, name, progress)
        yield Lease(handle)


@contextlib.contextmanager
def _lock_file(work: Store, name: str) -> Iterator[int]:
    path = Path(work.root, "leases", f"{name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise StorageError(
            f"cannot write in the work folder {work.root}: {problem.strerror}; give another with --work"
        ) from problem
    try:
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, kind: int, what: str, progress: Progress) -> None:
    """Take a lock, and say for whom we wait; it holds the number of the process that took it last."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 64, 0).decode("ascii", "replace").strip()
        progress.log(f"{what}: another run (process {holder or 'unknown'}) is doing this step; waiting for it")
        fcntl.flock(handle, kind)
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
