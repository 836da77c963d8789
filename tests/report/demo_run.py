"""A small bilingual run as its files, written by hand in the form of docs/design.md: what the report is tested on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from skyloom.core.ledger import Ledger
from skyloom.core.store import Store
from skyloom.corpus.clean.funnel import EXEMPT
from skyloom.corpus.sources import copyright_place

SETS = ("web_en", "web_zh", "code", "stem_en", "stem_zh", "parallel")
STEPS = ("pages", "extract", "corpus", "tokenizer", "tokens", "references", "stage1", "stage2", "evaluate", "leakage")
HOSTILE = '</div><script>document.title="owned"</script><img src=x onerror=alert(1)> & "quotes" \x00\u202e 中文\ud800'
LONG = "https://example.org/" + "a" * 300
MACHINE = {"system": "Linux", "architecture": "x86_64", "cores": 2, "memory_bytes": 8_000_000_000}
MIX = {"stage1": {"web_en": 0.45, "web_zh": 0.42, "code": 0.08, "parallel": 0.05, "stem_en": 0.0, "stem_zh": 0.0}}
MIX["stage2"] = {"web_en": 0.34, "web_zh": 0.33, "code": 0.06, "parallel": 0.05, "stem_en": 0.11, "stem_zh": 0.09, "canary": 0.02}


def build(root: Path) -> dict[str, Store]:
    """Write every step's files below `root`; the stores by step name."""
    stores = {name: Store(root / name) for name in STEPS}
    _corpus(stores)
    for stage, first in (("stage1", 0), ("stage2", 240)):
        _stage(stores[stage], stage, first)
    _results(stores)
    none = dict.fromkeys(("low", "high", "documents", "bytes", "changed"))
    others = [("LLaMA2-7B", "web_en", 1.4), ("LLaMA2-7B", "web_zh", 2.9), ("小模型 <1B>", "web_zh", 3.4)]
    stores["references"].write_json("references.json", [{"model": m, "set": s, "bits_per_byte": b, **none} for m, s, b in others])
    return stores


def run_facts() -> dict[str, Any]:
    return {
        "name": "demo",
        "recipe": {"name": "demo", "train": {"seed": 1, "steps": 240, "note": None}, "languages": ["en", "zh"], "标题": "示例"},
        "steps": [
            {
                "name": name,
                "folder": f"{name}-{'0123456789abcdef'}",
                "status": "done",
                "seconds": 3.5 + 11 * n,
                "bytes": 10**5 * (n + 1),
                "content": f"{n:064x}",
                "machine": MACHINE,
            }
            for n, name in enumerate(STEPS)
        ],
        "versions": {"python": "3.11", "skyloom": "0.1.0", "torch": "2.13.0"},
        "machine": MACHINE,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "finished": "2026-11-29T10:20:30+00:00",
        "asked": "demo",
        "planned": {
            stage: {
                "tokens": 983_040,
                "domains": list(mix),
                "positions": [0.0, 1.0],
                "shares": [list(mix.values()), list(mix.values())],
            }
            for stage, mix in MIX.items()
        },
    }


def _corpus(stores: dict[str, Store]) -> None:
    stores["pages"].write_json(
        "sources.json",
        [
            {"name": "handbook", "kind": "apt", "origin": "debian packages", "pages": 900, "bytes": 9_000_000, "note": "manuals"},
            {"name": "handbook-zh", "kind": "apt", "origin": "debian packages", "pages": 700, "bytes": 7_000_000, "note": "手册"},
        ],
    )
    packages = [("handbook", "debian-handbook", "11.20220917", "GPL-2+"), ("handbook-zh", "maint-guide-zh-cn", "1.2.53", "GPL-2+")]
    stores["pages"].write_json(
        "copyright/packages.json",
        [{"source": s, "package": p, "version": v, "license": why, "file": f"copyright/{p}"} for s, p, v, why in packages],
    )
    for _, package, _, license_name in packages:
        stores["pages"].write_text(copyright_place(package), f"{license_name}\n许可\n")
    extract, clean = Ledger(), Ledger()
    for source, lang, entered in (("handbook", "en", 900), ("handbook-zh", "zh-Hans", 700)):
        left = entered
        left = _gate(extract, "source", source, "", left, {"too_large": 4})
        left = _gate(extract, "extract", source, "", left, {"no passage": 31, "not HTML": 2})
        left = _gate(extract, "language", source, lang, left, {"other language": 88})
        clean_in = left
        left = _gate(clean, "duplicates", source, lang, clean_in, {"exact copy": 40, "near copy": 95})
        left = _gate(clean, "quality", source, lang, left, {"low score": 120})
        _gate(clean, "held_out", source, lang, left, {"near copy of a held-out document": 3})
    for stage in ("duplicates", "quality", "held_out"):
        _gate(clean, stage, "exercises", "en", 400, {})
    clean.post("quality", "exercises", "en", EXEMPT, 0, 0)
    clean.enter("quality", "handbook", "en", 0, 2500)
    clean.post("quality", "handbook", "en", "recurring blocks", 0, 2500)
    stores["extract"].write_json("ledger.json", extract.to_json())
    stores["corpus"].write_json("ledger.json", clean.to_json())
    rows = [
        ("en", "web", 520, 0.41),
        ("en", "stem", 200, 0.05),
        ("zh", "web", 330, 0.37),
        ("zh", "stem", 200, 0.04),
        ("code", "code", 90, 0.08),
        ("en", "parallel", 60, 0.05),
    ]
    stores["corpus"].write_json(
        "mixture.json",
        {
            "rows": [
                {"language": a, "category": b, "documents": n, "bytes": n * 4321, "units": n * 900, "share": s}
                for a, b, n, s in rows
            ],
            "valid": {name: {"documents": 12, "bytes": 40_000} for name in SETS},
        },
    )
    kept = [
        {
            "id": f"{n:032x}",
            "source": "handbook",
            "lang": "zh-Hans" if n % 2 else "en",
            "domain": "web_zh" if n % 2 else "web_en",
            "url": LONG,
            "text": "安装手册说明如何配置网络。" * 12 if n % 2 else "The manual explains how a network is set up. " * 8,
        }
        for n in range(6)
    ]
    dropped = [
        {
            "id": f"{n:032x}",
            "source": "handbook",
            "lang": "en",
            "stage": "quality",
            "reason": "low score",
            "url": "javascript:alert(1)",
            "text": HOSTILE,
        }
        for n in range(2)
    ]
    dropped.append(
        {**dropped[0], "stage": "language", "reason": "other language", "lang": "other", "text": "Texte en français. " * 20}
    )
    stores["corpus"].write_text("examples.json", json.dumps({"kept": kept, "dropped": dropped}))
    stores["corpus"].write_json("redaction.json", {"email": 12, "phone": 3, "ip": 0})
    stores["tokenizer"].write_json(
        "measure.json",
        {
            "rows": [
                {
                    "domain": d,
                    "bytes": 100_000 + n,
                    "tokens": 30_000,
                    "bytes_per_token": 3.1 + n / 5,
                    "units_per_token": 0.8 - n / 20,
                    "fallback_share": n / 500,
                }
                for n, d in enumerate(SETS)
            ],
            "parts": {"latin": 6000, "chinese_characters": 1500, "chinese_words": 600, "reserved": 17},
            "least_used": [[8000, "龘", 1]],
        },
    )
    stores["tokens"].write_json("tokens.json", {"vocabulary": 8192, "canary_copies": 10, "domains": {}})


def _gate(ledger: Ledger, stage: str, source: str, lang: str, entered: int, reasons: dict[str, int]) -> int:
    ledger.enter(stage, source, lang, entered, entered * 4000)
    for reason, number in reasons.items():
        ledger.post(stage, source, lang, reason, number, number * 4000)
    kept = entered - sum(reasons.values())
    ledger.post(stage, source, lang, "", kept, kept * 4000)
    return kept


def _stage(store: Store, stage: str, first: int) -> None:
    metrics, heldout, speed = [], [], []
    for step in range(first + 1, first + 241):
        tokens = step * 4096
        wobble = math.sin(step * 12.9898) * 0.12
        metrics.append(
            {
                "stage": stage,
                "step": step,
                "tokens": tokens,
                "loss": 3.4 + 5.5 * math.exp(-step / 60) + wobble,
                "lr": 1e-3 * (0.1 + 0.9 * math.exp(-step / 150)),
                "grad_norm": 1.0,
                "shares": MIX[stage],
            }
        )
        speed.append(
            {
                "step": step,
                "tokens_per_s": 6000 + 300 * math.sin(step),
                "data_wait_share": 0.01,
                "mfu": 0.21,
                "peak_flops": 312e12,
                "memory_bytes": 1_200_000_000,
                "seconds": 0.68,
            }
        )
        if step % 30 == 0:
            for n, name in enumerate(SETS):
                falls = 4.0 if stage == "stage2" and "stem" in name else 5.0
                loss = 3.1 + 0.2 * n + falls * math.exp(-step / 80)
                heldout.append(
                    {
                        "stage": stage,
                        "step": step,
                        "tokens": tokens,
                        "set": name,
                        "loss": loss,
                        "bits_per_byte": loss / 2,
                        "low": loss - 0.12,
                        "high": loss + 0.15,
                        "scored_tokens": 9000,
                        "scored_bytes": 30_000,
                    }
                )
    for name, rows in (("metrics.jsonl", metrics), ("heldout.jsonl", heldout), ("telemetry/speed.jsonl", speed)):
        store.write_text(name, "".join(json.dumps(row) + "\n" for row in rows))
    _told(store, stage, first)
    calendar = {"first_step": first, "steps": 240}
    store.write_json(
        "plan.json", {"stage": stage, "calendar": calendar, "parameters": 3_000_000, "steps": 240, "shares": MIX[stage]}
    )


REPEATS = {"points": 8, "heldout_change": 0.21, "training_change": -0.4, "heldout": 3.3}
TREND = {"loss": 3.4, "expected": 3.1, "departure": 0.09677, "limit": 0.02}
HOSTILE_REASON = "the loss is nan <script>alert(1)</script>"


def _told(store: Store, stage: str, first: int) -> None:
    """An alarm of each kind, a skipped batch in stage 2, and the scores of two checkpoints."""
    where = {"stage": stage, "step": first + 120, "tokens": (first + 120) * 4096}
    alarms = [
        {
            "kind": "repeats",
            "set": "all",
            **where,
            "figures": REPEATS,
            "sentence": "over the last 8 monitoring points the mean rose",
        },
        {"kind": "trend", "set": "web_zh", **where, "figures": TREND, "sentence": "the held-out loss of web_zh is 3.400"},
    ]
    skips = [
        {**where, "stage_step": 119, "reason": HOSTILE_REASON, "loss": None, "grad_norm": None, "documents": {"web_zh": ["a", "b"]}}
    ]
    scores = [
        {"stage": stage, "step": first + step, "tokens": (first + step) * 4096, "benchmark": "exercises", "lang": lang, "items": 20,
         "accuracy": 0.4, "low": 0.22, "high": 0.61, "chance": 0.25}
        for step in (120, 240) for lang in ("en", "zh-Hans", "both")
    ]  # fmt: skip
    end = {
        "stage": stage,
        "step": first + 240,
        "tokens": (first + 240) * 4096,
        "lang": "",
        "filter": "none",
        "shots": 0,
        "of": 2376,
    }
    scores += [
        {**end, "benchmark": "arc_easy", "items": 50, "accuracy": 0.34, "low": 0.225, "high": 0.479, "chance": 0.25, "metric": "acc",
         "value": 0.34, "bits_per_byte": 1.234, "bits_low": 1.1, "bits_high": 1.4, "prompts": "0f"},
        {**end, "benchmark": "wikitext", "items": 62, "of": 62, "accuracy": None, "low": 1.4, "high": 1.8, "chance": None,
         "metric": "bits_per_byte", "value": 1.612, "bits_per_byte": None, "bits_low": None, "bits_high": None, "prompts": "0f"},
    ]  # fmt: skip
    told = {
        "alarms.jsonl": alarms if stage == "stage1" else [],
        "skips.jsonl": skips if stage == "stage2" else [],
        "scores.jsonl": scores,
    }
    for name, rows in told.items():
        store.write_text(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _results(stores: dict[str, Store]) -> None:
    rows, average = [], []
    for m, (model, base) in enumerate((("stage1", 3.7), ("final", 3.4), ("unigram", 6.9), ("xz", None))):
        for n, name in enumerate(SETS):
            loss = base + n / 10 if base else None
            rows.append(
                {
                    "model": model,
                    "set": name,
                    "loss": loss,
                    "perplexity": loss and math.exp(loss),
                    "reference_loss": loss,
                    "reference_perplexity": loss and math.exp(loss),
                    "bits_per_byte": 1.9 + m * 0.3 + n / 20,
                    "low": loss and loss - 0.1,
                    "high": loss and loss + 0.1,
                    "tokens": 9000,
                    "bytes": 30_000,
                }
            )
        average.append(
            {"model": model, "reference_perplexity": math.exp(base + 0.25) if base else None, "bits_per_byte": 2.0 + m * 0.3}
        )
    paired = [
        {"model": "final", "other": other, "set": name, "bits_per_byte": -0.4, "bits_per_byte_low": -0.5, "bits_per_byte_high": high,
         "reference_loss": None, "reference_loss_low": None, "reference_loss_high": None}
        for other, high in (("unigram", -0.3), ("xz", 0.1)) for name in (*SETS, None)
    ]  # fmt: skip
    table = {"reference": "the run's own tokenizer", "rows": rows, "average": average, "paired": paired}
    stores["evaluate"].write_json("perplexity.json", table)
    stores["evaluate"].write_json(
        "choice.json",
        {
            "rows": [
                {
                    "model": m,
                    "lang": lang,
                    "items": 200,
                    "correct": c,
                    "accuracy": c / 200,
                    "low": c / 200 - 0.06,
                    "high": c / 200 + 0.06,
                    "chance": 0.25,
                }
                for m, lang, c in (("stage1", "en", 52), ("stage1", "zh", 49), ("final", "en", 88), ("final", "zh", 81))
            ]
        },
    )
    stores["evaluate"].write_json(
        "samples.json",
        [
            {"model": m, "lang": lang, "prompt": p, "text": t}
            for m in ("stage1", "final")
            for lang, p, t in (
                ("en", "To install the package", ", run the following command as root and then restart the service. " * 3),
                ("zh", "要安装这个软件包", "，请以管理员身份运行下面的命令，然后重新启动服务。" * 4),
            )
        ],
    )
    stores["leakage"].write_json(
        "leakage.json",
        {
            "rows": [
                _audit("stage1", 0.0, -0.02, "no sign (a leak of 0.08 nats per token would have been seen four times in five)"),
                _audit("final", 0.4, 0.03, "overfitted on the train split"),
            ],
            "control": {
                "models": {"stage1": _control(0.02, False), "final": _control(-0.62, True)},
                "canaries_flagged_in_final": True,
                "canaries_flagged_in_stage1": False,
                "heldback_flagged_in_final": False,
                "heldback_flagged_in_stage1": False,
                "pairs_flagged_in_final": True,
                "pairs_flagged_in_stage1": False,
                "clean_test_flagged_in_final": False,
                "clean_test_flagged_in_stage1": False,
                "holds": True,
            },
            "corpus": {
                "rows": [
                    {"split": s, "items": 200, "whole": 200 * (s == "train"), "share": 0.3 + 0.7 * (s == "train")}
                    for s in ("train", "test", "ref", "canary")
                ],
                "documents": 1200,
                "words": "whole: found whole",
            },
            "words": {
                "L": "mean loss in nats per token",
                "delta1": "L_test - L_ref",
                "control": "canaries stand in for the test split",
            },
        },
    )


def _audit(model: str, fall: float, low: float, verdict: str) -> dict[str, Any]:
    return {
        "model": model,
        "L_train": 1.20 - fall,
        "L_test": 1.31 - fall,
        "L_ref": 1.30 - fall,
        "delta1": 0.01,
        "delta1_low": -0.05,
        "delta1_high": 0.07,
        "delta2": 0.11,
        "delta2_low": low,
        "delta2_high": 0.19,
        "detectable1": 0.08,
        "detectable2": 0.09,
        "n": {"train": 200, "test": 200, "ref": 200},
        "leaked": False,
        "overfitted": low > 0,
        "verdict": verdict,
    }


def _control(gap: float, found: bool) -> dict[str, Any]:
    return {
        "delta1": gap,
        "delta1_low": gap - 0.08,
        "delta1_high": gap + 0.08,
        "heldback_delta1": 0.03,
        "heldback_delta1_low": -0.04,
        "heldback_delta1_high": 0.1,
        "paired": gap,
        "paired_low": gap - 0.05,
        "paired_high": gap + 0.05,
        "n": {"canary": 40, "heldback": 40, "ref": 200, "pairs": 40},
        "flagged": found,
        "heldback_flagged": False,
        "flagged_paired": found,
    }
