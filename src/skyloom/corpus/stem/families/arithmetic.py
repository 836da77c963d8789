"""Families of everyday arithmetic: prices, sharing, fractions, percentages, ratios, work.

See `family.py` for what a family is. Every numeric equation in a solution is exact.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd

from skyloom.corpus.stem.families.family import Family, Wording, Worked, worlds


def _change(n: int, price: int, paid: int) -> Worked:
    cost = n * price
    return {"cost": cost, "answer": paid - cost, "wrong": (cost, paid - price, paid - cost + 10, paid - cost - price)}


CHANGE = Family(
    "change", "arithmetic", {"n": range(3, 26), "price": range(2, 41), "paid": (50, 100, 200, 500)}, _change,
    Wording(
        (
            "{name} buys {n} {things} at ${price} each and pays with ${paid}. How much change does {name} get?",
            "One {thing} costs ${price}. {name} takes {n} of them {place} and hands over ${paid}. How much money comes back?",
            "At ${price} apiece, {name} picks {n} {things} {place}. {name} had ${paid} before paying. How much is left?",
        ),
        "The {things} cost {n} × {price} = {cost} dollars. The change is {paid} - {cost} = {answer} dollars.",
        "${answer}",
        worlds(
            "thing|things|place", "notebook|notebooks|at the stationer's", "mug|mugs|at the market",
            "plant|plants|at the garden centre", "ticket|tickets|at the museum", "book|books|at the fair",
        ),
    ),
    Wording(
        (
            "{name}买了{n}{m}{thing}，每{m}{price}元，付了{paid}元，应找回多少元？",
            "{place}的{thing}每{m}{price}元。{name}带了{paid}元，买{n}{m}后还剩多少元？",
            "一{m}{thing}的价格是{price}元，{name}在{place}买了{n}{m}，交给收银员{paid}元，应找回多少钱？",
        ),
        "买{thing}共花{n} × {price} = {cost}元，找回{paid} - {cost} = {answer}元。",
        "{answer}元",
        worlds("thing|m|place", "笔记本|本|文具店", "杯子|个|超市", "盆栽|盆|花店", "门票|张|博物馆", "毛巾|条|商店"),
    ),
    lambda n, price, paid: n * price < paid,
)  # fmt: skip


def _unit_price(n: int, price: int, m: int) -> Worked:
    return {"total": n * price, "answer": m * price, "wrong": (n * price + m, n * price * m, (m + n) * price, (m + 1) * price)}


UNIT_PRICE = Family(
    "unit-price", "arithmetic", {"n": range(2, 13), "price": range(3, 61), "m": range(3, 21)}, _unit_price,
    Wording(
        (
            "{n} {things} cost ${total}. How much do {m} {things} cost?",
            "{name} paid ${total} for {n} {things}. {other} wants {m} {things} of the same kind. What does {other} have to pay?",
            "A shop sells {things} one by one at a fixed price. {n} of them come to ${total}. What is the price of {m} of them?",
        ),
        "One costs {total} ÷ {n} = {price} dollars, so {m} cost {m} × {price} = {answer} dollars.",
        "${answer}",
        worlds("things", "melons", "light bulbs", "cinema tickets", "boxes of tea", "footballs"),
    ),
    Wording(
        (
            "{n}{m_}{thing}一共{total}元，买{m}{m_}这样的{thing}要多少元？",
            "{name}买{n}{m_}{thing}用去{total}元，{other}想买同样的{thing}{m}{m_}，需要付多少元？",
            "商店里{n}{m_}{thing}售价{total}元，照这样计算，{m}{m_}{thing}售价多少元？",
        ),
        "每{m_}{thing}{total} ÷ {n} = {price}元，{m}{m_}需要{m} × {price} = {answer}元。",
        "{answer}元",
        worlds("thing|m_", "西瓜|个", "灯泡|只", "电影票|张", "茶叶|盒", "足球|个"),
    ),
    lambda n, price, m: n != m,
)  # fmt: skip


def _boxes(full: int, size: int, rest: int) -> Worked:
    total = full * size + rest
    return {"total": total, "answer": full + 1, "wrong": (full, full + rest, rest, full + 2)}


BOXES = Family(
    "boxes", "arithmetic", {"full": range(3, 41), "size": range(4, 17), "rest": range(2, 16)}, _boxes,
    Wording(
        (
            "{total} {things} are packed into {boxes} that hold {size} each. How many {boxes} are needed for all of them?",
            "A {box} takes at most {size} {things}. What is the smallest number of {boxes} for {total} {things}?",
            "{name} has {total} {things} and puts up to {size} of them into one {box}. "
            "How many {boxes} does {name} need so that none are left over?",
        ),
        "{total} = {size} × {full} + {rest}: after {full} full {boxes}, {rest} remain and need one more. "
        "That makes {full} + 1 = {answer}.",
        worlds=worlds(
            "things|box|boxes", "eggs|carton|cartons", "bottles|crate|crates", "photographs|page|pages", "pupils|minibus|minibuses"
        ),
    ),
    Wording(
        (
            "把{total}{m}{thing}装进{box}，每{b}最多装{size}{m}，全部装完至少需要多少{b}？",
            "一{b}{box}能装{size}{m}{thing}，现有{total}{m}{thing}，至少要准备多少{b}{box}？",
            "{name}要把{total}{m}{thing}全部装好，每{b}{box}只能放{size}{m}，最少要用几{b}？",
        ),
        "{total} = {size} × {full} + {rest}，装满{full}{b}后还剩{rest}{m}，要再用1{b}，共{full} + 1 = {answer}{b}。",
        worlds=worlds("thing|m|box|b", "鸡蛋|个|蛋托|个", "饮料|瓶|纸箱|个", "照片|张|相册|本", "橘子|个|礼盒|个"),
    ),
    lambda full, size, rest: rest < size,
)  # fmt: skip


def _fraction(a: int, b: int, m: int) -> Worked:
    return {"total": b * m, "part": a * m, "answer": (b - a) * m, "wrong": (a * m, m, b * m - a, (b - a + 1) * m)}


FRACTION = Family(
    "fraction-left", "fractions", {"a": range(1, 9), "b": range(3, 13), "m": range(3, 61)}, _fraction,
    Wording(
        (
            "{name} had {total} {things} and {used} {a}/{b} of them. How many {things} are left?",
            "Of {total} {things}, {a}/{b} were {used}. How many were not?",
            "There were {total} {things}. After {a}/{b} of them had been {used}, how many remained?",
        ),
        "{a}/{b} of {total} is {total} ÷ {b} × {a} = {part}. There remain {total} - {part} = {answer}.",
        worlds=worlds("things|used", "stamps|sold", "marbles|lost", "pages|printed", "trees|planted", "letters|posted"),
    ),
    Wording(
        (
            "{name}有{total}{m_}{thing}，{used}了其中的{a}/{b}，还剩多少{m_}？",
            "{total}{m_}{thing}，已经{used}了{a}/{b}，没有{used}的有多少{m_}？",
            "一共有{total}{m_}{thing}，{used}的占{a}/{b}，剩下多少{m_}？",
        ),
        "{used}了{total} ÷ {b} × {a} = {part}{m_}，剩下{total} - {part} = {answer}{m_}。",
        worlds=worlds("thing|m_|used", "邮票|枚|送出", "弹珠|颗|用掉", "试卷|份|批改", "树苗|棵|栽种", "信件|封|寄出"),
    ),
    lambda a, b, m: a < b and gcd(a, b) == 1,
)  # fmt: skip


def _discount(price: int, off: int) -> Worked:
    cut = price * off // 100
    return {"cut": cut, "answer": price - cut, "wrong": (cut, price - off, price + cut, price - cut // 2)}


DISCOUNT = Family(
    "discount", "percentages", {"price": range(40, 4001, 20), "off": range(5, 65, 5)}, _discount,
    Wording(
        (
            "A {thing} costs ${price}. In a sale its price falls by {off}%. What is the sale price?",
            "{name} buys a {thing} marked ${price} with a discount of {off}%. How much does {name} pay?",
            "The price of a {thing} was ${price} and is now {off}% lower. What does it cost now?",
        ),
        "The discount is {price} × {off} ÷ 100 = {cut} dollars. The new price is {price} - {cut} = {answer} dollars.",
        "${answer}",
        worlds("thing", "bicycle", "camera", "winter coat", "desk", "guitar", "telephone"),
    ),
    Wording(
        (
            "一{m}{thing}原价{price}元，现在降价{off}%出售，现价是多少元？",
            "{name}看中一{m}标价{price}元的{thing}，商店优惠{off}%，{name}要付多少元？",
            "商场促销，原价{price}元的{thing}每{m}便宜{off}%，促销价是多少元？",
        ),
        "便宜了{price} × {off} ÷ 100 = {cut}元，现价{price} - {cut} = {answer}元。",
        "{answer}元",
        worlds("thing|m", "自行车|辆", "照相机|台", "大衣|件", "书桌|张", "吉他|把", "手机|部"),
    ),
)  # fmt: skip


def _growth(base: int, rate: int) -> Worked:
    rise = base * rate // 100
    return {
        "rise": rise, "new": base + rise, "answer": rate,
        "wrong": (100 + rate, 100 - rate, rate + 5, rate - 5, rate + 10),
    }  # fmt: skip


GROWTH = Family(
    "percent-increase", "percentages", {"base": range(40, 4001, 20), "rate": range(5, 96, 5)}, _growth,
    Wording(
        (
            "The number of {things} rose from {base} to {new}. By what percentage did it rise?",
            "Last year there were {base} {things}; this year there are {new}. What is the increase in percent?",
            "{name} counts {new} {things}, after {base} a year ago. How many percent more is that?",
        ),
        "The increase is {new} - {base} = {rise}. In percent of the old number it is {rise} ÷ {base} × 100 = {answer}.",
        "{answer}%",
        worlds("things", "members of a club", "visitors to a park", "books in a library", "bees in a hive", "houses in a village"),
    ),
    Wording(
        (
            "{thing}从{base}{m}增加到{new}{m}，增长了百分之几？",
            "去年{thing}有{base}{m}，今年有{new}{m}，今年比去年增加百分之几？",
            "{name}统计发现，{thing}由原来的{base}{m}变成了{new}{m}，增长率是多少？",
        ),
        "增加了{new} - {base} = {rise}{m}，增长率是{rise} ÷ {base} × 100 = {answer}，即{answer}%。",
        "{answer}%",
        worlds("thing|m", "俱乐部会员|人", "图书馆藏书|册", "果园的果树|棵", "公园的游客|人", "村里的住房|套"),
    ),
)  # fmt: skip


def _ratio(a: int, b: int, k: int) -> Worked:
    total = (a + b) * k
    return {"total": total, "parts": a + b, "unit": k, "answer": a * k, "wrong": (b * k, k, total // 2, total - a, (a + 1) * k)}


RATIO = Family(
    "ratio", "ratios", {"a": range(2, 14), "b": range(2, 14), "k": range(3, 61)}, _ratio,
    Wording(
        (
            "{name} and {other} share {total} {things} in the ratio {a}:{b}. How many does {name} get?",
            "{total} {things} are divided between {name} and {other} in the ratio {a}:{b}. Find {name}'s share.",
            "For every {a} {things} that {name} takes, {other} takes {b}. Together they take {total}. How many has {name}?",
        ),
        "There are {a} + {b} = {parts} parts of {total} ÷ {parts} = {unit} each. {name} gets {a} × {unit} = {answer}.",
        worlds=worlds("things", "cards", "walnuts", "shells", "coins", "sheets of paper"),
    ),
    Wording(
        (
            "{name}和{other}按{a}:{b}分{total}{m}{thing}，{name}分到多少{m}？",
            "把{total}{m}{thing}按{a}:{b}的比分给{name}和{other}，求{name}分得的{m_}数。",
            "{name}与{other}的{thing}数量之比是{a}:{b}，两人共有{total}{m}，{name}有多少{m}？",
        ),
        "一共{a} + {b} = {parts}份，每份{total} ÷ {parts} = {unit}{m}，{name}分到{a} × {unit} = {answer}{m}。",
        worlds=worlds("thing|m|m_", "卡片|张|张", "核桃|个|个", "贝壳|枚|枚", "糖果|颗|颗", "彩纸|张|张"),
    ),
    lambda a, b, k: a != b and gcd(a, b) == 1,
)  # fmt: skip


def _work(a: int, b: int) -> Worked:
    rate = Fraction(1, a) + Fraction(1, b)
    return {"rate": rate, "answer": 1 / rate, "wrong": (Fraction(a + b, 2), Fraction(a + b), Fraction(b - a), rate)}


WORK = Family(
    "work-together", "rates", {"a": range(2, 91), "b": range(3, 91)}, _work,
    Wording(
        (
            "{name} needs {a} hours to {job}, {other} needs {b} hours. How long do they need together?",
            "Alone, {name} would {job} in {a} hours and {other} in {b} hours. In how many hours do both together finish?",
            "It takes {name} {a} hours to {job}. {other} takes {b} hours. How many hours does it take if they work side by side?",
        ),
        "In one hour they do 1/{a} + 1/{b} = {rate} of the work. Together they need 1 ÷ ({rate}) = {answer} hours.",
        "{answer} hours",
        worlds("job", "paint the fence", "sort the archive", "clear the field", "tile the roof"),
    ),
    Wording(
        (
            "{job}，{name}单独做要{a}小时，{other}单独做要{b}小时，两人合作要几小时？",
            "{name}{a}小时能独自完成一项任务：{job}；{other}需要{b}小时。两人一起做，几小时完成？",
            "要{job}，甲队独做{a}小时完成，乙队独做{b}小时完成，两队合作几小时完成？",
        ),
        "两者合作每小时完成1/{a} + 1/{b} = {rate}，共需1 ÷ ({rate}) = {answer}小时。",
        "{answer}小时",
        worlds("job", "粉刷围墙", "整理档案", "修整花园", "铺设地砖"),
    ),
    lambda a, b: a < b,
)  # fmt: skip


def _interest(hundreds: int, rate: int, years: int) -> Worked:
    total = hundreds * rate * years
    return {
        "sum": hundreds * 100, "yearly": hundreds * rate, "answer": total,
        "wrong": (hundreds * rate, hundreds * 100 + total, hundreds * rate * (years + 1), total * 10),
    }  # fmt: skip


INTEREST = Family(
    "simple-interest", "percentages", {"hundreds": range(5, 200), "rate": range(2, 10), "years": range(2, 8)}, _interest,
    Wording(
        (
            "{name} lends ${sum} at {rate}% simple interest per year. How much interest is due after {years} years?",
            "A sum of ${sum} earns simple interest of {rate}% a year. Find the interest for {years} years.",
            "{name} puts ${sum} into an account with {rate}% simple interest a year. What interest has it earned in {years} years?",
        ),
        "One year brings {sum} × {rate} ÷ 100 = {yearly} dollars; {years} years bring {yearly} × {years} = {answer} dollars.",
        "${answer}",
    ),
    Wording(
        (
            "{name}把{sum}元存入银行，年利率{rate}%，按单利计算，{years}年后可得利息多少元？",
            "本金{sum}元，年利率为{rate}%，单利，存期{years}年，求利息。",
            "{name}借给{other}{sum}元，约定年利率{rate}%（单利），{years}年的利息是多少元？",
        ),
        "每年利息{sum} × {rate} ÷ 100 = {yearly}元，{years}年利息{yearly} × {years} = {answer}元。",
        "{answer}元",
    ),
)  # fmt: skip


def _order(a: int, b: int, c: int, d: int) -> Worked:
    inner, product = c - d, b * (c - d)
    return {"inner": inner, "product": product, "answer": a + product, "wrong": ((a + b) * inner, a + b * c - d, a + b + inner)}


ORDER = Family(
    "order-of-operations", "arithmetic", {"a": range(3, 60), "b": range(2, 13), "c": range(10, 40), "d": range(2, 10)}, _order,
    Wording(
        ("Compute {a} + {b} × ({c} - {d}).", "What is the value of {a} + {b} × ({c} - {d})?", "Work out: {a} + {b} × ({c} - {d})"),
        "Brackets first: {c} - {d} = {inner}. Then the product: {b} × {inner} = {product}. "
        "Last the sum: {a} + {product} = {answer}.",
    ),
    Wording(
        ("计算：{a} + {b} × ({c} - {d})", "求{a} + {b} × ({c} - {d})的值。", "{a} + {b} × ({c} - {d})等于多少？"),
        "先算括号：{c} - {d} = {inner}；再算乘法：{b} × {inner} = {product}；最后算加法：{a} + {product} = {answer}。",
    ),
)  # fmt: skip

FAMILIES = (CHANGE, UNIT_PRICE, BOXES, FRACTION, DISCOUNT, GROWTH, RATIO, WORK, INTEREST, ORDER)
