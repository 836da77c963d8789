"""What a release says of itself beside its cards: each answer has its file, each list its form, and nothing is said that was not recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from skyloom.core.config import plain
from skyloom.core.store import Store
from skyloom.release.check import check
from skyloom.release.config import ReleaseConfig
from skyloom.release.sentences import Facts
from skyloom.release.statements.bill import bill, citation_file
from skyloom.release.statements.fmti_items import INDICATORS
from skyloom.run import watch
from tests.planted.small_release import resign

ANSWERED = 35
"""The bar: indicators that a run answers by itself."""


def test_at_least_35_indicators_are_answered_in_both_languages_with_a_file_that_is_there(measured: Path) -> None:
    rows = json.loads((measured / "transparency.json").read_text())
    assert [(r["indicator"], r["indicator_zh"]) for r in rows] == list(INDICATORS) and len(set(INDICATORS)) == len(rows) == 100
    answered = [row for row in rows if row["answer"]]
    assert len(answered) >= ANSWERED
    page = (measured / "transparency.md").read_text()
    for row in answered:
        answer = row["answer"]
        assert (measured / answer["file"]).exists(), row
        assert re.search(r"[一-鿿]", answer["zh"]) and not re.search(r"[一-鿿]", answer["en"].replace("小", ""))
        assert f"### {row['number']}. {row['indicator']} · {row['indicator_zh']}\n\n{answer['en']}\n\n{answer['zh']}\n" in page
    for row in rows:
        assert row["answer"] or f"- {row['number']}. {row['indicator']} · {row['indicator_zh']}\n" in page
    numbers = {row["indicator"]: row["answer"]["en"] for row in answered}
    tokens = json.loads((measured / "run/tokens/tokens.json").read_text())
    assert f"{sum(d['tokens'] for d in tokens['domains'].values()):,} tokens" in numbers["Data size"]


def test_what_was_not_recorded_is_a_question(released: Path) -> None:
    """A run whose figures are written by hand, without the power, the contact of nobody and no corpus overlap."""
    rows = {row["indicator"]: row["answer"] for row in json.loads((released / "transparency.json").read_text())}
    for name in (
        "Energy usage for final training run",
        "Carbon emissions for final training run",
        "Licensed data sources",
        "Model cost",
    ):
        assert rows[name] is None


def test_a_changed_answer_is_found(copy: Path) -> None:
    page = copy / "transparency.md"
    page.write_text(page.read_text().replace("个词元", "个词"))
    (copy / "corpus/croissant.json").unlink()
    resign(copy)
    (finding,) = [f for f in check(copy) if not f.ok]
    assert finding.name == "cards" and "transparency.md, line" in finding.detail and "croissant.json is missing" in finding.detail


def test_croissant_has_what_the_specification_asks_and_the_true_checksums(measured: Path) -> None:
    found = json.loads((measured / "corpus/croissant.json").read_text())
    sums = dict(reversed(line.split("  ")) for line in (measured / "SHA256SUMS").read_text().splitlines())
    assert {"@context", "@type", "name", "description", "license", "url", "version", "creator", "distribution", "recordSet"} <= set(
        found
    )
    assert (
        "http://mlcommons.org/croissant/1.1" in found["conformsTo"]
        and "http://mlcommons.org/croissant/RAI/1.0" in found["conformsTo"]
    )
    files = [f for f in found["distribution"] if f["@type"] == "cr:FileObject"]
    assert {f["@id"]: f["sha256"] for f in files} == {
        name.removeprefix("corpus/"): digest for name, digest in sums.items() if name.endswith(".jsonl.zst")
    }
    assert all(f["contentSize"] == f"{(measured / 'corpus' / f['@id']).stat().st_size} B" for f in files)
    ids = [
        node["@id"] for node in [*found["distribution"], *found["recordSet"], *(f for r in found["recordSet"] for f in r["field"])]
    ]
    assert len(set(ids)) == len(ids)
    assert {f["source"]["fileSet"]["@id"] for r in found["recordSet"] for f in r["field"]} <= set(ids)
    assert "语料" in found["name"]["zh"] and all(value for key, value in found.items() if key.startswith("rai:"))
    assert len([key for key in found if key.startswith("rai:")]) >= 8


def test_the_hub_reads_both_cards(measured: Path) -> None:
    """Their heads go through the hub's own card classes, and every result of `model-index` comes back with its value."""
    model, data = ModelCard.load(measured / "README.md"), DatasetCard.load(measured / "corpus/README.md")
    results = model.data.eval_results or []
    rows = json.loads((measured / "evaluation/choice.json").read_text())["rows"]
    assert len(results) > 4 and model.data.model_name == "Small 小"
    assert {r["accuracy"] for r in rows if r["model"] == "final"} <= {result.metric_value for result in results}
    assert data.data.to_dict()["license"] == "other"
    card = (measured / "corpus/README.md").read_text()
    assert all(
        f"**{name} · " in card for name in ("Motivation", "Composition", "Collection", "Preprocessing", "Uses", "Distribution")
    )


def test_the_overlap_stands_beside_every_score(measured: Path) -> None:
    row = next(r for r in json.loads((measured / "evaluation/leakage.json").read_text())["corpus"]["rows"] if r["split"] == "test")
    card = (measured / "README.md").read_text()
    table = card[card.index("### Multiple choice") : card.index("## Leakage audit")]
    scores = [line for line in table.splitlines() if re.match(r"\| \w.* \| (English|Chinese|both) \|", line)]
    assert scores and all(line.endswith(f"| {row['whole']} of {row['items']} |") for line in scores)


def _facts(**config: object) -> Facts:
    run = {
        "packages": [*watch.packages(), {"name": "没有_许可", "version": "1", "license": ""}], "finished": "2026-01-02 03:04:05",
        "steps": [{"name": "stage1", "seconds": 7200.0, "folder": "", "status": "done", "bytes": 0, "content": ""}],
    }  # fmt: skip
    return Facts(ReleaseConfig(**config), {"stages": [{"name": "stage1"}]}, run, "float32")  # type: ignore[arg-type]


def test_the_bill_of_materials_is_spdx(tmp_path: Path) -> None:
    found = bill(_facts(name="小 Model"))
    assert found is not None
    assert found["spdxVersion"] == "SPDX-2.3" and found["dataLicense"] == "CC0-1.0" and found["SPDXID"] == "SPDXRef-DOCUMENT"
    assert found["creationInfo"] == {"created": "2026-01-02T03:04:05Z", "creators": ["Tool: skyloom"]}
    assert re.fullmatch(r"https://spdx\.org/spdxdocs/[A-Za-z0-9.-]+", found["documentNamespace"])
    ids = [package["SPDXID"] for package in found["packages"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
    needed = {
        "name",
        "SPDXID",
        "downloadLocation",
        "filesAnalyzed",
        "licenseConcluded",
        "licenseDeclared",
        "copyrightText",
        "versionInfo",
    }
    assert all(needed <= set(package) for package in found["packages"])
    assert {r["relatedSpdxElement"] for r in found["relationships"]} == set(ids)
    names = {package["name"].lower() for package in found["packages"]}
    assert {"torch", "numpy", "huggingface_hub", "skyloom"} <= names and "pytest" not in names
    assert bill(Facts(ReleaseConfig(), {}, {}, "")) is None


def test_a_citation_needs_an_author() -> None:
    assert citation_file(_facts()) is None
    found = citation_file(_facts(name="小 Model", authors=("甲", "B"), repository="me/x"))
    assert found == yaml.safe_load(yaml.safe_dump(found, allow_unicode=True))
    assert found is not None and found["cff-version"] == "1.2.0" and found["authors"] == [{"name": "甲"}, {"name": "B"}]
    assert {"message", "title", "type"} <= set(found) and found["url"] == "https://huggingface.co/me/x"


@pytest.mark.parametrize(("watts", "grams", "energy", "carbon"), [(0, 500, None, None), (100, 0, 0.2, None), (100, 500, 0.2, 0.1)])
def test_energy_and_carbon_are_given_only_where_both_facts_are_stated(
    watts: float, grams: float, energy: float | None, carbon: float | None
) -> None:
    facts = _facts(watts=watts, grams_co2_per_kwh=grams)
    assert (facts.energy, facts.carbon) == (pytest.approx(energy) if energy else None, pytest.approx(carbon) if carbon else None)
    assert plain(facts.config)["grams_co2_per_kwh"] == grams


def test_the_release_lists_its_citation(measured: Path) -> None:
    assert yaml.safe_load((measured / "CITATION.cff").read_text())["authors"] == [{"name": "甲"}, {"name": "B"}]
    assert not Store(measured).exists("sbom.spdx.json"), "this run did not record its packages"
