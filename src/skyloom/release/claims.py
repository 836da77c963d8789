"""Every figure and sentence of the cards, compared with the raw results that lie in the same folder.

Input: a release folder. Output: the cards as its files give them. The build writes them once; the check writes them again and
compares line by line, so a figure that was changed in a card, or in a result without the card, does not pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest

import yaml

from skyloom.core.store import Store
from skyloom.model.hf import from_hf_config
from skyloom.release import canaries, cards, evidence, sums
from skyloom.release.corpus_shards import CORPUS, SPLITS, PublishedCorpus
from skyloom.release.folder import open_release, records_of
from skyloom.release.sentences import Facts
from skyloom.release.statements import bill as bills
from skyloom.release.statements import transparency
from skyloom.release.statements.croissant import PLACE, croissant
from skyloom.release.statements.datasheet import datasheet
from skyloom.release.statements.transparency import Told

MODEL_CARD, CORPUS_CARD = "README.md", "corpus/README.md"
TRANSPARENCY, TRANSPARENCY_PAGE = "transparency.json", "transparency.md"


def written_again(release: Store, published: PublishedCorpus, digests: Mapping[str, str]) -> dict[str, str]:
    """Both cards, and what is said beside them, by their place, from the files of the release and the counts of its corpus.

    `digests`: SHA-256 of the corpus' shards by their names in the release."""
    found, opened = evidence.read(records_of(release)), open_release(release)
    config = release.read_json("config.json")
    sown = len(canaries.read_list(release)) if found.canaries_read else 0
    facts = Facts(opened.config, opened.recipe, opened.run, str(config.get("torch_dtype", "")))
    models = [(m["folder"], m["stage"], m["step"], m["tokens"]) for m in opened.models if m["folder"]]
    told = Told(facts, from_hf_config(config), published, found, sown)
    sizes = release.sizes(f"{CORPUS}/")
    shards = {
        name.removeprefix(f"{CORPUS}/"): (digests[name], sizes[name])
        for split in SPLITS
        for name in release.names(f"{CORPUS}/{split}-")
    }
    rows = transparency.entries(told)
    bill, citation = bills.bill(facts), bills.citation_file(facts)
    return {
        MODEL_CARD: cards.model_card(facts, told.shape, models, published, found, sown),
        CORPUS_CARD: cards.corpus_card(facts, published, found, sown, datasheet(told)),
        PLACE: _json(croissant(told, shards)),
        TRANSPARENCY: _json(rows),
        TRANSPARENCY_PAGE: transparency.page(rows, facts.config.name),
        **({bills.BILL: _json(bill)} if bill else {}),
        **({bills.CITATION: yaml.safe_dump(citation, sort_keys=False, allow_unicode=True)} if citation else {}),
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def differences(release: Store, published: PublishedCorpus) -> list[str]:
    """The first line of each card, and of what stands beside them, that the results do not give, in words; empty if all do."""
    if earlier := canaries.earlier_control(release):
        return [f"the cards cannot be written again: {earlier}"]
    found = []
    for name, expected in written_again(release, published, sums.read(release)).items():
        if not release.exists(name):
            found.append(f"{name} is missing, the results in this release give it")
            continue
        pairs = zip_longest(release.read_text(name).splitlines(), expected.splitlines())
        for number, (stated, result) in enumerate(pairs, 1):
            if stated != result:
                found.append(f"{name}, line {number} says {_shown(stated)}, the results in this release say {_shown(result)}")
                break
    return found


def _shown(line: str | None) -> str:
    return "nothing" if line is None else repr(line if len(line) <= 160 else line[:157] + "…")
