"""Families about whole numbers, sets and the calendar.

See `family.py` for what a family is. Weekdays are whole numbers (Monday is 0) until a language names them.
"""

from __future__ import annotations

from math import gcd, lcm

from skyloom.corpus.stem.families.family import Family, Wording, Worked, worlds

_DAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


def _gcd(a: int, b: int, g: int) -> Worked:
    return {"first": a * g, "second": b * g, "answer": g, "wrong": (a * b * g, a * g - b * g, 2 * g, a + b, a * b)}


GCD = Family(
    "greatest-common-divisor", "number theory", {"a": range(2, 16), "b": range(2, 16), "g": range(4, 61)}, _gcd,
    Wording(
        (
            "Two {things} of {first} cm and {second} cm are cut into equal pieces without waste. How long can a piece be at most?",
            "What is the greatest common divisor of {first} and {second}?",
        ),
        "{first} = {answer} × {a} and {second} = {answer} × {b}, and {a} and {b} have no common factor. "
        "So the greatest common divisor is {answer}.",
        worlds=worlds("things", "ribbons", "planks", "ropes", "wires"),
    ),
    Wording(
        (
            "两根{thing}分别长{first}厘米和{second}厘米，要截成同样长的小段且没有剩余，每段最长多少厘米？",
            "求{first}和{second}的最大公约数。",
        ),
        "{first} = {answer} × {a}，{second} = {answer} × {b}，而{a}与{b}互质，所以最大公约数是{answer}。",
        worlds=worlds("thing", "彩带", "木条", "绳子", "铁丝"),
    ),
    lambda a, b, g: a > b and gcd(a, b) == 1,
)  # fmt: skip


def _lcm(a: int, b: int) -> Worked:
    g = gcd(a, b)
    return {"g": g, "rest": b // g, "answer": lcm(a, b), "wrong": (a * b, a + b, g, lcm(a, b) * 2, lcm(a, b) // 2)}


LCM = Family(
    "least-common-multiple", "number theory", {"a": range(4, 121), "b": range(4, 121)}, _lcm,
    Wording(
        (
            "Two {things} {act} together. One {acts} every {a} minutes, the other every {b} minutes. "
            "After how many minutes do they {act} together again?",
            "What is the least common multiple of {a} and {b}?",
        ),
        "The greatest common divisor of {a} and {b} is {g}. The least common multiple is {a} × {b} ÷ {g} = {answer}.",
        worlds=worlds("things|act|acts", "buses|leave|leaves", "bells|ring|rings", "lamps|flash|flashes"),
    ),
    Wording(
        (
            "两{things}同时{act}，一{thing}每{a}分钟{act}一次，另一{thing}每{b}分钟{act}一次，至少再过多少分钟它们又同时{act}？",
            "求{a}和{b}的最小公倍数。",
        ),
        "{a}和{b}的最大公约数是{g}，最小公倍数是{a} × {b} ÷ {g} = {answer}。",
        worlds=worlds("things|thing|act", "路公交车|路|发车", "口钟|口|鸣响", "盏灯|盏|闪烁"),
    ),
    lambda a, b: a < b and b % a != 0 and gcd(a, b) > 1,
)  # fmt: skip


def _last_digit(base: int, power: int) -> Worked:
    cycle = [base % 10]
    while (following := cycle[-1] * base % 10) != cycle[0]:
        cycle.append(following)
    place = (power - 1) % len(cycle)
    return {
        "cycle": ", ".join(map(str, cycle)), "period": len(cycle), "place": place + 1, "answer": cycle[place],
        "wrong": [d for d in [*cycle, base * power % 10, 0, 5, 1, 8, 3] if d != cycle[place]],
    }  # fmt: skip


LAST_DIGIT = Family(
    "last-digit", "number theory", {"base": range(12, 100), "power": range(5, 80)}, _last_digit,
    Wording(
        ("What is the last digit of {base}^{power}?", "Find the units digit of {base} to the power of {power}."),
        "The last digits of the powers of {base} repeat with period {period}: {cycle}. "
        "The power {power} stands at place {place} of the period, so the last digit is {answer}.",
    ),
    Wording(
        ("{base}^{power}的个位数字是几？", "求{base}的{power}次方的个位数字。"),
        "{base}的各次幂的个位数字以{period}为周期循环：{cycle}。第{power}次方对应周期中的第{place}个，所以个位数字是{answer}。",
    ),
    lambda base, power: base % 10 in (2, 3, 4, 7, 8, 9),
)  # fmt: skip


def _weekday(start: int, days: int) -> Worked:
    day = (start + days) % 7
    return {
        "start": start, "weeks": days // 7, "rest": days % 7, "answer": day,
        "wrong": ((day + 1) % 7, (day + 6) % 7, (start - days) % 7, start),
    }  # fmt: skip


WEEKDAY = Family(
    "weekday", "calendar", {"start": range(7), "days": range(10, 1000)}, _weekday,
    Wording(
        (
            "Today is {start}. What day of the week will it be in {days} days?",
            "{event} is on a {start}. On which weekday falls the day {days} days later?",
        ),
        "{days} = 7 × {weeks} + {rest}. Whole weeks change nothing, so count on from {start} by {rest}: it is {answer}.",
        worlds=worlds("event", "A concert", "A birthday", "An exam", "The first lesson"),
        labels={"start": _DAYS_EN, "answer": _DAYS_EN},
    ),
    Wording(
        ("今天是{start}，{days}天后是星期几？", "{event}在{start}，再过{days}天是星期几？"),
        "{days} = 7 × {weeks} + {rest}，整周不改变星期，从{start}往后数{rest}天，是{answer}。",
        worlds=worlds("event", "音乐会", "生日", "期中考试", "第一节课"),
        labels={"start": _DAYS_ZH, "answer": _DAYS_ZH},
    ),
    lambda start, days: days % 7 != 0,
)  # fmt: skip


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _elapsed(start: int, length: int) -> Worked:
    end, hours, rest = start + length, length // 60, length % 60
    minutes = start % 60 + rest
    carry = minutes >= 60
    return {
        "start_clock": _clock(start), "hours": hours, "rest": rest, "from_": start % 60, "minutes": minutes,
        "carry": int(carry), "end_minutes": minutes - 60 * carry, "end_hours": end // 60, "from_hours": start // 60,
        "answer": _clock(end),
        "wrong": [_clock(end + shift) for shift in (60, -60, 10, -10, 30)],
    }  # fmt: skip


ELAPSED = Family(
    "elapsed-time", "calendar", {"start": range(360, 1000), "length": range(65, 400)}, _elapsed,
    Wording(
        (
            "{event} begins at {start_clock} and lasts {hours} h {rest} min. When does it end?",
            "{event} starts at {start_clock}. It takes {hours} h {rest} min. At what time is it over?",
        ),
        "The minutes make {from_} + {rest} = {minutes}, which is {carry} h {end_minutes} min. "
        "The hours make {from_hours} + {hours} + {carry} = {end_hours}. It ends at {answer}.",
        worlds=worlds("event", "A train journey", "A football tournament", "A museum tour", "An exam", "A hike"),
    ),
    Wording(
        (
            "{event}{start_clock}开始，历时{hours}小时{rest}分钟，什么时候结束？",
            "{event}从{start_clock}开始，需要{hours}小时{rest}分，结束时是几时几分？",
        ),
        "分钟数{from_} + {rest} = {minutes}，合{carry}小时{end_minutes}分；小时数{from_hours} + {hours} + {carry} = {end_hours}。"
        "结束时间是{answer}。",
        worlds=worlds("event", "火车旅程", "足球比赛", "参观活动", "考试", "登山活动"),
    ),
    lambda start, length: length % 60 != 0,
)  # fmt: skip


def _sets(only_a: int, only_b: int, both: int, none: int) -> Worked:
    a, b, everyone = only_a + both, only_b + both, only_a + only_b + both + none
    return {
        "a": a, "b": b, "everyone": everyone, "union": a + b - both, "answer": none,
        "wrong": (everyone - a - b, none + both, a + b - both, everyone - a, both),
    }  # fmt: skip


SETS = Family(
    "two-sets", "sets",
    {"only_a": range(4, 30), "only_b": range(4, 30), "both": range(3, 20), "none": range(3, 20)}, _sets,
    Wording(
        (
            "Of {everyone} {people}, {a} {first}, {b} {second}, and {both} do both. How many do neither?",
            "In a group of {everyone} {people}, {a} {first} and {b} {second}; {both} of them do both. How many do neither?",
        ),
        "At least one of the two holds for {a} + {b} - {both} = {union}. Neither holds for {everyone} - {union} = {answer}.",
        worlds=worlds(
            "people|first|second", "pupils|swim|cycle", "tourists|speak French|speak Spanish",
            "neighbours|keep a dog|keep a cat", "students|play chess|play the piano",
        ),
    ),
    Wording(
        (
            "{everyone}名{people}中，{first}的有{a}人，{second}的有{b}人，两样都会的有{both}人，两样都不会的有多少人？",
            "{people}共{everyone}人，其中{a}人{first}，{b}人{second}，{both}人两样都会。两样都不会的有几人？",
        ),
        "至少会一样的有{a} + {b} - {both} = {union}人，两样都不会的有{everyone} - {union} = {answer}人。",
        worlds=worlds(
            "people|first|second", "学生|会游泳|会骑车", "游客|会说法语|会说德语", "队员|会下棋|会弹琴", "职工|会开车|会修车"
        ),
    ),
    lambda only_a, only_b, both, none: only_a <= only_b,
)  # fmt: skip


def _binary(n: int) -> Worked:
    powers = [1 << i for i in reversed(range(n.bit_length())) if n >> i & 1]
    return {
        "binary": f"{n:b}", "sum": " + ".join(map(str, powers)), "answer": n,
        "wrong": (n - powers[-1], 2 * n, int(f"{n:b}"[::-1], 2), n + 2, n.bit_count()),
    }  # fmt: skip


BINARY = Family(
    "binary", "number theory", {"n": range(33, 8192)}, _binary,
    Wording(
        ("Write the binary number {binary} in decimal.", "What is the decimal value of {binary} in base 2?"),
        "Add the powers of two where there is a 1: {sum} = {answer}.",
    ),
    Wording(
        ("把二进制数{binary}化为十进制数。", "二进制数{binary}等于十进制的多少？"),
        "把数字1所在位的2的幂相加：{sum} = {answer}。",
    ),
    lambda n: n.bit_count() > 1,
)  # fmt: skip


def _divisors(n: int) -> Worked:
    powers: dict[int, int] = {}
    rest, prime = n, 2
    while rest > 1:
        while rest % prime == 0:
            powers[prime], rest = powers.get(prime, 0) + 1, rest // prime
        prime += 1
    count = 1
    for power in powers.values():
        count *= power + 1
    return {
        "factors": " × ".join(f"{p}^{k}" if k > 1 else str(p) for p, k in powers.items()),
        "counts": " × ".join(f"({k} + 1)" for k in powers.values()),
        "answer": count,
        "wrong": (count - 1, count - 2, len(powers), sum(powers.values()), count + 2),
    }  # fmt: skip


def _has_two_primes(n: int) -> bool:
    smallest = next((p for p in range(2, 14) if n % p == 0), n)
    while n % smallest == 0:
        n //= smallest
    return n > 1


DIVISORS = Family(
    "divisor-count", "number theory", {"n": range(24, 3000)}, _divisors,
    Wording(
        ("How many positive divisors does {n} have?", "Find the number of positive divisors of {n}."),
        "Factor: {n} = {factors}. Add 1 to each exponent and multiply: {counts} = {answer}.",
    ),
    Wording(
        ("{n}有多少个正约数？", "求{n}的正约数的个数。"),
        "分解质因数：{n} = {factors}。各指数加1后相乘：{counts} = {answer}。",
    ),
    _has_two_primes,
)  # fmt: skip

FAMILIES = (GCD, LCM, LAST_DIGIT, WEEKDAY, ELAPSED, SETS, BINARY, DIVISORS)
