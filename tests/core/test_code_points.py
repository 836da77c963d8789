"""Tables of code points are made once, read back as they were, and made again where the file is not whole."""

from pathlib import Path

import numpy as np
import pytest

from skyloom.core import code_points, units
from skyloom.core.code_points import made_once

CALLS = []


def marks() -> np.ndarray:
    """Which code points are Han, as a table with a name of its own."""
    CALLS.append(1)
    table = np.zeros(0x110000, np.uint8)
    table[0x4E00:0xA000] = 7
    return table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(code_points, "cache", lambda: tmp_path)
    CALLS.clear()
    return tmp_path


def test_a_table_is_made_once_and_read_back(folder: Path) -> None:
    first, table = made_once(marks), made_once(marks)()
    assert np.array_equal(first(), table) and table[ord("山")] == 7 and table[ord("a")] == 0
    assert len(CALLS) == 1, "the second reads the file"
    (file,) = folder.iterdir()
    assert file.name.startswith(f"{__name__}.marks-3.") and file.suffix == ".npy"


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00v", b"not a table"])
def test_a_damaged_file_is_made_again(folder: Path, data: bytes) -> None:
    made_once(marks)()
    (file,) = folder.iterdir()
    file.write_bytes(data)
    assert made_once(marks)()[ord("河")] == 7
    assert len(CALLS) == 2 and file.stat().st_size > 1_000_000


def test_a_folder_that_cannot_be_written_costs_time_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("not a folder, not for root either")
    monkeypatch.setattr(code_points, "cache", lambda: folder / "file")
    assert made_once(marks)()[ord("水")] == 7 and len(CALLS) == 1


def test_the_units_do_not_depend_on_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = units.unit_classes()
    monkeypatch.setattr(code_points, "cache", lambda: None)
    assert np.array_equal(made_once(units.unit_classes.__wrapped__)(), kept)
