"""Personal data is found, and what only looks like it is left alone."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planted.redaction import SPLITS, cases

from skyloom.corpus.redact.config import KINDS, RedactConfig
from skyloom.corpus.redact.replace import find, redact


def clean(text: str) -> str:
    return str(redact(pa.array([text]), RedactConfig()).texts[0].as_py())


def id_card(first17: str) -> str:
    """A number with the check character of the standard, written from its definition: sum of a_i * 2^(i-1) = 1 mod 11."""
    weights = [2 ** (17 - k) for k in range(17)]
    rest = sum(int(d) * w for d, w in zip(first17, weights, strict=True)) % 11
    check = (12 - rest) % 11
    return first17 + ("X" if check == 10 else str(check))


def card(prefix: str) -> str:
    """A card number with its Luhn digit."""
    for last in "0123456789":
        digits = [int(d) for d in reversed(prefix + last)]
        if (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0:
            return prefix + last
    raise AssertionError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Write to jane.doe@mail.skyland.org today.", "Write to <EMAIL> today."),
        ("请发邮件到zhang_wei@youxiang.cn，谢谢。", "请发邮件到<EMAIL>，谢谢。"),
        ("联系电话：13812345678。", "联系电话：<PHONE>。"),
        ("手机 138 1234 5678，座机 010-62345678 转 3", "手机 <PHONE>，座机 <PHONE> 转 3"),
        ("传真（021）62345678；免费热线400-123-4567", "传真<PHONE>；免费热线<PHONE>"),
        ("电话010-62345678/13812345678", "电话<PHONE>/<PHONE>"),
        ("Call +86 138 1234 5678 or (415) 555-2671 or 415-555-2671.", "Call <PHONE> or <PHONE> or <PHONE>."),
        ("Tel: +44 20 7946 0958, +14155552671", "Tel: <PHONE>, <PHONE>"),
        (f"身份证号{id_card('11010519491231002')}已登记", "身份证号<ID_CARD>已登记"),
        (f"card {card('411111122223333')}, {card('622202100011112')}", "card <BANK_CARD>, <BANK_CARD>"),
        ("The host 47.95.12.33 and 203.119.25.31 answered.", "The host <IP> and <IP> answered."),
        ("服务器地址 114.115.114.116，端口 80", "服务器地址 <IP>，端口 80"),
        ("from 2a00:1450:4001:81b::200e at noon", "from <IP> at noon"),
        ("connect to 1.2.3.4:8080", "connect to <IP>:8080"),
        ("Tel:86-755-12345678, fax:86-10-62345678", "Tel:<PHONE>, fax:<PHONE>"),
        ("电话：86-755-26789012转801；0755.26789012", "电话：<PHONE>；<PHONE>"),
        ("手机：138.1234.5678 或 138-1234-5678，86.138.1234.5678", "手机：<PHONE> 或 <PHONE>，<PHONE>"),
        ("Call 138–1234–5678 or +86.755.26789012.", "Call <PHONE> or <PHONE>."),
        ("报价热线13812345678", "报价热线<PHONE>"),
        ("询价电话：13812345678，询价13912345678", "询价电话：<PHONE>，询价<PHONE>"),
        ("价格请咨询：13812345678", "价格请咨询：<PHONE>"),
        ("报价联系王工13812345678；货款找小李13812345678", "报价联系王工<PHONE>；货款找小李<PHONE>"),
        ("price? call 13812345678", "price? call <PHONE>"),
        ("Price: tel 13812345678, total - Ann 13812345678", "Price: tel <PHONE>, total - Ann <PHONE>"),
        ("请拨打13812345678 人工服务 / call 13812345678 times vary", "请拨打<PHONE> 人工服务 / call <PHONE> times vary"),
    ],
)
def test_personal_data_becomes_placeholders(before: str, after: str) -> None:
    assert clean(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "Version 1.2.3.4 and v115.20.57.90 were released; see section 10.22.33.4.",
        "版本 12.34.56.78 修复了第 1.2.3.4 节所述的问题。",
        "6.2.4.3. 邮件地址配置\n6.2.4.4. 基础设置",
        "The router is 192.168.0.1, the loop 127.0.0.1 and ::1, the example 203.0.113.7 and 2001:db8::8a2e.",
        "ISBN 978-7-302-12345-6, ISBN 0-306-40615-2, ISSN 0028-0836, 书号9787302123456",
        "At 12:34:56 the value was 3.14159265358979323846, then 2147483647 and +2147483647.",
        "commit 4111111111111111deadbeef, sha 13812345678abcdef, x = 0x13812345678",
        "user@example.com, icon@2x.png, getty@tty1.service, git@host.org:repo.git, @property, a@b",
        "std::vector<int> a::b::c; ab:cd:ef:01:23:45",
        "订单号 20231019123456789012，金额 1,234,567.89 元，编号 123456789012345678",
        "1949-10-01, 2023-2024, 100-200-3000, +100 000 000, 10:20:30:40",
        "4503599627370496 and 1234567890123456 are no cards",
        "DNS is 8.8.8.8 or 1.1.1.1；公共 DNS 114.114.114.114 和 223.5.5.5, 2001:4860:4860::8888",
        "售价 13812345678 元，总额：13812345678；price $13812345678, 价格：12.34.56.78 元",
        "价格为 13812345678，价钱是：13812345678；the total amount is 13812345678; 13812345678 people",
        "¥1,388,123.45, US$138.1234, 1.388.123.456 euros",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert clean(text) == text


def test_counts_by_kind_and_row_and_chosen_kinds() -> None:
    texts = pa.chunked_array(
        [["a@mail.skyland.org, b@mail.skyland.org", "无"], ["电话 13812345678，13912345678 c@mail.skyland.org", None]]
    )
    found = redact(texts, RedactConfig())
    assert found.counts["email"].tolist() == [2, 0, 1, 0]
    assert found.counts["phone"].tolist() == [0, 0, 2, 0]
    assert found.texts.to_pylist()[1] == "无"
    assert redact(texts, RedactConfig(kinds=("phone",))).texts[0].as_py() == "a@mail.skyland.org, b@mail.skyland.org"


PIECES = ["电话", " ", "13812345678", "jane@mail.skyland.org", "9.8.8.8", "/", ":", "，", "a", "1", ".", "010-62345678", "+86 ", "(", ")",
          "6222021000111126", "-", "2a00:1450:4001:81b::200e", "11010519491231002X", "\n", "\U0001f600"]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=10).map("".join), max_size=6))
@settings(max_examples=150, deadline=None)
def test_rows_are_judged_alone_and_redacting_twice_changes_nothing(texts: list[str]) -> None:
    column = redact(pa.array(texts, pa.string()), RedactConfig()).texts.to_pylist()
    for before, after in zip(texts, column, strict=True):
        assert after == clean(before)
        assert clean(after) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("電話：（02）2345-6789，手機0912-345-678", "電話：<PHONE>，手機<PHONE>"),
        ("Tel: +886 2 2345 6789; mobile +886 912 345 678", "Tel: <PHONE>; mobile <PHONE>"),
        ("查詢熱線：2345 6789（香港），+852 9123 4567", "查詢熱線：<PHONE>（香港），<PHONE>"),
        ("电话：０１０－６２３４５６７８，邮箱：ｗａｎｇ＠ｙｏｕｘｉａｎｇ．ｃｎ", "电话：<PHONE>，邮箱：<EMAIL>"),
        ("Contact the caretaker (+81 3-4241-8157) about it", "Contact the caretaker (<PHONE>) about it"),
        ("客服 0086 138 1234 5678 转人工", "客服 <PHONE> 转人工"),
        (f"卡号{card('401288888888188')}，{card('37828224631000')}", "卡号<BANK_CARD>，<BANK_CARD>"),
    ],
)
def test_other_plans_and_full_width_forms(before: str, after: str) -> None:
    assert clean(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "订单编号：15023456789，序列号 18827132019，QQ：23456789",
        "Order no. 13812345678, invoice #15023456789, about 15259848516 bytes",
        "ISSN 2345-6789; the years 1949-1999; IMEI 356938035643809",
        "x = 495-781-8423+25",
        f"编码 {id_card('11010519491302002')} 无效",  # a month 30
    ],
)
def test_the_words_around_a_number_and_its_plan_count(text: str) -> None:
    assert clean(text) == text


def test_spans_are_bytes_and_rows_of_chunks_and_slices() -> None:
    texts = ["x", None, "电话 13812345678，邮箱 a.b@mail.skyland.org", "host 9.8.8.8"]
    column = pa.array(texts)
    table = find(pa.chunked_array([column.slice(0, 1), column.slice(1)]), RedactConfig())
    found = [(r["row"], (texts[r["row"]] or "").encode()[r["start"] : r["stop"]].decode(), r["kind"]) for r in table.to_pylist()]
    assert found == [(2, "13812345678", "phone"), (2, "a.b@mail.skyland.org", "email"), (3, "9.8.8.8", "ip")]
    assert find(column.slice(2, 1), RedactConfig())["row"].to_pylist() == [0, 0]
    assert len(find(pa.array([], pa.string()), RedactConfig())) == 0


@pytest.mark.parametrize("split", SPLITS)
def test_generated_cases(split: str) -> None:
    """The figures of bench/corpus/redaction.py on fewer cases: all but a few numbers that `phonenumbers` does not know yet."""
    generated = cases(split, 900, 5)
    table = find(pa.array([c.text for c in generated]), RedactConfig())
    found: list[set[tuple[int, int, str]]] = [set() for _ in generated]
    for row, start, stop, kind in zip(*(c.to_pylist() for c in table.columns), strict=True):
        data = generated[row].text.encode()
        found[row].add((len(data[:start].decode()), len(data[:stop].decode()), kind))
    assert [c.text for c, spans in zip(generated, found, strict=True) if spans - set(c.spans)] == []
    missed = [c.text for c, spans in zip(generated, found, strict=True) if set(c.spans) - spans]
    assert len(missed) <= 5, missed


@given(st.text(alphabet=st.sampled_from("0123456789+-. ()（）１＠@:：abc中电话\U0001f600\n"), max_size=60))
@settings(max_examples=200, deadline=None)
def test_nothing_breaks_and_the_rest_of_the_text_stays(text: str) -> None:
    found = redact(pa.array([text]), RedactConfig())
    placeholders = {f"<{kind.upper()}>": int(found.counts[kind][0]) for kind in KINDS}
    after = found.texts[0].as_py()
    assert sum(after.count(p) for p in placeholders) <= sum(placeholders.values())
    parts = re.split("|".join(map(re.escape, placeholders)), after)
    place = 0
    for part in parts:
        place = text.find(part, place) + len(part)
        assert place >= len(part), "what stays stood in the text, in this order"


@pytest.mark.parametrize("text", ["+86 6222021000111126138123456781101051949a", "电话+861" + "3812345678" * 4 + "甲b"])
def test_a_long_run_of_digits_takes_little_work(text: str) -> None:
    """The shape of an international number once tried each way of cutting the digits into groups: this never ended."""
    assert clean(text + "x") == clean(text) + "x"
