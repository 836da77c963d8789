from __future__ import annotations

import shutil

import pytest

from skyloom.core.errors import StorageError
from skyloom.core.store import Store
from skyloom.tokenizer import export
from skyloom.tokenizer.check import check
from skyloom.tokenizer.measure import show
from skyloom.tokenizer.pieces import build_model


@pytest.fixture
def copy(tmp_path, folder):
    shutil.copytree(folder.root, tmp_path / "copy")
    return Store(tmp_path / "copy")


def broken(store: Store) -> list[str]:
    return [f.name for f in check(store) if not f.ok]


def test_a_sound_tokenizer_passes(folder):
    findings = check(folder)
    assert len(findings) == 5 and all(f.ok and f.detail for f in findings)


def test_another_order_of_merges_is_found(copy):
    tree = copy.read_json("tokenizer.json")
    tree["model"]["merges"].reverse()
    copy.write_json("tokenizer.json", tree)
    assert broken(copy) == ["formats agree"]


def test_an_unreachable_word_and_a_joined_number_are_found(copy, tokenizer):
    parts = {name: [tokenizer.pieces[i] for i in tokenizer.parts.range(name)] for name in ("latin", "characters", "words")}
    parts["words"][0] = "龘龘龘"
    parts["latin"][-1] = "2023年"
    model = build_model(tokenizer.model, parts["latin"], parts["characters"], parts["words"])
    copy.write_bytes("tokenizer.model", model)
    export.write(model, copy)
    assert {"reachable", "digits"} <= set(broken(copy))


def test_wrong_sizes_are_found(copy):
    table = copy.read_json("parts.json")
    table["parts"][2]["size"] += 1
    copy.write_json("parts.json", table)
    assert "layout" in broken(copy)


def test_a_folder_without_a_tokenizer_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        check(Store(tmp_path))


def test_show_names_pieces_ids_and_parts(folder, tokenizer):
    rows = show(folder, "人民 the 7 龘")
    assert [i for _, i, _ in rows] == tokenizer.encode("人民 the 7 龘")
    assert rows[0] == ("人民", tokenizer.pieces.index("人民"), "words")
    assert {part for _, _, part in rows} == {"words", "latin", "bytes"}
