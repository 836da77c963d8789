"""Small English, Chinese, code and parallel texts, written here and composed by seed: a corpus for tests."""

from __future__ import annotations

import random

import pyarrow as pa

from skyloom.core.records import DOCUMENT, record_id
from skyloom.core.store import Store

ENGLISH = """the weather station on our roof records rain wind and light every minute and writes them into a small table
a careful reader compares two measurements before trusting either of them because instruments drift over time
when water freezes inside a pipe it expands and the pipe may burst so people keep a tap running in winter nights
this function returns the number of matching lines in a file and raises an error if the file cannot be opened
teachers asked their students to explain the result in plain words before writing down any equation
the library opens at nine and closes at six except on holidays when only the reading room remains available
farmers along the river plant beans after the spring flood has left new soil on the fields
our model learns from text in two languages and is measured on documents it has never seen before""".split("\n")

CHINESE = """今天的天气非常好，我们一起去公园散步，看见许多老人在湖边下棋。
这个函数返回文件中匹配的行数；如果文件不能打开，就会报告错误。
学生们先用自己的话解释结果，然后再写出方程，这样才能真正理解问题。
我们的语言模型从两种语言的文本中学习，并且在没有见过的文档上进行评估。
图书馆每天上午九点开门，下午六点关门，节假日只开放阅览室。
农民在春天的洪水退去以后，在河边的田地里种植豆子和玉米。
水在管道里结冰会膨胀，管道可能破裂，所以冬天的夜晚要让水龙头滴水。
仔细的读者会比较两次测量结果，因为仪器会随着时间发生变化。
中华人民共和国的人民政府为人民服务，人民代表大会制度是根本政治制度。
数据中心使用人工智能技术管理服务器，软件工程师负责维护操作系统。
“你好！”他说：“请问火车站怎么走？”（她指了指前面的路口）""".split("\n")

CODE = """def area(width, height):
    if width < 0 or height < 0:
        raise ValueError("negative size")
    return width * height
for index in range(10):
\tprint(index, area(index, 2 * index))
class Counter:
    def __init__(self):
        self.total = 0
    def add(self, value):
        self.total += value
        return self.total""".split("\n")


def text(domain: str, draw: random.Random) -> str:
    """A document of a domain: 6 to 14 lines with shuffled words or sentences, some numbers, some emoji."""
    lines = []
    for _ in range(draw.randint(6, 14)):
        if domain.endswith("_en"):
            words = draw.choice(ENGLISH).split()
            draw.shuffle(words)
            lines.append(" ".join(words).capitalize() + f", {draw.randint(0, 9999)}.")
        elif domain.endswith("_zh"):
            lines.append("".join(draw.sample(CHINESE, 3)) + f"共{draw.randint(0, 9999)}人" + draw.choice(["", "🙂", "ABC"]))
        elif domain == "code":
            lines += [*draw.sample(CODE, 4), f"value = {draw.randint(0, 9999)}  # {draw.choice(ENGLISH)[:30]}"]
        else:
            lines += [draw.choice(ENGLISH), draw.choice(CHINESE)]
    return "\n".join(lines)


def write_documents(store: Store, counts: dict[str, int], *, shards: int = 3, seed: int = 1, valid_every: int = 8) -> None:
    """`documents-*.parquet` with so many documents of each domain; every eighth is of split "valid"."""
    draw = random.Random(seed)
    rows = []
    for domain, count in counts.items():
        for number in range(count):
            body = text(domain, draw)
            rows.append(
                {
                    "id": record_id(domain, str(number), body),
                    "text": body,
                    "lang": {"en": "en", "zh": "zh-Hans", "code": "code"}.get(domain.split("_")[-1], "en"),
                    "source": f"source-{domain}",
                    "domain": domain,
                    "category": domain.split("_")[0],
                    "url": f"https://example.org/{domain}/{number}",
                    "split": "valid" if number % valid_every == 0 else "train",
                    "meta": "{}",
                }
            )
    draw.shuffle(rows)
    size = -(-len(rows) // shards)
    for shard in range(shards):
        part = rows[shard * size : (shard + 1) * size]
        store.write_table(f"documents-{shard:05d}.parquet", pa.Table.from_pylist(part, DOCUMENT))


COUNTS = {"web_en": 60, "web_zh": 60, "code": 30, "stem_en": 20, "stem_zh": 20, "parallel": 20}
SIZES = {"vocabulary": 1400, "base": 1100, "characters": 180, "words": 103}
"""A vocabulary that the corpus of COUNTS fills."""
