"""Families of algebra: equations, systems, ages, quadratics, sequences, powers, functions.

See `family.py` for what a family is. Numeric equations in solutions are exact; lines with letters are the algebra.
"""

from __future__ import annotations

from skyloom.corpus.stem.families.family import Family, Wording, Worked, worlds


def _linear(a: int, b: int, x: int) -> Worked:
    c = a * x + b
    return {"c": c, "rest": a * x, "answer": x, "wrong": (a * x, c // a, x + b, c - a - b)}


LINEAR = Family(
    "linear-equation", "algebra", {"a": range(2, 16), "b": range(2, 41), "x": range(3, 31)}, _linear,
    Wording(
        (
            "Solve for x: {a}x + {b} = {c}.",
            "{name} thinks of a number, multiplies it by {a} and adds {b}. The result is {c}. What is the number?",
            "If {a}x + {b} = {c}, what is x?",
        ),
        "Subtract {b}: {a}x = {c} - {b} = {rest}. Divide by {a}: x = {rest} ÷ {a} = {answer}.",
    ),
    Wording(
        (
            "解方程：{a}x + {b} = {c}。",
            "{name}想了一个数，把它乘{a}，再加上{b}，结果是{c}。这个数是多少？",
            "若{a}x + {b} = {c}，求x的值。",
        ),
        "移项得{a}x = {c} - {b} = {rest}，两边除以{a}，得x = {rest} ÷ {a} = {answer}。",
    ),
)  # fmt: skip


def _both_sides(a: int, b: int, c: int, x: int) -> Worked:
    d = (a - c) * x + b
    return {"d": d, "coefficient": a - c, "rest": d - b, "answer": x, "wrong": (d - b, (d - b) // (a + c), x + a - c, d + b)}


BOTH_SIDES = Family(
    "equation-both-sides", "algebra",
    {"a": range(4, 16), "b": range(1, 31), "c": range(2, 12), "x": range(3, 31)}, _both_sides,
    Wording(
        (
            "Solve for x: {a}x + {b} = {c}x + {d}.",
            "For which x do {a}x + {b} and {c}x + {d} have the same value?",
            "{name} has {b} coins and gets {a} more each day. {other} has {d} coins and gets {c} more each day. "
            "After how many days do they have equally many?",
        ),
        "Let x be the unknown: {a}x + {b} = {c}x + {d}. Then {a} - {c} = {coefficient} and {d} - {b} = {rest} give "
        "{coefficient}x = {rest}, so x = {rest} ÷ {coefficient} = {answer}.",
    ),
    Wording(
        (
            "解方程：{a}x + {b} = {c}x + {d}。",
            "当x取何值时，{a}x + {b}与{c}x + {d}的值相等？",
            "{name}有{b}枚硬币，每天增加{a}枚；{other}有{d}枚硬币，每天增加{c}枚。几天后两人的硬币一样多？",
        ),
        "设所求为x，则{a}x + {b} = {c}x + {d}。由{a} - {c} = {coefficient}，{d} - {b} = {rest}，"
        "得{coefficient}x = {rest}，x = {rest} ÷ {coefficient} = {answer}。",
    ),
    lambda a, b, c, x: a - c > 1,
)  # fmt: skip


def _heads_legs(two: int, four: int) -> Worked:
    heads, legs = two + four, 2 * two + 4 * four
    return {
        "heads": heads, "legs": legs, "least": 2 * heads, "extra": 2 * four, "answer": four,
        "wrong": (two, 2 * four, heads // 2, legs // 4),
    }  # fmt: skip


HEADS_LEGS = Family(
    "heads-and-legs", "systems", {"two": range(4, 71), "four": range(4, 71)}, _heads_legs,
    Wording(
        (
            "There are {heads} {twos} and {fours} {place}, with {legs} {legs_} altogether. How many {fours} are there?",
            "{name} counts {heads} {twos} and {fours} {place} and {legs} {legs_}. How many of them are {fours}?",
        ),
        "If all {heads} had 2 {legs_}, there would be {heads} × 2 = {least}. The other {legs} - {least} = {extra} belong to the "
        "{fours}, 2 more for each: {extra} ÷ 2 = {answer}.",
        worlds=worlds(
            "twos|fours|legs_|place", "hens|rabbits|legs|in a yard", "bicycles|cars|wheels|in a car park",
            "ducks|sheep|legs|on a farm", "storks|horses|legs|in a meadow",
        ),
    ),
    Wording(
        (
            "{place}有{two_}和{four_}共{heads}{m}，一共有{legs}{legs_}，{four_}有多少{m}？",
            "{two_}与{four_}共{heads}{m}，数一数共{legs}{legs_}，求{four_}的数量。",
        ),
        "假设全是{two_}，应有{heads} × 2 = {least}{legs_}，多出{legs} - {least} = {extra}{legs_}，"
        "每{m}{four_}多2{legs_}，所以{four_}有{extra} ÷ 2 = {answer}{m}。",
        worlds=worlds(
            "two_|four_|m|legs_|place", "鸡|兔|只|条腿|笼子里", "自行车|小汽车|辆|个轮子|停车场", "鸭|羊|只|条腿|农场里"
        ),
    ),
    lambda two, four: two != four,
)  # fmt: skip


def _sum_difference(small: int, gap: int) -> Worked:
    total = 2 * small + gap
    return {
        "total": total, "double": total + gap, "answer": small + gap,
        "wrong": (small, total - gap, total // 2, small + 2 * gap),
    }  # fmt: skip


SUM_DIFFERENCE = Family(
    "sum-and-difference", "systems", {"small": range(6, 90), "gap": range(3, 60)}, _sum_difference,
    Wording(
        (
            "{name} and {other} have {total} {things} together. {name} has {gap} more than {other}. How many has {name}?",
            "{name} has {gap} {things} more than {other}, and both have {total} in all. How many {things} has {name}?",
            "Two numbers have the sum {total} and the difference {gap}. Which is the larger one?",
        ),
        "Sum plus difference is twice the larger number: {total} + {gap} = {double}. Half of it is {double} ÷ 2 = {answer}.",
        worlds=worlds("things", "stickers", "books", "marbles", "postcards"),
    ),
    Wording(
        (
            "{name}和{other}共有{total}{m}{thing}，{name}比{other}多{gap}{m}，{name}有多少{m}？",
            "{name}的{thing}比{other}多{gap}{m}，两人合起来有{total}{m}，求{name}的{thing}数。",
            "两个数的和是{total}，差是{gap}，较大的数是多少？",
        ),
        "和加差等于较大数的2倍：{total} + {gap} = {double}，所以较大数是{double} ÷ 2 = {answer}。",
        worlds=worlds("thing|m", "贴纸|张", "图书|本", "弹珠|颗", "明信片|张"),
    ),
)  # fmt: skip


def _tickets(adults: int, children: int, dear: int, cheap: int) -> Worked:
    people, money = adults + children, adults * dear + children * cheap
    return {
        "people": people, "money": money, "least": people * cheap, "extra": money - people * cheap, "gap": dear - cheap,
        "answer": adults, "wrong": (children, people // 2, money // dear, money // (dear + cheap)),
    }  # fmt: skip


TICKETS = Family(
    "tickets", "systems",
    {"adults": range(5, 80), "children": range(5, 80), "dear": range(8, 31), "cheap": range(3, 16)}, _tickets,
    Wording(
        (
            "Tickets for {event} cost ${dear} for adults and ${cheap} for children. {people} people paid ${money}. "
            "How many adults came?",
            "An adult pays ${dear} for {event} and a child ${cheap}. With {people} guests the takings were ${money}. "
            "Find the number of adults.",
        ),
        "If all were children, they would pay {people} × {cheap} = {least} dollars. The missing {money} - {least} = {extra} "
        "dollars come from adults, who pay {dear} - {cheap} = {gap} dollars more: {extra} ÷ {gap} = {answer}.",
        worlds=worlds("event", "the circus", "the puppet theatre", "the zoo", "the boat trip"),
    ),
    Wording(
        (
            "{event}的成人票每张{dear}元，儿童票每张{cheap}元。{people}人共付{money}元，其中成人有多少人？",
            "{event}的票价：成人{dear}元，儿童{cheap}元。某天卖出{people}张票，收入{money}元，成人票卖了多少张？",
        ),
        "假设全是儿童，应收{people} × {cheap} = {least}元，相差{money} - {least} = {extra}元，"
        "每张成人票多{dear} - {cheap} = {gap}元，所以成人有{extra} ÷ {gap} = {answer}人。",
        worlds=worlds("event", "马戏团", "木偶剧院", "动物园", "游船"),
    ),
    lambda adults, children, dear, cheap: dear - cheap > 1 and adults != children,
)  # fmt: skip


def _ages(times: int, younger: int, years: int) -> Worked:
    then = younger + years
    gap = (times - 1) * then
    return {
        "gap": gap, "less": times - 1, "then": then, "answer": younger,
        "wrong": (then, younger + gap, gap, then + years, gap // times),
    }  # fmt: skip


AGES = Family(
    "ages", "algebra", {"times": range(3, 7), "younger": range(3, 41), "years": range(2, 21)}, _ages,
    Wording(
        (
            "{name} is {gap} years older than {other}. In {years} years {name} will be {times} times as old as {other}. "
            "How old is {other} now?",
            "{other} is {gap} years younger than {name}. {years} years from now, {name}'s age will be {times} times {other}'s. "
            "What is {other}'s age today?",
        ),
        "The difference stays {gap} years and will be {times} - 1 = {less} times {other}'s age then: {gap} ÷ {less} = {then}. "
        "Today {other} is {then} - {years} = {answer}.",
    ),
    Wording(
        (
            "{name}比{other}大{gap}岁，{years}年后{name}的年龄是{other}的{times}倍，{other}今年多少岁？",
            "{other}比{name}小{gap}岁。再过{years}年，{name}的年龄正好是{other}的{times}倍。{other}现在几岁？",
        ),
        "年龄差{gap}岁不变，那时相当于{other}年龄的{times} - 1 = {less}倍，{gap} ÷ {less} = {then}岁，"
        "所以今年{other}{then} - {years} = {answer}岁。",
        "{answer}岁",
    ),
    lambda times, younger, years: (times - 1) * (younger + years) <= 75,
)  # fmt: skip


def _term(coefficient: int, letter: str) -> str:
    size = "" if abs(coefficient) == 1 and letter else str(abs(coefficient))
    return f" {'-' if coefficient < 0 else '+'} {size}{letter}"


def _quadratic(p: int, q: int) -> Worked:
    return {
        "equation": f"x²{_term(-(p + q), 'x') if p + q else ''}{_term(p * q, '')} = 0",
        "factors": f"(x{_term(-p, '')})(x{_term(-q, '')})", "p": p, "answer": q,
        "wrong": (p, -p, -q, p + q, p * q, q + 1, q - 1),
    }  # fmt: skip


QUADRATIC = Family(
    "quadratic", "quadratics", {"p": range(-40, 41), "q": range(-40, 41)}, _quadratic,
    Wording(
        (
            "Find the larger root of {equation}.",
            "The equation {equation} has two solutions. Which is the larger one?",
            "Solve {equation} and give the larger solution.",
        ),
        "Factor: {equation} becomes {factors} = 0. The roots are {p} and {answer}; the larger one is {answer}.",
        "x = {answer}",
    ),
    Wording(
        ("求方程{equation}较大的根。", "方程{equation}有两个解，较大的解是多少？", "解方程{equation}，写出较大的解。"),
        "因式分解：由{equation}得{factors} = 0，两根为{p}和{answer}，较大的根是{answer}。",
        "x = {answer}",
    ),
    lambda p, q: p < q and p * q != 0,
)  # fmt: skip


def _arithmetic(first: int, step: int, n: int) -> Worked:
    last = first + (n - 1) * step
    return {
        "second": first + step, "third": first + 2 * step, "less": n - 1, "answer": last,
        "wrong": (first + n * step, n * step, last - step * 2, first * n),
    }  # fmt: skip


ARITHMETIC = Family(
    "arithmetic-sequence", "sequences", {"first": range(2, 40), "step": range(3, 20), "n": range(8, 60)}, _arithmetic,
    Wording(
        (
            "An arithmetic sequence begins {first}, {second}, {third}, ... What is term number {n}?",
            "The first row of {place} has {first} seats, the second {second}, the third {third}, and so on. "
            "How many seats are in row {n}?",
        ),
        "The step is {second} - {first} = {step}. Term {n} is {first} + ({n} - 1) × {step} = {first} + {less} × {step} = {answer}.",
        worlds=worlds("place", "a theatre", "an arena", "a lecture hall"),
    ),
    Wording(
        (
            "等差数列{first}, {second}, {third}, ……的第{n}项是多少？",
            "{place}第1排有{first}个座位，第2排有{second}个，第3排有{third}个，依此规律，第{n}排有多少个座位？",
        ),
        "公差是{second} - {first} = {step}，第{n}项是{first} + ({n} - 1) × {step} = {first} + {less} × {step} = {answer}。",
        worlds=worlds("place", "剧院", "体育馆", "阶梯教室"),
    ),
)  # fmt: skip


def _series(first: int, step: int, n: int) -> Worked:
    last = first + (n - 1) * step
    total = (first + last) * n // 2
    return {"less": n - 1, "last": last, "answer": total, "wrong": (first * n, last * n, (first + last) * n, total - last, last)}


SERIES = Family(
    "arithmetic-series", "sequences", {"first": range(2, 40), "step": range(2, 12), "n": range(5, 32)}, _series,
    Wording(
        (
            "{name} {does} {first} {things} on the first day and {step} more on each following day. "
            "How many {things} are that in {n} days?",
            "On day one {name} {does} {first} {things}; every day the number grows by {step}. Find the total after {n} days.",
        ),
        "On day {n} it is {first} + {less} × {step} = {last}. The total is ({first} + {last}) × {n} ÷ 2 = {answer}.",
        worlds=worlds("does|things", "reads|pages", "learns|words", "solves|puzzles", "plants|seedlings"),
    ),
    Wording(
        (
            "{name}第一天{does}{first}{m}{thing}，以后每天比前一天多{step}{m}，{n}天一共{does}多少{m}？",
            "{name}坚持每天{does}{thing}，第1天{first}{m}，此后每天增加{step}{m}，求{n}天的总数。",
        ),
        "第{n}天是{first} + {less} × {step} = {last}{m}，总数是({first} + {last}) × {n} ÷ 2 = {answer}{m}。",
        worlds=worlds("does|thing|m", "读|故事书|页", "背|单词|个", "做|练习题|道", "种|树|棵"),
    ),
)  # fmt: skip


def _geometric(first: int, ratio: int, n: int) -> Worked:
    return {
        "second": first * ratio, "third": first * ratio**2, "less": n - 1, "power": ratio ** (n - 1),
        "answer": first * ratio ** (n - 1),
        "wrong": (first * ratio**n, first * ratio ** (n - 2), first * ratio * (n - 1), first + ratio ** (n - 1)),
    }  # fmt: skip


GEOMETRIC = Family(
    "geometric-sequence", "sequences", {"first": range(2, 120), "ratio": range(2, 6), "n": range(4, 9)}, _geometric,
    Wording(
        (
            "A geometric sequence begins {first}, {second}, {third}, ... What is term number {n}?",
            "There are {first} {things} on day 1, {second} on day 2, {third} on day 3, always growing by the same factor. "
            "How many are there on day {n}?",
        ),
        "The factor is {second} ÷ {first} = {ratio}. Term {n} is {first} × {ratio}^{less} = {first} × {power} = {answer}.",
        worlds=worlds("things", "bacteria", "water lilies", "yeast cells"),
    ),
    Wording(
        (
            "等比数列{first}, {second}, {third}, ……的第{n}项是多少？",
            "第1天有{first}{m}{thing}，第2天有{second}{m}，第3天有{third}{m}，每天增长的倍数相同，第{n}天有多少{m}？",
        ),
        "公比是{second} ÷ {first} = {ratio}，第{n}项是{first} × {ratio}^{less} = {first} × {power} = {answer}。",
        worlds=worlds("thing|m", "细菌|个", "浮萍|片", "酵母菌|个"),
    ),
)  # fmt: skip


def _function(a: int, b: int, c: int, x: int) -> Worked:
    square, first, second = x * x, a * x * x, b * x
    return {
        "square": square, "first": first, "second": second, "answer": first - second + c,
        "wrong": (first + second + c, (a * x) ** 2 - second + c, first - second - c, first + c),
    }  # fmt: skip


FUNCTION = Family(
    "function-value", "algebra", {"a": range(2, 10), "b": range(2, 13), "c": range(1, 41), "x": range(3, 13)}, _function,
    Wording(
        (
            "Let f(x) = {a}x² - {b}x + {c}. Find f({x}).",
            "What is the value of {a}x² - {b}x + {c} for x = {x}?",
        ),
        "With x = {x}: {x}^2 = {square}, {a} × {square} = {first}, {b} × {x} = {second}. "
        "So the value is {first} - {second} + {c} = {answer}.",
    ),
    Wording(
        ("已知f(x) = {a}x² - {b}x + {c}，求f({x})。", "当x = {x}时，{a}x² - {b}x + {c}的值是多少？"),
        "把x = {x}代入：{x}^2 = {square}，{a} × {square} = {first}，{b} × {x} = {second}，"
        "所以值为{first} - {second} + {c} = {answer}。",
    ),
)  # fmt: skip

FAMILIES = (
    LINEAR, BOTH_SIDES, HEADS_LEGS, SUM_DIFFERENCE, TICKETS, AGES, QUADRATIC, ARITHMETIC, SERIES, GEOMETRIC, FUNCTION,
)  # fmt: skip
