"""Other names for the people of an item: each name once, everywhere, and the same kind of name.

Input: texts of one item and the names of a set. Output: what to replace. Only names that are nothing else in the language are
touched ("Mark", "Will", "Grace" and 小雨 stay), a new name is drawn as often as the set uses it, and a question that calls one
person by two names (小丽 and 丽丽) keeps both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

_WOMEN = """
Alice Alyssa Amanda Amy Andrea Angela Anna Anne Ashley Barbara Becky Beth Betty Brenda Carla Carmen Carol Caroline Catherine
Christina Cindy Claire Claudia Cynthia Danielle Debbie Deborah Denise Diana Diane Donna Doris Dorothy Elena Elizabeth Ella
Ellen Emily Emma Erica Erin Eva Evelyn Fiona Gina Gloria Hannah Heather Helen Isabella Jackie Jane Janet Janice Jasmine Jen
Jenna Jennifer Jenny Jessica Jill Joanna Joyce Judy Julia Julie Karen Karla Kate Katherine Kathy Katie Kelly Kim Kimberly
Kristen Kylie Laura Lauren Leah Linda Lisa Lori Louise Lucy Mandy Margaret Maria Marie Martha Mary Megan Melanie Melissa Mia
Michelle Molly Monica Nancy Natalia Natalie Nicole Nina Nora Olivia Pam Pamela Patricia Rachel Rebecca Rosa Ruth Samantha
Sandra Sara Sarah Sharon Shelly Sophia Sophie Stacy Stella Stephanie Sue Susan Suzanne Tamara Tanya Tara Teresa Theresa Tina
Tracy Valerie Vanessa Veronica Victoria Wendy Yolanda Zoe
""".split()
_MEN = """
Aaron Adam Albert Alexander Allen Andrew Andy Anthony Antonio Arnold Arthur Austin Ben Benjamin Bernie Bob Bobby Brad Bradley
Brandon Brian Bruce Bryan Caleb Carl Carlos Charles Charlie Chris Christopher Craig Dan Daniel Danny Darren Dave David Dennis
Derek Dylan Donald Douglas Ed Eddie Edward Elijah Elliot Eric Ethan Felix Fernando Fred Gabriel Gary George Gerald Greg
Gregory Hank Henry Howard Hugo Ian Isaac Ivan Jacob Jake James Jared Jason Jeff Jeffrey Jeremy Jerry Jim Jimmy Joe Joel John
Johnny Jonathan Jose Joseph Joshua Juan Justin Keith Ken Kenneth Kevin Kyle Larry Lawrence Leo Leonard Liam Louis Lucas Luis
Luke Manny Marcus Mario Martin Marvin Matt Matthew Max Michael Miguel Mike Mitchell Nathan Neil Nicholas Noah Oliver Oscar
Owen Patrick Paul Peter Philip Ralph Randy Raymond Richard Rick Ricky Robert Roger Ron Ronald Ross Ryan Sam Samuel Scott Sean
Sebastian Simon Stan Stephen Steve Steven Stuart Ted Terry Theodore Thomas Tim Timothy Tom Tommy Tony Travis Trevor Tyler
Victor Vincent Walter Wayne William Zach Zachary
""".split()
_HAN_WOMEN = (
    "小红 小芳 小丽 小兰 小玲 小英 小燕 小梅 小敏 芳芳 丽丽 娜娜 婷婷 琪琪 红红 兰兰 玲玲 梅梅 莉莉 小娟 小莉 小倩 小霞".split()
)
_HAN_MEN = "小明 小刚 小强 小华 小军 小亮 小林 小东 小勇 小杰 小宇 小伟 小峰 小平 小云 亮亮 强强 军军 冬冬 东东 小虎 小龙".split()
KINDS = tuple(tuple(sorted(kind)) for kind in (_WOMEN, _MEN, _HAN_WOMEN, _HAN_MEN))
_NAMES = sorted({name for kind in KINDS for name in kind}, key=len, reverse=True)
_LATIN = re.compile(rf"\b(?:{'|'.join(n for n in _NAMES if n.isascii())})\b")
_HAN = re.compile(rf"(?:{'|'.join(n for n in _NAMES if not n.isascii())})(?![花旗星帽灯车球伞鞋果子雄房朵山雀人队猫狗场灰白])")


def names_in(text: str) -> set[str]:
    """The names of a text that may be replaced."""
    return {*_LATIN.findall(text), *_HAN.findall(text)}


def count_names(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each name occurs."""
    return Counter(name for text in texts for name in sorted(names_in(text)))


def other_names(texts: Sequence[str], counts: Counter[str], rng: np.random.Generator) -> dict[str, str]:
    """A new name for each name of an item's texts, {} if they must stay. No new name stands in the texts already."""
    whole = "\n".join(texts)
    found = sorted(names_in(whole))
    if any(set(a) & set(b) - {"小"} for a in found for b in found if a != b and not a.isascii()):
        return {}
    chosen: dict[str, str] = {}
    for name in found:
        kind = next(kind for kind in KINDS if name in kind)
        free = [n for n in kind if n not in whole and n not in chosen.values() and counts[n] and (n.isascii() or _apart(n, found))]
        if free:
            weights = np.array([counts[n] for n in free], np.float64)
            chosen[name] = free[int(rng.choice(len(free), p=weights / weights.sum()))]
    return chosen


def _apart(name: str, others: Sequence[str]) -> bool:
    """Whether a Chinese name shares no character with others but 小."""
    return all(not set(name) & set(other) - {"小"} for other in others)


def renamed(text: str, names: dict[str, str]) -> str:
    """The text with other names."""
    for pattern in (_LATIN, _HAN):
        text = pattern.sub(lambda match: names.get(match.group(), match.group()), text)
    return text
