"""A small world in which every sentence is written in English and in Chinese, and what is learnt from it."""

from __future__ import annotations

import random
from functools import cache

import pyarrow as pa

from skyloom.corpus.bitext.alignment import Lexicons
from skyloom.corpus.bitext.lexicon import learn

COLOURS = (("red", "红色"), ("green", "绿色"), ("blue", "蓝色"), ("grey", "灰色"), ("brown", "棕色"), ("violet", "紫色"))
THINGS = (("chair", "椅子"), ("lamp", "台灯"), ("carpet", "地毯"), ("kettle", "水壶"), ("mirror", "镜子"), ("ladder", "梯子"),
          ("basket", "篮子"), ("window", "窗户"))  # fmt: skip
PLACES = (("kitchen", "厨房"), ("garden", "花园"), ("cellar", "地窖"), ("attic", "阁楼"), ("garage", "车库"))
DEEDS = (("painted", "油漆了"), ("sold", "卖掉了"), ("repaired", "修好了"), ("cleaned", "打扫了"), ("hid", "藏起了"))


def sentences(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Sentences of one small world in both languages."""
    found = []
    for _ in range(count):
        (c, cz), (t, tz), (p, pz), (d, dz), n = (
            rng.choice(COLOURS),
            rng.choice(THINGS),
            rng.choice(PLACES),
            rng.choice(DEEDS),
            rng.randint(2, 99),
        )
        ways = (
            (f"In the {p} somebody {d} the {c} {t} yesterday evening.", f"昨天晚上有人在{pz}里{dz}那个{cz}的{tz}。"),
            (f"We {d} {n} of the {c} {t}s that stood in the {p}.", f"我们{dz}放在{pz}里的{n}个{cz}{tz}。"),
            (f"The {t} in the {p} is {c}.", f"{pz}里的{tz}是{cz}的。"),
        )  # fmt: skip
        found.append(rng.choice(ways))
    return found


@cache
def learnt() -> Lexicons:
    taught = sentences(random.Random(1), 600)
    return Lexicons(*learn(pa.array([e for e, _ in taught]), pa.array([z for _, z in taught])))
