"""Code heuristics and the quota of data formats."""

from __future__ import annotations

import json

import pyarrow as pa

from skyloom.corpus.code import CodeConfig, judge_code

PROGRAM = (
    'def greet(name):\n    """Say hello. 打招呼。"""\n    message = f"你好, {name}"\n    print(message)\n    return message\n' * 4
)


def reasons(files: list[tuple[str, str]], config: CodeConfig) -> list[str | None]:
    texts, urls = [t for _, t in files], [u for u, _ in files]
    answer: list[str | None] = judge_code(
        pa.array(texts), pa.array(urls), pa.array([str(k) for k in range(len(files))]), config
    ).to_pylist()
    return answer


def test_programs_stay_and_debris_goes() -> None:
    files = [
        ("a.py", PROGRAM),
        ("b.js", "var a=1;" * 300),
        ("c.js", "\n".join("call(" + "value, " * 25 + ")" for _ in range(30))),
        ("d.csv", "\n".join("1 2 3 4 5 6 7 8" for _ in range(50))),
        ("e.txt", "+-+-[]{}()!@#$%^&*~|<>;: ab cd\n" * 20),
        (
            "f.py",
            "# 计算两个数的最大公约数\ndef 最大公约数(甲, 乙):\n    while 乙:\n        甲, 乙 = 乙, 甲 % 乙\n    return 甲\n" * 3,
        ),
    ]
    assert reasons(files, CodeConfig()) == [
        None,
        "code: a line too long",
        "code: lines too long on average",
        "code: more numbers than words",
        "code: too few letters and digits",
        None,
    ]


def test_data_formats_keep_their_share() -> None:
    data = json.dumps({f"key{chr(97 + k)}": "some words of data, 一些数据" for k in range(8)}, ensure_ascii=False, indent=1)
    files = [("p.py", PROGRAM * 50)] + [(f"d{k}.json?raw=1", data) for k in range(40)] + [(f"d{k}.yaml", data) for k in range(40)]
    verdict = reasons(files, CodeConfig(data_share=0.05))
    quota = 0.05 * len((PROGRAM * 50).encode())
    for rows in (range(1, 41), range(41, 81)):
        kept = sum(verdict[k] is None for k in rows) * len(data.encode())
        assert quota - len(data.encode()) < kept <= quota
    assert verdict == reasons(files, CodeConfig(data_share=0.05))
    assert all(v is not None for v in reasons(files, CodeConfig(data_share=0.0))[1:])
