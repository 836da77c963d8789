"""Eight families of open models: our decoder is transformers' model, and each kind goes all the way from a folder to a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.model.families import CLOSE, goes_all_the_way, single

from skyloom.model.adopt import read_config, read_shape
from skyloom.model.hf_config import passed_over
from tests.planted.families import FAMILIES, SHAPES, table, write


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_equal_transformers(family: str, tmp_path: Path) -> None:
    for number in range(SHAPES):
        theirs = write(family, number, tmp_path / str(number))
        assert single(tmp_path / str(number), theirs).most <= CLOSE, f"shape {number}: {table(family, number)}"


@pytest.mark.parametrize("family", ["LLaMA 3", "Mistral", "Qwen2", "Qwen3"])
def test_it_loads_trains_is_planned_and_is_read_back(family: str, tmp_path: Path) -> None:
    """One of each kind of shape; the bar takes all eight."""
    assert goes_all_the_way(tmp_path / "model", write(family, 0, tmp_path / "model")) == ""


def test_the_kinds_are_what_they_should_be(tmp_path: Path) -> None:
    """So that the families above are not all read as plain LLaMA."""
    found = {}
    for family in FAMILIES:
        for number in range(SHAPES):
            write(family, number, tmp_path / family / str(number))
            found[family, number] = read_shape(tmp_path / family / str(number))
    assert {scaling.kind for shape in found.values() if (scaling := shape.rope_scaling)} == {"linear", "llama3", "yarn"}
    assert all(found["Qwen2", n].query_bias for n in range(SHAPES))
    assert [found["Qwen2", n].window for n in range(SHAPES)] == [9, 0, 0]
    assert all(found["Qwen3", n].head_norm for n in range(SHAPES)) and found["Qwen3", 2].head_width
    assert [found["Mistral", n].window for n in range(SHAPES)] == [7, 0, 11] and found["Mistral", 2].head_width
    assert found["SmolLM2", 0].tied and found["LLaMA 1", 0].norm_eps == 1e-6
    assert found["TinyLlama", 0].grouped_heads == table("TinyLlama", 0)["num_key_value_heads"]
    skipped = passed_over(read_config(tmp_path / "SmolLM2" / "0"))
    assert {"is_llama_config", "transformers.js_config"} <= set(skipped) and "rope_theta" not in skipped
