"""The evaluation step: perplexity tables, multiple-choice accuracy and samples of several models, as JSON files.

`perplexity.json` holds the loss of each model on each held-out set beside two baselines, `losses.json` those of each text, with
which models of other runs can be compared text by text, `choice.json` the accuracy on multiple-choice exercises, `samples.json`
what the models write. Report 4 prints such tables for finished models; here they stand beside what a model must beat, with
intervals, and with checks that a reader would make: they are written down with their outcome, and a failed one is published
like a good figure.
"""

from __future__ import annotations

import hashlib
from typing import TypedDict

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.indexed import open_indexed
from skyloom.data.pack import MANIFEST
from skyloom.evaluate.baselines import token_counts, unigram_losses, unigram_nats, xz_bits_per_byte
from skyloom.evaluate.config import EvaluateConfig
from skyloom.evaluate.models import Models, as_tokenizer, load
from skyloom.evaluate.paired import PairedRow, SetFigures, differences, fixed_figures, set_figures
from skyloom.evaluate.perplexity import (
    AverageRow,
    PerplexityRow,
    SanityCheck,
    TableSet,
    average,
    bits_row,
    reference_counter,
    row,
    sanity,
    table_set,
)
from skyloom.evaluate.samples import write_samples
from skyloom.evaluate.tasks import answers, prompts, rows
from skyloom.score.intervals import Floats
from skyloom.score.nll import TextLosses
from skyloom.suites import HeldoutSetsConfig, heldout_sets
from skyloom.tokenizer import Tokenizer

UNIGRAM, XZ = "unigram", "xz"
LOSSES = "losses.json"
WHOLE = HeldoutSetsConfig(max_documents=1 << 40, max_bytes=1 << 60)
"""Sets are cut here, after documents were: the suite's own cut is by whole documents, which makes few and long ones."""


def evaluate(
    models: Models,
    corpus: Store,
    exercises: Store,
    tokens: Store,
    tokenizer: Tokenizer | Store,
    out: Store,
    config: EvaluateConfig,
    *,
    progress: Progress,
) -> None:
    """Write `perplexity.json`, `losses.json`, `choice.json` and `samples.json`.

    `corpus`, `exercises`, `tokens` and `tokenizer` are the folders of the steps of those names; models are named as
    tables name them. DataError if there is nothing held out; IntegrityError if a checkpoint is damaged.
    """
    vocabulary = as_tokenizer(tokenizer)
    words, count = reference_counter(config.reference)
    found = heldout_sets(corpus, exercises, WHOLE)
    sets = [table_set(s.name, s.texts, count, config.document_characters, config.set_bytes) for s in found.values()]
    asked = prompts(exercises, items=config.items, shots=config.shots, scoring=config.scoring)
    table = _Table(config)
    choice, samples = [], []
    texts: dict[str, dict[str, dict[str, list[float]]]] = {}
    with progress.task("evaluate", len(models) * (len(sets) + 2) + 2 * len(sets), "parts") as bar:
        for name, source in models.items():
            model = load(source)
            for held in sets:
                bar.note(f"{name}: {held.name}")
                losses = model.score(vocabulary, held.texts, config.batch_tokens, held.reference)
                table.add(name, held.name, losses)
                texts.setdefault(name, {})[held.name] = _by_text(losses)
                bar.advance()
            bar.note(f"{name}: choices")
            given = answers(model, vocabulary, [p for _, p in asked], config.batch_tokens)
            choice += rows(name, asked, given)
            bar.advance()
            bar.note(f"{name}: samples")
            samples += write_samples(name, model, vocabulary, config.sampling)
            bar.advance()
        bar.note("baselines")
        costs = training_unigram(tokens)
        for held in sets:
            table.add(UNIGRAM, held.name, unigram_losses(held, vocabulary.encode_column, costs))
            bar.advance()
        for held in sets:
            table.add_bits(XZ, held, xz_bits_per_byte(held.texts))
            bar.advance()
    out.write_json("perplexity.json", {"reference": words, **table.to_json()})
    out.write_json(LOSSES, {"sets": {held.name: _identity(held) for held in sets}, "models": texts})
    out.write_json("choice.json", {"scoring": config.scoring, "shots": config.shots, "rows": choice})
    out.write_json("samples.json", samples)


def _by_text(losses: TextLosses) -> dict[str, list[float]]:
    """Nats (to a ten-thousandth), tokens and bytes of each text."""
    return {
        "nats": [round(float(nats), 4) for nats in losses.nats],
        "tokens": losses.tokens.tolist(),
        "bytes": losses.bytes.tolist(),
    }


def _identity(held: TableSet) -> str:
    """SHA-256 of the texts of a set in their order: two runs with the same one scored the same texts."""
    digest = hashlib.sha256()
    for text in held.texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()


def training_unigram(tokens: Store) -> Floats:
    """Nats that each token costs under the frequencies of the training tokens, float64[vocabulary].

    Every domain of `tokens.json` is counted once as it was packed, whatever share the stages gave it.
    """
    manifest = tokens.read_json(MANIFEST)
    shards = [open_indexed(tokens, domain).tokens for domain in sorted(manifest["domains"])]
    return unigram_nats(token_counts(shards, int(manifest["vocabulary"])))


class _TableJson(TypedDict):
    rows: list[PerplexityRow]
    average: list[AverageRow]
    paired: list[PairedRow]
    sanity: list[SanityCheck]


class _Table:
    """The rows of `perplexity.json` as they come, with the bootstrap draws that the averages need."""

    def __init__(self, config: EvaluateConfig) -> None:
        self._config = config
        self._rows: list[PerplexityRow] = []
        self._draws: dict[str, list[Floats]] = {}
        self._figures: dict[str, dict[str, SetFigures]] = {}

    def add(self, model: str, name: str, losses: TextLosses) -> None:
        line, draws = row(model, name, losses, seed=self._config.seed, resamples=self._config.resamples)
        self._rows.append(line)
        self._draws.setdefault(model, []).append(draws)
        found = set_figures(name, losses, seed=self._config.seed, resamples=self._config.resamples)
        self._figures.setdefault(model, {})[name] = found

    def add_bits(self, model: str, held: TableSet, bits_per_byte: float) -> None:
        self._rows.append(bits_row(model, held, bits_per_byte))
        self._figures.setdefault(model, {})[held.name] = fixed_figures(bits_per_byte, self._config.resamples)

    def to_json(self) -> _TableJson:
        lines: dict[str, list[PerplexityRow]] = {}
        for line in self._rows:
            lines.setdefault(line["model"], []).append(line)
        return {
            "rows": self._rows,
            "average": [average(name, mine, self._draws.get(name, [])) for name, mine in lines.items()],
            "paired": differences(self._figures),
            "sanity": [check for name in lines if name not in (UNIGRAM, XZ) for check in sanity(self._rows, name, UNIGRAM)],
        }
