"""Quality rules: debris goes for the right reason, good texts of many kinds stay, in both languages."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.units import units
from skyloom.corpus.quality.config import QualityConfig
from skyloom.corpus.quality.rules import FUNCTION_WORDS, measure
from skyloom.corpus.quality.stage import cheap_reasons, failed_rules, judge_quality, rule_table

GOOD = {
    "en prose": ("en", "The ferry left at six, and by the time the sun stood over the hills we had already passed the second island. "
                 "Nobody on deck had slept. My brother kept a hand on the rail as if the boat might forget to carry him."),
    "zh prose": ("zh-Hans", "渡船六点开出，太阳升到山顶的时候，我们已经过了第二个岛。甲板上没有人睡过觉。弟弟一直用手扶着栏杆，好像怕船把他忘在海上。"),
    "zh traditional": ("zh-Hant", "這座老橋是在我祖父出生的那一年修好的，後來發過三次大水，它都沒有倒。村裡的人說，橋也會記得走過它的人。"),
    "zh classical": ("zh-Hans", "山不在高，有仙则名；水不在深，有龙则灵。其地虽僻，而往来者众，盖以主人之好客也。余尝三过其门，未尝不留。"),
    "zh review": ("zh-Hans", "东西是正品包装也很好快递速度非常快上午订的下午就到了以后还会继续支持的希望客服能回得再快一点就更好了"),
    "en manual": ("en", "Formatting a disk\n\nOpen the terminal and type the command.\n\n    mkfs.ext4 /dev/sdb1\n    mount /dev/sdb1 /mnt\n\n"
                  "- The first command erases the disk.\n- The second one makes it available to you under /mnt.\n"),
    "zh manual": ("zh-Hans", "格式化磁盘\n\n打开终端，输入下面的命令。\n\n    mkfs.ext4 /dev/sdb1\n    mount /dev/sdb1 /mnt\n\n"
                  "- 第一条命令会清空磁盘。\n- 第二条命令把它挂载到 /mnt，之后就可以使用了。\n"),
    "zh law": ("zh-Hans", "第一条 为了保护水源，根据有关法律，制定本条例。\n\n第二条 本市行政区域内的河流、湖泊和水库适用本条例。\n\n"
               "第三条 任何单位和个人都有保护水源的义务，并有权对污染水源的行为进行举报。"),
    "en poem": ("en", "I asked the wind to carry me,\nit carried off my hat instead;\nI asked the hat to come to me,\n"
                "and it has never left my head."),
    "en on fraud": ("en", "The court heard how the casino bonus offers were sent to people who had asked to be left alone. "
                    "Of the four accused, two admitted that they had written the messages and paid for the lists of numbers."),
    "zh on fraud": ("zh-Hans", "警方通报，该团伙以代开发票为名骗取企业钱款，涉案金额超过三百万元。民警提醒，遇到此类信息不要轻信，应当及时报警。"),
}  # fmt: skip
BAD = {
    "words too long": ("en", "https example com " + " ".join(f"averylongidentifier_number_{k}_of_the_page" for k in range(40)) + " to the end."),
    "hardly any Chinese": ("zh-Hans", "The ferry left at six, and by the time the sun stood over the hills we had passed the second island. " * 2
                           + "渡船六点开出。Nobody on deck had slept, and my brother kept a hand on the rail; the boat might forget him."),
    "lines cut off": ("zh-Hans", "\n".join(f"第{k}座桥是在我祖父出生的那一年修好的，后来发过几次大水……" for k in "一二三四五六七八")),
    "a list and nothing else": ("en", "\n".join(f"- the {w} of a book, and more" for w in "abcdefghijklmnop")),
    "lines too short": ("zh-Hans", "\n".join(["首页", "新闻", "的", "在，", "体育", "是", "财经", "我", "科技"] * 4)),
    "hardly any function words": ("en", "Sony Canon Nikon Fuji, Leica Pentax Olympus Kodak, Ricoh Sigma Tamron Zeiss. " * 3
                                  + "Batteries chargers lenses tripods, straps bags filters cards. Printers scanners paper ink, "
                                  "monitors keyboards mice cables. Speakers headphones amplifiers turntables, radios clocks lamps fans. "
                                  "Chairs desks shelves tables, sofas beds mattresses pillows."),
    "too many digits": ("zh-Hans", "下表是各站的数据：" + "，".join(f"{k}0{k}3{k}1.{k}7{k}5" for k in range(40)) + "的是在了"),
    "too many symbols": ("en", "The $%^& of <<<>>> it | is ~~~ @@@ ### ^^^ *** $$$ {} [] and |||| to ==== +++ in the &&& " * 3),
    "repeated lines": ("zh-Hans", "欢迎来到我们的网站，请先注册再登录。\n" * 6 + "这里是今天的新闻，一共有三条，都在下面。"),
    "repeated phrases": ("zh-Hans", "夏天的风真的很凉快，我很喜欢。" * 12),
    "no punctuation": ("zh-Hans", "香山苹果品质好甜度高口感佳是送礼的不二之选我们在产地直发" * 9 + "今天下单明天就到还有三个不同的规格可以选择欢迎新老客户来电咨询"),
    "advertising": ("zh-Hans", "想要轻松日赚三百元吗？加微信领取资料，我们的团队带你刷单，贷款秒批，不看征信，名额有限，先到先得。"),
    "an error page": ("en", "Sorry, the page was not found. It may have been moved to another place, or you may have mistyped its address. "
                      "Please go back to the front page and try again."),
}  # fmt: skip


def verdicts(rows: list[tuple[str, str]]) -> tuple[list[str | None], list[float]]:
    verdict = judge_quality(pa.array([t for _, t in rows]), pa.array([lang for lang, _ in rows]), QualityConfig())
    return verdict.reason.to_pylist(), verdict.score.tolist()


def test_good_texts_stay() -> None:
    reasons, scores = verdicts(list(GOOD.values()))
    assert dict(zip(GOOD, reasons, strict=True)) == dict.fromkeys(GOOD)
    assert min(scores) >= 0.5
    cheap = cheap_reasons(pa.array([t for _, t in GOOD.values()]), pa.array([lang for lang, _ in GOOD.values()]), QualityConfig())
    assert cheap.null_count == len(GOOD)


@pytest.mark.parametrize("reason", list(BAD))
def test_debris_goes_for_its_reason(reason: str) -> None:
    reasons, scores = verdicts([BAD[reason]])
    assert reasons == [reason]
    assert scores[0] < 0.5


SAYINGS = {
    "en": ["The ferry left at six and the sun stood over the hills.", "Nobody on the deck had slept, and my brother kept a hand on the rail.",
           "In the village they say that the bridge remembers who has walked over it.", "A pump in the cellar keeps the water down.",
           "The letters in the archive were written in pencil, and so they outlived the flood."],
    "zh": ["渡船六点开出，太阳升到了山顶。", "甲板上没有人睡过觉，弟弟一直用手扶着栏杆。", "村里的人说，桥也会记得走过它的人。",
           "地窖里的小水泵把水压在下面。", "档案馆里的信是用铅笔写的，所以发大水的时候保存了下来。"],
}  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\n\n", " \n    "])
@pytest.mark.parametrize("paragraphs", [2, 3, 5])
def test_a_text_said_twice_is_judged_alike_in_both_languages(paragraphs: int, ends: str) -> None:
    """Half of it stood before, which is no more than the limit; of a text said three times, two thirds."""
    for times, expected in ((1, None), (2, None), (3, "repeated lines")):
        for lang, lines in SAYINGS.items():
            said = lines[:paragraphs]
            one_by_one = [line for line in said for _ in range(times)]
            reasons, _ = verdicts([(lang, ends.join(said * times)), (lang, ends.join(one_by_one))])
            assert reasons == [expected] * 2, (lang, times)


def test_cheap_rules() -> None:
    texts = ["Too short.", "太短了。", GOOD["en prose"][1], GOOD["zh prose"][1] + "\ufffd\ufffd\ufffd", "", GOOD["zh prose"][1]]
    langs = ["en", "zh-Hans", "en", "zh-Hans", "en", "zh-Hans"]
    found = cheap_reasons(pa.array(texts), pa.array(langs), QualityConfig()).to_pylist()
    assert found == ["too short", "too short", None, "broken characters", "too short", None]


def test_a_page_of_another_language_is_not_asked_for_english_words() -> None:
    text = "Der Fluss steigt, wenn der Schnee schmilzt, und die Leute im Dorf tragen dann ihre Boote vor das Haus. " * 2
    assert verdicts([("other", text)])[0] == [None]


@given(st.lists(st.text(alphabet=st.sampled_from("the of a 的是在 12,。\n-*#\U0001f600é"), max_size=80), max_size=6))
@settings(max_examples=50, deadline=None)
def test_scores_and_reasons_agree_and_rows_are_judged_alone(texts: list[str]) -> None:
    langs = ["en" if k % 2 else "zh-Hans" for k in range(len(texts))]
    together = judge_quality(pa.array(texts, pa.string()), pa.array(langs, pa.string()), QualityConfig())
    assert np.all((together.score >= 0) & (together.score <= 1))
    assert [s < 0.5 for s in together.score] == [r is not None for r in together.reason.to_pylist()]
    alone = [verdicts([(lang, text)]) for lang, text in zip(langs, texts, strict=True)]
    assert [r for reasons, _ in alone for r in reasons] == together.reason.to_pylist()


@pytest.mark.data
@pytest.mark.parametrize(("lang", "name"), [("en", "government_speeches"), ("en", "news_mixed"), ("zh", "government_law")])
def test_hardly_any_published_prose_is_dropped(lang: str, name: str) -> None:
    folder = os.environ.get("SKYLOOM_BENCH_DATA")
    if not folder:
        pytest.skip("set SKYLOOM_BENCH_DATA to the folder of third-party data")
    lines = gzip.open(Path(folder, "text", lang, f"{name}.jsonl.gz"), "rt", encoding="utf-8").read().split("\n")[:300]
    texts = [json.loads(line)["text"] for line in lines if line]
    reasons, _ = verdicts([("en" if lang == "en" else "zh-Hans", text) for text in texts])
    assert sum(r is not None for r in reasons) <= 0.01 * len(texts)


def test_published_filters_are_asked_of_english_only_and_only_if_named() -> None:
    column, langs = pa.array([GOOD["en poem"][1], GOOD["zh prose"][1]]), pa.array(["en", "zh-Hans"])
    assert judge_quality(column, langs, QualityConfig()).reason.null_count == 2
    found = judge_quality(column, langs, QualityConfig(web_en=("gopher-quality",)))
    assert found.reason.to_pylist() == ["web-en: too few words", None]
    assert found.score[0] < 0.5 <= found.score[1]


@given(st.lists(st.text(alphabet=st.sampled_from("the of 的是在 12,。…\n.-*#\U0001f600é加微信号"), max_size=120), max_size=5))
@settings(max_examples=80, deadline=None)
def test_measures_are_what_they_say(texts: list[str]) -> None:
    found = measure(pa.array(texts, pa.string()))
    words = {unit for line in FUNCTION_WORDS.values() for unit in line.split()}
    for row, text in enumerate(texts):
        all_units = units(text)
        count = max(len(all_units), 1)
        grams = [tuple(all_units[k : k + 5]) for k in range(len(all_units) - 4)]
        lines = text.split("\n")
        ends = sum(line.rstrip(" ").endswith(("...", "…")) for line in lines) if len(lines) >= 5 else 0
        expected = {
            "function_words": sum(u in words for u in all_units) / count,
            "repeated_ngrams": (len(grams) - len(set(grams))) / max(len(grams), 1),
            "han": sum("\u4e00" <= c <= "\u9fff" for c in text) / count,
            "cut": ends / max(sum(bool(line.strip()) for line in lines), 1),
        }
        assert found.units[row] == len(all_units)
        assert {name: found.columns[name][row] for name in expected} == pytest.approx(expected)


def test_adverts_and_apologies_are_phrases_of_units() -> None:
    texts = [
        "Click here to ORDER, or click here to buy. Free-spins!",
        "加微信号；加我微信，代开发票",
        "The order of nowhere",
        "Page can’t be found",
        "页面 不存在",
    ]
    found = measure(pa.array(texts))
    assert (found.columns["adverts"] * found.units / 1000).round().tolist() == [3, 3, 0, 0, 0]
    assert found.columns["apology"].tolist() == [0, 0, 0, 1, 1]


def test_the_table_names_every_measure_once_for_each_language() -> None:
    found = failed_rules(pa.array(["a"]), pa.array(["en"]), QualityConfig())
    assert set(found) == {rule.reason for rule in rule_table(QualityConfig())}
    for rule in rule_table(QualityConfig()):
        assert set(rule.limits) <= {"en", "zh", "other"}
    table = {rule.reason: rule.limits for rule in rule_table(QualityConfig())}
    assert table["hardly any function words"]["zh"] < table["hardly any function words"]["en"]
    assert set(table["hardly any Chinese"]) == {"zh"}
