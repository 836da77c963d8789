"""Families of probability, counting and statistics.

See `family.py` for what a family is. Probabilities are fractions in lowest terms.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import comb, gcd

from skyloom.corpus.stem.families.family import Family, Wording, Worked, worlds


def _draw_one(red: int, blue: int, green: int) -> Worked:
    total = red + blue + green
    return {
        "total": total, "answer": Fraction(red, total),
        "wrong": (Fraction(red, blue + green), Fraction(1, total), Fraction(blue, total), Fraction(green, total)),
    }  # fmt: skip


DRAW_ONE = Family(
    "draw-one", "probability", {"red": range(2, 26), "blue": range(2, 26), "green": range(2, 26)}, _draw_one,
    Wording(
        (
            "A {bag} holds {red} red, {blue} blue and {green} green {things}. One is drawn at random. "
            "What is the probability that it is red?",
            "{name} takes one of {red} red, {blue} blue and {green} green {things} out of a {bag} without looking. "
            "Find the probability of a red one.",
        ),
        "There are {red} + {blue} + {green} = {total} {things}, {red} of them red. The probability is {red}/{total} = {answer}.",
        worlds=worlds("bag|things", "bag|balls", "box|buttons", "drawer|socks", "jar|sweets"),
    ),
    Wording(
        (
            "{bag}里有{red}{m}红色、{blue}{m}蓝色、{green}{m}绿色的{thing}，随机取出一{m}，取到红色的概率是多少？",
            "{name}从装有红{thing}{red}{m}、蓝{thing}{blue}{m}、绿{thing}{green}{m}的{bag}里任意摸出一{m}，求摸到红{thing}的概率。",
        ),
        "共有{red} + {blue} + {green} = {total}{m}，其中红色{red}{m}，概率是{red}/{total} = {answer}。",
        worlds=worlds("bag|thing|m", "袋子|球|个", "盒子|纽扣|颗", "抽屉|袜子|只", "罐子|糖|颗"),
    ),
    lambda red, blue, green: blue <= green and gcd(red, red + blue + green) > 1,
)  # fmt: skip


def _draw_two(red: int, other_: int) -> Worked:
    total = red + other_
    return {
        "total": total, "less_red": red - 1, "less": total - 1,
        "answer": Fraction(red * (red - 1), total * (total - 1)),
        "wrong": (
            Fraction(red * red, total * total), Fraction(red, total), Fraction(red - 1, total - 1),
            Fraction(other_ * (other_ - 1), total * (total - 1)), Fraction(2, total),
        ),
    }  # fmt: skip


DRAW_TWO = Family(
    "draw-two", "probability", {"red": range(3, 60), "other_": range(3, 60)}, _draw_two,
    Wording(
        (
            "A {bag} holds {red} {good} and {other_} {bad} {things}. Two are drawn without replacement. "
            "What is the probability that both are {good}?",
            "From {red} {good} and {other_} {bad} {things} {name} draws two at once. Find the probability of two {good} ones.",
        ),
        "The first is {good} with probability {red}/{total}, the second then with {less_red}/{less}. "
        "Together {red}/{total} × {less_red}/{less} = {answer}.",
        worlds=worlds("bag|things|good|bad", "bag|balls|white|black", "box|bulbs|working|broken", "hat|tickets|winning|losing"),
    ),
    Wording(
        (
            "{bag}里有{red}{m}{good}和{other_}{m}{bad}，不放回地抽取两{m}，两{m}都是{good}的概率是多少？",
            "{name}从{red}{m}{good}和{other_}{m}{bad}中一次任取两{m}，求取到的都是{good}的概率。",
        ),
        "第一{m}是{good}的概率为{red}/{total}，第二{m}为{less_red}/{less}，"
        "所求概率为{red}/{total} × {less_red}/{less} = {answer}。",
        worlds=worlds("bag|good|bad|m", "袋子|白球|黑球|个", "盒子|合格品|次品|件", "箱子|中奖券|无奖券|张"),
    ),
)  # fmt: skip


def _missing(n: int, before: int, after: int) -> Worked:
    old, new = n * before, (n + 1) * after
    return {
        "old": old, "new": new, "more": n + 1, "answer": new - old,
        "wrong": (after, 2 * after - before, after * n - old, new - old + n),
    }  # fmt: skip


MISSING = Family(
    "mean-missing", "statistics", {"n": range(3, 16), "before": range(60, 96), "after": range(60, 98)}, _missing,
    Wording(
        (
            "After {n} tests {name}'s mean score is {before}. After one more test it is {after}. "
            "What was the score of the last test?",
            "The mean of {n} numbers is {before}. With one more number the mean becomes {after}. Which number was added?",
        ),
        "The first {n} sum to {n} × {before} = {old}. All {more} sum to {more} × {after} = {new}. "
        "The last is {new} - {old} = {answer}.",
    ),
    Wording(
        (
            "{name}前{n}次测验的平均分是{before}分，再考一次后平均分变为{after}分，最后一次得了多少分？",
            "{n}个数的平均数是{before}，再添上一个数，平均数变成{after}，添上的数是多少？",
        ),
        "前{n}个的总和是{n} × {before} = {old}，全部{more}个的总和是{more} × {after} = {new}，最后一个是{new} - {old} = {answer}。",
    ),
    lambda n, before, after: before != after and 30 <= (n + 1) * after - n * before <= 100,
)  # fmt: skip


def _median(start: int, a: int, b: int, c: int, d: int) -> Worked:
    ordered = [start, start + a, start + a + b, start + a + b + c, start + a + b + c + d]
    turn = (a + 2 * b + 3 * c + d) % 4 + 1
    shown = ordered[turn:] + ordered[:turn]
    shown[0], shown[3] = shown[3], shown[0]
    return {
        "shown": ", ".join(map(str, shown)), "ordered": ", ".join(map(str, ordered)), "answer": ordered[2],
        "wrong": [v for v in (shown[2], ordered[1], ordered[3], ordered[0], ordered[4]) if v != ordered[2]],
    }  # fmt: skip


MEDIAN = Family(
    "median", "statistics",
    {"start": range(5, 60), "a": range(1, 9), "b": range(1, 9), "c": range(1, 9), "d": range(1, 9)}, _median,
    Wording(
        ("Find the median of {shown}.", "{name} measures {what}: {shown}. What is the median?"),
        "In order the values are {ordered}. The one in the middle is {answer}.",
        worlds=worlds(
            "what", "five plants (in cm)", "five waiting times (in minutes)", "five parcels (in kg)", "the points of five games"
        ),
    ),
    Wording(
        ("求{shown}的中位数。", "{name}记录了{what}：{shown}，中位数是多少？"),
        "从小到大排列为{ordered}，位于中间的数是{answer}。",
        worlds=worlds("what", "五株植物的高度（厘米）", "五次等候的时间（分钟）", "五个包裹的质量（千克）", "五场比赛的得分"),
    ),
)  # fmt: skip


def _teams(a: int, b: int, r: int, s: int) -> Worked:
    first, second = comb(a, r), comb(b, s)
    return {
        "first": first, "second": second, "answer": first * second,
        "wrong": (first + second, comb(a + b, r + s), a * b * r * s, first * second * 2, a * r + b * s),
    }  # fmt: skip


TEAMS = Family(
    "teams", "combinatorics", {"a": range(4, 21), "b": range(4, 21), "r": range(1, 4), "s": range(1, 4)}, _teams,
    Wording(
        (
            "A {group} takes {r} of {a} {ones} and {s} of {b} {twos}. In how many ways can it be put together?",
            "How many ways are there to choose {r} out of {a} {ones} and {s} out of {b} {twos}?",
        ),
        "There are C({a}, {r}) = {first} ways for the {ones} and C({b}, {s}) = {second} for the {twos}: "
        "{first} × {second} = {answer}.",
        worlds=worlds(
            "group|ones|twos", "committee|nurses|doctors", "show|singers|dancers", "festival|poems|stories", "team|girls|boys"
        ),
    ),
    Wording(
        (
            "从{a}{m}{ones}和{b}{m}{twos}中选出{r}{m}{ones}和{s}{m}{twos}，共有多少种选法？",
            "有{a}{m}{ones}、{b}{m}{twos}，{name}要挑{r}{m}{ones}和{s}{m}{twos}，有多少种不同的挑法？",
        ),
        "选{ones}有C({a}, {r}) = {first}种，选{twos}有C({b}, {s}) = {second}种，共{first} × {second} = {answer}种。",
        worlds=worlds("ones|twos|m", "护士|医生|名", "歌手|舞者|名", "诗歌|小说|篇", "女生|男生|名"),
    ),
    lambda a, b, r, s: (a, r) <= (b, s),
)  # fmt: skip


def _outfits(a: int, b: int, c: int) -> Worked:
    return {"pairs": a * b, "answer": a * b * c, "wrong": (a + b + c, a * b + c, a * b, (a + b) * c, a + b * c)}


OUTFITS = Family(
    "product-rule", "combinatorics", {"a": range(3, 26), "b": range(3, 26), "c": range(3, 26)}, _outfits,
    Wording(
        (
            "{name} can choose among {a} {x}, {b} {y} and {c} {z}. How many ways are there to choose one of each?",
            "There are {a} {x}, {b} {y} and {c} {z} on offer. How many different sets of one each are there?",
        ),
        "The choices are independent: {a} × {b} = {pairs} for the first two, and {pairs} × {c} = {answer} with the third.",
        worlds=worlds("x|y|z", "shirts|pairs of trousers|pairs of shoes", "soups|main courses|desserts", "pens|notebooks|covers"),
    ),
    Wording(
        (
            "{name}要从{a}{x}、{b}{y}和{c}{z}中各选一样，共有多少种搭配？",
            "可供选择的有{a}{x}、{b}{y}、{c}{z}，每类选一样，有多少种不同的选法？",
        ),
        "各次选择互不影响：前两类有{a} × {b} = {pairs}种，再配第三类有{pairs} × {c} = {answer}种。",
        worlds=worlds("x|y|z", "件衬衫|条裤子|双鞋", "种汤|种主菜|种甜点", "支笔|本笔记本|个书皮"),
    ),
    lambda a, b, c: a <= b <= c,
)  # fmt: skip


def _weighted(weight: int, first: int, second: int) -> Worked:
    rest = 100 - weight
    one, two = Decimal(weight * first) / 100, Decimal(rest * second) / 100
    return {
        "rest": rest, "one": one, "two": two, "answer": one + two,
        "wrong": (
            Decimal(first + second) / 2, Decimal(rest * first + weight * second) / 100,
            one + two + 1, one + two - 1, one + two + 2,
        ),
    }  # fmt: skip


WEIGHTED = Family(
    "weighted-mean", "statistics",
    {"weight": range(10, 50, 5), "first": range(50, 101), "second": range(50, 101)}, _weighted,
    Wording(
        (
            "A final mark counts {one_} for {weight}% and {two_} for {rest}%. {name} has {first} in {one_} and {second} in {two_}. "
            "What is the final mark?",
            "{name} scored {first} in {one_} (weight {weight}%) and {second} in {two_} (weight {rest}%). Find the weighted mean.",
        ),
        "{weight} × {first} ÷ 100 = {one} and {rest} × {second} ÷ 100 = {two}. The sum is {one} + {two} = {answer}.",
        worlds=worlds("one_|two_", "homework|the exam", "the essay|the talk", "practice|theory"),
    ),
    Wording(
        (
            "总评成绩中{one_}占{weight}%，{two_}占{rest}%。{name}的{one_}是{first}分，{two_}是{second}分，总评是多少分？",
            "{name}{one_}得{first}分（权重{weight}%），{two_}得{second}分（权重{rest}%），求加权平均分。",
        ),
        "{weight} × {first} ÷ 100 = {one}，{rest} × {second} ÷ 100 = {two}，总评{one} + {two} = {answer}分。",
        "{answer}分",
        worlds("one_|two_", "平时成绩|期末成绩", "作文|演讲", "实践|理论"),
    ),
    lambda weight, first, second: first != second,
)  # fmt: skip

FAMILIES = (DRAW_ONE, DRAW_TWO, MISSING, MEDIAN, TEAMS, OUTFITS, WEIGHTED)
