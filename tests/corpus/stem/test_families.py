"""Every family against an evaluation that shares no code with it: answers, stated numbers, working, choices."""

import datetime
import itertools
import re
from collections import Counter
from fractions import Fraction
from math import comb, isqrt

import pytest

from skyloom.core.errors import DataError
from skyloom.corpus.stem.families.family import CHOICES, Dice, Family, Wording
from skyloom.corpus.stem.stage import FAMILIES, LANGUAGES

DRAWS = 60
NUMBER = re.compile(r"(?<![A-Za-z\d.])\d+(?:\.\d+)?")
VALUE = re.compile(r"-?\d+(?:\.\d+)?(?:/\d+)?")
WEEKDAYS = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "zh-Hans": ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"],
}
DECIMALS = {  # an answer that happens to be whole may stand beside fractions
    "cylinder-volume", "map-scale", "litres", "weighted-mean", "density", "heat", "electric-energy", "moles", "work-together"
}  # fmt: skip
CONSTANTS = {"0", "1", "2", "3", "3.14", "4.2"}  # "day 1", "base 2", π, the heat of water, "= 0"


def first(candidates, test):
    return next(c for c in candidates if test(c))


def day(start, days):
    """A Monday is 0, by the calendar of the standard library."""
    return (datetime.date(2024, 1, 1 + start) + datetime.timedelta(days)).weekday()


def divisors(n):
    return sum(n % d == 0 for d in range(1, n + 1))


def clock(minutes):
    return (datetime.datetime(2024, 1, 1) + datetime.timedelta(minutes=minutes)).strftime("%H:%M")


def both_red(red, other_):
    balls = "r" * red + "o" * other_
    pairs = Counter("".join(p) for p in itertools.combinations(balls, 2))
    return Fraction(pairs["rr"], sum(pairs.values()))


DENSITIES = dict(enumerate(["2.7", "7.9", "8.9", "10.5", "11.3", "19.3", "2.5", "0.9", "0.7", "2.6"]))
MOLAR = [18, 44, 32, 16, 40, 100, 98, 17, 180, 160]
LEGS = [(3, 4), (6, 8), (5, 12), (9, 12), (8, 15), (12, 16), (7, 24), (15, 20), (10, 24), (20, 21), (16, 30), (18, 24)]

# Family -> (answer, the numbers that the question must state), worked out another way: by search, counting or the
# standard library where that is possible.
ORACLE = {
    "change": lambda n, price, paid: (paid - sum([price] * n), [n, price, paid]),
    "unit-price": lambda n, price, m: (Fraction(n * price, n) * m, [n, n * price, m]),
    "boxes": lambda full, size, rest: (
        first(range(10**4), lambda k: k * size >= full * size + rest), [full * size + rest, size]
    ),
    "fraction-left": lambda a, b, m: (b * m * (1 - Fraction(a, b)), [b * m, a, b]),
    "discount": lambda price, off: (price * (1 - Fraction(off, 100)), [price, off]),
    "percent-increase": lambda base, rate: (
        first(range(1, 200), lambda r: base * (100 + r) == (base + base * rate // 100) * 100), [base, base + base * rate // 100]
    ),
    "ratio": lambda a, b, k: ((a + b) * k * Fraction(a, a + b), [(a + b) * k, a, b]),
    "work-together": lambda a, b: (Fraction(a * b, a + b), [a, b]),
    "simple-interest": lambda hundreds, rate, years: (
        sum(Fraction(hundreds * 100 * rate, 100) for _ in range(years)), [hundreds * 100, rate, years]
    ),
    "order-of-operations": lambda a, b, c, d: (eval(f"{a} + {b} * ({c} - {d})"), [a, b, c, d]),
    "linear-equation": lambda a, b, x: (first(range(-100, 100), lambda t: a * t + b == a * x + b), [a, b, a * x + b]),
    "equation-both-sides": lambda a, b, c, x: (
        first(range(-100, 100), lambda t: a * t + b == c * t + (a - c) * x + b), [a, b, c, (a - c) * x + b]
    ),
    "heads-and-legs": lambda two, four: (
        first(range(two + four + 1), lambda f: 4 * f + 2 * (two + four - f) == 2 * two + 4 * four), [two + four, 2 * two + 4 * four]
    ),
    "sum-and-difference": lambda small, gap: (
        first(range(400), lambda t: t + (t - gap) == 2 * small + gap), [2 * small + gap, gap]
    ),
    "tickets": lambda adults, children, dear, cheap: (
        first(range(200), lambda a: a * dear + (adults + children - a) * cheap == adults * dear + children * cheap),
        [dear, cheap, adults + children, adults * dear + children * cheap],
    ),
    "ages": lambda times, younger, years: (
        first(range(200), lambda y: y + (times - 1) * (younger + years) + years == times * (y + years)),
        [(times - 1) * (younger + years), years, times],
    ),
    "quadratic": lambda p, q: (
        first(range(100, -100, -1), lambda x: x * x - (p + q) * x + p * q == 0), [n for n in (abs(p + q), abs(p * q)) if n > 1]
    ),
    "arithmetic-sequence": lambda first, step, n: (
        next(itertools.islice(itertools.count(first, step), n - 1, None)), [first, first + step, first + 2 * step, n]
    ),
    "arithmetic-series": lambda first, step, n: (sum(range(first, first + n * step, step)), [first, step, n]),
    "geometric-sequence": lambda first, ratio, n: (
        list(itertools.accumulate(range(n - 1), lambda t, _: t * ratio, initial=first))[-1],
        [first, first * ratio, first * ratio * ratio, n],
    ),
    "function-value": lambda a, b, c, x: ((a * x - b) * x + c, [a, b, c, x]),
    "rectangle-area": lambda length, width: (sum(1 for _ in range(length) for _ in range(width)), [length, 2 * (length + width)]),
    "triangle-angle": lambda a, b: (first(range(181), lambda c: a + b + c == 180), [a, b]),
    "distance": lambda x, y, legs, swap: (
        round(abs(complex(*LEGS[legs]))),
        [x, y, *(p + d for p, d in zip((x, y), LEGS[legs][::-1] if swap else LEGS[legs], strict=True))],
    ),
    "cylinder-volume": lambda radius, height: (Fraction("3.14") * radius**2 * height, [radius, height, "3.14"]),
    "water-displacement": lambda length, width, rise, before: (
        length * width * (before + rise) - length * width * before, [length, width, before, before + rise]
    ),
    "tiles": lambda length, width, side: (Fraction(length * 100 * width * 100, side * side), [length, width, side]),
    "map-scale": lambda scale, tenths: (Fraction(tenths * scale, 1_000_000), [scale, f"{tenths / 10:g}"]),
    "litres": lambda length, width, depth: (
        Fraction(length, 10) * Fraction(width, 10) * Fraction(depth, 10), [length, width, depth]
    ),
    "greatest-common-divisor": lambda a, b, g: (
        first(range(a * g, 0, -1), lambda d: a * g % d == 0 and b * g % d == 0), [a * g, b * g]
    ),
    "least-common-multiple": lambda a, b: (first(range(b, a * b + 1, b), lambda m: m % a == 0), [a, b]),
    "last-digit": lambda base, power: (int(str(base**power)[-1]), [base, power]),
    "weekday": lambda start, days: (day(start, days), [days]),
    "elapsed-time": lambda start, length: (
        clock(start + length), [*clock(start).split(":"), length // 60, length % 60]
    ),
    "two-sets": lambda only_a, only_b, both, none: (
        len(set(range(only_a + only_b + both + none)) - set(range(only_a + both)) - set(range(only_a, only_a + both + only_b))),
        [only_a + only_b + both + none, only_a + both, only_b + both, both],
    ),
    "binary": lambda n: (int(bin(n), 2), [bin(n)[2:]]),
    "divisor-count": lambda n: (divisors(n), [n]),
    "draw-one": lambda red, blue, green: (
        1 - Fraction(blue, red + blue + green) - Fraction(green, red + blue + green), [red, blue, green]
    ),
    "draw-two": lambda red, other_: (both_red(red, other_), [red, other_]),
    "mean-missing": lambda n, before, after: (
        first(range(500), lambda v: Fraction(n * before + v, n + 1) == after), [n, before, after]
    ),
    "median": lambda start, a, b, c, d: (start + a + b, list(itertools.accumulate([start, a, b, c, d]))),
    "teams": lambda a, b, r, s: (
        sum(1 for _ in itertools.combinations(range(a), r)) * sum(1 for _ in itertools.combinations(range(b), s)), [a, b, r, s]
    ),
    "product-rule": lambda a, b, c: (sum(1 for _ in itertools.product(range(a), range(b), range(c))), [a, b, c]),
    "weighted-mean": lambda weight, first, second: (
        Fraction(sum([first] * weight + [second] * (100 - weight)), 100), [weight, 100 - weight, first, second]
    ),
    "meeting": lambda first, second, hours: (
        Fraction((first + second) * hours, first + second), [first, second, (first + second) * hours]
    ),
    "average-speed": lambda v1, t1, v2, t2: (
        Fraction(sum([v1] * t1 + [v2] * t2), t1 + t2), [v1, t1, v2, t2]
    ),
    "density": lambda material, volume: (Fraction(DENSITIES[material]) * volume, [volume, DENSITIES[material]]),
    "ohm": lambda r1, r2, current: (
        first(range(100), lambda i: r1 * i + r2 * i == (r1 + r2) * current), [r1, r2, (r1 + r2) * current]
    ),
    "heat": lambda mass, start, rise: (Fraction(42, 10) * mass * (start + rise - start), [mass, start, start + rise, "4.2"]),
    "electric-energy": lambda watts, hours, days: (Fraction(watts, 1000) * hours * days, [watts, hours, days]),
    "moles": lambda substance, tenths: (
        Fraction(tenths, 10), [MOLAR[substance], f"{MOLAR[substance] * tenths / 10:g}"]
    ),
    "dilution": lambda mass, strong, weak: (
        first(range(20000), lambda w: mass * strong == weak * (mass + w)), [mass, strong, weak]
    ),
}  # fmt: skip


def exercises(family: Family, count: int = DRAWS):
    """Exercises of a family in both languages, over all phrasings and worlds that come up."""
    dice, problems = Dice("test", family.name), family.draw(Dice("test", family.name, "draw"))
    for params in itertools.islice(problems, count):
        for lang in LANGUAGES:
            guise = family.guise(lang, dice)
            yield params, lang, family.write(params, lang, guise, dice)


def value_of(text: str, lang: str):
    """The value that an answer or a solution ends in: weekday, clock time, or an exact number."""
    if days := [d for d in WEEKDAYS[lang] if d in text]:
        return WEEKDAYS[lang].index(max(days, key=text.rfind))
    if times := re.findall(r"\d\d:\d\d", text):
        return times[-1]
    return Fraction(VALUE.findall(text)[-1])


@pytest.fixture(params=FAMILIES, ids=lambda f: f.name)
def family(request):
    return request.param


def test_every_family_has_an_oracle_and_a_name_of_its_own():
    assert len(FAMILIES) >= 24
    assert sorted(ORACLE) == sorted(f.name for f in FAMILIES)


def test_answers_agree_with_an_independent_evaluation(family):
    for params, lang, written in exercises(family):
        expected = ORACLE[family.name](**params)[0]
        assert value_of(written.answer.replace("x = ", ""), lang) == expected, written


def test_questions_state_exactly_what_is_needed(family):
    for params, _, written in exercises(family):
        stated = Counter(NUMBER.findall(written.question))
        needed = Counter(str(n) for n in ORACLE[family.name](**params)[1])
        assert not needed - stated, (written.question, needed - stated)
        assert set(stated - needed) <= CONSTANTS, written.question
        assert "{" not in written.question + written.solution + written.answer


def test_solutions_end_in_the_answer(family):
    for _, lang, written in exercises(family):
        solution = written.solution.removesuffix(" of water are added.")
        assert value_of(solution, lang) == value_of(written.answer, lang), written


def evaluate(side: str) -> Fraction:
    side = re.sub(r"√(\d+)", lambda m: f"({isqrt(int(m[1]))})" if isqrt(int(m[1])) ** 2 == int(m[1]) else "(none)", side)
    side = side.replace("×", "*").replace("÷", "/").replace("^", "**")
    return eval(re.sub(r"\d+(?:\.\d+)?", lambda m: f"Fraction('{m[0]}')", side))


def equations(solution: str) -> list[list[str]]:
    """Chains of numeric expressions that the solution joins with "="; sides with a letter are left out."""
    solution = re.sub(r"C\((\d+), (\d+)\)", lambda m: str(comb(int(m[1]), int(m[2]))), solution)
    chains = []
    for run in re.findall(r"[-+×÷/^√()=²x\d. ]+", solution):
        for sentence in run.split(". "):
            sides = [side.strip(" .") for side in sentence.split("=")]
            chains.append([s for s in sides if s and "x" not in s and "²" not in s])
    return [c for c in chains if len(c) > 1]


def test_every_equation_in_a_solution_holds(family):
    seen = 0
    for _, _, written in exercises(family):
        for chain in equations(written.solution):
            values = {evaluate(side) for side in chain}
            assert len(values) == 1, (chain, written.solution)
            seen += 1
    assert seen >= 2 * DRAWS or family.name in {"quadratic", "last-digit", "median"}


def test_the_equation_reader_reads():
    assert equations("Then 2x = 9 - 1 = 8, so x = 8 ÷ 2 = 4. C(4, 2) = 6 and 3^2 = 9") == [
        ["9 - 1", "8"], ["8 ÷ 2", "4"], ["6", "6"], ["3^2", "9"],
    ]  # fmt: skip
    assert [evaluate(s) for s in ("1/2 + 1/3", "3^2", "1 ÷ (1/4)", "√49")] == [Fraction(5, 6), 9, 4, 7]


def test_choices_hold_the_answer_once_among_distinct_distractors_of_its_kind(family):
    for _, lang, written in exercises(family):
        assert len(written.choices) == CHOICES == len(set(written.choices))
        assert written.choices[written.answer_index] == written.answer
        assert len({value_of(c, lang) for c in written.choices}) == CHOICES, written.choices
        if family.name != "weekday":
            assert len({VALUE.sub("#", c) for c in written.choices}) == 1, "the unit must not give the answer away"
        answer = value_of(written.answer, lang)
        if isinstance(answer, Fraction) and family.name != "quadratic":
            values = [value_of(c, lang) for c in written.choices]
            assert min(values) >= 0
            if answer.denominator == 1:
                wholes = sum(v.denominator == 1 for v in values)
                assert wholes == CHOICES or family.name in DECIMALS, written.choices


def test_problems_are_drawn_once_and_come_out_all(family):
    drawn = [family.canonical(p) for p in itertools.islice(family.draw(Dice("once")), 600)]
    assert len(set(drawn)) == 600, "each family has room for at least ten times the demo's share"


def test_both_languages_have_several_phrasings(family):
    for wording in (family.en, family.zh):
        assert len(wording.questions) >= 2
        assert all(set(w) == set(wording.worlds[0]) for w in wording.worlds)
    for _, lang, written in exercises(family, 5):
        han = sum("\u4e00" <= c <= "\u9fff" for c in written.question + written.solution)
        assert (han > 5) == (lang == "zh-Hans")


def test_an_exhausted_family_says_which_and_how_many():
    wording = Wording(("{a}?", "{a}…"), "{a}")
    tiny = Family("tiny", "test", {"a": range(9), "b": range(2)}, lambda a, b: {}, wording, wording, lambda a, b: a != b)
    stream = tiny.draw(Dice(1))
    found = [next(stream) for _ in range(16)]
    assert len({tuple(p.values()) for p in found}) == 16
    with pytest.raises(DataError, match=r"'tiny' .*16 problems"):
        next(stream)


def test_draws_are_uniform_without_replacement():
    wording = Wording(("{a}?",), "{a}")
    tiny = Family("tiny", "test", {"a": range(6)}, lambda a: {}, wording, wording)
    firsts = Counter(next(tiny.draw(Dice(seed)))["a"] for seed in range(3000))
    lasts = Counter(list(itertools.islice(tiny.draw(Dice(seed)), 6))[-1]["a"] for seed in range(3000))
    for counts in (firsts, lasts):
        assert sum((counts[a] - 500) ** 2 / 500 for a in range(6)) < 20.5  # chi-square, 5 degrees of freedom, 0.1 %
