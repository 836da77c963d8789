"""Checks a release folder (`skyloom release check`): a list of findings, from the folder alone and without network.

What is published is used by people who cannot ask us. So the folder itself must prove what its cards say: that its
files are those that were released, that `transformers` computes from the weights what our decoder computes, that both
tokenizers give the same ids, that the corpus is what the ledger and its card state, that no planted exercise is
among them, and that every line of the cards follows from the results in the folder. `again`: the results themselves are measured
again (`recompute`). The proofs stop at the first damaged file: what follows would be about other files than those released.

Whoever rewrites a release as a whole, text, results and sums together, leaves nothing that contradicts itself but the weights;
against that only a signature helps (`signature`).
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers

from skyloom.core.config import build
from skyloom.core.errors import SkyloomError
from skyloom.core.json_files import PlainTable
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.hf import from_hf_config
from skyloom.release import canaries, claims, evidence, licenses, signature, sums
from skyloom.release.cards import head_of
from skyloom.release.corpus_shards import SPLITS, counted, documents
from skyloom.release.folder import MODELS, RECIPE, RUN, open_release, records_of
from skyloom.release.recompute import Recomputation
from skyloom.release.recount import Recount, disagreements, recount
from skyloom.release.weights import load_released, no_licence
from skyloom.tokenizer.finding import InvariantFinding
from skyloom.tokenizer.tokenizer import Tokenizer
from skyloom.train.config import TrainConfig
from skyloom.train.stage_list import Stage, shape_in, stage_tables

NEEDED = (
    "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.model", "tokenizer.json",
    "tokenizer_config.json", "corpus/README.md", canaries.LIST, licenses.README, RECIPE, RUN, MODELS, sums.SUMS,
)  # fmt: skip
TOLERANCE = 1e-4
"""Largest difference of a logit between transformers and our decoder, both in fp32."""

PROBE_TEXTS = (
    "The package manager installs what is needed, and 2,023 files change.",
    "要安装这个软件包，请以管理员身份运行下面的命令，然后重新启动服务。",
    "def add(a, b):\n    return a + b  # 求和\n\n",
    "Question: What is 17 + 25?\n问题：小明有17个苹果，又买了25个，一共有多少个？",
)
HARD_TEXTS = (
    "", " ", "  \t\n\n", "\u3000全角　空格", "e\u0301 é ﬁ ﷺ", "🙂👩\u200d👩\u200d👧🇨🇳", "龘靐齉爩𠀀𰻞", "\u200b\u200d\ufeff",
    "\x00\x01\x7f", "\r\n \r", "1234567890 ３．１４ ½ Ⅷ", "<0x41> <s text </s >", "中English混排text，标点。Mixed!",
    "▁ under_score __init__", "日本語のテキスト", "한국어 텍스트",
)  # fmt: skip
FUZZED = 300
"""Texts of random pieces of all kinds that the tokenizers are compared on, besides the fixed ones."""

_ALPHABET = "abcXYZ 019.,:_-\n\t，。、：“”（）的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动🙂é龘"
_BATCH = 512
_LOCAL = {"local_files_only": True}


def check(folder: str | Path, *, again: bool = False, signer: str = "", progress: Progress | None = None) -> list[InvariantFinding]:
    """All findings in a fixed order; `ok` is False where a fact does not hold, and `detail` says where and why.

    `again`: measure the results again, which takes as long as the evaluation and the audit did. `signer`: the publisher's public
    key, as a file or as its text; then a release that is not signed by it fails.
    """
    store = Store(folder)
    missing = [name for name in NEEDED if not store.exists(name) and not (name == "tokenizer.model" and _byte_level(store))]
    if not store.exists(sums.SUMS):
        return [InvariantFinding("release", False, f"{folder} is not a release of Skyloom: it has no {sums.SUMS}")]
    content = _Content(store)
    findings = _tried(
        [
            ("files", lambda: _files(store, missing)),
            ("signature", lambda: signature.checked(Path(folder), signer)),
            ("config", lambda: _configs(store)),
            ("logits", lambda: _logits(store)),
            ("tokenizer", lambda: _tokenizers(store)),
            ("corpus", content.corpus),
            ("canaries", lambda: _canaries(store)),
            ("cards", content.cards),
            ("licences", content.licences),
        ]
    )
    if again and len(findings) > 1:
        with tempfile.TemporaryDirectory(prefix="skyloom-check-") as place:
            try:
                proofs = Recomputation(store, Store(place, sync=False), progress or Progress.silent()).proofs()
            except (SkyloomError, ValueError, KeyError, TypeError) as problem:
                return [*findings, InvariantFinding("recompute", False, f"{type(problem).__name__}: {problem}")]
            findings += _tried(proofs)
    return findings


def _byte_level(store: Store) -> bool:
    """Whether the release says that its tokenizer is byte-level, and so has no SentencePiece model."""
    try:
        return bool(store.read_json("parts.json").get("kind") == "byte-level")
    except (SkyloomError, AttributeError):
        return False


def _tried(proofs: Sequence[tuple[str, Callable[[], str]]]) -> list[InvariantFinding]:
    """What each proof says. After a damaged file there is no other proof."""
    findings: list[InvariantFinding] = []
    for name, proof in proofs:
        try:
            findings.append(InvariantFinding(name, True, proof()))
        except SkyloomError as problem:
            findings.append(InvariantFinding(name, False, str(problem)))
        except Exception as problem:  # a folder from elsewhere can break any library it is fed to; that is a finding too
            findings.append(InvariantFinding(name, False, f"{type(problem).__name__}: {problem}"))
        if name == "files" and not findings[-1].ok:
            break
    return findings


class _BrokenError(SkyloomError):
    """A fact that does not hold."""


def _files(store: Store, missing: list[str]) -> str:
    if missing:
        raise _BrokenError(f"not a whole release: {', '.join(missing)} missing")
    different = sums.differences(store)
    if different:
        raise _BrokenError("; ".join(different[:5]) + (f"; and {len(different) - 5} more" if len(different) > 5 else ""))
    return f"{len(sums.read(store)):,} files are those that were released"


def _models(store: Store) -> list[str]:
    """Folders of all models in the release, "" for the release itself."""
    return sorted(name.removesuffix("config.json").rstrip("/") for name in store.names() if name.split("/")[-1] == "config.json")


def _shape(store: Store, folder: str) -> tuple[ModelConfig, PlainTable]:
    table = store.read_json(f"{folder}/config.json" if folder else "config.json")
    return from_hf_config(table), table


def _own_to_stages(store: Store) -> dict[str, dict[str, Any]]:
    """What the shape of each model has of its own stage, by the recipe: context and RoPE base, where stages change them."""
    opened = open_release(store)
    tables, origin = stage_tables(opened.recipe), store.url(RECIPE)
    if not any({"context", "rope_theta"} & set(table) for table in tables):
        return {}
    stages = [build(Stage, dict(table), origin=origin, key="stages") for table in tables]
    train = build(TrainConfig, opened.recipe.get("train", {}), origin=origin, key="train")
    model = build(ModelConfig, opened.recipe.get("model", {}), origin=origin, key="model")
    found: dict[str, dict[str, Any]] = {}
    for entry in opened.models:
        shape = shape_in(model, train, stages, entry["stage"])
        found[entry["folder"]] = {"rope_theta": shape.rope_theta}
        if not train.init_from:  # else the context may be that of the model that was continued
            found[entry["folder"]]["context"] = shape.context
    return found


def _configs(store: Store) -> str:
    tokenizer = Tokenizer.load(store)
    first, _ = _shape(store, "")
    own = _own_to_stages(store)
    for folder in _models(store):
        shape, table = _shape(store, folder)
        generation = store.read_json(f"{folder}/generation_config.json" if folder else "generation_config.json")
        for key, value in (("bos_token_id", tokenizer.bos_id), ("eos_token_id", tokenizer.eos_id)):
            if table.get(key) != value or generation.get(key) != value:
                raise _BrokenError(f"{folder or 'config.json'}: {key} is not the tokenizer's {value}")
        if shape != (first if folder not in own else replace(first, **own[folder])):
            raise _BrokenError(f"{folder} has another shape than the released model{' and its stage' if own else ''}")
        if shape.vocabulary < tokenizer.vocab_size:
            raise _BrokenError(f"{folder or 'the model'} has {shape.vocabulary} tokens, its tokenizer {tokenizer.vocab_size}")
    return f"{len(_models(store))} models of one shape, {first.parameters:,} parameters each, agree with the tokenizer"


@torch.no_grad()
def _logits(store: Store) -> str:
    tokenizer = Tokenizer.load(store)
    worst = 0.0
    for folder in _models(store):
        ours, _, context = load_released(store.child(folder) if folder else store)
        load = partial(transformers.AutoModelForCausalLM.from_pretrained, store.path(folder), dtype=torch.float32, **_LOCAL)
        theirs = _quietly(load).eval()
        for text in PROBE_TEXTS:
            ids = torch.tensor([[tokenizer.bos_id, *tokenizer.encode(text)][:context]])
            difference = float((ours(ids) - theirs(ids).logits).abs().max())
            worst = max(worst, difference)
            if not difference <= TOLERANCE:
                raise _BrokenError(
                    f"{folder or 'the model'}: transformers' logits differ from ours by {difference:.2g} on {text!r}"
                )
    return f"transformers and our decoder agree within {TOLERANCE:g} (largest difference {worst:.1g}) on English, Chinese and code"


def _tokenizers(store: Store) -> str:
    ours = Tokenizer.load(store)
    theirs = _quietly(partial(transformers.AutoTokenizer.from_pretrained, store.path(), **_LOCAL))
    texts = [*PROBE_TEXTS, *HARD_TEXTS, *_fuzzed()]
    for text in texts:
        expected, plain = ours.encode(text), theirs(text, add_special_tokens=False)["input_ids"]
        if plain != expected:
            raise _BrokenError(f"AutoTokenizer encodes {text!r} as {plain[:12]}, our tokenizer as {expected[:12]}")
        if theirs(text)["input_ids"] != [ours.bos_id, *expected]:
            raise _BrokenError(f"AutoTokenizer does not put <s> in front of {text!r}")
    return f"AutoTokenizer gives the same ids on {len(texts):,} texts"


class _Content:
    """The proofs about the corpus, which share one count of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _counted(self) -> Recount:
        kinds = {row["name"]: row["kind"] for row in self._found.sources or []}
        return recount(self._store, licenses.rules(self._store, open_release(self._store).recipe, kinds))

    @cached_property
    def _found(self) -> evidence.Evidence:
        return evidence.read(records_of(self._store))

    def corpus(self) -> str:
        counted = self._counted
        head = head_of(self._store.read_text("corpus/README.md"))
        stated = {split["name"]: split["num_examples"] for split in head["dataset_info"]["splits"]}
        if counted.repeated:
            raise _BrokenError(counted.repeated[0])
        if counted.published.documents != stated:
            raise _BrokenError(f"the corpus has {counted.published.documents} documents, its card says {stated}")
        _none(list(disagreements(counted, self._found)))
        return "{train:,} training and {valid:,} held-out documents, as card, ledger and mixture say; no id occurs twice".format(
            **counted.published.documents
        )

    def cards(self) -> str:
        _none(claims.differences(self._store, self._counted.published))
        return "every line of both cards, and of what is said beside them, follows from the results in this folder"

    def licences(self) -> str:
        counted, config = self._counted, open_release(self._store).config
        _none(counted.licenses)
        unknown = counted.published.unknown
        if unknown and not config.allow_unknown_license:
            raise _BrokenError(no_licence(unknown))
        said = f"; {unknown:,} state none, by the publisher's decision" if unknown else ""
        return f"each document has the licence that its source states{said}"


def unlicensed(release: Store) -> str:
    """Why a release is not to be published, in a sentence: documents without a licence that nobody decided to publish; else ""."""
    config = open_release(release).config
    if config.allow_unknown_license:
        return ""
    unknown = counted(release).unknown
    return no_licence(unknown) if unknown else ""


def _none(wrong: Sequence[str]) -> None:
    if wrong:
        raise _BrokenError("; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""))


def _canaries(store: Store) -> str:
    planted = canaries.read_list(store)
    lookout = canaries.Lookout(planted)
    for split in SPLITS:
        lines = documents(store, split)
        while batch := list(islice(lines, _BATCH)):
            for place, canary in lookout.found([document["text"] for _, document in batch]):
                name, document = batch[place]
                raise _BrokenError(f"{name}: the document {document['id']} holds the canary {canary.id}: {canary.question}")
    return f"none of the {len(planted):,} planted exercises stands in the corpus"


def _fuzzed() -> list[str]:
    draw = random.Random(1)
    return ["".join(draw.choice(_ALPHABET) for _ in range(draw.randint(1, 60))) for _ in range(FUZZED)]


def _quietly(load: Callable[..., Any]) -> Any:
    """What a function of transformers loads, without the library's progress bars and advice, which would break ours."""
    log: Any = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        return load()
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
