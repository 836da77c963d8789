"""Perplexity of several models: figures as by hand, paired differences that hold their level, and a killed evaluation that goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import count_units
from skyloom.evaluate.opened import OpeningOptions
from skyloom.evaluate.paired import differences, set_figures
from skyloom.evaluate.texts import DISJOINT, PerplexityJson, PerplexityRequest, Scoring, Texts, as_set, perplexity
from skyloom.score.nll import TextLosses
from tests.evaluate.opened.small import TEXTS, save_gpt2, save_llama, write_gguf

SETS = [as_set(name, [f"{name}-{n}" for n in range(len(texts))], texts) for name, texts in TEXTS.items()]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    place = tmp_path_factory.mktemp("models")
    return str(save_llama(place / "一")), str(save_llama(place / "two", seed=2))


def run(asked: PerplexityRequest, out: Path, sets: list[Texts] = SETS) -> PerplexityJson:
    return perplexity(asked, sets, Store(out), progress=Progress.silent())


def by_hand(folder: str, text: str, context: int) -> tuple[float, int]:
    """Nats of a text in rolling windows through transformers, and its tokens."""
    words, model = (
        transformers.AutoTokenizer.from_pretrained(folder),
        transformers.AutoModelForCausalLM.from_pretrained(folder).eval(),
    )
    own = [0, *words.encode(text, add_special_tokens=False)]
    nats, done = 0.0, 0
    while done < len(own) - 1:
        new = min(context, len(own) - 1 - done)
        done += new
        start = max(0, done - context)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([own[start:done]])).logits[0].double()
        scores = torch.log_softmax(logits, -1)
        nats -= sum(float(scores[place - 1 - start, own[place]]) for place in range(done - new + 1, done + 1))
    return nats, len(own) - 1


def test_all_figures_of_one_pass_are_those_by_hand(models: tuple[str, str], tmp_path: Path) -> None:
    table = run(PerplexityRequest(models, command="skyloom eval perplexity …"), tmp_path)
    assert [m["model"] for m in table["models"]] == ["一", "two"] and table["command"].startswith("skyloom")
    for row in table["rows"]:
        folder = models[0] if row["model"] == "一" else models[1]
        texts = TEXTS[row["set"]]
        scored = [by_hand(folder, t, 32) for t in texts]
        nats, tokens = sum(n for n, _ in scored), sum(t for _, t in scored)
        size, chars = sum(len(t.encode()) for t in texts), sum(map(len, texts))
        units = int(count_units(pa.array(texts, pa.large_string())).sum())
        assert (row["tokens"], row["bytes"], row["chars"], row["reference_tokens"]) == (tokens, size, chars, units)
        assert row["loss"] == pytest.approx(nats / tokens, rel=1e-5)
        assert row["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
        assert row["reference_loss"] == pytest.approx(nats / units, rel=1e-5)
        assert row["bits_per_byte"] == pytest.approx(nats / size / math.log(2), rel=1e-5)
        assert row["bits_per_char"] == pytest.approx(nats / chars / math.log(2), rel=1e-5)
        for name in ("bits_per_byte", "bits_per_char"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]  # type: ignore[literal-required]
        assert (row["cut"], row["changed"]) == (0, 0)
    mean = table["average"][0]
    mine = [r["loss"] for r in table["rows"] if r["model"] == "一"]
    assert mean["perplexity"] == pytest.approx(math.exp(np.mean([x for x in mine if x is not None])), rel=1e-5)
    pairs = {(p["model"], p["other"], p["set"]) for p in table["paired"]}
    assert pairs == {("two", "一", "en"), ("two", "一", "zh"), ("two", "一", None)}
    assert Store(tmp_path).read_table("documents.parquet").num_rows == 2 * sum(map(len, TEXTS.values()))
    assert ElementTree.fromstring((tmp_path / "perplexity.svg").read_text(encoding="utf-8")).tag.endswith("svg")


def test_gguf_gives_the_perplexity_of_its_weights(models: tuple[str, str], tmp_path: Path) -> None:
    place = write_gguf(Path(models[0]), tmp_path / "m.gguf")
    table = run(PerplexityRequest((models[0], f"gguf={place}")), tmp_path / "out")
    for a, b in zip(table["rows"][::2], table["rows"][1::2], strict=True):
        assert a["bits_per_byte"] is not None and b["bits_per_byte"] is not None
        assert abs(a["bits_per_byte"] - b["bits_per_byte"]) < 1e-6


def test_windows_cuts_and_references(models: tuple[str, str], tmp_path: Path) -> None:
    one = models[:1]
    short = OpeningOptions(context=8)
    rolling = run(PerplexityRequest(one, opening=short), tmp_path / "a")["rows"]
    disjoint = run(PerplexityRequest(one, opening=short, scoring=Scoring(windows=DISJOINT)), tmp_path / "b")["rows"]
    overlapping = run(PerplexityRequest(one, opening=short, scoring=Scoring(stride=4)), tmp_path / "c")["rows"]
    for k in range(len(TEXTS)):
        assert len({rows[k]["loss"] for rows in (rolling, disjoint, overlapping)}) == 3
    cut = run(PerplexityRequest(one, cut="third"), tmp_path / "d")["rows"]
    assert [r["chars"] for r in cut] == [sum(len(t[:10]) for t in texts) for texts in TEXTS.values()]
    assert [r["cut"] for r in cut] == [sum(len(t) > 10 for t in texts) for texts in TEXTS.values()]
    table = run(PerplexityRequest((*one, models[1]), reference=models[1], cut="5"), tmp_path / "e")
    assert table["reference"] == "tokens of two (320 ids)"
    for row in table["rows"]:
        assert row["reference_loss"] == row["loss"], "both have the same vocabulary"
    for wrong in ("-1", "0", "most", "9" * 30):
        with pytest.raises(ConfigError, match="--cut takes third, none or a number"):
            run(PerplexityRequest(one, cut=wrong), tmp_path / "f")
    with pytest.raises(ConfigError, match="leave --windows disjoint out"):
        run(PerplexityRequest(one, scoring=Scoring(windows=DISJOINT, stride=4)), tmp_path / "g")


def test_a_killed_evaluation_goes_on(models: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from skyloom.evaluate.texts import text_scores as module

    monkeypatch.setattr(module, "PART_TOKENS", 1)
    whole = run(PerplexityRequest(models), tmp_path / "whole")
    real, calls = module.score_tokens, []

    def failing(*args: object, **settings: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_tokens", failing)
    with pytest.raises(KeyboardInterrupt):
        run(PerplexityRequest(models), tmp_path / "killed")
    assert len(list((tmp_path / "killed/parts").iterdir())) == 3 and not (tmp_path / "killed/perplexity.json").exists()
    calls[:] = [1] * 4
    assert run(PerplexityRequest(models), tmp_path / "killed") == whole
    assert len(calls) == 4 + 2 * sum(map(len, TEXTS.values())) - 3, "what was scored is not scored again"


def test_the_paired_interval_covers_the_true_difference() -> None:
    """Documents differ much, models little: 300 pairs of 120 documents (`bench.evaluate.perplexity` has 1,000)."""
    stream, hits, rounds = np.random.default_rng(7), 0, 300
    true = 0.01
    for k in range(rounds):
        sizes = stream.integers(200, 2000, 120)
        base = stream.normal(1.0, 0.3, 120)
        noise = stream.normal(true, 0.05, 120)
        counts = sizes.astype(np.int64)
        figures = []
        for bits in (base + noise, base):
            losses = TextLosses(bits * sizes * math.log(2), counts, counts, counts, counts)
            figures.append({"s": set_figures("s", losses, seed=k, resamples=200)})
        row = differences({"a": figures[0], "b": figures[1]})[0]
        assert row["bits_per_byte_low"] is not None and row["bits_per_byte_high"] is not None
        hits += row["bits_per_byte_low"] <= true <= row["bits_per_byte_high"]
    assert 0.92 * rounds <= hits <= 0.98 * rounds


def test_a_loss_that_is_no_number_names_document_and_dtype(tmp_path: Path) -> None:
    folder = save_llama(tmp_path / "m")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    model.save_pretrained(folder)
    with pytest.raises(DataError, match=r"m gives a loss of nan in float32 for record en-0 of the set en \(2 of its 2 documents\)"):
        run(PerplexityRequest((str(folder),)), tmp_path / "out")


def command(*words: str) -> Result:
    return CliRunner().invoke(main, ["eval", "perplexity", *words], prog_name="skyloom")


def test_the_command_prints_tables_and_mistakes(models: tuple[str, str], tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    sets.mkdir()
    for name, texts in TEXTS.items():
        (sets / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in texts))
    done = command(*models, "--sets", str(sets), "--out", str(tmp_path / "out"), "--offline")
    assert done.exit_code == 0 and "difference to 一" in done.output and "bits per byte" in done.output
    table = json.loads((tmp_path / "out/perplexity.json").read_text(encoding="utf-8"))
    assert [row["model"] for row in table["baselines"]] == ["xz", "xz"] and all(r["bits_per_byte"] > 0 for r in table["baselines"])
    page = tmp_path / "困惑度.html"
    printed = command(*models, "--sets", str(sets), "--out", str(tmp_path / "out"), "--json", "--page", str(page))
    assert printed.exit_code == 0 and json.loads(printed.stdout)["rows"] == table["rows"]
    text = page.read_text(encoding="utf-8")
    assert "<h1>一 / two</h1>" in text and "two minus 一" in text and "two减一" in text and ">xz<" in text
    again = json.loads((tmp_path / "out/perplexity.json").read_text(encoding="utf-8"))
    assert table["rows"] == again["rows"]
    twice = command(models[0], models[0], "--sets", str(sets))
    assert twice.exit_code == 2 and "two models are named '一': give NAME=MODEL" in twice.output
    assert command("没有", "--sets", str(sets)).exit_code == 2
    assert command(models[0]).exit_code == 2
    assert command(models[0], "--sets", str(tmp_path / "nothing")).exit_code == 2


def test_two_architectures_in_one_table(models: tuple[str, str], tmp_path: Path) -> None:
    table = run(PerplexityRequest((models[0], str(save_gpt2(tmp_path / "gpt2")))), tmp_path / "out")
    assert [m["engine"] for m in table["models"]] == ["skyloom", "transformers"]
    assert [m["context"] for m in table["models"]] == [32, 16]
