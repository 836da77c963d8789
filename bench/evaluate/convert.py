"""Public benchmark files in other people's forms, to JSON lines in the field names of lm-evaluation-harness' tasks.

    python -m bench.evaluate.convert ../shared/data/eval OUT

Input: a folder with some of the sets below; output: `OUT/<task>/<split>.jsonl`, which `skyloom eval tasks --data TASK=OUT/TASK`
reads. An item that cannot be converted is counted with a reason and printed. Nothing is guessed: BoolQ's files have no passages,
so its prompt has none here; GSM8K's training text is cut where the question's last question mark is, and left out where that is
not clear.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

Row = dict[str, object]
Made = Row | str
"""An item, or why it is none."""

LETTERS = "ABCDE"
GAOKAO = {
    "2010-2022_Biology_MCQs": "biology",
    "2010-2022_Chemistry_MCQs": "chemistry",
    "2010-2022_Chinese_Lang_and_Usage_MCQs": "chinese",
    "2010-2013_English_MCQs": "english",
    "2010-2022_Geography_MCQs": "geography",
    "2010-2022_History_MCQs": "history",
    "2010-2022_Math_I_MCQs": "math_1",
    "2010-2022_Math_II_MCQs": "math_2",
    "2010-2022_Physics_MCQs": "physics",
    "2010-2022_Political_Science_MCQs": "politics",
}


def read(path: Path) -> list[Row]:
    """A JSON array, or JSON lines, plain or gzip."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def numbered(text: str, word: str) -> list[str]:
    """The parts of "Word1: a Word2: b", in order."""
    parts = re.split(rf"\s*\b{word}(\d): ", text)
    numbers = [int(n) for n in parts[1::2]]
    return [part.strip() for part in parts[2::2]] if numbers == list(range(1, len(numbers) + 1)) else []


def _question(row: Row, word: str) -> tuple[str, list[str], int] | str:
    """Question, choices and the right one's place of a row of LLM-Adapters' form."""
    text, _, _ = str(row["instruction"]).rpartition("Answer format:")
    _, _, body = text.partition("question: ") if "question: " in text else text.partition("sentence: ")
    match = re.search(rf"\s*\b{word}1: ", body)
    if match is None:
        return "no choices"
    choices = numbered(body[match.start() :], word)
    right = re.fullmatch(rf"{word.lower()}(\d)", str(row["answer"]))
    if right is None or not choices or not all(choices) or int(right[1]) > len(choices):
        return "choices and answer do not fit"
    return body[: match.start()].strip(), choices, int(right[1]) - 1


def arc(row: Row) -> Made:
    found = _question(row, "Answer")
    if isinstance(found, str):
        return found
    question, choices, right = found
    labels = list(LETTERS[: len(choices)])
    return {"question": question, "choices": {"text": choices, "label": labels}, "answerKey": labels[right]}


def openbookqa(row: Row) -> Made:
    found = arc(row)
    return found if isinstance(found, str) else {"question_stem": found.pop("question"), **found}


def piqa(row: Row) -> Made:
    found = _question(row, "Solution")
    if isinstance(found, str):
        return found
    goal, choices, right = found
    return {"goal": goal, "sol1": choices[0], "sol2": choices[1], "label": right} if len(choices) == 2 else "not two choices"


def winogrande(row: Row) -> Made:
    found = _question(row, "Option")
    if isinstance(found, str):
        return found
    sentence, choices, right = found
    if sentence.count("_") != 1 or len(choices) != 2:
        return "not one blank and two choices"
    return {"sentence": sentence, "option1": choices[0], "option2": choices[1], "answer": str(right + 1)}


def boolq(row: Row) -> Made:
    text, _, _ = str(row["instruction"]).rpartition("Answer format:")
    question = text.partition("question: ")[2].strip().rstrip("?")
    if not question or row["answer"] not in ("true", "false"):
        return "no question or answer"
    return {"passage": "", "question": question, "label": int(row["answer"] == "true")}


def gsm8k_text(row: Row) -> Made:
    """ "question answer" in one text: the question ends at the last question mark before the first calculation."""
    text = str(row["text"])
    ahead = text.split("<<", 1)[0]
    if "####" not in text or ahead.count("? ") != 1:
        return "where the question ends is not clear"
    question, _, answer = text.partition("? ")
    return {"question": f"{question}?", "answer": answer.strip()}


def gaokao(row: Row) -> Iterator[Made]:
    """An item for each question; those with several right letters are left out."""
    answers = row["answer"]
    assert isinstance(answers, list)
    for part, answer in enumerate(answers, 1):
        if len(str(answer)) != 1 or str(answer) not in "ABCD":
            yield "several right letters, or none of A to D"
            continue
        asked = str(row["question"]).strip() + (f"\n（第{part}小题）" if len(answers) > 1 else "")
        yield {"id": f"{row['index']}-{part}", "question": asked, "answer": str(answer)}


def gaokao_math_qa(row: Row) -> Made:
    options = row["options"]
    if not isinstance(options, dict) or list(options) != list("ABCD") or row["label"] not in options:
        return "not four options"
    lines = "".join(f"\n{letter}. {text}" for letter, text in options.items())
    return {"question": f"{row['question']}{lines}", "answer": row["label"]}


def cmrc(path: Path) -> Iterator[Made]:
    data = json.loads(gzip.decompress(path.read_bytes()))["data"]
    for paragraph in (p for article in data for p in article["paragraphs"]):
        for asked in paragraph["qas"]:
            answers = list(dict.fromkeys(answer["text"] for answer in asked["answers"]))
            yield {"id": asked["id"], "context": paragraph["context"], "question": asked["question"], "answers": answers}


def write(out: Path, made: Iterator[Made]) -> None:
    """The items; what is none is counted and printed."""
    lost: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with open(out, "w", encoding="utf-8") as file:
        for row in made:
            if isinstance(row, str):
                lost[row] += 1
            else:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    print(f"{out}: {count:,} items" + "".join(f"; {n:,} left out ({why})" for why, n in sorted(lost.items())))


ADAPTERS: dict[str, tuple[str, Callable[[Row], Made], str]] = {
    "ARC-Easy": ("arc_easy", arc, "test"),
    "ARC-Challenge": ("arc_challenge", arc, "test"),
    "openbookqa": ("openbookqa", openbookqa, "test"),
    "boolq": ("boolq", boolq, "validation"),
    "piqa": ("piqa", piqa, "validation"),
    "winogrande": ("winogrande", winogrande, "validation"),
}
"""By folder of LLM-Adapters' sets: the task, the converter, and the split that the task scores, which is their `test`."""


def convert(source: Path, out: Path) -> None:
    """All sets that `source` has."""
    for folder, (task, made, scored) in ADAPTERS.items():
        for split, name in (("train", "train"), ("test", scored)):
            path = source / folder / f"{split}.json.gz"
            if path.is_file():
                write(out / task / f"{name}.jsonl", map(made, read(path)))
    if (path := source / "gsm8k" / "test.jsonl.gz").is_file():
        write(out / "gsm8k" / "test.jsonl", iter(read(path)))
        write(out / "gsm8k" / "train.jsonl", map(gsm8k_text, read(source / "gsm8k" / "train_text.jsonl.gz")))
    if (path := source / "cmath" / "test.jsonl.gz").is_file():
        write(out / "cmath" / "test.jsonl", iter(read(path)))
    if (path := source / "cmrc2018" / "dev.json.gz").is_file():
        write(out / "cmrc2018" / "validation.jsonl", cmrc(path))
    if (path := source / "mmlu_stem" / "test.jsonl.gz").is_file():
        _mmlu(read(path), out / "mmlu_stem_18")
    if (path := source / "cmmlu" / "cmmlu_data.tar.gz").is_file():
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                if member.isfile():
                    member.name = member.name.removeprefix("./").removeprefix("data/")  # so that OUT/cmmlu holds dev/ and test/
                    archive.extract(member, out / "cmmlu", filter="data")
        print(f"{out / 'cmmlu'}: unpacked")
    for name, subject in GAOKAO.items():
        path = source / "gaokao_bench" / f"{name}.json.gz"
        if path.is_file():
            rows = json.loads(gzip.decompress(path.read_bytes()))["example"]
            write(out / "gaokao" / subject / "test.jsonl", (made for row in rows for made in gaokao(row)))
    if (path := source / "gaokao_math_qa" / "test.jsonl.gz").is_file():
        write(out / "gaokao" / "math_qa" / "test.jsonl", map(gaokao_math_qa, read(path)))


def _mmlu(rows: list[Row], out: Path) -> None:
    for subject in sorted({str(row["type"]) for row in rows}):
        mine = ({k: row[k] for k in ("question", "choices", "answer")} for row in rows if row["type"] == subject)
        write(out / subject / "test.jsonl", iter(mine))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
