"""Generate exam items and documents into which some of them have leaked, in disguise, beside documents that only resemble them.

Output: `Item`s (questions with four options, English and Chinese) and `Plant`s: a document, the item that leaked into it
and its place, or None where nothing leaked. All text is put together here from phrases of our own; `plant` also takes items and
host documents from elsewhere, so that published test sets can be hidden in real prose where someone has them.

Disguises: verbatim; other punctuation (full-width and ASCII forms exchanged, or left out); full-width letters and digits; another
case; cut short (60 to 80 % of it, from either end); broken into lines, with spaces between; one unit in thirty replaced. Chinese
items stand in a paragraph without any space. What must not be found: paraphrases written by hand, siblings (the same frame with
other fillings, not in the item set), the instructions that all items share, and plain paragraphs.

    python -m tests.planted.decontamination [--count 6] [--seed 1]      print some planted documents

This file was frozen before the detector that it measures was written.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

LANGS = ("en", "zh")


@dataclass(frozen=True)
class Item:
    """A test item. `id` is unique in its set."""

    id: str
    lang: str
    text: str


@dataclass(frozen=True)
class Plant:
    """`item`: what leaked, or None. `start`, `stop`: characters of `text` where it stands (0, 0 if nothing leaked)."""

    text: str
    lang: str
    kind: str
    item: Item | None
    start: int = 0
    stop: int = 0


INSTRUCTION = {
    "en": "Please read the following question and choose the one correct answer among the four options given below.",
    "zh": "请仔细阅读下面的题目，并从给出的四个选项中选出唯一正确的一个答案。",
}

SLOTS: dict[str, dict[str, list[str]]] = {
    "en": {
        "who": "a ferry pilot|the night nurse|two beekeepers|an apprentice potter|the village clerk|a retired surveyor|three divers|the museum guard|a young baker|the lighthouse crew|an elderly printer|a railway cook".split("|"),
        "where": "on the northern quay|in a glass greenhouse|beside the frozen canal|under the old viaduct|at the salt works|near the tide gauge|in the upper orchard|behind the paper mill|along the ridge path|inside the grain silo".split("|"),
        "did": "weighed seven copper bars twice|stretched a spring by four centimetres|mixed vinegar with crushed limestone|cooled brine until crystals appeared|timed a pendulum over fifty swings|counted the rings of a fallen larch|heated air in a sealed flask|compared the shadows of two poles|dropped a marble through honey|charged a rod with a woollen cloth|measured the pulse of a resting goat|dated a coin by its worn portrait".split("|"),
        "why": "to settle a wager with the harbour office|because the earlier table had a misprint|after the committee doubted the first report|so that the children could repeat it at home|while the storm kept everybody indoors|before the inspector from the capital arrived|since no other instrument was at hand|for the yearbook of the local society".split("|"),
        "ask": "Which conclusion follows from this observation?|What quantity can be found without further measurement?|Which of these laws explains the result best?|What would change if the mass were doubled?|Which statement about the procedure is wrong?|What source of error matters most here?".split("|"),
        "option": "the density falls as the temperature climbs|the force grows with the square of the distance|the reaction sets carbon dioxide free|the period depends only on the length|the older layers lie below the younger ones|the charge moves from wool to amber|the volume shrinks under higher pressure|the sun stands lower in the afternoon|the viscosity delays the falling body|the treaty was signed before the siege|the ruler's name fixes the decade|the enzyme works only in a narrow range|the solution is no longer saturated|the energy is lost as heat by friction|the current splits between both branches|the population doubled within a generation".split("|"),
    },
    "zh": {
        "who": "一位渡轮驾驶员|值夜班的护士|两个养蜂人|一名学徒陶工|村里的文书|退休的测量员|三位潜水员|博物馆的看守|年轻的面包师|灯塔上的班组|年迈的印刷工|列车上的厨师".split("|"),
        "where": "在北边的码头上|在玻璃温室里|在结冰的运河旁|在旧高架桥下面|在盐场里|在验潮站附近|在坡上的果园中|在造纸厂后面|沿着山脊小路|在粮仓内部".split("|"),
        "did": "把七根铜条称了两遍|将弹簧拉长了四厘米|用醋浸泡碾碎的石灰石|冷却盐水直到析出晶体|记录了单摆五十次摆动的时间|数了一棵倒下的落叶松的年轮|加热密封烧瓶里的空气|比较了两根立杆的影子|让玻璃珠穿过蜂蜜下落|用毛织物摩擦琥珀棒使它带电|测量一只安静山羊的脉搏|凭磨损的头像判断铸币的年代".split("|"),
        "why": "以了结与港务局打的赌|因为先前的表格里有一处误印|由于委员会怀疑第一份报告|好让孩子们回家以后能重做一遍|趁着暴风雨大家都待在屋内|赶在京城来的检查员到达之前|因为手边没有别的仪器可用|为当地学会的年鉴准备材料".split("|"),
        "ask": "由此观察可以得出下列哪一项结论|不再测量就能求出的物理量是哪一个|下列定律中最能解释该结果的是|如果质量加倍将会发生什么变化|关于这一步骤的叙述错误的是|这里最主要的误差来源是什么".split("|"),
        "option": "温度升高时密度反而下降|力随距离的平方而增大|反应放出二氧化碳气体|周期只与摆长有关|较老的地层位于较新的下方|电荷由毛织物转移到琥珀上|压强增大时体积缩小|午后太阳的高度更低|黏滞阻力使下落变慢|条约签订于围城之前|君主的名号确定了年代|酶只在很窄的范围内起作用|溶液不再处于饱和状态|能量因摩擦以热的形式散失|电流在两条支路之间分配|人口在一代人之内翻了一番".split("|"),
    },
}  # fmt: skip
TOPICS = {
    "en": "The harbour froze early that year and the boats stayed in until March.|A new timetable was printed, but nobody had asked the conductors.|She kept the letters in a tin box under the stairs.|Bread cost twice as much as in the previous winter.|The choir rehearsed on Thursdays in the fire station.|Our neighbour repairs clocks and never knows the time.|From the tower you can see both rivers and the brick factory.|Rain fell for nine days, then the road to the mill was gone.|The library lends seeds as well as books since last spring.|He learned to swim at forty and crossed the lake at fifty.|Two of the pictures in the corridor hang upside down.|The market moved to the square behind the chapel.".split("|"),
    "zh": "那一年港口很早就封冻了，船一直停到三月才出海。|新的时刻表印出来了，却没有人问过列车员的意见。|她把那些信收在楼梯下面的铁盒子里。|面包的价钱比上一个冬天贵了一倍。|合唱队每逢星期四在消防站里排练。|我们的邻居修钟表，却从来不知道几点了。|从塔上望下去可以看见两条河和那座砖厂。|雨一连下了九天，通往磨坊的路就不见了。|从去年春天起图书馆除了书也出借种子。|他四十岁学会游泳，五十岁横渡了那片湖。|走廊里的画有两幅是倒着挂的。|集市搬到了小教堂后面的广场上。".split("|"),
}  # fmt: skip
PARAPHRASES: list[tuple[str, str, str]] = [
    ("en", "A ferry leaves the island every 40 minutes and carries at most 36 passengers. How many people can it bring to the mainland between six in the morning and noon?", "From 6 a.m. until midday a boat with room for three dozen riders departs at 40-minute intervals; what is the greatest number it could take ashore?"),
    ("en", "Marta buys four notebooks at 3 euros each and a pen for 5 euros, then pays with a 20 euro note. How much change does she receive?", "With a twenty, Marta settles the bill for one 5-euro pen plus 4 exercise books costing three apiece. What does the cashier hand back?"),
    ("en", "Which organelle of a plant cell turns the energy of light into chemical energy that the cell can store?", "In plants, light gets converted so that it may be kept in chemical form. Name the part of the cell responsible."),
    ("en", "A ladder 5 metres long leans against a wall with its foot 3 metres away from the wall. How high up the wall does the ladder reach?", "Standing 3 m from a building, the bottom of a five-metre ladder rests on level ground; find the height at which its top touches."),
    ("en", "The council of the city voted to close the bridge to cars on Sundays because the pillars had been damaged by salt.", "Salt damage to its supports led city councillors to decide that on Sundays no car may use the bridge."),
    ("zh", "一艘渡轮每隔四十分钟从岛上开出一班，每班最多载客三十六人，问从早上六点到中午十二点最多能把多少人送到对岸？", "岛上的轮渡40分钟发一次船，满员是36名乘客。上午6时起至正午，运到陆地上的旅客最多有几位？"),
    ("zh", "玛莎买了四本笔记本，每本三元，又买了一支五元的钢笔，付给售货员二十元，应当找回多少钱？", "拿着20元的玛莎，买下单价3元的本子4个以及1支5元的笔，收银员该退她几元？"),
    ("zh", "植物细胞中能够把光能转变成可以储存的化学能的细胞器是下列哪一种？", "光能在植物体内会被变为能存起来的化学能，负责此事的是细胞的哪个结构？"),
    ("zh", "长为五米的梯子斜靠在墙上，梯脚离墙三米，求梯子顶端离地面的高度是多少米？", "墙边倚着一架5米的梯子，它的底部距墙3米，那么梯子够到的位置有多高？"),
    ("zh", "由于桥墩受到融雪盐的腐蚀，市议会表决通过了每逢星期日禁止汽车通行的决定。", "融雪用的盐损坏了大桥的支柱，因此议员们投票同意，周日汽车不得上桥。"),
]  # fmt: skip


def items(count: int, seed: int = 1, name: str = "exam") -> list[Item]:
    """`count` different items, English and Chinese in turn; another `name` or `seed` draws other fillings of the same frame."""
    rng, found, seen = random.Random(f"{name} {seed}"), list[Item](), set[str]()
    while len(found) < count:
        lang = LANGS[len(found) % 2]
        slot = {k: rng.choice(v) for k, v in SLOTS[lang].items() if k != "option"}
        options = rng.sample(SLOTS[lang]["option"], 4)
        if lang == "en":
            stem = f"{slot['where'].capitalize()}, {slot['who']} {slot['did']}, {slot['why']}. {slot['ask']}"
            text = stem + " " + " ".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
        else:
            stem = f"{slot['who']}{slot['where']}{slot['did']}，{slot['why']}。{slot['ask']}（　）"
            text = stem + "".join(f"{letter}．{option}" for letter, option in zip("ABCD", options, strict=True))
        if text not in seen:
            seen.add(text)
            found.append(Item(f"{name}/{len(found)}", lang, text))
    return found


def paragraph(rng: random.Random, lang: str, sentences: int) -> str:
    """Running text of our own; Chinese has no space in it."""
    return (" " if lang == "en" else "").join(rng.choice(TOPICS[lang]) for _ in range(sentences))


_TO_WIDE = {k: k + 0xFEE0 for k in range(0x21, 0x7F)}
_WIDE_MARKS = dict(zip(",.;:?!()", "，。；：？！（）", strict=True))


def verbatim(text: str, lang: str, rng: random.Random) -> str:
    return text


def punctuation(text: str, lang: str, rng: random.Random) -> str:
    """Marks in the other width, or none at all; never those between digits, which are part of a number."""
    narrow = {wide: mark for mark, wide in _WIDE_MARKS.items()} | {"．": ".", "　": "", "、": ","}
    if rng.random() < 0.3:
        return re.sub(r"(?<!\d)[,，。；：;:、](?!\d)", " " if lang == "en" else "", text)
    return re.sub(r"(?<!\d)[^\w\s](?!\d)", lambda m: narrow.get(m[0]) or _WIDE_MARKS.get(m[0], m[0]), text)


def full_width(text: str, lang: str, rng: random.Random) -> str:
    return re.sub(r"[A-Za-z0-9]", lambda m: m[0].translate(_TO_WIDE), text)


def case(text: str, lang: str, rng: random.Random) -> str:
    return rng.choice([text.upper(), text.lower(), text.title()])


def truncated(text: str, lang: str, rng: random.Random) -> str:
    size = round(len(text) * rng.uniform(0.6, 0.8))
    return text[:size] if rng.random() < 0.5 else text[-size:]


def lines(text: str, lang: str, rng: random.Random) -> str:
    if lang == "en":
        return re.sub(r" ", lambda _: rng.choice([" ", "  ", "\n", " "]), text)
    return re.sub(r"(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])", lambda _: rng.choice(["", "", "", " ", "\n"]), text)


def noisy(text: str, lang: str, rng: random.Random) -> str:
    """One unit in thirty replaced."""
    pattern = r"[A-Za-z]{3,}" if lang == "en" else r"[\u4e00-\u9fff]"
    other = ["indeed", "mostly", "seven"] if lang == "en" else list("吧呢嘛")
    return re.sub(pattern, lambda m: rng.choice(other) if rng.random() < 1 / 30 else m[0], text)


DISGUISES: dict[str, Callable[[str, str, random.Random], str]] = {
    "verbatim": verbatim, "punctuation": punctuation, "full-width": full_width, "case": case, "truncated": truncated, "lines": lines, "noisy": noisy,
}  # fmt: skip


def plant(item: Item, host: str, kind: str, rng: random.Random) -> Plant:
    """`item` in the disguise `kind`, put between two sentences (or lines) of `host`."""
    text = DISGUISES[kind](item.text, item.lang, rng)
    places = [m.end() for m in re.finditer(r"[.!?]\s|[。！？\n]", host)] or [len(host)]
    at = rng.choice(places)
    glue = "" if item.lang == "zh" else " "
    before = host[:at] + glue
    return Plant(before + text + glue + host[at:], item.lang, kind, item, len(before), len(before) + len(text))


def own_set(count: int, seed: int = 1) -> tuple[list[Item], list[Plant]]:
    """An item set of `count` generated items and the paraphrased ones, and documents: each disguise and each negative in turn."""
    rng = random.Random(f"plants {seed}")
    asked = items(count, seed)
    known = {i.text for i in asked}
    siblings = [i for i in items(2 * count, seed + 1, "sibling") if i.text not in known]
    rewritten = [Item(f"rewritten/{k}", lang, text) for k, (lang, text, _) in enumerate(PARAPHRASES)]
    plants = []
    for number, item in enumerate(asked):
        kind = list(DISGUISES)[number // 2 % len(DISGUISES)]
        plants.append(plant(item, paragraph(rng, item.lang, rng.randint(4, 30)), kind, rng))
        sibling = siblings[number]
        inside = plant(sibling, paragraph(rng, sibling.lang, rng.randint(4, 30)), "verbatim", rng)
        plants.append(Plant(inside.text, sibling.lang, "sibling", None))
        plants.append(Plant(paragraph(rng, item.lang, rng.randint(4, 30)), item.lang, "plain", None))
        boiler = INSTRUCTION[item.lang] + paragraph(rng, item.lang, 6)
        plants.append(Plant(boiler, item.lang, "instruction", None))
    for lang, _, text in PARAPHRASES:
        plants.append(Plant(paragraph(rng, lang, 3) + text + paragraph(rng, lang, 3), lang, "paraphrase", None))
    full = [Item(i.id, i.lang, INSTRUCTION[i.lang] + ("\n" if i.lang == "en" else "") + i.text) for i in asked]
    return full + rewritten, plants


def main() -> None:
    parser = argparse.ArgumentParser(description="Print documents with planted items.")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for found in own_set(options.count, options.seed)[1]:
        print(
            found.lang,
            found.kind,
            found.item.id if found.item else "-",
            found.text[found.start : found.stop] or found.text,
            sep="\t",
        )


if __name__ == "__main__":
    main()
