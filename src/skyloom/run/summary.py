"""Results of finished steps as rows for tables, which the command line and the end of a run print."""

from __future__ import annotations

from collections.abc import Sequence

from skyloom.core.json_files import Figure, HeldoutEntry, LeakageReport, PerplexityTable, Row, Rows
from skyloom.core.ledger import Ledger
from skyloom.core.step import read_manifest, seconds_taken
from skyloom.core.store import Store
from skyloom.corpus.clean import MEANINGS, asked_for
from skyloom.corpus.clean import ORDER as FILTERS
from skyloom.corpus.filters import resolve
from skyloom.data.loader import SourceProgress
from skyloom.leakage.control_words import outcome, sentence
from skyloom.release.tables import model_name
from skyloom.run.recipe import Recipe, order, stage_of, stages
from skyloom.run.run import ResolvedRun
from skyloom.train.stage_list import planting

SNIPPET = 60


def summary(run: ResolvedRun) -> list[tuple[str, Rows]]:
    """The tables at the end of a run: ledger, corpus, held-out losses, accuracy, leakage, and what each step took."""
    return [
        ("ledger: in = kept + dropped by reason", ledger_rows(run)),
        ("corpus by language and category (as the report's Table 1)", mixture_rows(run)),
        ("held-out loss in nats per token while it trained, and bits per byte of the final evaluation", heldout_rows(run)),
        *([("checks of the evaluation that fail", failed)] if (failed := failed_rows(run)) else []),
        ("multiple choice", choice_rows(run)),
        *leakage_tables(run),
        ("steps", step_rows(run)),
    ]


def ledger_rows(run: ResolvedRun) -> Rows:
    """Documents and bytes by stage and reason, extraction and cleaning in one table."""
    rows: Rows = []
    for step in ("extract", "corpus"):
        ledger = Ledger.from_json(run.folder(step).read_json("ledger.json"))
        ledger.check()
        for stage in ledger.stages():
            came = [cell for key, cell in ledger.intake.items() if key[0] == stage]
            documents, size = sum(c[0] for c in came), sum(c[1] for c in came)
            rows.append({"stage": stage, "what": "in", "documents": documents, "bytes": size})
            for reason, (count, bytes_) in ledger.totals(stage).items():
                rows.append({"stage": stage, "what": reason or "kept", "documents": count, "bytes": bytes_})
    return rows


def filter_rows(recipe: Recipe) -> Rows:
    """The filters of a recipe in their order, those of one's own between the built-in ones; those that do not run have no place."""
    clean, rows, place = recipe.corpus.clean, list[Row](), 0
    own = resolve(recipe.corpus.filters)
    why = asked_for(clean.order, clean.asked)
    for name in [*clean.order, *(name for name in FILTERS if name not in clean.order)]:
        place += not why[name]
        rows.append({"place": None if why[name] else place, "filter": name, "what": MEANINGS[name], "not run": why[name] or None})
        for one in (one for one in own if one.config.after == name):
            place += 1
            what = f"{one.config.use}, version {one.version}, gives {'texts' if one.texts else 'reasons'}"
            rows.append({"place": place, "filter": one.name, "what": what, "not run": None})
    return rows


def mixture_rows(run: ResolvedRun) -> Rows:
    """The training part of the corpus by language and category; `share` is of units of text."""
    rows = run.folder("corpus").read_json("mixture.json")["rows"]
    return [{key: row[key] for key in ("language", "category", "documents", "bytes", "units", "share")} for row in rows]


def compression_rows(run: ResolvedRun) -> Rows:
    """Bytes and units that a token carries, by domain of the held-out documents."""
    columns = ("domain", "bytes", "tokens", "bytes_per_token", "units_per_token", "fallback_share")
    return [{key: row[key] for key in columns} for row in run.folder("tokenizer").read_json("measure.json")["rows"]]


def perplexity_rows(run: ResolvedRun) -> Rows:
    """Losses of both checkpoints and the baselines on each held-out set."""
    columns = ("model", "set", "loss", "low", "high", "perplexity", "reference_perplexity", "bits_per_byte")
    rows = run.folder("evaluate").read_json("perplexity.json")["rows"]
    return [{key: row[key] for key in columns} for row in rows]


def choice_rows(run: ResolvedRun) -> Rows:
    """Accuracy with its 95 % interval, against chance."""
    rows = run.folder("evaluate").read_json("choice.json")["rows"]
    return [{key: row[key] for key in ("model", "lang", "items", "correct", "accuracy", "low", "high", "chance")} for row in rows]


def token_rows(run: ResolvedRun) -> Rows:
    """Tokens and documents of each domain's shard."""
    domains = run.folder("tokens").read_json("tokens.json")["domains"]
    return [{"domain": d, "documents": e["documents"], "tokens": e["tokens"]} for d, e in sorted(domains.items())]


def step_tables(run: ResolvedRun, stage: str, step: int, rank: int, world: int) -> tuple[Rows, Rows]:
    """Each sample of a training step (where it is from, which documents it holds, how it begins), of one data-parallel rank of
    `world`; and what was planned and read of each source when the step was done."""
    from skyloom.core.errors import ConfigError
    from skyloom.run.stages import open_stream
    from skyloom.tokenizer import Tokenizer

    stage_of(run.recipe, stage)
    feed = open_stream(run.recipe, stage, run.folder("tokens"), run.progress)
    if step >= feed.steps:
        raise ConfigError(f"{stage} has {feed.steps} steps, 0 to {feed.steps - 1}; there is no step {step}")
    tokenizer = Tokenizer.load(run.folder("tokenizer"))
    batch = feed.batch(step, rank=rank, world=world)
    rows: Rows = []
    for seen in feed.documents(step, rank=rank, world=world):
        text = " ".join(tokenizer.decode(batch.tokens[seen.row].tolist()).split())[:SNIPPET]
        rows.append({"row": seen.row, "source": seen.domain, "epoch": seen.epoch, "documents": " ".join(seen.ids), "text": text})
    return rows, progress_rows(feed.progress(step + 1))


def progress_rows(sources: Sequence[SourceProgress]) -> Rows:
    """Planned against realised shares of each source so far in a stage, in percent."""
    return [
        {
            "source": source.domain,
            "planned %": round(100 * source.planned, 3),
            "realised %": round(100 * source.realised, 3),
            "samples": source.samples,
            "passes": round(source.passes, 3),
        }
        for source in sources
    ]


def heldout_rows(run: ResolvedRun) -> Rows:
    """The last monitored loss of each held-out set in each stage, beside the first; and bits per byte beside the baselines.

    Bits per byte are the evaluation's, as the baselines' are, because the monitor scores less of each set; before there is an
    evaluation, they are the monitor's.
    """
    found: dict[str, Row] = {}
    for stage in stages(run.recipe):
        for line in _lines(run.folder(stage)) if run.folder(stage).exists("heldout.jsonl") else ():
            row = found.setdefault(line["set"], {"set": line["set"], "at the start": line["loss"]})
            row[f"after {stage}"], row["bits per byte"] = line["loss"], line["bits_per_byte"]
    if run.folder("evaluate").exists("perplexity.json"):
        losses: PerplexityTable = run.folder("evaluate").read_json("perplexity.json")
        for entry in losses["rows"]:
            if entry["model"] in ("final", "unigram", "xz") and entry["set"] in found:
                name = "bits per byte" if entry["model"] == "final" else f"{entry['model']} bits per byte"
                found[entry["set"]][name] = entry["bits_per_byte"]
    return [found[name] for name in sorted(found)]


def failed_rows(run: ResolvedRun) -> Rows:
    """The checks of the evaluation that fail, with their figures."""
    table: PerplexityTable = run.folder("evaluate").read_json("perplexity.json")
    return [{k: row[k] for k in ("check", "set", "value", "bound")} for row in table["sanity"] if not row["ok"]]


def leakage_tables(run: ResolvedRun) -> list[tuple[str, Rows]]:
    """Losses and gaps by model, and what the audit says of them and of its control."""
    found: LeakageReport = run.folder("leakage").read_json("leakage.json")
    rows: Rows = []
    for row in found["rows"]:
        rows.append(
            {
                "model": row["model"],
                "L_train": row["L_train"],
                "L_test": row["L_test"],
                "L_ref": row["L_ref"],
                "Δ1": _interval(row["delta1"], row["delta1_low"], row["delta1_high"]),
                "Δ2": _interval(row["delta2"], row["delta2_low"], row["delta2_high"]),
            }
        )
    verdicts: Rows = [{"model": row["model"], "verdict": found["words"][row["model"]]} for row in found["rows"]]
    planted = (found["control"] or {}).get("models") or {}
    controls: Rows = [
        {
            "model": model,
            "Δ1 of canaries": _interval(row["delta1"], row["delta1_low"], row["delta1_high"]),
            "Δ1 of held-back": _interval(row["heldback_delta1"], row["heldback_delta1_low"], row["heldback_delta1_high"]),
            "planted − held back": _interval(row["paired"], row["paired_low"], row["paired_high"]),
            "canaries": outcome(row),
        }
        for model, row in planted.items()
    ]
    read = model_name(planting(run.recipe.stages).planted)
    told: Rows = [{"control": sentence(found["control"]) or found["words"]["control"]}]
    return [
        ("leakage, nats per token (Δ1 = L_test − L_ref, Δ2 = L_test − L_train)", rows),
        ("verdicts", verdicts),
        *([(f"control: the planted half was read in {read}, the held-back half by no stage", controls)] if controls else []),
        ("what the control shows", told),
    ]


def step_rows(run: ResolvedRun) -> Rows:
    """Seconds and bytes of each step, from the run that did it."""
    rows: Rows = []
    for name in [n for n in order(run.recipe) if n in run.steps]:
        folder = run.folder(name)
        manifest = read_manifest(folder, run.steps[name])
        size = sum(f["size"] for f in manifest["files"])
        rows.append({"step": name, "seconds": seconds_taken(folder), "bytes": size, "content": manifest["content"][:12]})
    return rows


def _interval(value: Figure, low: Figure, high: Figure) -> str:
    """A gap with its sign and its interval; "–" for what could not be measured."""
    ends = [f"{figure:+.3f}" if figure is not None else "–" for figure in (value, low, high)]
    return f"{ends[0]} [{ends[1]}, {ends[2]}]"


def _lines(folder: Store) -> list[HeldoutEntry]:
    return list(folder.read_json_lines("heldout.jsonl"))
