"""The data behind the figures of a page: for each its rows, files, command and anchor; together one zip of JSON and CSV.

Input: rows of plain values. Output: JSON that stands in the page (a data block, which no browser runs), and the bytes of a zip
that the page holds as a link. Both depend on the rows alone: equal rows give equal bytes. Names of columns are English in every
language of the page, so that a script reads one form.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from skyloom.core.json_files import Cell
from skyloom.report.figures.provenance import QuotedFile

Line = Sequence[Cell]
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of all files in the zip, which knows no earlier one."""


@dataclass(frozen=True)
class FigureData:
    """A figure: its anchor on the page, its rows under `columns`, the files that it was drawn from, and the command that prints
    them."""

    anchor: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    files: tuple[QuotedFile, ...]
    command: str

    def json(self) -> str:
        """One object; `<` is written so that no text of a row can end the data block that it stands in."""
        table = {
            "figure": self.anchor,
            "files": {file.name: file.sha256 for file in self.files},
            "command": self.command,
            "columns": self.columns,
            "rows": self.rows,
        }
        text = json.dumps(table, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace").decode().replace("<", "\\u003c").replace("\u2028", "\\u2028")

    def csv(self) -> str:
        """The rows under a line of column names, as RFC 4180 has it; a missing figure is an empty cell."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(self.columns)
        writer.writerows([["" if cell is None else cell for cell in row] for row in self.rows])
        return out.getvalue().encode("utf-8", "replace").decode()


class FigureBook:
    """All figures of a page by their anchors, in the order in which they were added."""

    def __init__(self) -> None:
        self._figures: dict[str, FigureData] = {}

    def add(self, anchor: str, columns: str, rows: Sequence[Line], files: tuple[QuotedFile, ...], command: str) -> None:
        """Add a figure unless it has no row. `columns`: names with blanks between them. Figures that are not finite become None."""
        if rows:
            plain = tuple(tuple(_finite(cell) for cell in row) for row in rows)
            self._figures[anchor] = FigureData(anchor, tuple(columns.split()), plain, files, command)

    def get(self, anchor: str) -> FigureData | None:
        """A figure, or None if nothing was measured for it."""
        return self._figures.get(anchor)

    def all(self) -> tuple[FigureData, ...]:
        return tuple(self._figures.values())

    def archive(self) -> str:
        """The zip of each figure as JSON and as CSV, in base64."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for figure in self.all():
                for ending, text in (("json", figure.json()), ("csv", figure.csv())):
                    entry = zipfile.ZipInfo(f"{figure.anchor}.{ending}", _EPOCH)
                    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                    archive.writestr(entry, text.encode())
        return base64.b64encode(out.getvalue()).decode()


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
