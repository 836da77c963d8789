"""The sample pages are what `samples/web/README.md` says: counts, translations, special pages, and nothing real in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser

WEB = Path(__file__).parent.parent / "samples" / "web"
PAGES = sorted(WEB.glob("*/*/*.html"))
README = (WEB / "README.md").read_text(encoding="utf-8")
HAN = re.compile(r"[\u4e00-\u9fff]")
BLOCKS = {"h1", "h2", "h3", "p", "li", "td", "th", "pre", "blockquote", "figure", "amp-img"}
NAMES = {"gbk": "gbk", "big5": "big5"}


def name(page: Path) -> str:
    return page.relative_to(WEB).as_posix()


def special() -> dict[str, list[str]]:
    """The pages of the README's table of special pages, by kind."""
    found: dict[str, list[str]] = {}
    for page, kind in re.findall(r"^\| `([\w/-]+\.html)` \| ([\w-]+) \|", README, re.MULTILINE):
        found.setdefault(kind, []).append(page)
    return found


SPECIAL = special()
KIND = {page: kind for kind, pages in SPECIAL.items() for page in pages}
COPIES = re.findall(r"^\| `([\w/-]+\.html)` \| near-copy \| the text of `([\w/-]+\.html)`", README, re.MULTILINE)
PAIRS = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \|$", README, re.MULTILINE)


def text_of(page: str) -> str:
    """The page as characters, in the encoding that the README states for it."""
    errors = "replace" if KIND.get(page) == "broken" else "strict"
    return (WEB / page).read_bytes().decode(NAMES.get(KIND.get(page, ""), "utf-8"), errors)


def visible(page: str) -> str:
    tree = HTMLParser(text_of(page))
    tree.strip_tags(["script", "style", "head"])
    return tree.body.text(separator=" ") if tree.body else ""


def blocks(page: str) -> list[str]:
    """The tags of the page's blocks, in their order; related links are left out, since the two languages differ in them."""
    body = HTMLParser(text_of(page)).body
    assert body is not None
    nodes = [node for node in body.traverse() if node.tag in BLOCKS or node.attributes.get("class") == "lm-p"]
    return [node.tag or "" for node in nodes if node.css_first('a[href$=".html"]') is None]


def grams(text: str) -> set[tuple[str, ...]]:
    units = re.findall(r"[\u4e00-\u9fff]|[A-Za-z0-9]+", text)
    return set(zip(*(units[i:] for i in range(5)), strict=False))


def declared(page: str) -> str:
    found = re.search(rb"charset=[\"']?([\w-]+)", (WEB / page).read_bytes())
    return found.group(1).decode().lower() if found else ""


def ordinary() -> Iterator[Path]:
    return (page for page in PAGES if KIND.get(name(page)) in (None, "near-copy"))


def test_counts_are_those_of_the_readme_and_half_is_chinese() -> None:
    counts = Counter(page.relative_to(WEB).parts[:2] for page in PAGES)
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (\d+) \| (\d+) \|$", README, re.MULTILINE)
    assert {(site, lang): int(n) for site, en, zh in rows for lang, n in (("en", en), ("zh", zh))} == dict(counts)
    assert len(rows) >= 10
    assert len(PAGES) >= 84
    assert {lang for _, lang in counts} == {"en", "zh"}
    assert 0.45 <= sum(n for (_, lang), n in counts.items() if lang == "zh") / len(PAGES) <= 0.55


def test_translated_pages_are_those_of_the_readme() -> None:
    sides = Counter((page.parts[-3], page.stem) for page in PAGES)
    assert sorted(key for key, n in sides.items() if n == 2) == sorted(PAIRS)
    assert len(PAIRS) >= 8


@pytest.mark.parametrize(("site", "page"), PAIRS)
def test_the_two_sides_of_a_translation_have_the_same_blocks(site: str, page: str) -> None:
    english, chinese = f"{site}/en/{page}.html", f"{site}/zh/{page}.html"
    assert blocks(english) == blocks(chinese)
    assert len(blocks(english)) >= 10
    ratio = len(HAN.findall(visible(chinese))) / len(re.findall(r"[A-Za-z]+", visible(english)))
    assert 1.0 < ratio < 2.2
    for path, other in ((english, "zh"), (chinese, "en")):
        assert f'href="../{other}/{page}.html"' in text_of(path)


@pytest.mark.parametrize("page", list(ordinary()), ids=name)
def test_ordinary_pages_are_utf8_dated_and_hold_prose(page: Path) -> None:
    path = name(page)
    assert declared(path) == "utf-8"
    tree = HTMLParser(text_of(path))
    assert tree.css_first("title").text().strip()
    assert re.search(r'property="article:published_time" content="20\d\d-\d\d-\d\d', text_of(path))
    lang = tree.css_first("html").attributes["lang"] or ""
    assert lang.startswith(page.parts[-2])
    text = visible(path)
    if page.parts[-2] == "zh":
        assert len(HAN.findall(text)) >= 800
    else:
        assert len(re.findall(r"[A-Za-z]+", text)) >= 500
        assert len(HAN.findall(text)) <= 10  # the link to the other language


def test_there_is_enough_text() -> None:
    assert sum(len(visible(name(page)).encode()) for page in ordinary()) >= 350_000


def test_gbk_and_big5_pages_are_what_they_declare() -> None:
    for kind in ("gbk", "big5"):
        (page,) = SPECIAL[kind]
        assert declared(page) == kind
        data = (WEB / page).read_bytes()
        with pytest.raises(UnicodeDecodeError):
            data.decode("utf-8")
        assert len(HAN.findall(data.decode(kind))) >= 700
    assert 'lang="zh-TW"' in text_of(SPECIAL["big5"][0])
    assert "鳳梨" in text_of(SPECIAL["big5"][0])
    assert "菜园" in text_of(SPECIAL["gbk"][0])


def test_the_wrongly_declared_page_is_utf8() -> None:
    (page,) = SPECIAL["wrong-charset"]
    assert declared(page) == "gb2312"
    data = (WEB / page).read_bytes()
    assert len(HAN.findall(data.decode("utf-8"))) >= 700
    with pytest.raises(UnicodeDecodeError):
        data.decode("gb2312")


def test_the_broken_page_is_broken() -> None:
    (page,) = SPECIAL["broken"]
    data = (WEB / page).read_bytes()
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")
    assert b"</html>" not in data
    assert data.count(b"<div") > data.count(b"</div")
    assert len(re.findall(r"[A-Za-z]+", visible(page))) >= 300


def test_empty_french_and_spam_pages() -> None:
    (empty,) = SPECIAL["empty"]
    assert len(visible(empty).split()) < 12
    (french,) = SPECIAL["french"]
    assert HTMLParser(text_of(french)).css_first("html").attributes["lang"] == "fr"
    assert len(re.findall(r"\b(le|la|les|une?|des|et|que|qui)\b", visible(french))) > 80
    assert sorted(page.split("/")[1] for page in SPECIAL["spam"]) == ["en", "zh"]
    for page in SPECIAL["spam"]:
        units = re.findall(r"[\u4e00-\u9fff]{2}|[a-z]+", visible(page).lower())
        assert Counter(units).most_common(1)[0][1] >= 20  # one word, again and again


def test_near_copies_are_near_and_no_copies() -> None:
    assert len(COPIES) == 6
    assert Counter(copy.split("/")[1] for copy, _ in COPIES) == {"en": 3, "zh": 3}
    for copy, original in COPIES:
        assert copy.split("/")[0] != original.split("/")[0]
        first, second = grams(visible(copy)), grams(visible(original))
        assert 0.6 < len(first & second) / len(first | second) < 0.99


def test_other_pages_do_not_repeat_each_other() -> None:
    """Within a language two articles share little more than their site's boilerplate."""
    copies = {copy for copy, _ in COPIES}
    paragraphs: Counter[str] = Counter()
    for page in PAGES:
        path = name(page)
        if path in copies or KIND.get(path) in ("spam", "broken", "empty"):
            continue
        tree = HTMLParser(text_of(path))
        paragraphs.update({p.text().strip() for p in tree.css("p, div.lm-p") if len(p.text().strip()) >= 160})
    assert {text: n for text, n in paragraphs.items() if n > 1} == {}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_real_and_nothing_from_the_network(page: Path) -> None:
    text = text_of(name(page))
    tree = HTMLParser(text)
    for node in tree.css("script[src], iframe, object, embed, link[rel=stylesheet]"):
        pytest.fail(f"{name(page)} loads something: {node.html}")
    for node in tree.css("img[src], amp-img[src]"):
        assert (node.attributes["src"] or "").startswith("/img/")
    reserved = re.compile(r"(^|\.)example\.(com|org|net)$")
    addresses = re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text)
    hosts = re.findall(r"https?://([\w.-]+)", text)
    known = {"schema.org", "www.w3.org"}  # names of vocabularies, never fetched
    assert [host for host in [*addresses, *hosts] if not reserved.search(host) and host not in known] == []
    assert re.findall(r"(?<!\d)1[3-9]\d{9}(?!\d)", text) == []  # a mobile number in China
