from __future__ import annotations

import shutil

import pytest

from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.store import Store
from skyloom.tokenizer import export
from skyloom.tokenizer.invariants import check
from skyloom.tokenizer.measure import show
from skyloom.tokenizer.pieces import Parts, base_model, extended_model, read_model


@pytest.fixture
def copy(tmp_path, folder):
    shutil.copytree(folder.root, tmp_path / "copy")
    return Store(tmp_path / "copy")


def broken(store: Store) -> list[str]:
    return [f.name for f in check(store) if not f.ok]


def test_a_sound_tokenizer_passes(folder):
    findings = check(folder)
    assert len(findings) == 10 and all(f.ok and f.detail for f in findings), [f for f in findings if not f.ok]


def test_another_order_of_merges_is_found(copy):
    tree = copy.read_json("tokenizer.json")
    tree["model"]["merges"].reverse()
    copy.write_json("tokenizer.json", tree)
    assert broken(copy) == ["formats agree", "transformers agrees"]


def rebuilt(store: Store, tokenizer, change) -> None:
    """Write the tokenizer anew with its parts as `change` leaves them, all files in step with each other."""
    parts = {name: [tokenizer.pieces[i] for i in tokenizer.parts.range(name)] for name in ("latin", "characters", "words")}
    change(parts)
    model = extended_model(base_model(tokenizer.model, parts["latin"]), parts["characters"], parts["words"])
    store.write_bytes("tokenizer.model", model)
    export.write(model, store)


def test_an_unreachable_word_is_found(copy, tokenizer):
    rebuilt(copy, tokenizer, lambda parts: parts["words"].__setitem__(0, "龘龘龘"))
    assert broken(copy) == ["reachable"]


def test_a_joined_number_and_a_changed_base_are_found(copy, tokenizer):
    rebuilt(copy, tokenizer, lambda parts: parts["latin"].__setitem__(-1, "2023年"))
    assert {"base unchanged", "digits"} <= set(broken(copy))


def test_an_added_piece_that_changes_english_is_found(copy, tokenizer):
    rebuilt(copy, tokenizer, lambda parts: parts["words"].__setitem__(0, ". )"[::2]))
    assert "English as before" in broken(copy)


def test_a_model_without_bytes_is_found(copy, tokenizer):
    parsed = read_model(tokenizer.model)
    parsed.trainer_spec.byte_fallback = False
    copy.write_bytes("tokenizer.model", parsed.SerializeToString())
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        check(copy)
    del parsed.pieces[3:259]
    copy.write_bytes("tokenizer.model", parsed.SerializeToString())
    sizes = [("special", 3), *[(name, size) for name, size in tokenizer.parts.sizes if name not in ("special", "bytes")]]
    copy.write_json("parts.json", {"parts": Parts(tuple(sizes)).to_json()})
    assert {"unknown characters", "base unchanged", "round trip"} <= set(broken(copy))


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


@pytest.mark.parametrize("table", [{}, {"parts": [{"name": "special", "size": 3}]}, {"parts": 7}, []])
def test_a_damaged_table_of_parts_is_an_integrity_error(copy, table):
    copy.write_json("parts.json", table)
    with pytest.raises(IntegrityError, match=r"parts\.json"):
        check(copy)


def test_damaged_files_of_the_libraries_are_findings(copy):
    copy.write_text("tokenizer.json", "{}")
    assert broken(copy) == ["formats agree", "transformers agrees"]


def test_other_special_ids_in_the_folder_are_found(copy):
    config = copy.read_json("tokenizer_config.json")
    copy.write_json("tokenizer_config.json", config | {"bos_token": "</s>"})
    copy.write_json("special_tokens_map.json", copy.read_json("special_tokens_map.json") | {"bos_token": "</s>"})
    assert broken(copy) == ["transformers agrees"]
