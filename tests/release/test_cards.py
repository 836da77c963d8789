"""What the cards say of four different runs: no sentence is fixed prose that is true of only one of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyloom.core.ledger import Ledger
from skyloom.core.store import Store
from skyloom.evaluate.config import MEASURED
from skyloom.evaluate.models import load
from skyloom.model.config import ModelConfig
from skyloom.release import claims, metadata, sentences, sums
from skyloom.release.config import ReleaseConfig
from skyloom.release.corpus_shards import PublishedCorpus
from skyloom.release.evidence import Evidence
from skyloom.release.sentences import Facts
from tests.planted import small_release

Cards = dict[str, str]
MACHINE = {"system": "Linux", "architecture": "x86_64", "cores": 2, "memory_bytes": 8 * 10**9}
RUN = {
    "machine": MACHINE, "finished": "2026-11-29T08:00:00+00:00", "commit": "abc",
    "steps": [{"name": "stage1", "seconds": 3600.0}, {"name": "stage2", "seconds": 1800.0}, {"name": "pages", "seconds": 9999.0}],
}  # fmt: skip


@pytest.fixture
def written(measured: Path, tmp_path: Path) -> Callable[..., Cards]:
    """The cards of a run that differs from the small one: other records, another recipe, another shape."""

    def write(
        recipe: Mapping[str, Any],
        config: ReleaseConfig,
        published: PublishedCorpus,
        files: Mapping[str, Any],
        shape: dict[str, Any],
    ) -> Cards:
        store = Store(shutil.copytree(measured, tmp_path / "release", dirs_exist_ok=True))
        from skyloom.core.config import plain, to_toml

        store.write_text("recipe.toml", to_toml({**small_release.recipe(config), **recipe, "release": plain(config)}))
        for name, value in files.items():
            if value is None:
                store.remove(name)
            elif isinstance(value, str):
                store.write_text(name, value)
            else:
                store.write_json(name, value)
        store.write_json("config.json", {**store.read_json("config.json"), **shape})
        return claims.written_again(store, published, sums.read(store))

    return write


def head(card: str) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return value


def corpus(languages: Mapping[str, int], licenses: Mapping[tuple[str, str], int]) -> PublishedCorpus:
    return PublishedCorpus([], {"train": 90, "valid": 10}, {"train": 9000, "valid": 1000}, dict(licenses), dict(languages))


def journal(stage: str, step: int, tokens: int, shares: Mapping[str, float]) -> str:
    row = {"stage": stage, "step": step, "tokens": tokens, "loss": 2.0, "lr": 1e-3, "shares": dict(shares)}
    return json.dumps(row) + "\n"


def test_a_small_bilingual_run_from_scratch(measured: Path) -> None:
    card, text = (measured / "README.md").read_text(), (measured / "corpus/README.md").read_text()
    assert "A bilingual (English and Chinese) language model" in card and "trained from scratch" in card
    assert "grouped-query attention (4 query heads share 2 heads of keys and values), untied embeddings" in card
    assert "Two stages of training. Exercises are 20.0 % of Stage 2." in card
    assert "Web, English 50.0 %; Web, Chinese 50.0 %" in card and "Canaries 20.0 %" in card
    assert "**Small-scale results.**" in card and "web pages (" in card and "exercises (" in card and "manuals" not in card
    assert "The hours of training were not recorded; the energy was not measured." in card
    told = head(card)
    assert told["language"] == ["en", "zh"] and "base_model" not in told and {"bilingual", "from-scratch"} <= set(told["tags"])
    assert told["version"] == "1.0.0" and told["license_link"] == "https://spdx.org/licenses/Apache-2.0.html"
    assert "| `lang` | `en`, `zh-Hans` |" in text and head(text)["license_link"] == "../licenses/README.md"
    results = told["model-index"][0]["results"]
    stated = json.loads((measured / "evaluation/choice.json").read_text())["rows"]
    final = {r["lang"]: r["accuracy"] for r in stated if r["model"] == "final"}
    found = {r["dataset"]["name"]: r["metrics"][0]["value"] for r in results if r["metrics"][0]["type"] == "accuracy"}
    assert found == {f"multiple-choice exercises, {lang}": value for lang, value in final.items()}
    assert "  author = {甲 and B}," in card and "Contact: mail@example.org" in card


def test_a_run_that_continues_a_model_with_tied_embeddings(written: Callable[..., Cards]) -> None:
    config = replace(small_release.CONFIG, url="https://example.org/x", watts=200.0, version="2.1.0")
    recipe = {"train": {**small_release.recipe()["train"], "init_from": "Qwen-小"}, "tokenizer": {"base_model": "qwen.model"}}
    published = corpus({"en": 50, "zh-Hans": 50}, {("handbook", "MIT"): 100})
    files = {
        "run/run.json": RUN,
        "run/stage1/metrics.jsonl": journal("stage1", 1, 100, {"web_en": 1.0}),
        "run/stage2/metrics.jsonl": None,
    }
    cards = written(recipe, config, published, files, {"tie_word_embeddings": True, "num_key_value_heads": 1})
    card = cards["README.md"]
    assert "continued from `Qwen-小`" in card and "from scratch" not in card and "tied embeddings" in card
    assert "untied" not in card and "multi-query attention (4 query heads share the keys and values of one)" in card
    assert "extended from qwen.model" in card and "One stage of training, without exercises." in card
    assert "1.50 hours of training on 2 cores, x86_64, 8 GB memory, Linux; 0.30 kWh, computed from the stated 200 W." in card
    told = head(card)
    assert told["base_model"] == "Qwen-小" and "from-scratch" not in told["tags"] and "continued-pretraining" in told["tags"]
    assert told["training"] == {"hardware": "2 cores, x86_64, 8 GB memory, Linux", "hours": 1.5, "energy_kwh": 0.3}
    assert "  year = {2026}," in card and r"\url{https://example.org/x}" in card and "version 2.1.0" in card


def test_an_english_run_over_a_users_own_news(written: Callable[..., Cards]) -> None:
    mixture = {
        "rows": [{"language": "en", "category": "web", "documents": 90, "bytes": 9000, "units": 100, "share": 1.0}],
        "valid": {},
    }
    files = {
        "run/corpus/mixture.json": mixture, "evaluation/choice.json": None, "evaluation/leakage.json": None, "evaluation/samples.json": None,
        "run/corpus/redaction.json": None, "run/tokenizer/measure.json": None, "run/stage2/metrics.jsonl": journal("stage2", 2, 200, {"web_en": 1.0}),
        "run/stage1/metrics.jsonl": journal("stage1", 1, 100, {"web_en": 1.0}), "evaluation/canaries.jsonl": "",
    }  # fmt: skip
    config = ReleaseConfig(name="News", license="CC-BY-4.0")
    sources = {"sources": [{"name": "news", "kind": "hub", "path": "owner/news@main", "license": ""}]}
    cards = written({"corpus": sources}, config, corpus({"en": 100}, {("news", "unknown"): 100}), files, {})
    card, text = cards["README.md"], cards["corpus/README.md"]
    assert "A English" not in card and "An English language model" in card
    assert "Chinese" not in card.split("## Evaluation")[0] and "web pages (100.0 %)" in card
    assert 'tokenizer("The", return_tensors="pt")' in card and "Arithmetic" not in card and "manuals" not in card
    assert "Two stages of training, without exercises." in card and "None were planted." in card
    assert "The authors are not named." in card and "No contact is named" in card
    assert head(card)["language"] == ["en"] and "bilingual" not in head(card)["tags"] and head(card)["license"] == "cc-by-4.0"
    assert head(card)["datasets"] == ["owner/news", "News"]
    assert "100 documents state no licence" in text and "| `lang` | `en` |" in text and "Nothing was redacted" in text


def test_a_large_chinese_run(written: Callable[..., Cards]) -> None:
    shape = {"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128, "intermediate_size": 11008,
             "num_hidden_layers": 32, "max_position_embeddings": 4096, "torch_dtype": "bfloat16"}  # fmt: skip
    stages = {
        f"run/{s}/metrics.jsonl": journal(s, n, n * 10**12, {"web_zh": 0.9, "stem_zh": 0.1})
        for n, s in enumerate(("stage1", "stage2"), 1)
    }
    config = ReleaseConfig(
        name="大模型", dtype="bfloat16", languages=("zh",), hardware="512 × A800", authors=("甲",), contact="a@b.cn"
    )
    cards = written({}, config, corpus({"zh-Hans": 80, "zh-Hant": 20}, {("网页", "CC0-1.0"): 100}), stages, shape)
    card = cards["README.md"]
    assert "A Chinese language model" in card and "Small-scale" not in card and "loses the thread" not in card
    assert "multi-head attention, untied" in card and "| weights | bfloat16 |" in card and "4,096 tokens" in card
    assert "It has read 2 T tokens; the report's model read 3.13 T." in card and "Measure it for your purpose" in card
    assert "Exercises are 10.0 % of Stage 1 and 10.0 % of Stage 2." in card and "on 512 × A800" in card
    assert head(card)["language"] == ["zh"] and "small-scale" not in head(card)["tags"]
    assert "| `lang` | `zh-Hans`, `zh-Hant` |" in cards["corpus/README.md"]


BEST = ("code", "web_zh")


def losses(lower: Sequence[str], paired: bool = True, sanity: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """perplexity.json of three models on two sets, 中文 among them; `lower`: sets where the final model is lower beyond chance."""
    models = ("stage1", "final", "xz")
    rows = [
        {"model": m, "set": s, "loss": 3.0, "perplexity": 20.0, "reference_loss": None, "reference_perplexity": None,
         "bits_per_byte": 2.0 + k / 10}
        for k, m in enumerate(models) for s in BEST
    ]  # fmt: skip
    pairs = [
        {"set": s, "model": "final", "other": other, "bits_per_byte": -0.1, "bits_per_byte_low": -0.2,
         "bits_per_byte_high": -0.05 if s in lower else 0.05, "reference_loss": None, "reference_loss_low": None,
         "reference_loss_high": None}
        for s in BEST for other in ("stage1", "xz")
    ]  # fmt: skip
    return {"reference": "units", "rows": rows, "average": [], "sanity": list(sanity), **({"paired": pairs} if paired else {})}


CHECK = {"check": "stage1 is below unigram", "set": "stem_zh", "ok": False, "value": 3.737659, "bound": 3.672959}
FINITE = {"check": "stage1's loss is finite", "set": "stem_zh", "ok": True, "value": 7.0, "bound": None}


@pytest.mark.parametrize(
    ("table", "said", "not_said"),
    [
        (
            losses(BEST[1:], sanity=[FINITE]),
            "A bold figure is lower than every other of its row beyond chance: the 95 %",
            "No figure",
        ),
        (losses((), sanity=[FINITE]), "No figure is lower than every other of its row beyond chance: the 95 %", "A bold figure"),
        (
            losses((), paired=False),
            "Differences between models were not tested in this run, so no figure is marked",
            "beyond chance",
        ),
    ],
)
def test_the_card_says_what_bold_figures_mean(
    written: Callable[..., Cards], table: dict[str, Any], said: str, not_said: str
) -> None:
    files = {"evaluation/perplexity.json": table}
    card = written({}, ReleaseConfig(), corpus({"en": 50, "zh-Hans": 50}, {}), files, {})["README.md"]
    assert said in card and not_said not in card
    assert ("**2.100**" in card) == said.startswith("A bold") and ("xz has one figure" in card) == ("beyond chance" in said)


def test_the_card_names_the_checks_that_fail(written: Callable[..., Cards], measured: Path) -> None:
    wrong = {"evaluation/perplexity.json": losses((), sanity=[CHECK, FINITE])}
    published = corpus({"en": 50, "zh-Hans": 50}, {})
    card = written({}, ReleaseConfig(), published, wrong, {})["README.md"]
    assert "**1 of 2 sanity checks of these figures fails:**" in card
    assert (
        "- stage1 is below unigram on Exercises, Chinese: 3.738, bound 3.673" in card
        and "sanity checks of these figures hold" not in card
    )
    stated = json.loads((measured / "evaluation/perplexity.json").read_text())["sanity"]
    failing = [row for row in stated if not row["ok"]]
    own = (measured / "README.md").read_text()
    assert own.count(" is below unigram on ") == sum("unigram" in row["check"] for row in failing)
    assert f"{len(failing)} of {len(stated)} sanity checks" in own if failing else f"All {len(stated)} sanity checks" in own


def test_a_card_without_checks_claims_none(written: Callable[..., Cards]) -> None:
    files = {"evaluation/perplexity.json": losses(())}
    card = written({}, ReleaseConfig(), corpus({"en": 50, "zh-Hans": 50}, {}), files, {})["README.md"]
    assert "These figures were not checked against the baseline." in card and "sanity checks" not in card


def test_the_funnel_of_the_cards_has_bytes(written: Callable[..., Cards]) -> None:
    extract, clean = Ledger(), Ledger()
    for stage, size, lost in (("source", 65_700_000, 0), ("extract", 21_400_000, 7)):
        extract.enter(stage, "手册", "zh", 5933, size)
        extract.post(stage, "手册", "zh", "", 5933 - lost, size)
        extract.post(stage, "手册", "zh", "no passages", lost, 0)
    clean.enter("duplicates", "手册", "zh", 5926, 21_400_000)
    clean.post("duplicates", "手册", "zh", "", 5000, 17_000_000)
    clean.post("duplicates", "手册", "zh", "near copy", 926, 4_396_000)
    clean.post("duplicates", "手册", "zh", "recurring blocks", 0, 4_000)
    clean.enter("duplicates", "exercises", "en", 400, 90_000)
    clean.post("duplicates", "exercises", "en", "", 400, 90_000)
    files = {"run/extract/ledger.json": extract.to_json(), "run/corpus/ledger.json": clean.to_json()}
    cards = written({}, ReleaseConfig(), corpus({"zh-Hans": 100}, {}), files, {})
    table = cards["corpus/README.md"]
    assert "| source | 5,933 | 5,933 | 65.7 MB | 65.7 MB |  |" in table
    unread = "44.3 MB of the pages is not in their text (markup, scripts, navigation)"
    assert f"| extract | 5,933 | 5,926 | 65.7 MB | 21.4 MB | {unread}; no passages: 7 (0 B) |" in table
    lost = "400 joined here; near copy: 926 (4.40 MB); recurring blocks: 4 kB cut from documents that stayed"
    assert f"| duplicates | 6,326 | 5,400 | 21.5 MB | 17.1 MB | {lost} |" in table
    told = "5,933 pages or documents with 65.7 MB came in first, 400 more at later stages; after 3 stages"
    assert f"{told} 5,400 documents with 17.1 MB of text are left." in cards["README.md"]
    without = {"run/extract/ledger.json": None, "run/corpus/ledger.json": None}
    card = written({}, ReleaseConfig(), corpus({"zh-Hans": 100}, {}), without, {})["README.md"]
    assert "came in" not in card


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_that_are_not_those_measured_are_told(written: Callable[..., Cards], dtype: str) -> None:
    shape = {"torch_dtype": dtype}
    card = written({}, ReleaseConfig(dtype=dtype), corpus({"en": 50, "zh-Hans": 50}, {}), {}, shape)["README.md"]
    told = "The results were computed with float32 weights; the released weights are bfloat16, rounded from these"
    assert (told in card) == (dtype == "bfloat16") and f"| weights | {dtype} |" in card


def test_results_are_computed_with_float32_weights(measured_run: dict[str, Store]) -> None:
    """What the sentence above says: whatever training computed in."""
    weights = load(measured_run["stage2"].child("final")).decoder.parameters()
    assert {str(weight.dtype) for weight in weights} == {f"torch.{MEASURED}"}


def test_a_changed_sentence_is_named_with_its_line(measured: Path, tmp_path: Path) -> None:
    store = Store(shutil.copytree(measured, tmp_path / "release"))
    from skyloom.release.licenses import Rules
    from skyloom.release.recount import recount

    published = recount(store, Rules()).published
    assert claims.differences(store, published) == []
    store.write_text("README.md", store.read_text("README.md").replace("This run had no safety training", "This model is safe"))
    (problem,) = claims.differences(store, published)
    assert "README.md, line" in problem and "This model is safe" in problem and "no safety training" in problem


def test_the_head_of_the_release_leads_load_dataset_to_the_corpus(
    measured: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    for place in (measured, measured / "corpus"):
        found = datasets.load_dataset(str(place), cache_dir=str(tmp_path / place.name))
        assert {split: len(rows) for split, rows in found.items()} == {
            s["name"]: s["num_examples"] for s in head((place / "README.md").read_text())["dataset_info"]["splits"]
        }
        assert {row["lang"] for row in found["train"]} == {"en", "zh-Hans"} and found["train"].column_names[0] == "text"


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"heads": 4}, "multi-head attention, untied"),
        ({"heads": 4, "key_heads": 1}, "share the keys and values of one"),
        ({"heads": 4, "key_heads": 2, "tied": True}, "share 2 heads of keys and values), tied"),
    ],
)
def test_the_form_is_that_of_the_weights(shape: dict[str, Any], words: str) -> None:
    assert words in sentences.form(ModelConfig(vocabulary=100, hidden=32, layers=1, ffn=48, **shape))


def test_a_citation_without_names_invents_none() -> None:
    text = metadata.citation(Facts(ReleaseConfig(name="示例 One"), {}, {}, "float32"))
    assert text.startswith("@misc{one,") and "author" not in text and "year" not in text
    assert sentences.prompt(Evidence(), ["zh"]) == "今天"
