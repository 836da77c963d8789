"""Whether vLLM gives the ids, the log-probabilities and the next tokens of a released model.

    vllm serve FOLDER --dtype float32 --served-model-name released      # in an environment of its own
    python -m bench.release.vllm_server FOLDER [--endpoint http://localhost:8000/v1] [--prompts 200] [--json agree]

vLLM requires other versions of packages that we use, so it is asked as a server and not imported. Prompts are cut from the
release's held-out documents, half English, half Chinese. Of each, the server gives its token ids, the log-probability of every
prompt token, and a greedy continuation of `LENGTH` tokens; our decoder computes the same in fp32 from the same folder. Figures:
`ids` and `argmax`, the shares of prompts with equal ids and an equal first token; `agree`, the smaller one; `continuations`, the
share with an equal continuation; `logprobs`, the largest difference of a log-probability; `gap`, our own largest difference
between the two most probable tokens where a continuation parts (0: none does).
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path
from typing import Any

import torch

from bench.answers import answer_measured, offer
from bench.release.held_out_prompts import prompts
from bench.release.servers import greedy, post
from skyloom.release.trace import open_corpus
from skyloom.release.weights import load_released

BARS = ("agree", "ids", "argmax", "continuations", "logprobs", "gap")
LENGTH = 32
SERVED = "released"
"""`--served-model-name` of the server."""


def asked(endpoint: str, prompt: str | list[int], length: int) -> dict[str, Any]:
    """The server's answer to one prompt: `prompt_token_ids`, `prompt_logprobs`, `token_ids`. NotMeasuredError without a server."""
    body = {
        "model": SERVED, "prompt": prompt, "max_tokens": length, "temperature": 0, "prompt_logprobs": 0, "return_token_ids": True,
    }  # fmt: skip
    return dict(post(f"{endpoint.rstrip('/')}/completions", body)["choices"][0])


@torch.no_grad()
def measure(folder: Path, endpoint: str, number: int) -> dict[str, float]:
    release = open_corpus(folder).folder
    model, tokenizer, context = load_released(release)
    texts = prompts(release, number, context)
    same_ids = same_argmax = same_continuations = tokens = 0
    furthest, parted = 0.0, []
    for text in texts:
        ids = [tokenizer.bos_id, *tokenizer.encode(text)]
        length = min(LENGTH, context - len(ids))
        theirs = asked(endpoint, text, length)
        same_ids += theirs["prompt_token_ids"] == ids
        if theirs["prompt_token_ids"] != ids:
            theirs = asked(endpoint, ids, length)
        ours, gaps = greedy(model, ids, length, tokenizer.eos_id)
        same_argmax += theirs["token_ids"][0] == ours[0]
        same_continuations += theirs["token_ids"] == ours
        parted += [gap for one, other, gap in zip(theirs["token_ids"], ours, gaps, strict=False) if one != other][:1]
        given = torch.tensor(ids[1:])
        expected = model(torch.tensor([ids]))[0, :-1].log_softmax(-1).gather(1, given[:, None])[:, 0]
        told = [row[str(token)]["logprob"] for row, token in zip(theirs["prompt_logprobs"][1:], ids[1:], strict=True)]
        furthest = max(furthest, float((expected - torch.tensor(told)).abs().max()))
        tokens += len(ids) - 1
    share = {"ids": same_ids / len(texts), "argmax": same_argmax / len(texts)}
    return {
        "prompts": len(texts), "tokens": tokens, **share, "agree": min(share.values()),
        "continuations": same_continuations / len(texts), "logprobs": furthest, "gap": max(parted, default=0.0),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="A vLLM server beside our decoder on a release.")
    parser.add_argument("folder", type=Path, help="the release that the server has loaded, or the folder of its run")
    parser.add_argument("--endpoint", default="http://localhost:8000/v1")
    parser.add_argument("--prompts", type=int, default=200)
    offer(parser, BARS)
    given = parser.parse_args()
    return answer_measured(given.json, functools.partial(measure, given.folder, given.endpoint, given.prompts))


if __name__ == "__main__":
    sys.exit(main())
