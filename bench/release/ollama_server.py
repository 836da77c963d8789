"""Whether Ollama counts the tokens and gives the continuations of a released model, from the GGUF and Modelfile that we write.

    skyloom release gguf FOLDER released.gguf && ollama create released -f released.Modelfile      # while `ollama serve` runs
    python -m bench.release.ollama_server FOLDER [--endpoint http://localhost:11434] [--type f16] [--prompts 200] [--json counts]

Prompts are cut from the release's held-out documents, half English, half Chinese. Of each, Ollama gives the number of its tokens
(with <s>) and the text of a greedy continuation of `LENGTH` tokens, once as the Modelfile's template gives the prompt and once
raw; our decoder computes the same in fp32 with the weights rounded as in the file. Figures: `counts` and `continuations`, the
shares of prompts with an equal number of tokens and an equal continuation; `raw`, the share whose two continuations by Ollama are
equal; `gap`, our own largest difference between the two most probable tokens where a continuation parts first (0: none does).
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path

import torch

from bench.answers import answer_measured, offer
from bench.release.held_out_prompts import prompts
from bench.release.llama_cpp import rounded
from bench.release.servers import greedy, post
from skyloom.release.trace import open_corpus
from skyloom.release.weights import load_released

BARS = ("counts", "continuations", "raw", "gap")
LENGTH = 16
NAME = "released"
"""The model's name in `ollama create`."""
HALF = "\ufffd"
"""What a character is decoded to whose last bytes were not generated."""


def asked(endpoint: str, prompt: str, length: int, raw: bool) -> tuple[str, int]:
    """Ollama's continuation and the number of the prompt's tokens (0 where it tells none)."""
    options = {"temperature": 0, "num_predict": length}
    body = {"model": NAME, "prompt": prompt, "stream": False, "raw": raw, "options": options}
    told = post(f"{endpoint.rstrip('/')}/api/generate", body)
    return told["response"].rstrip(HALF), told.get("prompt_eval_count", 0)


def measure(folder: Path, endpoint: str, kind: str, number: int) -> dict[str, float]:
    release = open_corpus(folder).folder
    model, tokenizer, context = load_released(release)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(rounded(weight.detach().clone(), kind))
    texts = prompts(release, number, context - LENGTH)
    same_counts = same_continuations = same_raw = 0
    parted = []
    for text in texts:
        ids = [tokenizer.bos_id, *tokenizer.encode(text)]
        theirs, count = asked(endpoint, text, LENGTH, raw=False)
        same_counts += count == len(ids)
        same_raw += asked(endpoint, text, LENGTH, raw=True)[0] == theirs
        ours, gaps = greedy(model, ids, LENGTH, tokenizer.eos_id)
        found = [token for token in ours if token != tokenizer.eos_id]
        said = [tokenizer.decode(ids[1:] + found[:n])[len(text) :].rstrip(HALF) for n in range(len(found) + 1)]
        if theirs == said[-1]:
            same_continuations += 1
        else:  # the first token after which our text is no beginning of theirs
            parted.append(next((gaps[n - 1] for n in range(1, len(said)) if not theirs.startswith(said[n])), gaps[-1]))
    share = [same / len(texts) for same in (same_counts, same_continuations, same_raw)]
    return {"prompts": len(texts), **dict(zip(BARS, share, strict=False)), "gap": max(parted, default=0.0)}


def main() -> int:
    usual = os.environ.get("OLLAMA_HOST", "localhost:11434")
    parser = argparse.ArgumentParser(description="An Ollama server beside our decoder on a release.")
    parser.add_argument("folder", type=Path, help="the release whose GGUF the server has as `released`, or the folder of its run")
    parser.add_argument("--endpoint", default=usual if "://" in usual else f"http://{usual}", help="default: OLLAMA_HOST")
    parser.add_argument("--type", choices=("f16", "q8_0"), default="f16", help="of the GGUF; default: f16")
    parser.add_argument("--prompts", type=int, default=200, help="default: 200")
    offer(parser, BARS)
    given = parser.parse_args()
    return answer_measured(given.json, functools.partial(measure, given.folder, given.endpoint, given.type, given.prompts))


if __name__ == "__main__":
    sys.exit(main())
