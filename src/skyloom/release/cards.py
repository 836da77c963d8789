"""The model card and the corpus card of a release, as Markdown with a YAML head.

Every figure is one that a step wrote, and every sentence that depends on the run is computed (`sentences`); the prose around it is
in the templates. The YAML head is what hubs read (`metadata`). The cards also
say what a small model cannot do, what the corpus lost and for which reason, and which exercises were planted on purpose,
because the cards of such models seldom say it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import jinja2
import yaml

from skyloom.core.json_files import Cell
from skyloom.corpus.clean import EXEMPT
from skyloom.model.config import ModelConfig
from skyloom.release import formats, metadata, sentences, tables
from skyloom.release.corpus_shards import PublishedCorpus
from skyloom.release.evidence import Evidence
from skyloom.release.metadata import CardHead, ModelHead
from skyloom.release.sentences import Facts

REPORT_TOKENS = 3.13e12
"""Tokens that the report's model read in both stages (2.1), to say how small a run is."""


PERSONAL = {
    "email": "e-mail addresses",
    "phone": "phone numbers",
    "id_card": "identity-card numbers",
    "bank_card": "bank-card numbers",
    "ip": "IP addresses",
}


def model_card(
    facts: Facts,
    shape: ModelConfig,
    checkpoints: Sequence[tuple[str, str, int, int]],
    published: PublishedCorpus,
    evidence: Evidence,
    canaries: int,
) -> str:
    """`README.md` of the release. `checkpoints`: (folder, stage, step, tokens) of each intermediate model."""
    tokens = evidence.metrics[-1].get("tokens") if evidence.metrics else None
    codes, found = sentences.languages(facts, published), tables.perplexity(evidence)
    return _render(
        "model.md.jinja", metadata.model_head(facts, shape, published, evidence, codes), facts=facts, shape=shape,
        checkpoints=checkpoints, evidence=evidence, canaries=canaries, mixture=tables.mixture(evidence),
        stages=[(row, sentences.what_was_read(evidence, row["stage"])) for row in tables.stages(evidence)],
        perplexity=found, bold=sentences.bold("paired" in (evidence.perplexity or {}), found), checks=sentences.checks(evidence),
        rounded=sentences.rounded(facts), intake=sentences.intake(evidence), tokens=tokens,
        removed=sentences.removed(evidence),
        copies=evidence.tokens.get("canary_copies") if evidence.tokens else None,
        report_tokens=REPORT_TOKENS, measure=tables.measure(evidence), control=tables.control(evidence),
        kind=sentences.kind(codes), form=sentences.form(shape),
        small=sentences.small(shape, tokens),
        course=sentences.course(evidence), parts=sentences.parts(evidence), cost=sentences.cost(facts),
        overlap=sentences.overlap(evidence), whole=sentences.whole_items(evidence),
        tokenizer=sentences.tokenizer(facts, evidence), prompt=sentences.prompt(evidence, codes), citation=metadata.citation(facts),
        exercises=any(row["category"] == "stem" for row in (evidence.mixture or {"rows": []})["rows"]),
    )  # fmt: skip


def corpus_card(facts: Facts, published: PublishedCorpus, evidence: Evidence, canaries: int, datasheet: Sequence[object]) -> str:
    """`corpus/README.md`. Its YAML head states the number of documents of each split, which `check` counts again."""
    redaction = {PERSONAL.get(kind, kind): number for kind, number in (evidence.redaction or {}).items()}
    return _render(
        "corpus.md.jinja", metadata.corpus_head(facts, published, sentences.languages(facts, published)), facts=facts,
        published=published, funnel=tables.funnel(evidence), sources=tables.sources(evidence),
        mixture=tables.mixture(evidence), exempt=_exempt(evidence), redaction=redaction, canaries=canaries, datasheet=datasheet,
        removed=sentences.removed(evidence),
        licenses=[(source, license, number) for (source, license), number in sorted(published.licenses.items())],
        langs=sorted(lang for lang, number in published.languages.items() if number),
    )  # fmt: skip


def head_of(card: str) -> CardHead:
    """The YAML head of a card. ValueError if there is none."""
    parts = card.split("---\n", 2)
    if len(parts) != 3 or parts[0]:
        raise ValueError("the card does not begin with a YAML head")
    head: CardHead = yaml.safe_load(parts[1])
    if type(head) is not dict:
        raise ValueError("the card does not begin with a YAML head")
    return head


def _exempt(evidence: Evidence) -> list[tuple[str, list[str]]]:
    """Stages with the sources that passed them, or a part of whose documents passed them, unjudged."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in evidence.cleaning.entries() if evidence.cleaning else ():
        if entry.reason == EXEMPT:
            found[entry.stage].add(entry.source)
    order = evidence.cleaning.stages() if evidence.cleaning else []
    return [(stage, sorted(found[stage])) for stage in order if stage in found]


def _render(template: str, head: CardHead | ModelHead, **context: object) -> str:
    environment = jinja2.Environment(  # Markdown, not HTML: autoescape would write &#39; into the text
        loader=jinja2.PackageLoader("skyloom.release", "templates"), autoescape=False, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    for name in ("count", "short", "size", "percent", "decimal", "span", "scientific"):
        environment.filters[name] = getattr(formats, name)
    environment.filters.update(domain=tables.domain_name, language=tables.language_name, model=tables.model_name, cell=_cell)
    environment.filters["losses"] = tables.losses
    environment.filters["code_span"] = lambda text: f"`{text}`"
    text = environment.get_template(template).render(**context)
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n{text}"


def _cell(value: Cell) -> str:
    """Text for a cell of a Markdown table: one line, without what would end the cell or begin a tag."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
