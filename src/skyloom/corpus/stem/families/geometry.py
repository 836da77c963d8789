"""Families of geometry and units: lengths, areas, volumes, angles, distances, maps.

See `family.py` for what a family is. Circles take 3.14 for π, so that every result is an exact decimal.
"""

from __future__ import annotations

from decimal import Decimal
from math import isqrt

from skyloom.corpus.stem.families.family import Family, Wording, Worked, worlds


def _rectangle(length: int, width: int) -> Worked:
    around = 2 * (length + width)
    return {
        "around": around, "half": length + width, "width": width, "answer": length * width,
        "wrong": (around * length, length * (around - length), length + width, 2 * length * width),
    }  # fmt: skip


RECTANGLE = Family(
    "rectangle-area", "geometry", {"length": range(5, 90), "width": range(3, 60)}, _rectangle,
    Wording(
        (
            "A rectangular {place} is {length} m long and has a perimeter of {around} m. What is its area?",
            "A fence of {around} m runs around a rectangular {place} whose length is {length} m. Find the area of the {place}.",
        ),
        "Length and width make {around} ÷ 2 = {half} m, so the width is {half} - {length} = {width} m. "
        "The area is {length} × {width} = {answer} m².",
        "{answer} m²",
        worlds("place", "garden", "playground", "car park", "field"),
    ),
    Wording(
        (
            "一块长方形{place}长{length}米，周长{around}米，面积是多少平方米？",
            "沿长方形{place}的四周围一圈栅栏，共用{around}米，{place}长{length}米，求{place}的面积。",
        ),
        "长与宽的和是{around} ÷ 2 = {half}米，宽是{half} - {length} = {width}米，面积是{length} × {width} = {answer}平方米。",
        "{answer}平方米",
        worlds("place", "菜地", "操场", "停车场", "草坪"),
    ),
    lambda length, width: length > width,
)  # fmt: skip


def _triangle(a: int, b: int) -> Worked:
    return {"both": a + b, "answer": 180 - a - b, "wrong": (a + b, 360 - a - b, 180 - a, 180 - b, abs(90 - a))}


TRIANGLE = Family(
    "triangle-angle", "geometry", {"a": range(15, 120), "b": range(15, 120)}, _triangle,
    Wording(
        (
            "Two angles of a triangle measure {a}° and {b}°. How large is the third?",
            "In triangle ABC, angle A is {a}° and angle B is {b}°. Find angle C.",
            "{name} measures two angles of a triangular {thing}: {a}° and {b}°. What must the third angle be?",
        ),
        "The angles of a triangle add up to 180°. The two known ones make {a} + {b} = {both}. The third is 180 - {both} = "
        "{answer}, that is {answer}°.",
        "{answer}°",
        worlds("thing", "sail", "road sign", "kite"),
    ),
    Wording(
        (
            "三角形的两个角分别是{a}°和{b}°，第三个角是多少度？",
            "在三角形ABC中，∠A = {a}°，∠B = {b}°，求∠C。",
            "{name}量得一{thing}的两个角是{a}°和{b}°，它的第三个角应是多少度？",
        ),
        "三角形内角和是180°，已知两角之和{a} + {b} = {both}，第三个角180 - {both} = {answer}，即{answer}°。",
        "{answer}°",
        worlds("thing", "面三角旗", "块三角形木板", "个三角形路标"),
    ),
    lambda a, b: a <= b and a + b <= 160,
)  # fmt: skip

_LEGS = ((3, 4), (6, 8), (5, 12), (9, 12), (8, 15), (12, 16), (7, 24), (15, 20), (10, 24), (20, 21), (16, 30), (18, 24))


def _distance(x: int, y: int, legs: int, swap: int) -> Worked:
    dx, dy = _LEGS[legs][:: -1 if swap else 1]
    square = dx * dx + dy * dy
    return {
        "x2": x + dx, "y2": y + dy, "dx": dx, "dy": dy, "square": square, "answer": isqrt(square),
        "wrong": (dx + dy, square, isqrt(square) + 1, max(dx, dy), abs(dx - dy)),
    }  # fmt: skip


DISTANCE = Family(
    "distance", "geometry",
    {"x": range(1, 31), "y": range(1, 31), "legs": range(len(_LEGS)), "swap": range(2)}, _distance,
    Wording(
        (
            "What is the distance between the points ({x}, {y}) and ({x2}, {y2})?",
            "On a grid of 1 km squares, {one} is at ({x}, {y}) and {two} at ({x2}, {y2}). How many kilometres apart are they?",
        ),
        "The coordinates differ by {x2} - {x} = {dx} and {y2} - {y} = {dy}. By Pythagoras the square of the distance is "
        "{dx}^2 + {dy}^2 = {square}, so the distance is √{square} = {answer}.",
        worlds=worlds("one|two", "a ship|a lighthouse", "the school|the library", "a hut|a spring"),
    ),
    Wording(
        (
            "求点({x}, {y})与点({x2}, {y2})之间的距离。",
            "在每格边长为1千米的方格图上，{one}位于({x}, {y})，{two}位于({x2}, {y2})，两处相距多少千米？",
        ),
        "坐标之差为{x2} - {x} = {dx}和{y2} - {y} = {dy}，由勾股定理，距离的平方是{dx}^2 + {dy}^2 = {square}，"
        "距离是√{square} = {answer}。",
        worlds=worlds("one|two", "渔船|灯塔", "学校|图书馆", "山屋|泉眼"),
    ),
)  # fmt: skip


def _cylinder(radius: int, height: int) -> Worked:
    square, base = radius * radius, Decimal("3.14") * radius * radius
    return {
        "square": square, "base": base, "answer": base * height,
        "wrong": (2 * Decimal("3.14") * radius * height, base * height * 4, base + height, base * height / 2),
    }  # fmt: skip


CYLINDER = Family(
    "cylinder-volume", "geometry", {"radius": range(2, 31), "height": range(3, 91)}, _cylinder,
    Wording(
        (
            "A cylindrical {thing} has radius {radius} cm and height {height} cm. What is its volume? (Take π = 3.14.)",
            "Using π = 3.14, find the volume of a cylinder {height} cm high whose base has radius {radius} cm.",
        ),
        "The base is 3.14 × {radius}^2 = 3.14 × {square} = {base} cm². The volume is {base} × {height} = {answer} cm³.",
        "{answer} cm³",
        worlds("thing", "can", "candle", "drum", "vase"),
    ),
    Wording(
        (
            "一个圆柱形{thing}，底面半径{radius}厘米，高{height}厘米，体积是多少立方厘米？（π取3.14）",
            "圆柱的高是{height}厘米，底面半径是{radius}厘米，取π = 3.14，求圆柱的体积。",
        ),
        "底面积是3.14 × {radius}^2 = 3.14 × {square} = {base}平方厘米，体积是{base} × {height} = {answer}立方厘米。",
        "{answer}立方厘米",
        worlds("thing", "罐头", "蜡烛", "鼓", "花瓶"),
    ),
)  # fmt: skip


def _stone(length: int, width: int, rise: int, before: int) -> Worked:
    base = length * width
    return {
        "after": before + rise, "base": base, "answer": base * rise,
        "wrong": (base * (before + rise), base * before, (length + width) * rise, length * rise),
    }  # fmt: skip


STONE = Family(
    "water-displacement", "geometry",
    {"length": range(10, 61), "width": range(8, 41), "rise": range(2, 8), "before": range(10, 31)}, _stone,
    Wording(
        (
            "A tank with a base of {length} cm by {width} cm holds water {before} cm deep. When a {thing} sinks in it, "
            "the water stands at {after} cm. What is the volume of the {thing}?",
            "{name} drops a {thing} into a rectangular tank ({length} cm long, {width} cm wide). The water rises from {before} cm "
            "to {after} cm and covers it. Find the volume of the {thing}.",
        ),
        "The water rises by {after} - {before} = {rise} cm over a base of {length} × {width} = {base} cm². "
        "The volume is {base} × {rise} = {answer} cm³.",
        "{answer} cm³",
        worlds("thing", "stone", "metal ball", "glass block", "brick"),
    ),
    Wording(
        (
            "一个长方体水箱底面长{length}厘米、宽{width}厘米，水深{before}厘米。放入一{thing}并完全浸没后，水深{after}厘米。"
            "放入的物体体积是多少立方厘米？",
            "{name}把一{thing}放进长{length}厘米、宽{width}厘米的长方体玻璃缸，物体完全浸没，水面由{before}厘米升到{after}厘米，"
            "求它的体积。",
        ),
        "水面上升{after} - {before} = {rise}厘米，底面积{length} × {width} = {base}平方厘米，"
        "体积是{base} × {rise} = {answer}立方厘米。",
        "{answer}立方厘米",
        worlds("thing", "块石头", "个铁球", "块玻璃", "块砖"),
    ),
    lambda length, width, rise, before: length > width,
)  # fmt: skip


def _tiles(length: int, width: int, side: int) -> Worked:
    across, down = length * 100 // side, width * 100 // side
    return {
        "length_cm": length * 100, "width_cm": width * 100, "across": across, "down": down, "answer": across * down,
        "wrong": (across + down, 2 * (across + down), length * width * side, across * down // 2),
    }  # fmt: skip


TILES = Family(
    "tiles", "units", {"length": range(3, 41), "width": range(2, 31), "side": (20, 25, 40, 50)}, _tiles,
    Wording(
        (
            "The floor of {place} is {length} m long and {width} m wide. How many square tiles with sides of {side} cm cover it?",
            "{name} lays square tiles, {side} cm on each side, in {place} of {length} m by {width} m. How many tiles are needed?",
        ),
        "In centimetres the floor is {length} × 100 = {length_cm} by {width} × 100 = {width_cm}. One way there are "
        "{length_cm} ÷ {side} = {across} tiles, the other way {width_cm} ÷ {side} = {down}. "
        "Together {across} × {down} = {answer}.",
        worlds=worlds("place", "a hall", "a kitchen", "a gym", "a corridor"),
    ),
    Wording(
        (
            "{place}的地面长{length}米、宽{width}米，用边长{side}厘米的正方形地砖铺满，需要多少块？",
            "{name}要给长{length}米、宽{width}米的{place}铺地砖，正方形地砖边长{side}厘米，一共要多少块？",
        ),
        "{length} × 100 = {length_cm}厘米，{width} × 100 = {width_cm}厘米。一边铺{length_cm} ÷ {side} = {across}块，"
        "另一边铺{width_cm} ÷ {side} = {down}块，共{across} × {down} = {answer}块。",
        worlds=worlds("place", "大厅", "厨房", "健身房", "走廊"),
    ),
    lambda length, width, side: length > width and length * 100 % side == 0 and width * 100 % side == 0,
)  # fmt: skip


def _map(scale: int, tenths: int) -> Worked:
    on_map = Decimal(tenths) / 10
    real = on_map * scale
    return {
        "on_map": on_map, "real": real, "answer": real / 100000,
        "wrong": (real / 10000, real / 1000000, real / 1000, real / 50000),
    }  # fmt: skip


MAP = Family(
    "map-scale", "units",
    {"scale": (10000, 20000, 25000, 50000, 100000, 200000, 500000), "tenths": range(11, 421)}, _map,
    Wording(
        (
            "On a map with scale 1:{scale}, {two} are {on_map} cm apart. How many kilometres is that in reality?",
            "{name} measures {on_map} cm between {two} on a 1:{scale} map. What is the real distance in kilometres?",
        ),
        "In reality it is {on_map} × {scale} = {real} cm. In kilometres: {real} ÷ 100000 = {answer}.",
        "{answer} km",
        worlds("two", "two villages", "two bridges", "a station and a lake", "two peaks"),
    ),
    Wording(
        (
            "在比例尺为1:{scale}的地图上，{two}相距{on_map}厘米，实际距离是多少千米？",
            "{name}在1:{scale}的地图上量得{two}的距离是{on_map}厘米，求实际距离（千米）。",
        ),
        "实际距离是{on_map} × {scale} = {real}厘米，{real} ÷ 100000 = {answer}，即{answer}千米。",
        "{answer}千米",
        worlds("two", "两个村庄", "两座桥", "车站和湖泊", "两座山峰"),
    ),
)  # fmt: skip


def _litres(length: int, width: int, depth: int) -> Worked:
    volume = length * width * depth
    litres = Decimal(volume) / 1000
    return {"volume": volume, "answer": litres, "wrong": (litres * 10, litres / 10, litres * 100, litres / 2)}


LITRES = Family(
    "litres", "units", {"length": range(20, 121, 5), "width": range(10, 81, 5), "depth": range(10, 61)}, _litres,
    Wording(
        (
            "A {place} is {length} cm long, {width} cm wide and filled to a depth of {depth} cm. How many litres of water is that?",
            "How many litres does it take to fill a {place} of {length} cm by {width} cm to a depth of {depth} cm?",
        ),
        "The volume is {length} × {width} × {depth} = {volume} cm³. One litre is 1000 cm³: {volume} ÷ 1000 = {answer} litres.",
        "{answer} litres",
        worlds("place", "fish tank", "water trough", "basin"),
    ),
    Wording(
        (
            "一个长方体{place}长{length}厘米、宽{width}厘米，水深{depth}厘米，里面有水多少升？",
            "往长{length}厘米、宽{width}厘米的长方体{place}里注水，注到{depth}厘米深，需要多少升水？",
        ),
        "水的体积是{length} × {width} × {depth} = {volume}立方厘米，1升等于1000立方厘米，{volume} ÷ 1000 = {answer}升。",
        "{answer}升",
        worlds("place", "鱼缸", "水槽", "蓄水池"),
    ),
    lambda length, width, depth: length > width > depth,
)  # fmt: skip

FAMILIES = (RECTANGLE, TRIANGLE, DISTANCE, CYLINDER, STONE, TILES, MAP, LITRES)
