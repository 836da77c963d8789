"""Whole matrices out of their parts: each process of a place of the pipeline makes some of them orthogonal. Report 3.5.

Input: this process's parts of the matrices, as ZeRO-1 and tensor parallelism cut them; output: the same parts of the orthogonal
matrices. Each matrix has one owner (`planner.muon_cost.rounds`). In a round every process sends its part of each matrix to the
matrix's owner in one all-to-all, the owners compute, and a second all-to-all brings the parts of the results back. So a process
holds one whole matrix at a time, and each result is the same for all layouts but for the rounding of what went in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, Shard

from skyloom.planner.muon_cost import owners, rounds
from skyloom.train.distributed.mesh import Place
from skyloom.train.step import orthogonalise

Region: TypeAlias = tuple[slice, slice]
"""Rows and columns of a matrix."""


class Exchange:
    """The matrices `masters` (DTensors by name) of the process at `place`; all processes of its place call alike."""

    def __init__(self, masters: Mapping[str, DTensor], place: Place) -> None:
        self.place, self.layout = place, place.layout
        self.shapes = {name: (master.shape[0], master.shape[1]) for name, master in masters.items()}
        self.rounds = rounds(self.shapes, owners(self.layout))
        self.group = place.owners
        self.number = dist.get_rank(self.group)
        self.columns = {name: _cuts_columns(master) for name, master in masters.items()}
        for name, master in masters.items():
            rows, columns = self._region(name, self.number)
            if tuple(master.to_local().shape) != (rows.stop - rows.start, columns.stop - columns.start):
                raise AssertionError(f"{name} is cut otherwise than its owner expects: {master.placements}")

    def __call__(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """`parts`: of all matrices, in one dtype, which the results have too."""
        if owners(self.layout) == 1:
            return {name: orthogonalise(part) for name, part in parts.items()}
        found: dict[str, Tensor] = {}
        for names in self.rounds:
            found |= self._round(names, parts)
        return found

    def _round(self, names: list[str], parts: dict[str, Tensor]) -> dict[str, Tensor]:
        everybody = range(owners(self.layout))
        some = parts[names[0]]
        mine = names[self.number] if self.number < len(names) else None
        sent = [parts[name].flatten() if self._gives(self.number, owner) else some.new_empty(0) for owner, name in enumerate(names)]
        sent += [some.new_empty(0) for _ in everybody[len(names) :]]
        back: list[Tensor] = [some.new_empty(0) for _ in everybody]
        regions = [self._region(mine, sender) for sender in everybody] if mine is not None else []
        sizes = [_size(region) if self._gives(sender, self.number) else 0 for sender, region in enumerate(regions)]
        arrived = self._all_to_all(sent, sizes or [0] * len(everybody))
        if mine is not None:
            whole = some.new_empty(self.shapes[mine])
            for region, size, part in zip(regions, sizes, arrived, strict=True):
                if size:
                    whole[region] = part.view_as(whole[region])
            result = orthogonalise(whole)
            back = [result[region].flatten() for region in regions]
        expected = [parts[name].numel() for name in names] + [0] * (len(everybody) - len(names))
        returned = self._all_to_all(back, expected)
        return {name: part.view_as(parts[name]) for name, part in zip(names, returned, strict=False)}

    def _all_to_all(self, sent: list[Tensor], sizes: list[int]) -> list[Tensor]:
        """What each process sent here, of these sizes."""
        packed = torch.cat(sent)
        arrived = packed.new_empty(sum(sizes))
        dist.all_to_all_single(arrived, packed, sizes, [part.numel() for part in sent], group=self.group)
        return list(torch.split(arrived, sizes))

    def _gives(self, sender: int, owner: int) -> bool:
        """Whether the sender's part is needed: replicas that hold the same (no ZeRO) give to owners of their own replica only."""
        tensor = self.layout.tensor
        return self.layout.zero or sender // tensor == owner // tensor

    def _region(self, name: str, number: int) -> Region:
        """What process `number` of the group holds: tensor parallelism cuts first, then ZeRO-1 cuts the rows of that."""
        replica, column = divmod(number, self.layout.tensor)
        rows, columns = (slice(0, size) for size in self.shapes[name])
        if self.columns[name]:
            columns = _cut(columns, column, self.layout.tensor)
        else:
            rows = _cut(rows, column, self.layout.tensor)
        return (_cut(rows, replica, self.layout.data) if self.layout.zero else rows), columns


def _cuts_columns(master: DTensor) -> bool:
    """Whether tensor parallelism cuts the columns."""
    return any(isinstance(placement, Shard) and placement.dim == 1 for placement in master.placements)


def _cut(whole: slice, number: int, count: int) -> slice:
    """Part `number` of `count`, as torch.chunk cuts: of equal size, the last ones smaller or empty."""
    size = math.ceil((whole.stop - whole.start) / count)
    first = min(whole.start + number * size, whole.stop)
    return slice(first, min(first + size, whole.stop))


def _size(region: Region) -> int:
    rows, columns = region
    return int((rows.stop - rows.start) * (columns.stop - columns.start))
