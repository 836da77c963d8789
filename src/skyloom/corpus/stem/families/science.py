"""Families of simple physics and chemistry: speed, density, current, heat, energy, moles, solutions.

See `family.py` for what a family is. Constants (densities in g/cm³, molar masses in g/mol) stand in the question.
"""

from __future__ import annotations

from decimal import Decimal

from skyloom.corpus.stem.families.family import Family, Wording, Worked, worlds


def _meeting(first: int, second: int, hours: int) -> Worked:
    together = first + second
    return {
        "way": together * hours, "together": together, "answer": hours,
        "wrong": (together * hours // max(first, second), together * hours // abs(first - second), hours + 1, 2 * hours),
    }  # fmt: skip


MEETING = Family(
    "meeting", "rates", {"first": range(40, 121, 2), "second": range(30, 111, 2), "hours": range(2, 13)}, _meeting,
    Wording(
        (
            "Two {things} start at the same time from towns {way} km apart and move towards each other at {first} km/h and "
            "{second} km/h. After how many hours do they meet?",
            "{one} leaves A for B at {first} km/h while another leaves B for A at {second} km/h. A and B are {way} km apart. "
            "How many hours pass until they meet?",
        ),
        "Each hour they come {first} + {second} = {together} km closer. They meet after {way} ÷ {together} = {answer} hours.",
        "{answer} h",
        worlds("things|one", "trains|A train", "cars|A car", "buses|A bus"),
    ),
    Wording(
        (
            "甲乙两地相距{way}千米，两{things}同时从两地相向而行，速度分别是{first}千米/时和{second}千米/时，几小时后相遇？",
            "一{things}以{first}千米/时的速度从A地开往B地，另一{things}同时以{second}千米/时的速度从B地开往A地，"
            "两地相距{way}千米，经过几小时相遇？",
        ),
        "每小时共行{first} + {second} = {together}千米，{way} ÷ {together} = {answer}，{answer}小时后相遇。",
        "{answer}小时",
        worlds("things", "列火车", "辆汽车", "辆客车"),
    ),
    lambda first, second, hours: first > second,
)  # fmt: skip


def _average_speed(v1: int, t1: int, v2: int, t2: int) -> Worked:
    way, time = v1 * t1 + v2 * t2, t1 + t2
    return {
        "way1": v1 * t1, "way2": v2 * t2, "way": way, "time": time, "answer": way // time,
        "wrong": ((v1 + v2) // 2, way // time + 2, max(v1, v2), abs(v1 * t1 - v2 * t2) // time, way // (time + 1)),
    }  # fmt: skip


AVERAGE_SPEED = Family(
    "average-speed", "rates",
    {"v1": range(4, 100), "t1": range(2, 8), "v2": range(4, 100), "t2": range(2, 8)}, _average_speed,
    Wording(
        (
            "{name} {travels} for {t1} hours at {v1} km/h and then for {t2} hours at {v2} km/h. What is the average speed?",
            "On a trip {name} {travels} at {v1} km/h for {t1} hours, then at {v2} km/h for another {t2} hours. "
            "Find the mean speed of the whole trip.",
        ),
        "The ways are {v1} × {t1} = {way1} km and {v2} × {t2} = {way2} km, together {way1} + {way2} = {way} km in "
        "{t1} + {t2} = {time} hours. The average speed is {way} ÷ {time} = {answer} km/h.",
        "{answer} km/h",
        worlds("travels", "drives", "rides", "travels"),
    ),
    Wording(
        (
            "{name}{travels}先以{v1}千米/时的速度行驶{t1}小时，再以{v2}千米/时的速度行驶{t2}小时，全程平均速度是多少？",
            "{name}{travels}出行，前{t1}小时的速度是{v1}千米/时，后{t2}小时的速度是{v2}千米/时，求平均速度。",
        ),
        "路程为{v1} × {t1} = {way1}千米和{v2} × {t2} = {way2}千米，共{way1} + {way2} = {way}千米，用时{t1} + {t2} = {time}小时，"
        "平均速度是{way} ÷ {time} = {answer}千米/时。",
        "{answer}千米/时",
        worlds("travels", "开车", "骑车", "乘车"),
    ),
    lambda v1, t1, v2, t2: v1 < v2 and (v1 * t1 + v2 * t2) % (t1 + t2) == 0 and 2 * (v1 * t1 + v2 * t2) != (v1 + v2) * (t1 + t2),
)  # fmt: skip

_MATERIALS_EN = ("aluminium", "iron", "copper", "silver", "lead", "gold", "glass", "ice", "oak wood", "marble")
_MATERIALS_ZH = ("铝", "铁", "铜", "银", "铅", "金", "玻璃", "冰", "橡木", "大理石")
_DENSITIES = tuple(map(Decimal, ("2.7", "7.9", "8.9", "10.5", "11.3", "19.3", "2.5", "0.9", "0.7", "2.6")))


def _density(material: int, volume: int) -> Worked:
    density = _DENSITIES[material]
    mass = density * volume
    return {"density": density, "answer": mass, "wrong": (mass / 10, mass * 10, volume + density, mass + density)}


DENSITY = Family(
    "density", "physics", {"material": range(len(_DENSITIES)), "volume": range(12, 600)}, _density,
    Wording(
        (
            "A {thing} of {material} has a volume of {volume} cm³. The density of {material} is {density} g/cm³. Find its mass.",
            "What is the mass of a {thing} of {material} with volume {volume} cm³, if the density is {density} g/cm³?",
        ),
        "Mass is density times volume: {density} × {volume} = {answer} g.",
        "{answer} g",
        worlds("thing", "block", "cylinder", "piece"),
        {"material": _MATERIALS_EN},
    ),
    Wording(
        (
            "一块{material}的体积是{volume}立方厘米，{material}的密度是{density}克/立方厘米，求它的质量。",
            "{material}的密度为{density}克/立方厘米，体积为{volume}立方厘米的{material}块质量是多少克？",
        ),
        "质量等于密度乘体积：{density} × {volume} = {answer}克。",
        "{answer}克",
        labels={"material": _MATERIALS_ZH},
    ),
)  # fmt: skip


def _ohm(r1: int, r2: int, current: int) -> Worked:
    total = r1 + r2
    return {
        "total": total, "voltage": total * current, "answer": current,
        "wrong": (total * current // r1, total * current // r2, current + 1, total * current // abs(r1 - r2), 2 * current),
    }  # fmt: skip


OHM = Family(
    "ohm", "physics", {"r1": range(2, 50), "r2": range(2, 50), "current": range(2, 13)}, _ohm,
    Wording(
        (
            "Resistors of {r1} Ω and {r2} Ω are connected in series to {voltage} V. What current flows?",
            "A source of {voltage} V drives two resistors in series, {r1} Ω and {r2} Ω. Find the current.",
        ),
        "In series the resistances add: {r1} + {r2} = {total} Ω. By Ohm's law the current is {voltage} ÷ {total} = {answer} A.",
        "{answer} A",
    ),
    Wording(
        (
            "{r1}欧和{r2}欧的两个电阻串联后接在{voltage}伏的电源上，电路中的电流是多少？",
            "电源电压为{voltage}伏，串联的两个电阻分别为{r1}欧和{r2}欧，求电流。",
        ),
        "串联电路总电阻{r1} + {r2} = {total}欧，由欧姆定律，电流为{voltage} ÷ {total} = {answer}安。",
        "{answer}安",
    ),
    lambda r1, r2, current: r1 < r2,
)  # fmt: skip


def _heat(mass: int, start: int, rise: int) -> Worked:
    heat = Decimal("4.2") * mass * rise
    return {
        "end": start + rise, "answer": heat,
        "wrong": (Decimal("4.2") * mass * (start + rise), Decimal("4.2") * rise, Decimal("4.2") * mass * start, heat / 10),
    }  # fmt: skip


HEAT = Family(
    "heat", "physics", {"mass": range(2, 41), "start": range(10, 31), "rise": range(15, 66, 5)}, _heat,
    Wording(
        (
            "How much heat do {mass} kg of water take up when they warm from {start} °C to {end} °C? "
            "(Specific heat: 4.2 kJ per kg and °C.)",
            "A {thing} heats {mass} kg of water from {start} °C to {end} °C. Water takes 4.2 kJ per kg and °C. Find the heat.",
        ),
        "The temperature rises by {end} - {start} = {rise} °C. The heat is 4.2 × {mass} × {rise} = {answer} kJ.",
        "{answer} kJ",
        worlds("thing", "boiler", "stove", "solar collector"),
    ),
    Wording(
        (
            "{mass}千克水从{start}℃升温到{end}℃，吸收多少热量？（水的比热容取4.2千焦/(千克·℃)）",
            "{thing}把{mass}千克水从{start}℃加热到{end}℃，水的比热容为4.2千焦/(千克·℃)，求水吸收的热量。",
        ),
        "温度升高{end} - {start} = {rise}℃，吸热4.2 × {mass} × {rise} = {answer}千焦。",
        "{answer}千焦",
        worlds("thing", "锅炉", "炉子", "太阳能热水器"),
    ),
)  # fmt: skip


def _energy(watts: int, hours: int, days: int) -> Worked:
    used = Decimal(watts * hours * days) / 1000
    return {
        "time": hours * days, "watt_hours": watts * hours * days, "answer": used,
        "wrong": (used * 10, used / 10, Decimal(watts * hours) / 1000, used + hours, used * 100),
    }  # fmt: skip


ENERGY = Family(
    "electric-energy", "physics",
    {"watts": range(20, 2001, 20), "hours": range(2, 11), "days": range(5, 32)}, _energy,
    Wording(
        (
            "A {thing} of {watts} W runs {hours} hours a day. How many kilowatt-hours does it use in {days} days?",
            "{name} uses a {watts} W {thing} for {hours} hours each day. Find the energy used in {days} days, in kWh.",
        ),
        "It runs {hours} × {days} = {time} hours and uses {watts} × {time} = {watt_hours} Wh, "
        "that is {watt_hours} ÷ 1000 = {answer} kWh.",
        "{answer} kWh",
        worlds("thing", "heater", "fan", "lamp", "computer"),
    ),
    Wording(
        (
            "一台功率{watts}瓦的{thing}每天工作{hours}小时，{days}天用电多少千瓦时？",
            "{name}家的{thing}功率是{watts}瓦，每天使用{hours}小时，求{days}天的用电量（千瓦时）。",
        ),
        "共工作{hours} × {days} = {time}小时，用电{watts} × {time} = {watt_hours}瓦时，"
        "{watt_hours} ÷ 1000 = {answer}，即{answer}千瓦时。",
        "{answer}千瓦时",
        worlds("thing", "取暖器", "电风扇", "投影仪", "电脑"),
    ),
)  # fmt: skip

_SUBSTANCES_EN = (
    "water (H2O)", "carbon dioxide (CO2)", "oxygen (O2)", "methane (CH4)", "sodium hydroxide (NaOH)", "calcium carbonate (CaCO3)",
    "sulfuric acid (H2SO4)", "ammonia (NH3)", "glucose (C6H12O6)", "iron oxide (Fe2O3)",
)  # fmt: skip
_SUBSTANCES_ZH = (
    "水（H2O）", "二氧化碳（CO2）", "氧气（O2）", "甲烷（CH4）", "氢氧化钠（NaOH）", "碳酸钙（CaCO3）", "硫酸（H2SO4）",
    "氨气（NH3）", "葡萄糖（C6H12O6）", "氧化铁（Fe2O3）",
)  # fmt: skip
_MOLAR_MASSES = (18, 44, 32, 16, 40, 100, 98, 17, 180, 160)


def _moles(substance: int, tenths: int) -> Worked:
    molar, amount = _MOLAR_MASSES[substance], Decimal(tenths) / 10
    mass = molar * amount
    return {"molar": molar, "mass": mass, "answer": amount, "wrong": (amount * 10, amount / 10, mass - molar, amount + 1)}


MOLES = Family(
    "moles", "chemistry", {"substance": range(len(_MOLAR_MASSES)), "tenths": range(2, 300)}, _moles,
    Wording(
        (
            "How many moles are {mass} g of {substance}? Its molar mass is {molar} g/mol.",
            "{name} weighs {mass} g of {substance}, molar mass {molar} g/mol. What is the amount of substance?",
        ),
        "The amount is mass over molar mass: {mass} ÷ {molar} = {answer} mol.",
        "{answer} mol",
        labels={"substance": _SUBSTANCES_EN},
    ),
    Wording(
        (
            "{mass}克{substance}的物质的量是多少？（摩尔质量为{molar}克/摩尔）",
            "{name}称取{mass}克{substance}，其摩尔质量为{molar}克/摩尔，求物质的量。",
        ),
        "物质的量等于质量除以摩尔质量：{mass} ÷ {molar} = {answer}摩尔。",
        "{answer}摩尔",
        labels={"substance": _SUBSTANCES_ZH},
    ),
)  # fmt: skip


def _dilution(mass: int, strong: int, weak: int) -> Worked:
    solute = Decimal(mass * strong) / 100
    final = mass * strong // weak
    return {
        "solute": solute, "final": final, "answer": final - mass,
        "wrong": (final, mass * (strong - weak) // 100, final + mass, (final - mass) // 2, mass * weak // strong),
    }  # fmt: skip


DILUTION = Family(
    "dilution", "chemistry", {"mass": range(20, 1001, 10), "strong": range(6, 51), "weak": range(2, 31)}, _dilution,
    Wording(
        (
            "How many grams of water must be added to {mass} g of {strong}% {solution} to make it {weak}%?",
            "{name} dilutes {mass} g of a {solution} of {strong}% to {weak}%. How much water is needed, in grams?",
        ),
        "The solution holds {mass} × {strong} ÷ 100 = {solute} g of solute. At {weak}% it must weigh "
        "{solute} ÷ {weak} × 100 = {final} g. So {final} - {mass} = {answer} g of water are added.",
        "{answer} g",
        worlds("solution", "salt solution", "sugar solution", "vinegar solution"),
    ),
    Wording(
        (
            "要把{mass}克浓度{strong}%的{solution}稀释成{weak}%，需要加水多少克？",
            "{name}有{mass}克{strong}%的{solution}，想稀释到{weak}%，应加水多少克？",
        ),
        "溶质有{mass} × {strong} ÷ 100 = {solute}克，稀释后溶液共{solute} ÷ {weak} × 100 = {final}克，"
        "需加水{final} - {mass} = {answer}克。",
        "{answer}克",
        worlds("solution", "盐水", "糖水", "醋液"),
    ),
    lambda mass, strong, weak: strong > weak and mass * strong % weak == 0,
)  # fmt: skip

FAMILIES = (MEETING, AVERAGE_SPEED, DENSITY, OHM, HEAT, ENERGY, MOLES, DILUTION)
