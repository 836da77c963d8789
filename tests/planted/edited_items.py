"""Generate test items of which one number or one name was changed before they leaked: in English, Chinese and code.

Output: `Item`s and `Plant`s (tests/planted/decontamination.py) of the kinds "number" (one number has another value of as many digits)
and "name" (one name is another one, everywhere in the item; in code an identifier). Such an edit is what people do who hide a
leak, or who make "new" items from old ones. Beside them "other" documents hold items that are not in the set. All text is put together
here from phrases of our own; `edit_number` and `edit_name` also take published items.

    python -m tests.planted.edited_items [--count 6] [--seed 1]      print some edited items
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable

from tests.planted.decontamination import Item, Plant, paragraph

EN_NAMES = "Maria Peter Anna James Lucy Oliver Grace Henry Nora Felix Clara Simon".split()
ZH_NAMES = "小明 小红 小刚 小丽 王老师 李叔叔 张华 陈静 刘强 赵敏 周涛 孙悦".split()
CODE_NAMES = "values rows limit total best start offset pairs buffer result nodes weight".split()
_EN_PARTS = {
    "start": "{a} buys {x} boxes of pencils at the stationery shop|{a} plants {x} rows of lettuce behind the house|{a} bakes {x} trays of rolls for the fair|{a} reads {x} pages of an old diary each evening|{a} rides {x} kilometres along the canal|{a} sorts {x} stamps into an album".split("|"),
    "then": "and gives {y} of them to the class next door|then {b} takes away {y} of them before noon|while {b} adds another {y} on the next day|but {y} turn out to be of no use|and {b} pays for {y} of them|so that {y} are left for the weekend".split("|"),
    "more": "Every one of them costs {z} cents.|It takes {z} minutes to count each of them.|{b} has {z} times as many at home.|A helper arrives after {z} hours.|There is room for {z} on each shelf.".split("|"),
    "ask": "How many does {a} have in the end?|How long does the whole work take?|How much money has {a} spent?|What is the difference between {a} and {b}?|How many shelves are needed?".split("|"),
}  # fmt: skip
_ZH_PARTS = {
    "start": "{a}在文具店买了{x}盒铅笔|{a}在屋后种了{x}行生菜|{a}为集市烤了{x}盘面包|{a}每天晚上读{x}页旧日记|{a}沿着运河骑了{x}千米|{a}把{x}张邮票放进集邮册".split("|"),
    "then": "，把其中的{y}个分给隔壁班|，{b}中午以前拿走了{y}个|，{b}第二天又添了{y}个|，可是有{y}个不能用|，{b}付了{y}个的钱|，剩下{y}个留到周末".split("|"),
    "more": "，每个要{z}角钱。|，每数一个要{z}分钟。|，{b}家里有它的{z}倍。|，{z}小时以后来了一个帮手。|，每层架子放得下{z}个。".split("|"),
    "ask": "{a}最后有多少个？|全部做完要多长时间？|{a}一共花了多少钱？|{a}和{b}相差多少？|需要多少层架子？".split("|"),
}  # fmt: skip
_CODE_PARTS = {
    "head": "def select_{f}({a}, {b}=%d):|def merge_{f}({a}, {b}=%d):|def count_{f}({a}, {b}=%d):|def split_{f}({a}, {b}=%d):".split("|"),
    "doc": "Return the entries that pass the test.|Count how often each entry is seen.|Join neighbours that are close enough.|Cut the list into parts of equal size.".split("|"),
    "body": "    {c} = []\n    for k in range({b}, len({a})):\n        {c}.append({a}[k] * %d)|    {c} = {{}}\n    for k, value in enumerate({a}):\n        {c}[value % %d] = k + {b}|    {c} = sorted({a}, key=lambda value: value - {b})[:%d]|    {c} = [value for value in {a} if value > {b} + %d]".split("|"),
    "end": "    return {c}|    return sum({c}) - %d|    assert len({c}) < %d\n    return {c}|    return {c}[:%d]".split("|"),
}  # fmt: skip


def edit_items(count: int, lang: str, seed: int = 1) -> list[Item]:
    """`count` different items of "en", "zh" or "code"."""
    rng, found = random.Random(f"edited {lang} {seed}"), dict[str, None]()
    while len(found) < count:
        found[_code(rng) if lang == "code" else _word_problem(rng, lang)] = None
    return [Item(f"{lang}/{number}", lang, text) for number, text in enumerate(found)]


def _word_problem(rng: random.Random, lang: str) -> str:
    parts = _EN_PARTS if lang == "en" else _ZH_PARTS
    a, b = rng.sample(EN_NAMES if lang == "en" else ZH_NAMES, 2)
    frame = [rng.choice(parts[name]) for name in ("start", "then", "more", "ask")]
    text = f"{frame[0]} {frame[1]}. {frame[2]} {frame[3]}" if lang == "en" else "".join(frame)
    return text.format(a=a, b=b, x=rng.randint(11, 99), y=rng.randint(2, 10), z=rng.randint(2, 60))


def _code(rng: random.Random) -> str:
    a, b, c, f = rng.sample(CODE_NAMES, 4)
    head, doc, body, end = (rng.choice(_CODE_PARTS[name]) for name in ("head", "doc", "body", "end"))
    text = f'{head}\n    """{doc}"""\n{body}\n{end}\n'.format(a=a, b=b, c=c, f=f)
    return re.sub(r"%d", lambda _: str(rng.randint(2, 99)), text)


def edit_number(text: str, lang: str, rng: random.Random) -> str | None:
    """The text with one number of digits changed to another of as many; None if it has none."""
    places = list(re.finditer(r"(?<![\w.])\d+(?![\w.]\d)" if lang != "zh" else r"\d+", text))
    if not places:
        return None
    found = rng.choice(places)
    size = len(found[0])
    others = [n for n in (rng.randint(10 ** (size - 1) if size > 1 else 1, 10**size - 1) for _ in range(20)) if str(n) != found[0]]
    return f"{text[: found.start()]}{others[0]}{text[found.end() :]}"


def edit_name(text: str, lang: str, rng: random.Random) -> str | None:
    """The text with one name as another one wherever it stands; None if there is none that is known to be a name."""
    if lang == "code":
        names = sorted({n for n in CODE_NAMES if re.search(rf"(?<![A-Za-z]){n}(?![A-Za-z])", text)})
        if not names:
            return None
        new = rng.choice([n for n in CODE_NAMES if n not in names])
        return re.sub(rf"(?<![A-Za-z]){rng.choice(names)}(?![A-Za-z])", new, text)
    if lang == "zh":
        known = {n for n in ZH_NAMES if n in text} | set(re.findall(r"小[明红刚丽华强军芳勇亮英东林]|[\u4e00-\u9fff]老师", text))
        if not known:
            return None
        return text.replace(rng.choice(sorted(known)), rng.choice([n for n in ZH_NAMES if n not in known]))
    # English: a capital letter inside a sentence; months, countries and days count as well
    known = set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?![A-Za-z])", text)) | {n for n in EN_NAMES if re.search(rf"\b{n}\b", text)}
    if not known:
        return None
    return re.sub(rf"\b{rng.choice(sorted(known))}\b", rng.choice([n for n in EN_NAMES if n not in known]), text)


EDITS: dict[str, Callable[[str, str, random.Random], str | None]] = {"number": edit_number, "name": edit_name}


def plant_edited(item: Item, host: str, kind: str, rng: random.Random) -> Plant | None:
    """`item` with the edit of that kind, as a line (code) or between two sentences of `host`; None if it cannot be edited."""
    text = EDITS[kind](item.text, item.lang, rng)
    if text is None or text == item.text:
        return None
    places = [m.end() for m in re.finditer(r"\n" if item.lang == "code" else r"[.!?]\s|[。！？\n]", host)] or [len(host)]
    at = rng.choice(places)
    glue = {"zh": "", "en": " ", "code": "\n"}[item.lang]
    before = host[:at] + glue
    return Plant(before + text + glue + host[at:], item.lang, kind, item, len(before), len(before) + len(text))


def edited_set(count: int, seed: int = 1) -> tuple[list[Item], list[Plant]]:
    """`count` items of each of en, zh and code, and a document with each of them, a number and a name changed in turn."""
    rng, items, plants = random.Random(f"edited plants {seed}"), list[Item](), list[Plant]()
    for lang in ("en", "zh", "code"):
        asked = edit_items(count, lang, seed)
        items += asked
        for number, item in enumerate(asked):
            kind = list(EDITS)[number % len(EDITS)]
            host = "".join(_code(rng) + "\n" for _ in range(4)) if lang == "code" else paragraph(rng, lang, rng.randint(4, 30))
            found = plant_edited(item, host, kind, rng)
            if found is not None:
                plants.append(found)
    return items, plants


def main() -> None:
    parser = argparse.ArgumentParser(description="Print edited items.")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for found in edited_set(options.count, options.seed)[1]:
        print(found.lang, found.kind, found.item.text if found.item else "-", found.text[found.start : found.stop], sep="\t")


if __name__ == "__main__":
    main()
