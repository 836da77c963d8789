"""Results of `eval perplexity` and `eval tasks` for tests of their page, put together here: two models, English beside Chinese."""

from __future__ import annotations

from typing import Any

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\x00\ud800"\'&{{ 7*7 }}'
UNITS = "units of text: one Han, kana or hangul character, or one word of any other script (skyloom.core.units)"
COMMAND = "skyloom eval perplexity 甲=./a b=./b --sets ./texts --page 页面.html"


def described(name: str, **more: Any) -> dict[str, Any]:
    return {
        "model": name, "kind": "hugging face", "path": "./a", "sha256": "0123456789abcdef" * 4, "tokenizer_sha256": "ab" * 32,
        "vocabulary": 32_000, "parameters": 1_234_567, "dtype": "float32", "device": "cpu", "context": 2048, "begins_with": "bos",
        "begin_id": 1, "engine": "skyloom", "versions": {"torch": "2.9"},
    } | more  # fmt: skip


def text_row(model: str, name: str, bits: float, **more: Any) -> dict[str, Any]:
    loss = bits * 2
    return {
        "model": model, "set": name, "documents": 120, "loss": loss, "perplexity": 2.7 ** loss, "low": loss - 0.3, "high": loss + 0.3,
        "reference_loss": loss + 1, "reference_low": loss + 0.9, "reference_high": loss + 1.1, "reference_perplexity": 30.5,
        "bits_per_byte": bits, "bits_per_byte_low": bits - 0.05, "bits_per_byte_high": bits + 0.05, "bits_per_char": 2 * bits,
        "bits_per_char_low": None, "bits_per_char_high": None, "tokens": 9000, "reference_tokens": 8000, "bytes": 40_000,
        "chars": 30_000, "cut": 0, "changed": 0,
    } | more  # fmt: skip


def perplexities(first: str = "甲", second: str = "b", sets: tuple[str, ...] = ("法律", "web_en")) -> dict[str, Any]:
    """A perplexity.json of two models on two sets; the second set is one of a run. Documents of the first were cut."""
    names, none = (first, second), dict.fromkeys(("reference_loss", "reference_loss_low", "reference_loss_high"))
    means = {"perplexity": 12.5, "low": None, "high": None, "reference_loss": 2.0, "reference_perplexity": 7.4}
    means |= {f"document_{key}": 1.25 for key in ("loss", "perplexity", "reference_loss", "reference_perplexity", "bits_per_byte")}
    return {
        "command": COMMAND, "models": [described(name) for name in names], "reference": UNITS, "windows": "rolling",
        "stride": None, "cut": 682,
        "rows": [
            text_row(name, one, 0.9 + 0.1 * m + 0.2 * s, cut=0 if s else 7, changed=3 if m and not s else 0)
            for s, one in enumerate(sets) for m, name in enumerate(names)
        ],
        "average": [{"model": name, "sets": 2, "loss": 2.5, "bits_per_byte": 1.0 + 0.1 * m, **means} for m, name in enumerate(names)],
        "paired": [
            {"model": second, "other": first, "set": one, "bits_per_byte": 0.1, "bits_per_byte_low": low, "bits_per_byte_high": 0.2, **none}
            for one, low in zip((*sets, None), (-0.02, 0.05, 0.04), strict=True)
        ],
        "baselines": [{"model": "xz", "set": one, "documents": 120, "bits_per_byte": 2.345, "bytes": 40_000} for one in sets],
    }  # fmt: skip


def task_row(model: str, task: str, value: float, **more: Any) -> dict[str, Any]:
    return {
        "model": model, "task": task, "parts": None, "metric": "acc", "filter": "none", "value": value, "low": value - 0.08,
        "high": value + 0.08, "interval": "wilson", "n": 50, "of": 2376, "chance": 0.25, "near_ties": 2, "least": value - 0.04,
        "most": value, "right_bits_per_byte": 1.5 - value, "right_low": 1.4 - value, "right_high": 1.6 - value, "mode": "multiple_choice",
        "shots": 5, "higher_is_better": True, "cut": 1, "version": "1.0", "prompts": "fe" * 8,
    } | more  # fmt: skip


def benchmarks(first: str = "甲", second: str = "b", tasks: tuple[str, ...] = ("arc_easy", "中文题")) -> dict[str, Any]:
    """A tasks.json of two models on two tasks, compared; one more metric has no chance and no interval of its own."""
    names = (first, second)
    rows = [task_row(name, task, 0.30 + 0.12 * m + 0.02 * t) for t, task in enumerate(tasks) for m, name in enumerate(names)]
    plain = {
        "metric": "exact_match",
        "filter": "strict",
        "chance": None,
        "near_ties": None,
        "least": None,
        "most": None,
        "shots": -1,
    }
    rows.append(task_row(first, tasks[0], 0.1, **plain, right_bits_per_byte=None))
    compared = [
        {"task": task, "metric": metric, "model": first, "other": second, "n": 50, "value": 0.3, "other_value": 0.42, "difference": -0.12,
         "low": -0.2, "high": high, "only_model": 3 if p else None, "only_other": 9 if p else None, "p": p}
        for task, metric, high, p in ((tasks[0], "acc,none", -0.04, 0.0004), (tasks[1], "acc,none", 0.01, 0.146), (tasks[0], "right_bits_per_byte", -0.01, None))
    ]  # fmt: skip
    return {
        "models": [described(name) for name in names], "rows": rows, "comparison": compared,
        "noise": [{"model": first, "nats": 1.2e-5, "how": "measured"}], "data": {tasks[0]: "题.jsonl"}, "groups": {}, "limit": 50,
        "versions": {"lm-eval": "0.4.9"}, "command": f"skyloom eval tasks 甲=./a b=./b --tasks {tasks[0]} --compare 甲 b",
    }  # fmt: skip
