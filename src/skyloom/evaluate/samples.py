"""Text samples of models: pinned prompts in both languages, continued with a seed.

Figures do not show that a model repeats itself or mixes its languages; a few lines of its text do. The prompts are our
own and touch each domain of the held-out sets: web prose, exercises, code and parallel text. Changing one changes what
readers compare, so a test pins them.
"""

from __future__ import annotations

from skyloom.evaluate.models import LoadedModel
from skyloom.score.config import SamplingConfig
from skyloom.score.generate import generate
from skyloom.suites import LABELS
from skyloom.tokenizer import Tokenizer

_EN, _ZH = LABELS["en"], LABELS["zh-Hans"]

PROMPTS: tuple[tuple[str, str], ...] = (
    ("en", "To install the package, open a terminal and"),
    ("en", f"{_EN.question}{_EN.gap}A box holds 12 pens. How many pens are in 5 boxes?\n{_EN.solution}"),
    ("zh-Hans", "要安装这个软件包，请先打开终端，"),
    ("zh-Hans", f"{_ZH.question}{_ZH.gap}一个盒子装12支笔，5个盒子一共装多少支笔？\n{_ZH.solution}"),
    ("code", "def mean(values):\n"),
)
"""(language, prompt); none ends in a space, so that the first token of the answer is one that running text has."""


def write_samples(name: str, model: LoadedModel, tokenizer: Tokenizer, sampling: SamplingConfig) -> list[dict[str, str]]:
    """`{model, lang, prompt, text}` for each prompt; the same seed writes the same text."""
    ids = [[tokenizer.bos_id, *tokenizer.encode(text)] for _, text in PROMPTS]
    written = generate(model.decoder, ids, sampling, context=model.context, eos_id=tokenizer.eos_id)
    return [
        {"model": name, "lang": lang, "prompt": text, "text": tokenizer.decode(continuation)}
        for (lang, text), continuation in zip(PROMPTS, written, strict=True)
    ]
