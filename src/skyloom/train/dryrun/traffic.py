"""Traffic and memory of a training step, counted operation by operation: bytes of collectives by kind, and bytes held. Report 3.5.

`TrafficMeter` is a mode of torch's dispatcher, so it sees every operation. Below DTensor, fully_shard and the pipeline's
schedules every exchange is an operation on a process group and every tensor is the output of an operation, so neither our code nor
torch has to be changed. It works on fake tensors as well as on real ones; `dryrun` uses it on fake ones.

**Exchanges** are counted by kind and dimension of the mesh. `size` is the whole tensor that a collective is about: what an
all-gather gives, what a reduce-scatter takes, what an all-reduce sums, what is sent (of an all-to-all: what this process
gives). `sent` is what this process must put on the wire for it with a ring: (n − 1)/n of the size, an all-reduce twice that,
a message all of it, an all-to-all what goes to others.

**Memory** is the storages that are alive, each counted once whatever looks into it: what an allocator would be asked for. What
the peak is made of is looked up in a copy of the list of that moment, made when the first storage after a peak is let go.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import GroupName, _resolve_process_group  # type: ignore[attr-defined]
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GATHER, SCATTER, REDUCE, SEND, RECEIVE, ALL_TO_ALL = "all-gather", "reduce-scatter", "all-reduce", "send", "receive", "all-to-all"
KINDS = {
    "_allgather_base_": GATHER,
    "all_gather_into_tensor": GATHER,
    "all_gather_into_tensor_out": GATHER,
    "_reduce_scatter_base_": SCATTER,
    "reduce_scatter_tensor": SCATTER,
    "allreduce_": REDUCE,
    "all_reduce": REDUCE,
    "all_reduce_": REDUCE,
    "send": SEND,
    "recv_": RECEIVE,
    "alltoall_base_": ALL_TO_ALL,
}
"""Operations of torch.distributed that move a step's bytes."""
Argument: TypeAlias = object
"""What an operation of torch takes or gives: tensors, numbers, texts, groups, lists of them."""
SILENT = frozenset({"wait_tensor", "_wrap_tensor_autograd"})


class Operation(Protocol):
    """An operator of torch, as the dispatcher gives it."""

    namespace: str

    def name(self) -> str: ...
    def __call__(self, *args: Argument, **kwargs: Argument) -> Argument: ...


@dataclass
class Traffic:
    """Exchanges of one kind along one dimension of the mesh."""

    kind: str
    dimension: str
    processes: int
    count: int = 0
    size: int = 0
    sent: float = 0.0


@dataclass(frozen=True)
class Held:
    """A storage: its bytes, the tensor that it was made as, and whether a backward pass made it."""

    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    backward: bool


class TrafficMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """`groups`: name of the process groups that exchanges are counted for."""

    def __init__(self, groups: Mapping[str, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.groups = groups
        self.traffic: dict[tuple[str, str], Traffic] = {}
        self.live: dict[int, Held] = {}
        self.now = self.peak = 0
        self._at_peak: dict[int, Held] | None = None
        self._watched: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._paused = False

    def begin(self) -> None:
        """Count from here: nothing sent, and a peak of what is held now."""
        self.traffic = {}
        self.peak, self._at_peak = self.now, None

    def at_peak(self) -> Mapping[int, Held]:
        """What was alive when most was, by a number of its own."""
        return self.live if self._at_peak is None else self._at_peak

    @contextmanager
    def watching(self) -> Iterator[TrafficMeter]:
        """See all operations, and storages that change their size, which no operation does."""
        resize = torch.UntypedStorage.resize_
        meter = self

        def resized(storage: torch.UntypedStorage, size: int) -> torch.UntypedStorage:
            resize(storage, size)
            meter._resized(storage)
            return storage

        paused = replaced(ShardingPropagator, "_fake_mode_lock", _Pause(self))
        with replaced(torch.UntypedStorage, "resize_", resized), paused, self:
            yield self

    def __torch_dispatch__(
        self, func: Operation, types: Sequence[type], args: tuple[Argument, ...] = (), kwargs: dict[str, Argument] | None = None
    ) -> Argument:
        if any(issubclass(kind, DTensor) or kind.__name__ == "AsyncCollectiveTensor" for kind in types):
            return NotImplemented  # it will come back with what this process holds of it
        found = func(*args, **(kwargs or {}))
        if self._paused:
            return found
        if "c10d" in func.namespace:
            self._exchange(func, args, found)
        for tensor in (found,) if isinstance(found, Tensor) else tree_leaves(found):
            if isinstance(tensor, Tensor) and tensor.device.type != "meta":
                self._hold(tensor)
        return found

    # Exchanges

    def _exchange(self, func: Operation, args: tuple[Argument, ...], found: Argument) -> None:
        name = func.name().split("::")[1].split(".")[0]
        if name in SILENT:
            return
        kind = KINDS[name]
        group = _group(args)
        tensors = [t for t in tree_leaves((args, found)) if isinstance(t, Tensor)]
        size = max(t.numel() * t.element_size() for t in tensors)
        processes, own = group.size(), 0
        if kind == ALL_TO_ALL:  # unequal parts: (output, input, group, sizes received, sizes sent, …)
            given, splits = args[1], args[4]
            assert isinstance(given, Tensor) and isinstance(splits, Sequence)
            size = given.numel() * given.element_size()
            own = splits[group.rank()] * given.element_size()
        dimension = self.groups.get(group.group_name, "all")
        ring = (processes - 1) / processes
        sent = {
            GATHER: ring * size, SCATTER: ring * size, REDUCE: 2 * ring * size, SEND: float(size), RECEIVE: 0.0,
            ALL_TO_ALL: float(size - own),
        }[kind]  # fmt: skip
        row = self.traffic.setdefault((kind, dimension), Traffic(kind, dimension, processes))
        row.count, row.size, row.sent = row.count + 1, row.size + size, row.sent + sent

    # Memory

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) not in self._watched:
            self._watched[id(storage)] = weakref.ref(storage, self._gone(id(storage)))
            backward = torch._C._current_graph_task_id() != -1
            self._add(id(storage), Held(storage.nbytes(), tuple(tensor.shape), tensor.dtype, backward))

    def _add(self, number: int, held: Held) -> None:
        self.live[number] = held
        self.now += held.size
        if self.now > self.peak:
            self.peak, self._at_peak = self.now, None

    def _remove(self, number: int) -> None:
        if self._at_peak is None and self.now == self.peak:
            self._at_peak = self.live.copy()
        self.now -= self.live.pop(number).size

    def _gone(self, number: int) -> Callable[[Argument], None]:
        def gone(_: Argument) -> None:
            del self._watched[number]
            self._remove(number)

        return gone

    def _resized(self, storage: torch.UntypedStorage) -> None:
        number = id(storage)
        if number not in self._watched:
            return
        before = self.live[number]
        self._remove(number)
        self._add(number, replace(before, size=storage.nbytes()))


@contextmanager
def replaced(owner: type, name: str, value: Argument) -> Iterator[None]:
    """Within the block, `value` is the attribute `name` of a class of torch."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


class _Pause:
    """Where nothing is counted: DTensor tries operations on whole shapes, which no process holds, to learn what they give."""

    def __init__(self, meter: TrafficMeter) -> None:
        self.meter = meter

    def __enter__(self) -> None:
        self.meter._paused = True

    def __exit__(self, *problem: object) -> None:
        self.meter._paused = False


def _group(args: tuple[Argument, ...]) -> dist.ProcessGroup:
    """The group among an operation's arguments: a boxed one, or its name, the last text."""
    for arg in args:
        if isinstance(arg, torch.ScriptObject):
            return dist.ProcessGroup.unbox(arg)
        if isinstance(arg, dist.ProcessGroup):
            return arg
    name = [arg for arg in args if isinstance(arg, str)][-1]
    return _resolve_process_group(GroupName(name))
