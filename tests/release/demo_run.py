"""A small finished run with a real tokenizer and real checkpoints, in the form of docs/design.md: what is released in tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyloom.core.config import plain
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, domain_of, record_id
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train as train_tokenizer
from skyloom.train import checkpoint
from tests.report import demo_run as figures

SHAPE = ModelConfig(vocabulary=1024, hidden=32, layers=2, heads=2, ffn=48, context=48)
CANARY = {"en": "How many pears are left of 731 when 58 are eaten?", "zh-Hans": "有731个梨，吃掉58个，还剩多少个？"}
WORDS = ("system package network install config service file user command kernel memory driver device").split()
CHINESE = "系统软件包网络安装配置服务文件用户命令内核内存驱动设备请运行下面重新启动然后输入密码打开窗口保存退出"


def build(root: Path) -> dict[str, Store]:
    """All steps of a run below `root`, by name."""
    stores = {**figures.build(root), "exercises": Store(root / "exercises")}
    documents = _documents()
    stores["corpus"].write_table("documents-00000.parquet", table(documents[::2]))
    stores["corpus"].write_table("documents-00001.parquet", table(documents[1::2]))
    planted = [exercise(lang, question, "canary", 731) for lang, question in CANARY.items()]
    stores["exercises"].write_table("exercises-canary.parquet", table(planted))
    sizes = TokenizerConfig(vocabulary=1024, base=900, characters=80, words=27, fit=True)
    train_tokenizer(stores["corpus"], stores["tokenizer"], sizes, progress=Progress.silent())
    vocabulary = stores["tokenizer"].read_json("parts.json")["vocabulary"]
    for step, (stage, folder) in enumerate((("stage1", checkpoint.folder_of(1)), ("stage1", "final"), ("stage2", "final")), 1):
        _checkpoint(stores[stage].child(folder), stage, step, replace(SHAPE, vocabulary=vocabulary))
    return stores


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


def exercise(lang: str, question: str, split: str, number: int) -> dict[str, Any]:
    canonical = f"subtract(a={number}, b=58)"
    meta = {
        "family": "subtract",
        "lang": lang,
        "question": question,
        "solution": f"{number} - 58 = {number - 58}",
        "canonical": canonical,
    }
    return document(f"{question}\n{meta['solution']}", lang, "stem", split, "exercises", canonical + lang, meta)


def document(
    text: str, lang: str, category: str, split: str, source: str, url: str, meta: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "id": record_id(url, text),
        "text": text,
        "lang": lang,
        "source": source,
        "domain": domain_of(category, lang),
        "category": category,
        "url": url,
        "date": "2023-09-01" if lang == "en" else None,
        "license": "GPL-3.0-or-later" if source == "handbook" else None,
        "split": split,
        "meta": json.dumps(meta or {}, ensure_ascii=False),
    }


def _documents() -> list[dict[str, Any]]:
    rows = []
    for n in range(240):
        english = " ".join(WORDS[(n * 7 + k * k) % len(WORDS)] for k in range(60))
        chinese = "".join(CHINESE[(n * 5 + k * k) % len(CHINESE)] for k in range(90)) + "。"
        split = "valid" if n % 12 == 0 else "train"
        rows.append(document(f"{english} {n}.", "en", "web", split, "handbook", f"https://example.org/en/{n}"))
        rows.append(document(f"{chinese}{n}🙂", "zh-Hans", "web", split, "handbook-zh", f"https://example.org/zh/{n}"))
    rows.append(exercise("en", "How many pears are left of 412 when 58 are eaten?", "train", 412))
    rows.append(exercise("zh-Hans", "有412个梨，吃掉58个，还剩多少个？", "valid", 413))
    return rows


def _checkpoint(folder: Store, stage: str, step: int, shape: ModelConfig) -> None:
    model = initialise(Decoder(shape), seed=step)
    state = {"stage": stage, "step": step, "tokens": step * 64, "model": plain(shape)}
    checkpoint.write(folder, checkpoint.Checkpoint(dict(model.state_dict()), {}, state))
