"""Templates of wikitext that bear text: measures, dates, words of other languages, quotations, readings, marks.

Input: a template's name, and its parameters as text. Output: the words that a reader sees in its place, "" for furniture (notes,
boxes, icons), or `HOLE` where the template is not known and what it says cannot be told. The tables name the templates of the
English and the Chinese encyclopedia; measures are given as they were entered, without the conversion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from skyloom.corpus.sources.readers.markup.holes import HOLE
from skyloom.corpus.sources.readers.markup.raised import lowered, raised
from skyloom.corpus.sources.readers.markup.template_names import (
    CURRENCIES,
    FIRST,
    FURNITURE,
    FURNITURE_WHOLE,
    FURNITURE_WORDS,
    LAST,
    LINK,
    LISTS,
    MARKS,
    MONTHS,
    QUOTES,
    RANGES,
    SECOND,
    UNITS,
    UNITS_ZH,
)

Named = Mapping[str, str]
Placed = Sequence[str]

_NUMBER = re.compile(r"[-−+±~≈<>]?\s*[\d.,，/⁄]+(?:[+/]\d+)*(?:[eE×x]\s*[-−+]?\d+)?")
_FIRST_WORD = re.compile(r"[ \-/?0-9]")  # what may follow it
_CJK = re.compile(r"[\u3400-\u9fff]")


def template_text(name: str, params: Sequence[tuple[str, str]], *, chinese: bool = False) -> str:
    """What a reader sees of a template. `params`: name and text of each in order; those without a name are called "1", "2", …

    `chinese`: of an article in Chinese, in which dates and units are written so.
    """
    name = " ".join(name.replace("_", " ").split()).lower()
    for prefix in ("template:", "模板:", "t:"):
        name = name.removeprefix(prefix).strip()
    named = {key.strip().lower(): value.strip() for key, value in params}
    placed = [named[str(k)] for k in range(1, len(params) + 1) if str(k) in named]
    if name.startswith("#") or ":" in name:
        return _function(name, placed)
    if name in MARKS:
        return MARKS[name]
    if name in _BY_NAME:
        return _BY_NAME[name](placed, named, chinese)
    if name in FURNITURE:
        return ""
    if name in FIRST:
        return placed[0] if placed else HOLE
    if name in SECOND:
        return placed[1] if len(placed) > 1 else placed[0] if placed else HOLE
    if name in LAST or name.startswith(("lang-", "transl", "zh-")):
        return placed[-1] if placed else HOLE
    if name in LINK or name.startswith(("link-", "internal link helper", "ill-", "ilh")):
        return _link(placed, named)
    if name in CURRENCIES:
        return CURRENCIES[name] + placed[0] if placed and placed[0] else CURRENCIES[name]
    if name in QUOTES:
        said = named.get("text") or named.get("quote") or named.get("内容") or (placed[0] if placed else "")
        return f"\n\n{said}\n\n" if said else ""
    if name in LISTS:
        return ("\n" if any("\n" in p for p in placed) else "、" if chinese else ", ").join(p for p in placed if p)
    if _FIRST_WORD.split(name, maxsplit=1)[0] in FURNITURE_WHOLE:
        return ""
    return "" if name.startswith(FURNITURE_WORDS) or name.endswith(("-stub", " stub", "小作品", "box")) else HOLE


def _function(name: str, placed: Placed) -> str:
    """Parser functions that only shape what they are given; what computes is a hole, what sets something is nothing."""
    function, _, given = name.partition(":")
    if function == "formatnum":
        return _grouped(given.strip())
    if function in ("defaultsort", "displaytitle", "#tag", "默认排序", "預設排序", "#seo", "#coordinates"):
        return ""
    return HOLE


def _grouped(text: str) -> str:
    """A number with commas."""
    found = re.fullmatch(r"([-−]?)(\d+)(\.\d+)?", text)
    return f"{found[1]}{int(found[2]):,}{found[3] or ''}" if found and len(found[2]) < 40 else text


def _unit(name: str, chinese: bool) -> str:
    if chinese and name in UNITS_ZH:
        return UNITS_ZH[name]
    return UNITS.get(name) or re.sub(r"(?<=[a-zA-Z])([23])$", r"^\1", name)


def _convert(placed: Placed, named: Named, chinese: bool) -> str:
    """A measure as it was entered: `10|to|20|km|mi`, `5|ft|6|in|m`."""
    out, k = list[str](), 0
    while k < len(placed):
        if not _NUMBER.fullmatch(placed[k]):
            return HOLE if not out else " ".join(out)
        number, k = placed[k], k + 1
        while k + 1 < len(placed) and placed[k].lower() in RANGES and _NUMBER.fullmatch(placed[k + 1]):
            number += RANGES[placed[k].lower()] + placed[k + 1]
            k += 2
        if k >= len(placed):
            return HOLE if not out else " ".join(out)
        unit = _unit(placed[k], chinese)
        out.append(f"{number}{unit}" if unit.startswith("°") or _CJK.search(unit) else f"{number} {unit}")
        k += 1
        if not (
            k + 1 < len(placed)
            and _NUMBER.fullmatch(placed[k])
            and placed[k + 1] in ("in", "oz", "lb", "yd", "ft", "furlong", "chain")
        ):
            break
    return ("" if chinese else " ").join(out) if out else HOLE


def _val(placed: Placed, named: Named, chinese: bool) -> str:
    if not placed:
        return HOLE
    text = _grouped(placed[0]) + (f"±{placed[1]}" if len(placed) == 2 else "")
    if len(placed) > 2:
        text += f"+{placed[1].lstrip('+')}−{placed[2].lstrip('-−')}"
    power = named.get("e", "")
    if power:
        text = f"({text})" if len(placed) > 1 else text
        text += f"×10^{power}"
    unit = named.get("u") or named.get("ul") or ""
    below = named.get("up") or named.get("upl") or ""
    unit = _unit(unit, False) + (f"/{_unit(below, False)}" if below else "")
    return f"{named.get('p', '')}{text}{named.get('s', '')}" + (unit if unit[:1] in ("%", "°") else f" {unit}" if unit else "")


def _date(placed: Placed, named: Named, chinese: bool) -> str:
    """A date whose parts are numbers: 1900|1|31."""
    parts = [p for p in placed[:3] if p]
    if not parts or not all(re.fullmatch(r"\d{1,4}", p) for p in parts):
        return " ".join(placed[:1]) if placed and re.search(r"\d{4}", placed[0]) else HOLE
    if chinese:
        return "".join(p.lstrip("0") + mark for p, mark in zip(parts, "年月日", strict=False))
    if len(parts) == 1:
        return parts[0]
    month = MONTHS[int(parts[1]) - 1] if 1 <= int(parts[1]) <= 12 else parts[1]
    if len(parts) == 2:
        return f"{month} {parts[0]}"
    day = str(int(parts[2]))
    return f"{day} {month} {parts[0]}" if named.get("df", "").lower() in ("y", "yes") else f"{month} {day}, {parts[0]}"


def _life(placed: Placed, named: Named, chinese: bool) -> str:
    """Birth and death: year, day, year, day."""
    parts = [*placed, "", "", "", ""][:4]
    born, died = parts[0] + parts[1], parts[2] + parts[3]
    if not born and not died:
        return HOLE
    return f"（{born}—{died}）" if died else f"（{born}—）"


def _ruby(placed: Placed, named: Named, chinese: bool) -> str:
    if not placed:
        return HOLE
    return f"{placed[0]}({placed[1]})" if len(placed) > 1 and placed[1] else placed[0]


def _fraction(placed: Placed, named: Named, chinese: bool) -> str:
    parts = [p for p in placed if p]
    if len(parts) == 1:
        return f"1/{parts[0]}"
    return {2: "{0}/{1}", 3: "{0} {1}/{2}"}.get(len(parts), HOLE).format(*parts)


def _chemical(placed: Placed, named: Named, chinese: bool) -> str:
    """Elements and their numbers in turn: H|2|O; or a formula as a whole: H2O."""
    if len(placed) == 1:
        return re.sub(r"(?<=[A-Za-z)\]])(\d+)", r"_\1", placed[0])
    return "".join(lowered(p) if re.fullmatch(r"\d+", p) and k else p for k, p in enumerate(placed)) or HOLE


def _link(placed: Placed, named: Named) -> str:
    """A link to an article in another language, under the name that it has here."""
    return named.get("lt") or named.get("d") or (placed[2] if len(placed) > 2 and _CJK.search(placed[2]) else "") or (
        placed[0] if placed and placed[0] else HOLE
    )  # fmt: skip


def _translated(placed: Placed, named: Named, chinese: bool) -> str:
    """`en|John Doe|约翰·多伊`: the name here is the last, or the only one."""
    found = [p for p in placed[1:] if p]
    return named.get("d") or (found[1] if len(found) > 1 else found[0] if found else HOLE)


def _nihongo(placed: Placed, named: Named, chinese: bool) -> str:
    first, rest = (placed[0] if placed else ""), [p for p in placed[1:3] if p]
    if not first:
        return ", ".join(rest) or HOLE
    return f"{first} ({', '.join(rest)})" if rest else first


def _zh(placed: Placed, named: Named, chinese: bool) -> str:
    found = [named[k] for k in ("c", "s", "t", "hans", "hant", "p", "hp", "tp", "w", "j", "poj", "l") if named.get(k)]
    return ", ".join(dict.fromkeys(found)) or (placed[0] if placed else HOLE)


def _ship(placed: Placed, named: Named, chinese: bool) -> str:
    return " ".join(p for p in placed[:2] if p) or HOLE


def _warship(prefix: str) -> Callable[[Placed, Named, bool], str]:
    def text(placed: Placed, named: Named, chinese: bool) -> str:
        return f"{prefix} {placed[0]}" if placed else HOLE

    return text


def _asof(placed: Placed, named: Named, chinese: bool) -> str:
    when = _date(placed, {"df": "y"}, chinese)
    if when == HOLE:
        return HOLE
    return named.get("alt") or (f"截至{when}" if chinese else f"{'as' if named.get('lc') else 'As'} of {when}")


def _coordinates(placed: Placed, named: Named, chinese: bool) -> str:
    if named.get("display", "inline").strip() in ("title", "t"):
        return ""
    parts, out, marks = [p for p in placed if ":" not in p], "", iter("°′″°′″")
    for part in parts[:8]:
        if part.upper() in ("N", "S", "E", "W"):
            out += f"{part.upper()} "
            marks = iter("°′″")
        elif re.fullmatch(r"-?[\d.]+", part):
            out += part + next(marks, "")
    return out.strip() or HOLE


def _sound(placed: Placed, named: Named, chinese: bool) -> str:
    said = [p for p in placed if p not in ("lang", "local", "pron", "US", "UK", "also", "audio")]
    return f"/{''.join(said)}/" if said else HOLE


def _first_with(before: str, after: str = "") -> Callable[[Placed, Named, bool], str]:
    def text(placed: Placed, named: Named, chinese: bool) -> str:
        return f"{before}{placed[0]}{after}" if placed and placed[0] else HOLE

    return text


def _years(before: str, before_zh: str) -> Callable[[Placed, Named, bool], str]:
    def text(placed: Placed, named: Named, chinese: bool) -> str:
        years = "–".join(p for p in placed[:2] if p)
        return (before_zh if chinese else before) + years if years else HOLE

    return text


def _ordinal(placed: Placed, named: Named, chinese: bool) -> str:
    if not placed or not re.fullmatch(r"\d{1,9}", placed[0]):
        return HOLE
    number = int(placed[0])
    return (
        f"第{number}"
        if chinese
        else f"{number}{'th' if 10 < number % 100 < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
    )


def _raised(placed: Placed, named: Named, chinese: bool) -> str:
    return raised(placed[0]) if placed else ""


def _lowered(placed: Placed, named: Named, chinese: bool) -> str:
    return lowered(placed[0]) if placed else ""


def _number(placed: Placed, named: Named, chinese: bool) -> str:
    return _grouped(placed[0]) if placed else HOLE


def _name(placed: Placed, named: Named, chinese: bool) -> str:
    return " ".join(p for p in placed[:2] if p) or HOLE


def _label(placed: Placed, named: Named, chinese: bool) -> str:
    """The name that is shown for a file or an address; nothing where there is none."""
    return placed[1] if len(placed) > 1 else ""


_BY_NAME: dict[str, Callable[[Placed, Named, bool], str]] = {
    **dict.fromkeys(("convert", "cvt", "conv", "convinfobox", "换算", "換算", "单位换算"), _convert),
    **dict.fromkeys(("val", "値", "value"), _val),
    **dict.fromkeys(("formatnum", "nts", "num", "number", "gaps", "commas", "fmtn"), _number),
    **dict.fromkeys((
        "birth date", "birth date and age", "death date", "death date and age", "birth-date", "death-date", "start date",
        "end date", "bda", "dda", "dob", "dts", "date", "start date and age", "film date", "release date", "birth year and age",
        "birth-date and age", "出生日期", "出生日期和年齡", "出生日期和年龄", "死亡日期", "死亡日期和年齡", "死亡日期和年龄",
        "开始日期",
        "生日", "日期", "start-date", "end-date",
    ), _date),
    **dict.fromkeys(("bd", "生卒", "生卒年", "lifetime"), _life),
    **dict.fromkeys(("ruby", "ruby-ja", "ruby-zh", "ruby-zh-p", "ruby-zh-b", "furigana", "rubi", "注音", "ルビ", "振假名"), _ruby),
    **dict.fromkeys(("frac", "sfrac", "fraction", "分数", "分數", "tfrac"), _fraction),
    **dict.fromkeys(("chem", "chem2", "chemical formula", "化学式", "化學式", "ce"), _chemical),
    **dict.fromkeys(("tsl", "translink", "tslink", "ill2"), _translated),
    **dict.fromkeys(("nihongo", "nihongo2", "nihongo3", "korean", "日本語", "jpn"), _nihongo),
    **dict.fromkeys(("zh", "zh-full", "zhi", "zh-cp"), _zh),
    **dict.fromkeys(("ship", "sclass", "sclass2", "船"), _ship),
    **{name: _warship(name.upper()) for name in
       ("hms", "uss", "ss", "hmas", "hmcs", "rms", "sms", "ms", "mv", "ins", "rfa", "hnlms")},
    **dict.fromkeys(("as of", "asof", "截至"), _asof),
    **dict.fromkeys(("coord", "coordinates", "坐标", "座標"), _coordinates),
    **dict.fromkeys((
        "ipa", "ipac-en", "ipa-en", "ipac-zh", "ipa-all",
        "ipa-fr", "ipa-de", "ipa-es", "ipa-it", "ipac-cmn", "ipalink", "ipa link"), _sound),
    **dict.fromkeys(("circa", "c.", "ca", "ca.", "approx"), _years("c. ", "约")),
    **dict.fromkeys(("floruit", "fl.", "fl"), _years("fl. ", "活跃于")),
    **dict.fromkeys(("reign", "r."), _years("r. ", "在位")),
    **dict.fromkeys(("e", "×10^", "x10^", "scinote"), _first_with("×10^")),
    "10^": _first_with("10^"),
    **dict.fromkeys(("sqrt", "radical"), _first_with("√")),
    "abs": _first_with("|", "|"),
    **dict.fromkeys(("sup", "superscript", "上标", "上標", "smallsup", "su"), _raised),
    **dict.fromkeys(("sub", "subscript", "下标", "下標"), _lowered),
    **dict.fromkeys(("ordinal", "ord"), _ordinal),
    **dict.fromkeys(("sortname", "name"), _name),
    **dict.fromkeys(("audio", "url"), _label),
}  # fmt: skip
"""What each template says, by its name: positional parameters, named ones, and whether the article is Chinese."""
