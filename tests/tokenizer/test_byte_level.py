"""Byte-level vocabularies of other models: which are taken, how they are extended with Chinese, and that other text is cut as before."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers

from skyloom.core.errors import ConfigError, DataError, IntegrityError, SkyloomError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer, invariants
from skyloom.tokenizer.base import given_base
from skyloom.tokenizer.byte_level.byte_extend import AddedPieces, ByteExtension, spelled, text_library
from skyloom.tokenizer.byte_level.byte_vocabulary import vocabulary_of
from skyloom.tokenizer.byte_level.gguf_vocabulary import read_gguf_vocabulary
from skyloom.tokenizer.byte_level.spelling import bytes_of, is_han, letters_of, only_han, without_han
from skyloom.tokenizer.byte_level.word_patterns import pre_tokenizer_of
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.gguf import write as write_gguf
from skyloom.tokenizer.pieces import RESERVED
from skyloom.tokenizer.probes import neighbours
from skyloom.tokenizer.train import train
from tests.tokenizer.byte_models import FAMILIES, write_model
from tests.tokenizer.texts import write_documents

MIXED = "今天天气 hello 12345 <|im_end|><|endoftext|>😀龘 ひらがな 한국어\n\n１２ é"


@pytest.fixture(autouse=True)
def fewer_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "PROBES", 1200)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {family: write_model(folder / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def extended(bases: dict[str, Path], documents: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    return {family: extend(base, documents, tmp_path_factory.mktemp(family)) for family, base in bases.items()}


def extend(base: Path, documents: Store, out: Path, **settings: object) -> Store:
    size = given_base(base).size
    sizes: dict[str, object] = {"characters": 200, "words": 100, "reserved": 17, **settings}
    total = size + sum(int(str(sizes[name])) for name in ("characters", "words", "reserved"))
    store = Store(out)
    config = TokenizerConfig(base_model=str(base), base=size, **{"vocabulary": total, **sizes})
    train(documents, store, config, progress=Progress.silent())
    return store


@pytest.mark.parametrize("family", FAMILIES)
def test_every_fact_of_an_extended_vocabulary_is_proved(family: str, extended: dict[str, Store]) -> None:
    findings = invariants.check(extended[family])
    assert len(findings) == 11 and all(f.ok and f.detail for f in findings), [f for f in findings if not f.ok]
    digits = next(f.detail for f in findings if f.name == "digits")
    assert ("up to 1" in digits) == (family != "llama3"), "Llama 3 joins digits, the others do not"


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_of_text_without_chinese_stay_and_chinese_takes_fewer(
    family: str, bases: dict[str, Path], extended: dict[str, Store], documents: Store
) -> None:
    tokenizer = Tokenizer.load(extended[family])
    before = tokenizers.Tokenizer.from_file(str(bases[family] / "tokenizer.json"))
    before.encode_special_tokens = True
    for text in (
        "the weather station 2023",
        "def area(x):\n    return x",
        "カタカナ、ひらがな",
        "한국어 ㅋㅋ",
        "䷀ ꀀ 😀 １２３。《》",
        "",
    ):
        assert tokenizer.encode(text) == before.encode(text, add_special_tokens=False).ids, text
    chinese = documents.read_table(documents.names("documents-")[0], ["text", "domain"]).to_pylist()
    texts = [row["text"] for row in chinese if row["domain"] == "web_zh"]
    assert texts and all(len(tokenizer.encode(t)) < 0.75 * len(before.encode(t, add_special_tokens=False).ids) for t in texts)
    assert tokenizer.vocab_size == given_base(bases[family]).size + 317 and tokenizer.files[0] == "tokenizer.json"


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_texts_and_decoding_are_one(family: str, extended: dict[str, Store]) -> None:
    tokenizer = Tokenizer.load(extended[family])
    texts = [MIXED, "", "人民 the", "中\ud800文", *neighbours(600, seed=7)]
    single = [tokenizer.encode(text) for text in texts]
    for threads in (1, 3):
        assert [row.tolist() for row in tokenizer.encode_batch(texts, threads=threads)] == single
    ids, offsets = tokenizer.encode_column(pa.chunked_array([pa.array(["人民", None]), pa.array(["a"])]), threads=2)
    assert offsets.tolist() == [0, len(tokenizer.encode("人民")), len(tokenizer.encode("人民")), len(ids)]
    assert tokenizer.decode(tokenizer.encode(MIXED)) == MIXED and tokenizer.decode(tokenizer.encode("中\ud800文")) == "中\ufffd文"
    assert tokenizer.decode([tokenizer.bos_id, *tokenizer.encode("中a"), tokenizer.eos_id]) == "中a", "special pieces give nothing"
    assert tokenizer.is_byte.sum() > 128 and not (tokenizer.is_byte & tokenizer.is_text).any()
    shown = tokenizer.show("天气 ひ")
    text = "".join(piece for piece, _, _ in shown)
    assert text.startswith("天气") and "<0xE3>" in text


@pytest.mark.parametrize(("family", "ends"), [("llama3", (700, 701)), ("qwen2", (700, 700)), ("smollm2", (1, 2))])
def test_begin_end_and_padding_are_the_bases_own(family: str, ends: tuple[int, int], extended: dict[str, Store]) -> None:
    """A base without a piece that begins a text begins it with the one that ends it; padding is a reserved piece."""
    tokenizer = Tokenizer.load(extended[family])
    assert tokenizer.pieces[tokenizer.pad_id] == RESERVED[0] and tokenizer.unk_id == -1
    base = given_base(write_model(Path(str(extended[family].root)) / "again", family)).byte_level
    assert base is not None and (base.begin, base.end) == (tokenizer.bos_id, tokenizer.eos_id) == ends


def test_a_base_is_taken_unchanged(documents: Store, tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", "qwen2", 1100)
    out = extend(base, documents, tmp_path / "out", characters=0, words=0, reserved=0)
    assert [f for f in invariants.check(out) if not f.ok] == []
    tokenizer, before = Tokenizer.load(out), tokenizers.Tokenizer.from_file(str(base / "tokenizer.json"))
    before.encode_special_tokens = True
    assert tokenizer.vocab_size == before.get_vocab_size() >= 1024 and tokenizer.pad_id == tokenizer.eos_id == tokenizer.bos_id
    assert tokenizer.encode(MIXED) == before.encode(MIXED, add_special_tokens=False).ids
    assert out.read_json("parts.json")["base_sha256"] == given_base(base / "tokenizer.json").digest


def test_bytes_that_the_base_lacks_are_added_or_the_base_is_refused(
    bases: dict[str, Path], documents: Store, tmp_path: Path
) -> None:
    """As SmolLM2, which has no piece for some control characters; bytes that stand in no text need none."""
    tree = tree_of(bases["smollm2"])
    for number, byte in enumerate((0x04, 0xF1, 0xFF)):
        rename(tree, letters_of(bytes([byte])), "zq" * (number + 2))
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    shutil.copy(bases["smollm2"] / "tokenizer_config.json", tmp_path)
    with pytest.raises(ConfigError, match=r"lacks 2 of the 243 bytes of UTF-8 \(0x04 is the first\).*characters to 2 or more"):
        extend(tmp_path, documents, tmp_path / "a", characters=0, words=400)
    out = extend(tmp_path, documents, tmp_path / "b", characters=300, words=50)
    assert [f for f in invariants.check(out) if not f.ok] == []
    tokenizer = Tokenizer.load(out)
    parts = dict(tokenizer.parts.sizes)
    assert (parts["characters"], parts["words"], parts["bytes"]) == (298, 50, 2)
    text = "a\x04b \U00050000 人民"
    assert tokenizer.decode(tokenizer.encode(text)) == text and tokenizer.parts.range("bytes").start in tokenizer.encode(text)


def test_sizes_that_the_text_cannot_fill(bases: dict[str, Path], documents: Store, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"30,000 characters \(with their starts\) were asked for, the corpus and the dictionary give"
    ):
        extend(bases["llama3"], documents, tmp_path / "a", characters=30_000, words=0)
    with pytest.raises(DataError, match=r"9,000 words were asked for"):
        extend(bases["llama3"], documents, tmp_path / "b", words=9000)
    english = Store(tmp_path / "english")
    Path(english.root).mkdir()
    write_documents(english, {"web_en": 30})
    with pytest.raises(DataError, match="hold no Chinese"):
        extend(bases["llama3"], english, tmp_path / "c")
    out = extend(bases["smollm2"], documents, tmp_path / "d", characters=300, words=9000, fit=True)
    tokenizer = Tokenizer.load(out)
    assert tokenizer.vocab_size % 64 == 0 and [f for f in invariants.check(out) if not f.ok] == []


def test_what_stands_in_chinese_only() -> None:
    """By the definition, tried: bytes that stand only in Chinese are found in no other character, whatever follows them."""
    draw = random.Random(3)
    others = "".join(chr(c) for c in range(0x80, 0x40100, 3) if not 0xD800 <= c < 0xE000 and not is_han(chr(c))).encode()
    for char in ("中", "龘", "㐀", "𠮷", "豈", "〇", "一", "鿿", *(chr(draw.randint(0x4E00, 0x9FFF)) for _ in range(200))):
        data = char.encode()
        assert only_han(data)
        for size in range(1, len(data)):
            assert not only_han(data[size:]), "bytes without the first say nothing"
            if only_han(data[:size]):
                assert data[:size] not in others
    given = {b"\xe9": True, b"\xe4": False, b"\xe4\xb8": True, b"\xe4\xb7": False, b"\xe4\xb6": True, b"\xe3\x80": False, b"\xf0\xa0": True,
             b"\xf0\x9f": False, b"\xef\xa4": True, b"\xef\xac": False, b"\xea\xb0": False, b"a\xe5": True, b"\xb8\xad": False, b"": False}  # fmt: skip
    assert {data: only_han(data) for data in given} == given
    assert without_han("a中b文〇。あ") == "ab。あ" and bytes_of(letters_of(bytes(range(256)))) == bytes(range(256))


def test_a_merge_that_other_text_could_meet_is_never_made(bases: dict[str, Path]) -> None:
    """〇 begins as CJK punctuation and kana do (E3 80): it is left out where the base does not have that start."""
    base = given_base(bases["llama3"]).byte_level
    assert base is not None and letters_of(b"\xe3\x80\x87") not in base.pieces
    extension = ByteExtension(base)
    added = extension.characters(["〇", "龘", "ひ", "。", "𠮷", "龙"], 100)
    starts = {bytes_of(s) for s in added.starts}
    assert {"龘", "𠮷", "龙"} <= set(added.characters) and {b"\xf0\xa0", b"\xf0\xa0\xae"} <= starts
    assert "ひ" not in added.characters and "。" not in added.characters
    assert ("〇" in added.characters) == (letters_of(b"\xe3\x80") in base.pieces)
    assert extension.unreachable(added, added.characters) == []
    lost = AddedPieces(added.starts, (*added.characters, "靐"), (), added.merges)
    assert extension.unreachable(lost, lost.characters) == ["靐"], "a piece that no merge makes is found"
    words = extension.with_words(added, ["龙龘", "龘靐"])
    assert (spelled("龙"), spelled("龘")) in words.merges and extension.unreachable(words, words.words) == ["龘靐"]


def tree_of(folder: Path) -> dict:
    found: dict = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return found


def change(tree: dict, path: str, value: object) -> None:
    *way, last = path.split("/")
    for key in way:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    tree[last] = value


BAD = {
    "WordPiece": (lambda t: t["model"].update(type="WordPiece"), "is a WordPiece vocabulary; only byte-level BPE"),
    "Unigram": (lambda t: t["model"].update(type="Unigram"), "is a Unigram vocabulary"),
    "nothing": (lambda t: t.clear(), "is a unnamed vocabulary|is an unnamed vocabulary"),
    "LLaMA 2": (lambda t: t.update(pre_tokenizer=None), "is BPE, but not byte-level"),
    "no bytes": (lambda t: [t["model"]["vocab"].pop(letters_of(bytes([b]))) for b in (0xF5,)], "but none with id"),
    "unknown piece": (lambda t: t["model"]["merges"].append(["zq", "qz"]), "merge 4.. joins 'zq' and 'qz', but 'zq' is no piece"),
    "unknown result": (lambda t: t["model"]["merges"].append(["~", "}"]), r"joins '~' and '}', but '~}' is no piece"),
    "old form": (lambda t: t["model"]["merges"].append("a b c"), "is no pair of pieces"),
    "no merges": (lambda t: t["model"].update(merges=[]), "has no merges"),
    "id twice": (lambda t: t["model"]["vocab"].update({"!": 5}), "gives the id 5 to"),
    "two ids": (lambda t: t["added_tokens"].append({**t["added_tokens"][0], "id": 9000}), "gives .* the ids|none with id"),
    "no table": (lambda t: t["model"].update(vocab=[["a", 0.5]]), "is no table of pieces and ids"),
    "lower case": (lambda t: t.update(normalizer={"type": "Lowercase"}), r"changes text \(Lowercase\)"),
    "a space in front": (lambda t: change(t, "pre_tokenizer/pretokenizers/1/add_prefix_space", True), "puts a space in front"),
    "drops merges": (lambda t: t["model"].update(dropout=0.1), "leaves out merges at random"),
    "marks words": (lambda t: t["model"].update(end_of_word_suffix="</w>"), "marks the beginning or end of words"),
    "not letters": (lambda t: rename(t, "the", "中"), "pieces that do not spell bytes|is no piece"),
    "reserved": (lambda t: rename(t, "<|eot_id|>", "<|user|>"), r"has the reserved piece <\|user\|> already"),
}  # fmt: skip


def rename(tree: dict, old: str, new: str) -> None:
    if old in tree["model"]["vocab"]:
        tree["model"]["vocab"][new] = tree["model"]["vocab"].pop(old)
    for token in tree["added_tokens"]:
        token["content"] = new if token["content"] == old else token["content"]


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_is_refused_in_a_sentence(name: str, bases: dict[str, Path], tmp_path: Path) -> None:
    spoil, message = BAD[name]
    tree = tree_of(bases["llama3"])
    spoil(tree)
    shutil.copy(bases["llama3"] / "tokenizer_config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as told:
        given_base(tmp_path)
    assert str(told.value).startswith("tokenizer.base_model: ") and "\n" not in str(told.value)


def test_files_that_are_not_there_or_say_nothing(bases: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither tokenizer\.model nor tokenizer\.json"):
        given_base(tmp_path)
    with pytest.raises(StorageError, match="cannot be read"):
        given_base(tmp_path / "tokenizer.json")
    for text, message in (("{", "is not JSON"), ("[1]", "is no table")):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(ConfigError, match=message):
            given_base(tmp_path)
    shutil.copy(bases["llama3"] / "tokenizer.json", tmp_path)
    base = given_base(tmp_path).byte_level
    assert base is not None and base.pieces[base.end] == "<|end_of_text|>", "known by its name if no file says it"
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 5, "eos_token_id": [7, 8]}))
    base = given_base(tmp_path / "tokenizer.json").byte_level
    assert base is not None and (base.begin, base.end) == (5, 7)
    for named, message in (({"eos_token": "<end>"}, "'<end>', which it does not have"), ({}, r"names the id 9999")):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(named))
        (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 9999}))
        with pytest.raises(ConfigError, match=message):
            given_base(tmp_path)
    with pytest.raises(ConfigError, match=r"reserved is 5; it is 17, or 0"):
        TokenizerConfig(base_model="x", base=1000, characters=100, words=0, reserved=5, vocabulary=1105)
    with pytest.raises(ConfigError, match=r"reserved is 0; it is 17"):
        TokenizerConfig(base=1000, characters=100, words=0, reserved=0, vocabulary=1100)


@pytest.fixture
def copy(tmp_path: Path, extended: dict[str, Store]) -> Store:
    shutil.copytree(extended["qwen2"].root, tmp_path / "copy")
    return Store(tmp_path / "copy")


def broken(store: Store) -> set[str]:
    return {finding.name for finding in invariants.check(store) if not finding.ok}


def other_word(tree: dict) -> None:
    """The last word is spelled as what stands in all text, with a merge that makes it."""
    word = [piece for piece, i in sorted(tree["model"]["vocab"].items(), key=lambda item: item[1])][-18]
    rename(tree, word, "aa")
    tree["model"]["merges"] = [[a, b] for a, b in tree["model"]["merges"] if a + b != word] + [["a", "a"]]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda t: t["model"]["merges"].pop(0), {"base unchanged"}),
        (lambda t: t["model"]["merges"].pop(), {"reachable"}),
        (other_word, {"layout", "merges", "other text as before"}),
        (lambda t: t.update(normalizer=None), {"base unchanged"}),
    ],
)
def test_what_is_wrong_in_a_folder_is_found(spoil, expected: set[str], copy: Store) -> None:
    tree = copy.read_json("tokenizer.json")
    spoil(tree)
    copy.write_text("tokenizer.json", json.dumps(tree, ensure_ascii=False))
    try:
        found = broken(copy)
    except SkyloomError as problem:
        found = {str(problem)}
    assert expected <= found, found


@pytest.mark.parametrize("table", [{}, {"parts": 7}, {"kind": "byte-level", "parts": [{"name": "base", "size": 3}]}, "no special"])
def test_a_damaged_table_of_parts_is_an_integrity_error(table: object, copy: Store) -> None:
    whole = copy.read_json("parts.json")
    told = {k: v for k, v in copy.read_json("parts.json").items() if k != "special"} if table == "no special" else table
    copy.write_json("parts.json", told)
    with pytest.raises((IntegrityError, StorageError), match=r"parts\.json|tokenizer\.model does not exist"):
        Tokenizer.load(copy)
    copy.write_json("parts.json", whole)
    copy.write_text("tokenizer.json", "{}")
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        Tokenizer.load(copy)


@pytest.mark.parametrize(("family", "name"), [("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("smollm2", "smollm")])
def test_a_gguf_file_holds_the_vocabulary_and_is_a_base(
    family: str, name: str, bases: dict[str, Path], extended: dict[str, Store], tmp_path: Path
) -> None:
    """Pieces, merges, types and the name of the pattern; read again, it is the same vocabulary and cuts the same."""
    gguf = pytest.importorskip("gguf")
    tokenizer = Tokenizer.load(extended[family])
    assert write_gguf(extended[family], tmp_path / "中文.gguf") == tokenizer.vocab_size
    fields = gguf.GGUFReader(tmp_path / "中文.gguf").fields
    said = {
        key: fields[f"tokenizer.ggml.{key}"].contents()
        for key in ("model", "pre", "bos_token_id", "eos_token_id", "padding_token_id")
    }
    assert said == {
        "model": "gpt2", "pre": name, "bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id, "padding_token_id": tokenizer.pad_id,
    }  # fmt: skip
    again = read_gguf_vocabulary(tmp_path / "中文.gguf")
    before = vocabulary_of(extended[family].read_json("tokenizer.json"), "", {"bos": tokenizer.bos_id, "eos": tokenizer.eos_id}.get)
    assert (again.pieces, again.merges, again.special, again.matched) == (
        before.pieces,
        before.merges,
        before.special,
        before.matched,
    )
    assert (again.begin, again.end) == (before.begin, before.end)
    texts = ["人民 the 2023年", "今天\n\n  x", "e\u0301 １２"]
    assert [text_library(again.tree).encode(t).ids for t in texts] == [tokenizer.encode(t) for t in texts]


def test_what_gguf_cannot_say_is_refused(bases: dict[str, Path], extended: dict[str, Store], copy: Store, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    tree = copy.read_json("tokenizer.json")
    tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{L}+|\s+"
    copy.write_text("tokenizer.json", json.dumps(tree, ensure_ascii=False))
    with pytest.raises(ConfigError, match=r"llama\.cpp has no name that is known here"):
        write_gguf(copy, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()
    with pytest.raises(StorageError, match="no such file"):
        given_base(tmp_path / "x.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUF and nothing")
    with pytest.raises(ConfigError, match="cannot be read as GGUF"):
        given_base(tmp_path / "x.gguf")
    with pytest.raises(ConfigError, match="'deepseek-llm', which is not known here; known are gpt-2, llama-bpe, qwen2, smollm"):
        pre_tokenizer_of("deepseek-llm", "x")
