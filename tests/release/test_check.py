"""The proof of a release finds every way in which a folder can be something else than what was released."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import units
from skyloom.release import sums
from skyloom.release.canaries import Canary, Lookout, read_list
from skyloom.release.check import check
from skyloom.release.recompute import Recomputation
from skyloom.tokenizer.invariants import InvariantFinding

Sign = Callable[[Path], None]


PROOFS = ["files", "signature", "config", "logits", "tokenizer", "corpus", "canaries", "cards", "licences"]


def test_a_sound_release_passes_every_proof(measured: Path) -> None:
    findings = check(measured)
    assert [f.name for f in findings] == PROOFS
    assert all(f.ok for f in findings), findings
    assert "unsigned" in findings[1].detail


def test_the_notes_of_a_step_are_no_part_of_the_release(copy: Path) -> None:
    (copy / "_step.json").write_text("{}")
    (copy / "telemetry").mkdir()
    (copy / "telemetry/timing.json").write_text("{}")
    assert sums.differences(Store(copy)) == []


@pytest.mark.parametrize("name", ["model.safetensors", "corpus/train-00000.jsonl.zst", "README.md", "tokenizer.model"])
def test_one_flipped_bit_is_found_and_named(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert [(f.ok, name in f.detail) for f in check(copy)] == [(False, True)]


def test_missing_and_surplus_files_are_named(copy: Path) -> None:
    (copy / "evaluation/choice.json").unlink()
    (copy / "extra.bin").write_bytes(b"x")
    (finding,) = check(copy)
    assert not finding.ok and "evaluation/choice.json is missing" in finding.detail and "extra.bin is not listed" in finding.detail
    (copy / "config.json").unlink()
    (finding,) = check(copy)
    assert not finding.ok and "config.json missing" in finding.detail


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: (p.mkdir(), (p / "notes.txt").write_text("x"))])
def test_a_folder_that_is_no_release_says_so(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "folder")
    (finding,) = check(tmp_path / "folder")
    assert not finding.ok and "is not a release" in finding.detail


def test_a_damaged_list_of_checksums_is_an_error_with_its_line(copy: Path) -> None:
    (copy / "SHA256SUMS").write_text("nonsense\n")
    (finding,) = check(copy)
    assert not finding.ok and "line 1" in finding.detail


def test_other_weights_than_the_config_says_are_found(copy: Path, sign: Sign) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    sign(copy)
    assert "another shape" in _failed(copy)["config"]
    (copy / "config.json").write_text(json.dumps({**config, "num_key_value_heads": 1}))
    sign(copy)
    assert "another shape" in _failed(copy)["config"]
    (copy / "config.json").write_text(json.dumps({**config, "attention_bias": True}))
    sign(copy)
    assert "attention_bias" in _failed(copy)["config"]


def test_weights_that_are_not_numbers_are_no_agreement(copy: Path, sign: Sign) -> None:
    """NaN differs from NaN by NaN, which is below no tolerance."""
    weights = safetensors.torch.load_file(copy / "model.safetensors")
    weights["lm_head.weight"][:] = float("nan")
    safetensors.torch.save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    sign(copy)
    assert list(_failed(copy)) == ["logits"]


def test_a_tokenizer_json_that_encodes_otherwise_is_found(copy: Path, sign: Sign) -> None:
    table = json.loads((copy / "tokenizer.json").read_text())
    table["model"]["merges"] = table["model"]["merges"][1:]
    (copy / "tokenizer.json").write_text(json.dumps(table))
    sign(copy)
    assert "AutoTokenizer encodes" in _failed(copy)["tokenizer"]


def test_a_document_more_than_the_card_says_is_found(copy: Path, sign: Sign) -> None:
    shard = copy / "corpus/valid-00000.jsonl.zst"
    lines = _lines(shard)
    _write(shard, [*lines, json.dumps({**json.loads(lines[0]), "id": "f" * 32}, ensure_ascii=False)])
    sign(copy)
    assert list(_failed(copy)) == ["corpus", "cards"]
    _write(shard, [*lines[:-1], lines[0]])
    sign(copy)
    assert "stands in" in _failed(copy)["corpus"]


def test_a_release_of_the_earlier_control_is_refused_in_a_sentence(copy: Path, sign: Sign) -> None:
    """Its exercises have twins and no held-back half, so neither cards nor audit can be done again; nothing else is in doubt."""
    (copy / "exercises/exercises-heldback.parquet").rename(copy / "exercises/exercises-twin.parquet")
    sign(copy)
    failed = _failed(copy)
    assert list(failed) == ["cards"] and "made by an earlier version of Skyloom" in failed["cards"]
    assert "run/run.json" in failed["cards"]
    again = Recomputation(Store(copy), Store(copy.parent / "scratch"), Progress.silent())
    for proof in (again.exercises, again.leakage):
        with pytest.raises(IntegrityError, match="twins of the same wording"):
            proof()


@pytest.mark.parametrize("lang", ["en", "zh-Hans"])
def test_a_canary_between_other_words_is_found(copy: Path, sign: Sign, lang: str) -> None:
    question = next(canary.question for canary in read_list(Store(copy)) if canary.lang == lang)
    shard = copy / "corpus/valid-00000.jsonl.zst"
    lines = _lines(shard)
    document = json.loads(lines[3])
    hidden = question.upper().replace(" ", "  ").replace("，", " , ")
    _write(
        shard, [*lines[:3], json.dumps({**document, "text": f"前言 before {hidden} after 之后"}, ensure_ascii=False), *lines[4:]]
    )
    sign(copy)
    failed = _failed(copy)
    assert document["id"] in failed["canaries"] and question in failed["canaries"]


@pytest.mark.parametrize("line", ["[]", "not JSON", '{"text": "x"}', '"句子"', '{"text": 5, "id": 1}'])
def test_a_line_that_is_no_document_is_a_finding(copy: Path, sign: Sign, line: str) -> None:
    shard = copy / "corpus/valid-00000.jsonl.zst"
    _write(shard, [*_lines(shard), line])
    sign(copy)
    assert {"corpus", "canaries"} <= set(_failed(copy))


@pytest.mark.parametrize("name", ["run/run.json", "run/models.json", "recipe.toml", "licenses/README.md"])
def test_a_record_that_is_missing_or_broken_is_a_finding(copy: Path, sign: Sign, name: str) -> None:
    (copy / name).write_text("{ no")
    sign(copy)
    assert name == "licenses/README.md" or "cards" in _failed(copy)
    (copy / name).unlink()
    sign(copy)
    assert name in _failed(copy)["files"]


TEXT = st.text(st.sampled_from("ab 12中文，。🙂\nÉe"), max_size=40)


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=6))
def test_the_lookout_agrees_with_a_plain_search_over_units(questions: list[str], texts: list[str]) -> None:
    planted = [Canary(str(n), "en", q, "", str(n)) for n, q in enumerate(questions)]

    def contains(text: list[str], part: list[str]) -> bool:
        return bool(part) and any(text[i : i + len(part)] == part for i in range(len(text) - len(part) + 1))

    expected = {(n, c.id) for n, t in enumerate(texts) for c in planted if contains(units(t), units(c.question))}
    assert {(place, canary.id) for place, canary in Lookout(planted).found(texts)} == expected


def _failed(folder: Path) -> dict[str, str]:
    findings: list[InvariantFinding] = check(folder)
    return {f.name: f.detail for f in findings if not f.ok}


def _lines(shard: Path) -> list[str]:
    return zstandard.ZstdDecompressor().decompress(shard.read_bytes(), max_output_size=1 << 24).decode().splitlines()


def _write(shard: Path, lines: list[str]) -> None:
    shard.write_bytes(zstandard.ZstdCompressor().compress("".join(line + "\n" for line in lines).encode()))
