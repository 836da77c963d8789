"""Language models: the trainer against the textbook, the scorer against a readable one and against kenlm, any ARPA file."""

from __future__ import annotations

import gzip
import math
import os
import random
import stat
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.store import Store
from skyloom.corpus.quality.learned.arpa import NgramTable, read_arpa, write_arpa
from skyloom.corpus.quality.learned.config import LmConfig
from skyloom.corpus.quality.learned.ngram import KenlmModel, NgramModel, compile_model, lm_score, load_model
from skyloom.corpus.quality.learned.ngram_train import FALLBACK, kneser_ney, train_lm
from skyloom.corpus.quality.learned.tokens import split_tokens

Grams = dict[tuple[str, ...], tuple[float, float]]

SENTENCES = (
    "the bridge is old",
    "the old bridge stands over the river",
    "the river is wide",
    "over the river the bridge is long",
    "桥 很 旧",
    "这 座 桥 很 旧 很 长",
    "河 上 有 一 座 桥",
    "这 条 河 很 宽",
)


def corpus(size: int, seed: int) -> list[str]:
    """Lines with the frequencies of a language: words of both languages by a Zipf law, each drawing the next."""
    draw = random.Random(seed)
    words = [f"w{k}" for k in range(40)] + list("的一是不了在有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动")
    weights = [1 / (k + 1) for k in range(len(words))]
    lines = []
    for _ in range(size):
        line, shift = [], 0
        for _ in range(draw.randint(1, 9)):
            shift = (shift * 7 + draw.choices(range(len(words)), weights)[0]) % len(words)
            line.append(words[shift if draw.random() < 0.7 else draw.randrange(len(words))])
        lines.append(" ".join(line))
    return lines


def textbook(lines: list[str], order: int, limits: tuple[int, ...]) -> list[Grams]:
    """Interpolated modified Kneser-Ney (Chen and Goodman 1998) with dictionaries; log10 probability and backoff."""
    padded = [["<s>", *line.split(), "</s>"] for line in lines]
    raw: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order + 1)]
    for line in padded:
        for n in range(1, order + 1):
            raw[n].update(tuple(line[k : k + n]) for k in range(len(line) - n + 1))
    counts: list[dict[tuple[str, ...], int]] = [{}]
    for n in range(1, order + 1):
        before = Counter(gram[1:] for gram in (raw[n + 1] if n < order else ()))
        counts.append({g: c if n == order or g[0] == "<s>" else before[g] for g, c in raw[n].items()})
    counts[1][("<s>",)] = 0
    vocabulary = len(raw[1]) - 1 + 1  # without <s>, with <unk>
    lower: dict[tuple[str, ...], float] = {(): 1 / vocabulary}
    gammas: list[dict[tuple[str, ...], float]] = []
    result: list[Grams] = []
    for n in range(1, order + 1):
        seen = Counter(counts[n].values())
        share = seen[1] / (seen[1] + 2 * seen[2]) if seen[1] else 0
        discount = [0.0, *((j - (j + 1) * share * seen[j + 1] / seen[j]) if seen[j] else -1 for j in (1, 2, 3))]
        if not all(0 <= d <= j for j, d in enumerate(discount)):
            discount = [0.0, *FALLBACK]
        total: dict[tuple[str, ...], float] = defaultdict(float)
        left: dict[tuple[str, ...], float] = defaultdict(float)
        for gram, count in counts[n].items():
            total[gram[:-1]] += count
            left[gram[:-1]] += count if raw[n][gram] <= limits[n - 1] else discount[min(count, 3)]
        gamma = {context: left[context] / total[context] for context in total}
        here: dict[tuple[str, ...], float] = {}
        for gram, count in counts[n].items():
            own = 0.0 if raw[n][gram] <= limits[n - 1] else (count - discount[min(count, 3)]) / total[gram[:-1]]
            here[gram] = own + gamma[gram[:-1]] * lower[gram[1:]]
        if n == 1:
            here[("<unk>",)] = gamma[()] * lower[()]
            here[("<s>",)] = 1.0
        gammas.append(gamma)
        result.append({g: (math.log10(p), 0.0) for g, p in here.items() if g == ("<unk>",) or raw[n][g] > limits[n - 1]})
        lower = here
    for n in range(1, order):
        result[n - 1] = {g: (p, math.log10(gammas[n].get(g, 1.0))) for g, (p, _) in result[n - 1].items()}
    return result


def spelt(table: NgramTable) -> list[Grams]:
    words = table.words.to_pylist()
    return [
        {tuple(words[k] for k in gram): (p, b) for gram, (p, b) in zip(grams.tolist(), logs.tolist(), strict=True)}
        for grams, logs in zip(table.grams, table.logs, strict=True)
    ]


def readable_score(model: list[Grams], line: str) -> float:
    """log10 probability of a line with its end, by the definition of backoff."""

    def log(gram: tuple[str, ...]) -> float:
        if gram in model[len(gram) - 1]:
            return model[len(gram) - 1][gram][0]
        if len(gram) == 1:
            return log(("<unk>",)) if ("<unk>",) in model[0] else -100.0
        context = model[len(gram) - 2].get(gram[:-1])
        return (context[1] if context else 0.0) + log(gram[1:])

    known = [w if (w,) in model[0] else "<unk>" for w in line.split()]
    row = ["<s>", *known, "</s>"]
    return sum(log(tuple(row[max(0, k - len(model) + 1) : k + 1])) for k in range(1, len(row)))


@pytest.mark.parametrize(("order", "prune"), [(1, (0,)), (2, (0,)), (3, (0, 0, 1)), (5, (0,)), (5, (0, 1, 1, 2))])
@pytest.mark.parametrize("size", [8, 400])
def test_the_trainer_is_the_textbooks(order: int, prune: tuple[int, ...], size: int) -> None:
    lines = list(SENTENCES) if size == 8 else corpus(size, seed=order)
    config = LmConfig(order=order, prune=prune)
    found, expected = spelt(kneser_ney(pa.array(lines), config)), textbook(lines, order, config.thresholds)
    for n in range(order):
        assert found[n].keys() == expected[n].keys()
        for gram, (log, backoff) in expected[n].items():
            assert found[n][gram] == pytest.approx((log, backoff), abs=2e-6), gram


def test_probabilities_sum_to_one_in_every_context() -> None:
    lines = corpus(300, seed=3)
    model = spelt(kneser_ney(pa.array(lines), LmConfig(order=3, prune=(0, 0, 1))))
    words = [g[0] for g in model[0] if g != ("<s>",)]
    contexts = [(), ("w0",), ("的", "w1"), ("<s>",), ("<s>", "w0"), ("never", "seen")]

    def probability(context: tuple[str, ...], word: str) -> float:
        gram = (*context, word)
        if gram in model[len(gram) - 1]:
            return float(10 ** model[len(gram) - 1][gram][0])
        backoff = model[len(context) - 1].get(context, (0.0, 0.0))[1]
        return float(10**backoff * probability(context[1:], word))

    for context in contexts:
        assert sum(probability(context, word) for word in words) == pytest.approx(1.0, abs=1e-5), context


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_scorer_is_the_definition(order: int) -> None:
    table = kneser_ney(pa.array(corpus(300, seed=1)), LmConfig(order=order, prune=(0, 0, 1)))
    model, readable = compile_model(table), spelt(table)
    lines = [*corpus(100, seed=2), "", "w0", "unheard of", "的 未 见 的", " ".join(corpus(200, seed=5))]
    found = model.lines(split_tokens(pa.array(lines)))
    assert found == pytest.approx([readable_score(readable, line) for line in lines], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("lines", [["桥"], ["a"] * 7, ["a b", "桥"]])
def test_tiny_texts_make_whole_models(tmp_path: Path, lines: list[str]) -> None:
    store = Store(tmp_path)
    write_arpa(kneser_ney(pa.array(lines), LmConfig(order=5, prune=(0, 0, 1))), store, "m.arpa")
    table = read_arpa(store, "m.arpa")
    found = compile_model(table).lines(split_tokens(pa.array([*lines, "unheard of"])))
    assert found == pytest.approx([readable_score(spelt(table), line) for line in [*lines, "unheard of"]], abs=1e-5)
    assert np.isfinite(found).all()


def test_the_scorer_is_kenlms(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    store = Store(tmp_path)
    write_arpa(kneser_ney(pa.array(corpus(500, seed=1)), LmConfig(prune=(0, 0, 0, 1, 1))), store, "m.arpa")
    lines = [*corpus(200, seed=2), "unheard of", "的 未 见 的"]
    theirs = kenlm.LanguageModel(str(tmp_path / "m.arpa"))
    ours = load_model(store, "m.arpa")
    assert isinstance(ours, NgramModel)
    expected = [theirs.score(line) for line in lines]
    assert ours.lines(split_tokens(pa.array(lines))) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    texts = pa.array(["的一是\n的 w0，W1！", "", None, "不了在"])
    for one, other in zip(ours.score(texts), KenlmModel(str(tmp_path / "m.arpa")).score(texts), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


ARPA = "\\data\\\nngram 1={count}\n\n\\1-grams:\n{number}\t<unk>\n-0.5\t桥\t{backoff}\n-0.5\ttea\n\n\\end\\\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": "9" * 10_000}, "header line"),
        ({"count": "²"}, "header line"),
        ({"count": "999999999999"}, "more than it has bytes"),
        ({"count": "7"}, "3 good lines|good lines in section"),
        ({"number": "inf"}, "infinite"),
        ({"number": "1e9999"}, "infinite"),
        ({"number": "9" * 10_000}, "infinite"),
        ({"backoff": "inf"}, "infinite"),
        ({"number": "nan"}, "good lines"),
    ],
)
def test_numbers_of_an_arpa_file_that_cannot_be(tmp_path: Path, change: dict[str, str], told: str) -> None:
    store = Store(tmp_path)
    whole = {"count": "3", "number": "-0.25", "backoff": "-0.1"}
    store.write_bytes("m.arpa", ARPA.format(**whole | change).encode())
    with pytest.raises(DataError, match=told):
        read_arpa(store, "m.arpa")


def test_odd_but_good_numbers_of_an_arpa_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, value in (("0e9999", 0.0), ("-0." + "3" * 10_000, -1 / 3), ("-inf", -np.inf), ("-1e-9999", 0.0)):
        store.write_bytes("m.arpa", ARPA.format(count=3, number=number, backoff="0").encode())
        assert read_arpa(store, "m.arpa").logs[0][0, 0] == pytest.approx(value)


def test_an_arpa_file_without_all_endings_scores_by_backoff(tmp_path: Path) -> None:
    """SRILM prunes "b c" and keeps "a b c"; kenlm is the judge of what that means."""
    others = [f"{x} {y}" for x in "abcd" for y in "abcd" if (x, y) != ("a", "b")]  # kenlm needs room for what is missing
    arpa = (
        f"\\data\\\nngram 1=8\nngram 2={3 + len(others)}\nngram 3=1\n\n\\1-grams:\n-1.1\t<unk>\n-99\t<s>\t-0.3\n-0.7\t</s>\n"
        "-0.6\ta\t-0.2\n-0.5\tb\t-0.25\n-1.5\tc\n-1.6\td\t-0.01\n-0.9\t桥\t-0.1\n\n\\2-grams:\n-0.2\t<s> a\t-0.05\n-0.4\ta b\t-0.15\n"
        "-0.33\tb </s>\n" + "".join(f"-0.7\t{pair}\t-0.02\n" for pair in others) + "\n\\3-grams:\n-0.125\ta b 桥\n\n\\end\\\n"
    )
    (tmp_path / "m.arpa").write_text(arpa, encoding="utf-8")
    table = read_arpa(Store(tmp_path), "m.arpa")
    lines = ["a b 桥", "a b 桥 a", "b 桥", "a b", "x a b 桥 桥", "c d a b 桥 d"]
    found = compile_model(table).lines(split_tokens(pa.array(lines)))
    assert found == pytest.approx([readable_score(spelt(table), line) for line in lines], abs=1e-5)
    kenlm = pytest.importorskip("kenlm")
    theirs = kenlm.LanguageModel(str(tmp_path / "m.arpa"))
    assert found == pytest.approx([theirs.score(line) for line in lines], abs=1e-5)


def test_arpa_files_survive_a_round_trip_gzipped_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    table = kneser_ney(pa.array(SENTENCES), LmConfig(order=3))
    write_arpa(table, store, "m.arpa")
    (tmp_path / "m.arpa.gz").write_bytes(gzip.compress((tmp_path / "m.arpa").read_bytes()))
    for name in ("m.arpa", "m.arpa.gz"):
        again = read_arpa(store, name)
        assert again.words.to_pylist() == table.words.to_pylist()
        for n in range(3):
            assert np.array_equal(again.grams[n], table.grams[n])
            assert np.array_equal(again.logs[n], table.logs[n])


@pytest.mark.parametrize(
    "number", ["-0.5", "-12.3456789", "-1e-3", "0", "-2.5E+01", "-3.4028e+10", "-0.000012345678901234567", "-99"]
)
def test_numbers_are_read_as_python_reads_them(tmp_path: Path, number: str) -> None:
    text = f"\\data\\\nngram 1=2\n\n\\1-grams:\n{number}\t<s>\t{number}\n-1\t</s>\n\n\\end\\\n"
    (tmp_path / "m.arpa").write_text(text)
    logs = read_arpa(Store(tmp_path), "m.arpa").logs[0]
    assert logs[0].tolist() == [np.float32(number)] * 2


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda t: t[: len(t) // 2], "train it again"),
        (lambda t: "hello", "no ARPA file"),
        (lambda t: t.replace("ngram 2=", "ngram 2=9"), "its header says"),
        (lambda t: t.replace("ngram 1=", "ngram 1=x"), "header line"),
        (lambda t: t.replace("\tbridge\t", "\tthe\t", 1), "stands twice"),
        (lambda t: t.replace("\t<s>\t", "\tstart\t", 1), "1-grams"),
    ],
)
def test_damaged_models_are_refused_with_a_sentence(tmp_path: Path, damage: object, says: str) -> None:
    store = Store(tmp_path)
    write_arpa(kneser_ney(pa.array(SENTENCES), LmConfig(order=2)), store, "m.arpa")
    text = (tmp_path / "m.arpa").read_text(encoding="utf-8")
    (tmp_path / "m.arpa").write_text(damage(text), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(DataError, match=says):
        load_model(store, "m.arpa")
    with pytest.raises(StorageError):
        load_model(store, "other.arpa")


def test_perplexity_is_by_text_and_by_language(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = LmConfig(order=3, trainer="ours")
    assert train_lm(pa.array(["The bridge is old.\nThe river is wide."] * 3), store, "en.arpa", config) == "ours"
    train_lm(pa.array(["这座桥很旧。\n这条河很宽。"] * 3), store, "zh.arpa", config)
    models = {"en": load_model(store, "en.arpa"), "zh": load_model(store, "zh.arpa")}
    texts = pa.array(["The bridge is old", "wide old is the bridge", "这座桥很旧", "旧很桥座这", "旧", "", "Brücke"])
    langs = np.array(["en", "en", "zh", "zh", "en", "zh", "other"], object)
    found = lm_score(texts, langs, models)
    assert found.dtype == np.float32
    assert found[0] < found[1]
    assert found[2] < found[3]
    assert np.isnan(found).tolist() == [False] * 5 + [True] * 2
    alone = [lm_score(texts.slice(k, 1), langs[k : k + 1], models)[0] for k in range(len(texts))]
    assert np.array_equal(found, np.array(alone), equal_nan=True)
    logs, sizes = models["en"].score(texts.slice(0, 1))
    assert sizes.tolist() == [5]
    assert found[0] == pytest.approx(10 ** (-logs[0] / 5))


def test_lmplz_is_used_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "lmplz"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --text) text=$2;; --arpa) arpa=$2;; esac; shift; done\n"
        'grep -q "boom" "$text" && { echo no such thing >&2; exit 3; }\nprintf "made of: " > "$arpa"; cat "$text" >> "$arpa"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    store = Store(tmp_path / "out")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert train_lm(pa.array(["The bridge"]), store, "m.arpa", LmConfig()) == "ours"
    with pytest.raises(ConfigError, match=r"lmplz.*PATH"):
        train_lm(pa.array(["The bridge"]), store, "m.arpa", LmConfig(trainer="lmplz"))
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert train_lm(pa.array(["The bridge.\n桥很旧"]), store, "m.arpa", LmConfig()) == "lmplz"
    assert store.read_text("m.arpa") == "made of: the bridge\n桥 很 旧\n"
    with pytest.raises(DataError, match="no such thing"):
        train_lm(pa.array(["boom"]), store, "m.arpa", LmConfig())


def test_what_cannot_be_trained_on_is_said() -> None:
    with pytest.raises(DataError, match="no words"):
        train_lm(pa.array(["...", "，。"]), Store("memory://lm"), "m.arpa", LmConfig(trainer="ours"))
    with pytest.raises(DataError, match="take these out"):
        kneser_ney(pa.array(["a <unk> b"]), LmConfig())
    with pytest.raises(ConfigError, match="begin with 0"):
        LmConfig(prune=(1,))


def test_kenlm_files_without_the_package_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(100))
    monkeypatch.setitem(__import__("sys").modules, "kenlm", None)
    with pytest.raises(ConfigError, match=r"skyloom\[kenlm\]"):
        load_model(Store(tmp_path), "m.bin")
