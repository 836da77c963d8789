"""A small release whose every figure was measured, and ten forgeries of it: what `skyloom release check --recompute` is judged by.

The models are not trained (their weights are drawn, so they cost nothing), but evaluation, audit, token shards, mixture and journals
are made by the program's own code on this very text. Each forger rewrites SHA256SUMS, and the cards as well where the forged file
would contradict them; only the two that forge a card alone leave the results as they are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
import zstandard

from skyloom.core.config import plain
from skyloom.core.engine import Engine
from skyloom.core.ledger import Ledger
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, domain_of, record_id
from skyloom.core.store import Store
from skyloom.corpus import stem
from skyloom.corpus.clean import count_mixture, mixture_json
from skyloom.corpus.stem import StemConfig
from skyloom.data import pack
from skyloom.data.config import PackConfig
from skyloom.evaluate.config import EvaluateConfig
from skyloom.evaluate.report import evaluate
from skyloom.evaluate.tasks import scorer
from skyloom.leakage.config import LeakageConfig
from skyloom.leakage.gap import audit
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.release import claims, licenses, sums
from skyloom.release.config import ReleaseConfig
from skyloom.release.corpus_shards import documents
from skyloom.release.folder import open_release
from skyloom.release.recount import recount
from skyloom.release.weights import release
from skyloom.suites import HeldoutSetsConfig, heldout_sets
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train as train_tokenizer
from skyloom.train import checkpoint
from skyloom.train.config import TrainConfig
from skyloom.train.watch import Monitor, heldout_line, score_line

SILENT = Progress.silent()
CONFIG = ReleaseConfig(name="Small 小", authors=("甲", "B"), contact="mail@example.org", shard_megabytes=0.02)
EXERCISES = StemConfig(train=60, valid=30, test=60, ref=60, canaries=30, seed=3)
EVALUATE = EvaluateConfig(set_bytes=4000, document_characters=300, items=20, resamples=200)
LEAKAGE = LeakageConfig(items=60, resamples=200)
TRAIN = TrainConfig(precision="fp32", context=64, monitor_bytes=2000, monitor_document_bytes=200, score_items=5, score_shots=0)
TOKENS = PackConfig(canary_copies=3)
SHAPE = ModelConfig(vocabulary=1024, hidden=32, layers=2, heads=4, key_heads=2, ffn=48, context=64)
SOURCES = (("handbook", "GPL-3.0-or-later"), ("handbook-zh", "CC-BY-SA-4.0"))
WORDS = ("system package network install config service file user command kernel memory driver device").split()
CHINESE = "系统软件包网络安装配置服务文件用户命令内核内存驱动设备请运行下面重新启动然后输入密码打开窗口保存退出"
STAGES = [
    {"name": "stage1", "data": {"tokens": 1000}, "rate": {"name": "stage1"}},
    {"name": "stage2", "data": {"tokens": 1000, "passes": {"canary": 1}}, "rate": {"name": "stage2"}},
]
MODELS = (("stage1", 1, "checkpoints"), ("stage1", 2, "final"), ("stage2", 3, "checkpoints"), ("stage2", 4, "final"))


SIZES = TokenizerConfig(vocabulary=1024, base=900, characters=80, words=27, fit=True)


def build(root: Path, sizes: TokenizerConfig = SIZES) -> dict[str, Store]:
    """The steps of the run below `root`, by name. `sizes`: of its vocabulary, which may be another model's."""
    names = ("pages", "extract", "corpus", "exercises", "tokenizer", "tokens", "stage1", "stage2", "evaluate", "leakage")
    run = {name: Store(root / name, sync=False) for name in names}
    stem.generate(EXERCISES, run["exercises"], progress=SILENT)
    _corpus(run)
    train_tokenizer(run["corpus"], run["tokenizer"], sizes, progress=SILENT)
    pack.pack(run["corpus"], run["exercises"], run["tokenizer"], run["tokens"], TOKENS, engine=Engine(), progress=SILENT)
    _models(run)
    models = {"stage1": run["stage1"].child("final"), "final": run["stage2"].child("final")}
    inputs = (run["corpus"], run["exercises"], run["tokens"], run["tokenizer"])
    evaluate(models, *inputs, run["evaluate"], EVALUATE, progress=SILENT)
    audit(models, run["exercises"], run["tokenizer"], run["leakage"], LEAKAGE, corpus=run["corpus"], progress=SILENT)
    return run


def recipe(config: ReleaseConfig = CONFIG, sizes: TokenizerConfig | None = None) -> dict[str, Any]:
    """The settings that the run was made with, as a recipe has them."""
    sources = [{"name": name, "kind": "text", "path": name, "license": license} for name, license in SOURCES]
    vocabulary = {} if sizes is None else {"tokenizer": plain(sizes)}
    return {
        **vocabulary, "name": "small", "corpus": {"sources": sources}, "exercises": plain(EXERCISES), "tokens": plain(TOKENS),
        "evaluate": plain(EVALUATE), "leakage": plain(LEAKAGE), "train": plain(TRAIN), "heldout_sets": plain(HeldoutSetsConfig()),
        "release": plain(config), "stages": STAGES,
    }  # fmt: skip


def publish(run: Mapping[str, Store], out: Path, config: ReleaseConfig = CONFIG, sizes: TokenizerConfig | None = None) -> Path:
    """The release of the run. `sizes`: of its vocabulary, if the recipe is to say them."""
    release(run, Store(out, sync=False), config, recipe(config, sizes), progress=SILENT)
    return out


def _corpus(run: dict[str, Store]) -> None:
    rows = []
    for n in range(150):
        english = " ".join(WORDS[(n * 7 + k * k) % len(WORDS)] for k in range(50))
        chinese = "".join(CHINESE[(n * 5 + k * k) % len(CHINESE)] for k in range(80)) + "。"
        split = "valid" if n % 10 == 0 else "train"
        rows.append(_document(f"{english} {n}.", "en", split, 0, f"https://example.org/en/{n}"))
        rows.append(_document(f"{chinese}{n}🙂", "zh-Hans", split, 1, f"https://example.org/zh/{n}"))
    for split in ("train", "valid"):
        rows += run["exercises"].read_table(f"exercises-{split}.parquet").to_pylist()
    table = pa.Table.from_pylist(rows, schema=DOCUMENT)
    run["corpus"].write_table("documents-00000.parquet", table.slice(0, 200))
    run["corpus"].write_table("documents-00001.parquet", table.slice(200))
    run["corpus"].write_json("mixture.json", mixture_json(count_mixture(table)))
    run["corpus"].write_json("redaction.json", {"email": 0})
    extracted, cleaned = Ledger(), Ledger()
    for row in rows:
        where, size = (row["source"], row["lang"]), len(row["text"].encode())
        for ledger, stage in ((extracted, "source"), (cleaned, "held-out")):
            if ledger is cleaned or row["source"] != "exercises":
                ledger.enter(stage, *where, 1, size)
                ledger.post(stage, *where, "", 1, size)
    run["extract"].write_json("ledger.json", extracted.to_json())
    run["corpus"].write_json("ledger.json", cleaned.to_json())
    sources = [{"name": n, "kind": "text", "origin": n, "pages": 150, "bytes": 30_000, "note": ""} for n, _ in SOURCES]
    run["pages"].write_json("sources.json", sources)


def _document(text: str, lang: str, split: str, source: int, url: str) -> dict[str, Any]:
    name, license = SOURCES[source]
    return {
        "id": record_id(url, text), "text": text, "lang": lang, "source": name, "domain": domain_of("web", lang), "category": "web",
        "url": url, "date": None, "license": license, "split": split, "meta": "{}",
    }  # fmt: skip


def _models(run: dict[str, Store]) -> None:
    """Checkpoints with drawn weights, large enough that their losses differ, and the journals of a training that ended there."""
    tokenizer = Tokenizer.load(run["tokenizer"])
    shape = replace(SHAPE, vocabulary=tokenizer.vocab_size)
    monitor = Monitor(
        heldout_sets(run["corpus"], run["exercises"], HeldoutSetsConfig()), tokenizer.encode_column, tokenizer.bos_id, TRAIN, SILENT
    )
    scores = scorer(run["exercises"], tokenizer, TRAIN)
    lines: dict[tuple[str, str], list[Any]] = {}
    for stage, step, kind in MODELS:
        model = initialise(Decoder(shape), seed=step).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() > 1:
                    weight *= 4
        tokens = step * 512
        state = {"stage": stage, "step": step, "tokens": tokens, "model": plain(shape), "train": plain(TRAIN)}
        place = checkpoint.folder_of(step) if kind == "checkpoints" else kind
        checkpoint.write(run[stage].child(place), checkpoint.Checkpoint(dict(model.state_dict()), {}, state))
        heldout, metrics, scored = (lines.setdefault((stage, f"{n}.jsonl"), []) for n in ("heldout", "metrics", "scores"))
        heldout += [heldout_line(stage, step, tokens, name, losses) for name, losses in monitor.score(model).items()]
        shares = {"web_en": 0.5, "web_zh": 0.5} if stage == "stage1" else {"web_en": 0.6, "stem_en": 0.2, "canary": 0.2}
        metrics.append({"stage": stage, "step": step, "tokens": tokens, "loss": 7.5 - step / 10, "lr": 1e-3, "shares": shares})
        scored += [score_line(stage, step, tokens, score) for score in (scores(model) if scores else ())]
    for (stage, name), rows in lines.items():
        run[stage].write_text(name, "".join(json.dumps(row) + "\n" for row in rows))
        run[stage].write_json("plan.json", {"stage": stage, "parameters": shape.parameters})


# The forgeries


def resign(folder: Path) -> None:
    """Write SHA256SUMS anew."""
    store = Store(folder)
    outside = (sums.SUMS, sums.SSHSIG, sums.MINISIG)
    sums.write([store.describe(name) for name in store.names() if name not in outside], store)


def rewrite_cards(folder: Path) -> None:
    """The cards, as the forged files give them."""
    store = Store(folder)
    counted = recount(store, licenses.rules(store, open_release(store).recipe, {}))
    digests = {name: store.describe(name).sha256 for name in store.names("corpus/")}
    for name, text in claims.written_again(store, counted.published, digests).items():
        store.write_text(name, text)


def change(folder: Path, name: str, forge: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    value = json.loads((folder / name).read_text())
    forge(value)
    Store(folder).write_json(name, value)


def change_corpus(folder: Path, split: str, forge: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the documents of the first shard of a split, and what the run counted of them."""
    shard = folder / f"corpus/{split}-00000.jsonl.zst"
    text = zstandard.ZstdDecompressor().decompress(shard.read_bytes(), max_output_size=1 << 24).decode()
    rows = [json.loads(line) for line in text.splitlines()]
    forge(rows)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    shard.write_bytes(zstandard.ZstdCompressor().compress(lines.encode()))
    store = Store(folder)
    counted = recount(store, licenses.rules(store, open_release(store).recipe, {}))
    store.write_json("run/corpus/mixture.json", counted.mixture)
    ledger = Ledger()
    for part in ("train", "valid"):
        for _, row in documents(store, part):
            size = len(row["text"].encode())
            ledger.enter("held-out", row["source"], row["lang"], 1, size)
            ledger.post("held-out", row["source"], row["lang"], "", 1, size)
    store.write_json("run/corpus/ledger.json", ledger.to_json())


def accuracy_in_the_card(folder: Path) -> None:
    rows = json.loads((folder / "evaluation/choice.json").read_text())["rows"]
    card = (folder / "README.md").read_text()
    shown = f"{100 * next(r for r in rows if r['model'] == 'final' and r['lang'] == 'both')['accuracy']:.1f} %"
    place = card.index(f"| {shown} |", card.index("### Multiple choice"))
    (folder / "README.md").write_text(card[:place] + card[place:].replace(shown, "91.5 %", 1))


def loss_in_the_card(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card.replace("| 7.100 |", "| 2.100 |"))


def choices(folder: Path) -> None:
    def forge(value: Any) -> None:
        from skyloom.score.intervals import figure, wilson

        for row in value["rows"]:
            if row["model"] == "final":
                row["correct"] = row["items"] * 9 // 10
                share = wilson(row["correct"], row["items"])
                row.update(accuracy=figure(share.value), low=figure(share.low), high=figure(share.high))

    change(folder, "evaluation/choice.json", forge)
    rewrite_cards(folder)


def perplexity(folder: Path) -> None:
    def forge(value: Any) -> None:
        for row in [*value["rows"], *value["average"]]:
            if row["model"] == "final":
                row["bits_per_byte"] = round(row["bits_per_byte"] * 0.8, 6)

    change(folder, "evaluation/perplexity.json", forge)
    rewrite_cards(folder)


def leakage_verdict(folder: Path) -> None:
    def forge(value: Any) -> None:
        for row in value["rows"]:
            row.update(verdict="no sign of a leak, proved", leaked=not row["leaked"])

    change(folder, "evaluation/leakage.json", forge)
    rewrite_cards(folder)


def swapped_checkpoint(folder: Path) -> None:
    shutil.copy(folder / "checkpoints/stage1-0000002/model.safetensors", folder / "checkpoints/stage1-0000001/model.safetensors")


def document_replaced(folder: Path) -> None:
    def forge(rows: list[dict[str, Any]]) -> None:
        rows[2]["text"] = rows[2]["text"].replace("system", "secret")

    change_corpus(folder, "train", forge)
    rewrite_cards(folder)


def document_added(folder: Path) -> None:
    def forge(rows: list[dict[str, Any]]) -> None:
        rows.append({**rows[0], "id": "f" * 32, "text": "A page that was never read. 一页从未读过的文字。"})

    change_corpus(folder, "train", forge)
    rewrite_cards(folder)


def canary_left(folder: Path) -> None:
    """A canary in a document, and its line taken from the list that would give it away."""
    lines = (folder / "evaluation/canaries.jsonl").read_text().splitlines()
    (folder / "evaluation/canaries.jsonl").write_text("".join(line + "\n" for line in lines[1:]))

    def forge(rows: list[dict[str, Any]]) -> None:
        rows[3]["text"] = json.loads(lines[0])["question"]

    change_corpus(folder, "train", forge)
    rewrite_cards(folder)


def licence_changed(folder: Path) -> None:
    def forge(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["license"] = "CC0-1.0" if row["source"] == "handbook" else row["license"]

    change_corpus(folder, "train", forge)
    rewrite_cards(folder)


FORGERIES: dict[str, Callable[[Path], None]] = {
    "accuracy in the card": accuracy_in_the_card,
    "loss in the card": loss_in_the_card,
    "choice.json": choices,
    "perplexity.json": perplexity,
    "leakage.json's verdict": leakage_verdict,
    "a swapped checkpoint": swapped_checkpoint,
    "a corpus document replaced": document_replaced,
    "a document added": document_added,
    "a canary left in the corpus": canary_left,
    "the licence field changed": licence_changed,
}


def forged(released: Path, name: str, place: Path) -> Path:
    """A copy of a release in `place` with one forgery and new sums."""
    shutil.copytree(released, place)
    FORGERIES[name](place)
    resign(place)
    return place
