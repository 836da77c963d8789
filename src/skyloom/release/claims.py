"""Every figure and sentence of the cards, compared with the raw results that lie in the same folder.

Input: a release folder. Output: the cards as its files give them. The build writes them once; the check writes them again and
compares line by line, so a figure that was changed in a card, or in a result without the card, does not pass.
"""

from __future__ import annotations

from itertools import zip_longest

from skyloom.core.store import Store
from skyloom.model.hf import from_hf_config
from skyloom.release import canaries, cards, evidence
from skyloom.release.corpus_shards import PublishedCorpus
from skyloom.release.folder import open_release, records_of
from skyloom.release.sentences import Facts

MODEL_CARD, CORPUS_CARD = "README.md", "corpus/README.md"


def written_again(release: Store, published: PublishedCorpus) -> dict[str, str]:
    """Both cards by their place, from the files of the release and the counts of its corpus."""
    found, opened = evidence.read(records_of(release)), open_release(release)
    config = release.read_json("config.json")
    sown = len(canaries.read_list(release)) if found.canaries_read else 0
    facts = Facts(opened.config, opened.recipe, opened.run, str(config.get("torch_dtype", "")))
    models = [(m["folder"], m["stage"], m["step"], m["tokens"]) for m in opened.models if m["folder"]]
    return {
        MODEL_CARD: cards.model_card(facts, from_hf_config(config), models, published, found, sown),
        CORPUS_CARD: cards.corpus_card(facts, published, found, sown),
    }


def differences(release: Store, published: PublishedCorpus) -> list[str]:
    """The first line of each card that its release's own results do not give, in words; empty if all do."""
    if earlier := canaries.earlier_control(release):
        return [f"the cards cannot be written again: {earlier}"]
    found = []
    for name, expected in written_again(release, published).items():
        pairs = zip_longest(release.read_text(name).splitlines(), expected.splitlines())
        for number, (stated, result) in enumerate(pairs, 1):
            if stated != result:
                found.append(f"{name}, line {number} says {_shown(stated)}, the results in this release say {_shown(result)}")
                break
    return found


def _shown(line: str | None) -> str:
    return "nothing" if line is None else repr(line if len(line) <= 160 else line[:157] + "…")
