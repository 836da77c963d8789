"""Damaged files of every kind of source give pages or rows with reasons: nothing that a file holds ends a build."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tests.planted.mutants import HUB_EACH, ending, mutant, rows, seeds

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.extract import ExtractConfig, extract
from skyloom.corpus.sources import SourcePolicy
from skyloom.corpus.sources.config import KINDS
from skyloom.corpus.sources.stage import READERS


def test_every_kind_is_damaged_and_mutants_can_be_made_again() -> None:
    assert {s.kind for s in seeds()} == {*READERS, "debian-docs"} - {"own"} == set(KINDS) - {"auto", "own"}
    kinds = {mutant(i).kind for i in range(600)}
    assert kinds == set(KINDS) - {"own"}
    assert mutant(17) == mutant(17)
    whole = {s.join(s.parts) for s in seeds()}
    assert sum(mutant(i).data in whole for i in range(200)) < 10


def test_whole_files_are_read_without_a_reason(tmp_path: Path) -> None:
    for seed in seeds():
        if seed.kind != "hub":
            found = mutant(0).whole(seed)
            table = pa.concat_tables(rows(found, tmp_path))
            assert any(e is None for e in table["error"].to_pylist()) or seed.name == "sparse.tar"


def test_mutants_end_in_pages_or_reasons(tmp_path: Path) -> None:
    """300 of them; `python -m tests.planted.mutants NUMBER` makes one again."""
    assert [told for i in range(300) if (told := ending(i, tmp_path))] == []


def test_mutants_that_found_a_fault(tmp_path: Path) -> None:
    """6478: pyarrow's view of a column's metadata ended the process. 1599, 2399: the first file of a data set is damaged."""
    pytest.importorskip("datasets")
    assert 1599 % HUB_EACH == 2399 % HUB_EACH == HUB_EACH - 1
    assert [told for i in (6478, 1599, 2399) if (told := ending(i, tmp_path))] == []


def test_what_mutants_give_is_extracted(tmp_path: Path) -> None:
    pages = Store(tmp_path / "pages")
    tables = [t for i in range(200) if mutant(i).kind != "hub" for t in rows(mutant(i), tmp_path)]
    table = pa.concat_tables(tables).combine_chunks()
    pages.write_table("pages-00000-000.parquet", table)
    out = Store(tmp_path / "out")
    extract(pages, out, ExtractConfig(), {"源 s": SourcePolicy()}, engine=Engine(0), progress=Progress.silent())
    assert out.read_table("extracted-00000-000.parquet").num_rows == table.num_rows


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 20_000, 1000))
def test_twenty_thousand_mutants(tmp_path: Path, first: int) -> None:
    pytest.importorskip("datasets")
    assert [told for i in range(first, first + 1000) if (told := ending(i, tmp_path))] == []
